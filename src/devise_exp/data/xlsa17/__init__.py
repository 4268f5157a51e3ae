"""The zero-shot benchmark of Xian et al. 2018: published features, attributes and splits."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
