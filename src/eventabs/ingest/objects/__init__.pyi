from .copies import Copies as Copies, copied as copied, plan_copies as plan_copies
from .search import find_objects as find_objects
