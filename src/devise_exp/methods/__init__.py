"""What maps features and class vectors into one space: DeViSE, its prior and the baselines."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
