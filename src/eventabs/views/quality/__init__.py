"""How right events are, and how two runs differ: in the terminal, as JSON, as pages."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
