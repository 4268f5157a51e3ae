"""Imports of a few names of a large package, without all that its `__init__` would import."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


class LightPackage(ModuleType):
    """A package whose `__init__` runs when a name is asked for that none of a few modules has."""

    def __getattr__(self, name: str) -> Any:
        """Take a name from one of the few modules, or else from the package's own `__init__`.

        Raises:
            AttributeError: The package has no such name.
        """
        content = vars(self)
        modules: Mapping[str, str] | None = content.pop("_modules_of_names", None)
        if modules is not None:
            _import_names(self, modules)
        # A name that these modules need beyond those listed, or one that inspection asks of any
        # object, is no reason to run `__init__`.
        runs = "_importing" not in content and not name.startswith("__")
        if name not in content and runs and isinstance(self, LightPackage):
            _run_init(self)
        if name in content:
            return content[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def import_lightly(
    package: str, modules_of_names: Mapping[str, str], values: Mapping[str, Any]
) -> None:
    """Let a package that was not imported yet run its `__init__` only if it has to.

    Args:
        package: Its name; nothing happens if it is missing.
        modules_of_names: Names that are taken from a module of the package, and that module; they
            are imported in this order, at the first use of the package.
        values: Other names that these modules take from the package.
    """
    spec = None if package in sys.modules else find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        return
    module = module_from_spec(spec)
    content = vars(module)
    del content["__path__"]  # so the import of any module of the package is a first use
    content.update(values, _modules_of_names=modules_of_names)
    module.__class__ = LightPackage
    sys.modules[package] = module
    parent, _, name = package.rpartition(".")
    if parent:
        setattr(sys.modules[parent], name, module)


def lighten_lightning() -> None:
    """Let Lightning take its names of torchmetrics without torchvision and transformers.

    The `__init__` of torchmetrics imports metrics of images, sounds and texts, and with them
    torchvision, transformers and scipy.signal, as far as they are installed.
    """
    modules_of_names = {
        "__version__": "torchmetrics.__about__",
        "utilities": "torchmetrics.utilities",
        "Metric": "torchmetrics.metric",
        "MetricCollection": "torchmetrics.collections",
        "MeanMetric": "torchmetrics.aggregation",
    }
    import_lightly("torchmetrics", modules_of_names, {"_logger": logging.getLogger("torchmetrics")})


def lighten_wandb() -> None:
    """Let a W&B run look for inputs of W&B Launch without Launch, its agents and W&B's public API.

    wandb has to be imported.
    """
    import_lightly("wandb.sdk.launch", {"inputs": "wandb.sdk.launch.inputs"}, {})


def _import_names(package: ModuleType, modules_of_names: Mapping[str, str]) -> None:
    """Import names from their modules; if that fails, run the package's own `__init__`."""
    content = vars(package)
    content.update(__path__=package.__spec__.submodule_search_locations, _importing=True)  # type: ignore[union-attr]
    try:
        for name, path in modules_of_names.items():
            module = import_module(path)
            content[name] = module if path == f"{package.__name__}.{name}" else vars(module)[name]
    except (ImportError, AttributeError, KeyError):  # of a version that is built in another way
        for path in [path for path in sys.modules if path.startswith(f"{package.__name__}.")]:
            del sys.modules[path]
        _run_init(package)
    finally:
        content.pop("_importing", None)


def _run_init(package: ModuleType) -> None:
    """Make the package what a plain import of it gives."""
    package.__class__ = ModuleType
    vars(package).pop("_importing", None)
    package.__spec__.loader.exec_module(package)  # type: ignore[union-attr]
