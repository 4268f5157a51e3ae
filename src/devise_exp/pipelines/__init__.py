"""From a config to a finished run, a series, a grid, a sweep: the only wiring."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
