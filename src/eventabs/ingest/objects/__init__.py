"""Objects in stores and behind web addresses: what addresses name, and copies to read."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
