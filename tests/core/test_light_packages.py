"""A large package whose __init__ runs only if it has to; each test has a package of its own."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devise_exp.core.light_packages import import_lightly

INIT = """
import sys
sys.ran = sys.ran + 1
NAME = "log"
from PACKAGE.tools import Tool
from PACKAGE.heavy import Heavy
"""
TOOLS = """
import sys
sys.tools_ran = sys.tools_ran + 1
from PACKAGE import NAME
from PACKAGE.parts import part
class Tool:
    part = part
"""


@pytest.fixture
def package(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The name of a package that was not imported; sys.ran counts the runs of its __init__."""
    name = request.node.name.split("[")[0].removeprefix("test_")
    modules = {
        "__init__": INIT, "tools": TOOLS, "parts": "part = 1", "heavy": "class Heavy: pass",
    }  # fmt: skip
    for module, text in modules.items():
        path = tmp_path / name / f"{module}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("PACKAGE", name))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "ran", 0, raising=False)
    monkeypatch.setattr(sys, "tools_ran", 0, raising=False)
    yield name
    for module in [m for m in sys.modules if m.partition(".")[0] == name]:
        del sys.modules[module]


def lighten(package: str) -> None:
    import_lightly(package, {"Tool": f"{package}.tools"}, {"NAME": "log"})


def ran() -> int:
    return sys.ran  # type: ignore[attr-defined,no-any-return]


def test_a_listed_name_runs_no_init(package: str) -> None:
    lighten(package)
    assert f"{package}.tools" not in sys.modules  # nothing is imported before it is used
    tool = importlib.import_module(package).Tool
    assert (tool.part, tool.__module__, ran()) == (1, f"{package}.tools", 0)
    assert pickle.loads(pickle.dumps(tool())).part == 1
    assert f"{package}.heavy" not in sys.modules


def test_a_module_of_the_package_runs_no_init(package: str) -> None:
    lighten(package)
    assert importlib.import_module(f"{package}.parts").part == 1
    assert ran() == 0


def test_another_name_runs_init_once(package: str) -> None:
    lighten(package)
    module = importlib.import_module(package)
    before = module.Tool
    heavy = module.Heavy
    assert (heavy.__module__, ran()) == (f"{package}.heavy", 1)
    assert module.Tool is before
    with pytest.raises(AttributeError, match="nothing"):
        _ = module.nothing
    assert ran() == 1


def test_another_name_may_be_the_first(package: str) -> None:
    lighten(package)
    assert importlib.import_module(package).Heavy.__name__ == "Heavy"
    assert ran() == 1


def test_a_missing_name_is_an_attribute_error(package: str) -> None:
    lighten(package)
    module = importlib.import_module(package)
    assert not hasattr(module, "__wrapped__")
    assert ran() == 0
    with pytest.raises(ImportError, match="nothing"):
        exec(f"from {package} import nothing")


def test_a_version_built_in_another_way_is_imported_whole(package: str) -> None:
    import_lightly(package, {"Tool": f"{package}.elsewhere"}, {})
    module = importlib.import_module(package)
    assert module.Tool.part == 1
    assert ran() == 1


def test_a_name_that_the_modules_lack_runs_init(package: str) -> None:
    import_lightly(package, {"Tool": f"{package}.tools"}, {})  # without NAME, which tools takes
    assert importlib.import_module(package).Tool.part == 1
    assert ran() == 1


def test_a_package_within_a_package_is_its_attribute(package: str) -> None:
    outer = importlib.import_module(package)
    folder = Path(str(outer.__file__)).parent / "inner"
    folder.mkdir()
    (folder / "__init__.py").write_text("import sys\nsys.ran = 9\n")
    (folder / "part.py").write_text("part = 2")
    import_lightly(f"{package}.inner", {"part": f"{package}.inner.part"}, {})
    assert outer.inner.part.part == 2
    assert ran() == 1


def test_an_imported_package_stays_as_it_is(package: str) -> None:
    module = importlib.import_module(package)
    lighten(package)
    assert sys.modules[package] is module
    assert ran() == 1


def test_a_package_that_is_missing_stays_missing() -> None:
    import_lightly("no_such_package", {}, {})
    assert "no_such_package" not in sys.modules


def test_without_names_of_modules_a_module_runs_init_first(package: str) -> None:
    import_lightly(package, {}, {"NAME": "log"})
    assert (importlib.import_module(package).NAME, ran()) == ("log", 0)
    tools = importlib.import_module(f"{package}.tools")  # which __init__ imports
    assert (ran(), sys.tools_ran) == (1, 1)  # type: ignore[attr-defined]
    assert tools is sys.modules[f"{package}.tools"] is importlib.import_module(package).tools
    assert tools.__spec__ is not None
    assert tools.__spec__.origin == tools.__file__
    assert importlib.import_module(f"{package}.parts").part == 1
    assert importlib.reload(tools).Tool.part == 1


def test_a_run_imports_no_compiler_and_torch_compiles_all_the_same() -> None:
    lines = [
        "import sys, torch",
        "from devise_exp.training.lightning import fit_with_lightning",
        "from lightning_fabric.wrappers import OptimizedModule",
        "torch.use_deterministic_algorithms(True)",
        "layer = torch.nn.Linear(2, 2)",
        "optimizer = torch.optim.AdamW(layer.parameters())",
        "layer(torch.ones(1, 2)).sum().backward()",
        "assert torch.compiler.disable(recursive=False)(len)([1]) == 1",
        "optimizer.step()",
        "print(sorted({'sympy', 'torch._dynamo.utils'} & set(sys.modules)))",
        "print(isinstance(layer, OptimizedModule))",
        "compiled = torch.compile(layer, backend='eager')",
        "print(isinstance(compiled, OptimizedModule))",
        "print(torch.equal(compiled(torch.ones(1, 2)), layer(torch.ones(1, 2))))",
        "import torch._dynamo.config, torch._dynamo.utils, torch._inductor.config",
        "print(torch._inductor.config.deterministic, len(torch._inductor.list_options()) > 9)",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split("\n")[:-1] == ["[]", "False", "True", "True", "True True"]
    assert done.stderr == ""


def test_wandb_logs_a_table_without_pandas_and_a_data_frame_with_it(tmp_path: Path) -> None:
    lines = [
        "import sys, wandb",
        "from devise_exp.core.light_packages import wandb_without_pandas",
        f"run = wandb.init(mode='offline', dir={str(tmp_path)!r}, settings={{'silent': True}})",
        "with wandb_without_pandas():",
        "    run.log({'rows': wandb.Table(columns=['a'])})",
        "print('pandas' in sys.modules)",
        "import pandas",
        "run.log({'frame': pandas.DataFrame({'b': [1, 2]})})",
        "run.finish()",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["False"], done.stderr
    names = {path.name.split("_")[0] for path in tmp_path.rglob("*.table.json")}
    assert names == {"rows", "frame"}
