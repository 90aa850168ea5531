"""Reply text -> an outcome for each user: lenient reading, coverage of behaviors, judging, must-rules."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
