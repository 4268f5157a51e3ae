"""Baselines that a trained model has to beat.

Add one in five steps:
1. A module here with a subclass of `Method` (methods/method.py shows one): its `name`, its class
   variables where they differ, and `_fit`; values to choose among on class folds as `param_grid`.
2. Its name in `__init__.pyi`.
3. conf/method/NAME.yaml with the class as `_target_` and every field; NAME in conf/method/all.yaml.
4. Its instance in tests/helpers/baselines.py, which puts it under the tests that hold for all.
5. A test of its mathematics in tests/methods/baselines/test_NAME.py, against a slow solution.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
