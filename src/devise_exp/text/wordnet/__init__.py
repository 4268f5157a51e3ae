"""What WordNet says of class names: senses, glosses, and their place in the hierarchy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
