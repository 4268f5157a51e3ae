"""Finished runs as tables, figures, one HTML page, and W&B."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
