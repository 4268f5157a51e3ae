"""From a config to a finished run, a series, a grid, a sweep: the only wiring."""

import lazy_loader

from devise_exp.core.light_packages import lighten_lightning

lighten_lightning()  # before any module of this package imports it
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
