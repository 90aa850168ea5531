"""Requests -> replies: one registry of kinds, a module or folder for each, and retries and rate limits for all."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
