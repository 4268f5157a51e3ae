"""Baselines that a trained model has to beat.

Add one in six steps:
1. A subclass of `Method` (methods/method.py shows one), in a module here or beside its kin: its
   `name`, its class variables where they differ, and `_fit`; values to choose among on class folds
   as `param_grid`. `SolverMethod` shares one decomposition among the values of a fold.
2. Its name in `__init__.pyi`.
3. conf/method/NAME.yaml: a comment that says what it does, the class as `_target_`, and every field
   but `name`; NAME in conf/method/all.yaml, or in published.yaml if it takes minutes.
4. Its instance in tests/helpers/baselines.py, which puts it under the tests that hold for all.
5. A test of its mathematics in tests/methods/baselines/, against a slow solution.
6. A row in docs/concepts/methods.md, and a line in CHANGELOG.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
