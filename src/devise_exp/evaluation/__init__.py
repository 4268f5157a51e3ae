"""Protocols and metrics of zero-shot recognition and retrieval, and the overlap audit."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
