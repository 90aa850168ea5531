"""One run on many machines: claims on shards, copies of their run directories, permits for all, and Ray below it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
