"""The run folder: everything that a finished run keeps, and how it is read back."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
