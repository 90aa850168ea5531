from .copies import Copies as Copies, copied as copied, plan_copies as plan_copies
from .store import find_objects as find_objects, public_address as public_address
