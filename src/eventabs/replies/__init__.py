"""Reply text -> an outcome for each user: lenient reading, placing of rows, judging, must-rules."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
