"""Imports of a few names of a large package, without all that its `__init__` would import."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_loader
from types import ModuleType
from typing import Any

_lock = threading.RLock()  # of all first uses


class LightPackage(ModuleType):
    """A package whose `__init__` runs when a name is asked for that none of a few modules has."""

    def __getattr__(self, name: str) -> Any:
        """Take a name from one of the few modules, or else from the package's own `__init__`.

        Raises:
            AttributeError: The package has no such name.
        """
        with _lock:
            return self._attribute(name)

    def _attribute(self, name: str) -> Any:
        content = vars(self)
        modules: Mapping[str, str] = content.get("_modules_of_names", {})
        # What inspection asks of any object is no use.
        is_asked_of_any = name.startswith("__") and name != "__path__" and name not in modules
        if "_modules_of_names" in content and not is_asked_of_any:
            del content["_modules_of_names"]
            _import_names(self, modules)
        # A name that these modules need beyond those listed is no reason to run `__init__`.
        runs = "_importing" not in content and not name.startswith("__")
        if name not in content and runs and isinstance(self, LightPackage):
            _run_init(self)
        if name in content:
            return content[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


class _IsCompiled(type):
    """Instances are those of torch's own class, none before torch.compile was imported."""

    def __instancecheck__(cls, instance: Any) -> bool:
        compiler = sys.modules.get("torch._dynamo.eval_frame")
        return compiler is not None and isinstance(instance, compiler.OptimizedModule)


class CompiledModule(metaclass=_IsCompiled):
    """Stands for torch._dynamo.OptimizedModule in isinstance."""


class _InitFirst(MetaPathFinder, Loader):
    """Runs the `__init__` of a light package of values alone before a module of it is imported.

    Modules that import each other in a circle can be imported in the order of `__init__` alone.
    """

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Take the module from `__init__`, which may have imported it; else let others find it."""
        package = sys.modules.get(fullname.rpartition(".")[0])
        if not isinstance(package, LightPackage) or "_values_alone" not in vars(package):
            return None
        with _lock:
            if isinstance(package, LightPackage):  # no other thread was faster
                _run_init(package)
        module = sys.modules.get(fullname)
        if module is None:
            return None
        # By the spec of a module that is there, the import system would run the module once more.
        imported = spec_from_loader(fullname, self)
        assert imported is not None
        imported.loader_state, vars(module)["__spec__"] = module.__spec__, imported
        return imported

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Take the module as it is."""
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its spec back."""
        if module.__spec__ is not None:
            vars(module)["__spec__"] = module.__spec__.loader_state


def import_lightly(
    package: str, modules_of_names: Mapping[str, str], values: Mapping[str, Any]
) -> None:
    """Let a package that was not imported yet run its `__init__` only if it has to.

    Args:
        package: Its name; nothing happens if it is missing, or was imported already.
        modules_of_names: Names that are taken from a module of the package, and that module; they
            are imported in this order, at the first use of the package. Without any, the import of
            a module of the package runs `__init__`.
        values: Other names that are taken from the package.
    """
    parent, _, name = package.rpartition(".")
    can_look = not parent or parent in sys.modules  # else a look would import the parent
    if package in sys.modules or (can_look and find_spec(package) is None):
        return
    module = LightPackage(package)  # without __path__: the import of its modules is a first use
    vars(module).update(values, _modules_of_names=modules_of_names)
    if not modules_of_names:
        vars(module)["_values_alone"] = True
        if not any(isinstance(finder, _InitFirst) for finder in sys.meta_path):
            sys.meta_path.insert(0, _InitFirst())
    sys.modules[package] = module
    if parent in sys.modules:
        setattr(sys.modules[parent], name, module)


def lighten_lightning() -> None:
    """Let Lightning take its names of torchmetrics and torch._dynamo without all that they import.

    The `__init__` of torchmetrics imports metrics of images, sounds and texts, and with them
    torchvision, transformers and scipy.signal, as far as they are installed. That of torch._dynamo,
    which torch.compile needs, imports the compiler, sympy and triton.
    """
    modules_of_names = {
        "__version__": "torchmetrics.__about__",
        "utilities": "torchmetrics.utilities",
        "Metric": "torchmetrics.metric",
        "MetricCollection": "torchmetrics.collections",
        "MeanMetric": "torchmetrics.aggregation",
    }
    import_lightly("torchmetrics", modules_of_names, {"_logger": logging.getLogger("torchmetrics")})
    # Every optimizer asks for these two, which matter where code is being compiled.
    uncompiled = {"disable": _as_it_is, "graph_break": lambda: None}
    import_lightly("torch._dynamo", {}, {"OptimizedModule": CompiledModule, **uncompiled})
    # torch.use_deterministic_algorithms sets a value there.
    import_lightly("torch._inductor", {"config": "torch._inductor.config"}, {})


def _as_it_is(function: Any = None, *_: Any, **__: Any) -> Any:
    """Decorate a function by nothing, also as `@disable(...)`."""
    return (lambda decorated: decorated) if function is None else function


def lighten_wandb() -> None:
    """Let a W&B run look for inputs of W&B Launch without Launch, its agents and W&B's public API.

    wandb has to be imported.
    """
    import_lightly("wandb.sdk.launch", {"inputs": "wandb.sdk.launch.inputs"}, {})


@contextmanager
def wandb_without_pandas() -> Iterator[None]:
    """Let W&B log what pandas has not made without importing pandas to see that.

    Yields:
        Nothing; inside the block W&B knows a DataFrame by the name of its class.
    """
    import wandb

    before = wandb.util.pd_available
    wandb.util.pd_available = False
    try:
        yield
    finally:
        wandb.util.pd_available = before


def _import_names(package: ModuleType, modules_of_names: Mapping[str, str]) -> None:
    """Import names from their modules; if that fails, run the package's own `__init__`."""
    content = vars(package)
    content.update(__path__=_spec_of(package).submodule_search_locations, _importing=True)
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
    spec = _spec_of(package)
    package.__class__ = ModuleType
    vars(package).pop("_importing", None)
    package.__path__ = spec.submodule_search_locations or []
    spec.loader.exec_module(package)  # type: ignore[union-attr]


def _spec_of(package: ModuleType) -> ModuleSpec:
    """Find where a light package is installed, and let it know.

    Raises:
        ModuleNotFoundError: It is not.
    """
    name = package.__name__
    if package.__spec__ is None:
        del sys.modules[name]  # which a search would answer from
        try:
            spec = find_spec(name)
            if spec is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        finally:
            sys.modules[name] = package
        package.__spec__, package.__file__, package.__loader__ = spec, spec.origin, spec.loader
    return package.__spec__
