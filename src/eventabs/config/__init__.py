"""Settings from a TOML file, the environment and flags, and the messages for wrong ones."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
