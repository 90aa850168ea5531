"""A run is extended by another export of the same users: compared, planned, written down."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
