"""The source reads as CONTRIBUTING.md says: docstrings with sections, nouns for names, records."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from helpers.paths import ROOT, TESTS

SOURCE = ROOT / "src" / "devise_exp"
MODULES = sorted(SOURCE.rglob("*.py"))
NO_NOUNS = {"own", "found", "made", "told", "place", "each"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def module_id(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def public_definitions(
    node: ast.Module | ast.ClassDef, start: str = ""
) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Classes and functions, and the methods of classes, by their names in the module."""
    for child in node.body:
        if isinstance(child, Function | ast.ClassDef) and not child.name.startswith("_"):
            yield f"{start}{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child, f"{child.name}.")


def decorators(node: Function | ast.ClassDef) -> str:
    return " ".join(ast.unparse(decorator) for decorator in node.decorator_list)


def parameters(function: Function) -> list[str]:
    given = function.args
    plain = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return [arg.arg for arg in plain if arg is not None and arg.arg not in ("self", "cls")]


def fields(class_: ast.ClassDef) -> list[str]:
    targets = [child.target for child in class_.body if isinstance(child, ast.AnnAssign)]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return [name for name in names if not name.startswith("_")]


def missing_sections(node: Function | ast.ClassDef) -> list[str]:
    """What the docstring of a public definition lacks."""
    text = ast.get_docstring(node) or ""
    if isinstance(node, ast.ClassDef):
        described = fields(node) if "dataclass" in decorators(node) else []
        section = "Attributes:"
    elif "property" in decorators(node):
        described, section = [], ""
    else:
        described, section = parameters(node), "Args:"
    missing = [] if text else ["a docstring"]
    after = text.partition(section)[2] if section else ""
    missing += [f"{section} {name}" for name in described if f"{name}:" not in after]
    if isinstance(node, Function) and "property" not in decorators(node):
        returned = "None" if node.returns is None else ast.unparse(node.returns)
        silent = returned in ("None", "NoReturn", "Never")
        if not silent and "Returns:" not in text and "Yields:" not in text:
            missing.append("Returns:")
        raised = [n for n in ast.walk(node) if isinstance(n, ast.Raise) and n.exc is not None]
        if any("InputError" in ast.unparse(n.exc) for n in raised if n.exc is not None):
            missing += [] if "Raises:" in text else ["Raises:"]
    return missing


@cache
def protocol_methods() -> list[tuple[str, list[str]]]:
    """The name and the parameters of every method of a protocol."""
    nodes = (node for path in MODULES for node in ast.walk(tree(path)))
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    protocols = [c for c in classes if "Protocol" in [ast.unparse(base) for base in c.bases]]
    functions = (f for c in protocols for f in c.body if isinstance(f, Function))
    return [(function.name, parameters(function)) for function in functions]


def is_described_elsewhere(path: Path, name: str, node: Function | ast.ClassDef) -> bool:
    """Whether a method overrides that of a base class, or is of a protocol: sections are there."""
    class_name, _, method = name.rpartition(".")
    if not class_name or not isinstance(node, Function) or not ast.get_docstring(node):
        return False
    if (method, parameters(node)) in protocol_methods():
        return True
    module = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    class_ = getattr(import_module(module), class_name)
    return any(method in vars(base) for base in class_.__mro__[1:])


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_public_names_have_docstrings_with_sections(path: Path) -> None:
    assert ast.get_docstring(tree(path))
    if path.parent == SOURCE / "ui" / "cli":
        return  # typer shows these docstrings as help, and the options describe themselves
    definitions = dict(public_definitions(tree(path)))
    lacks = {name: missing_sections(node) for name, node in definitions.items()}
    assert {
        name: missing
        for name, missing in lacks.items()
        if missing and not is_described_elsewhere(path, name, definitions[name])
    } == {}


@pytest.mark.parametrize("folder", [SOURCE, TESTS], ids=["src", "tests"])
def test_variables_are_nouns(folder: Path) -> None:
    verbs = {}
    for path in sorted(folder.rglob("*.py")):
        nodes = list(ast.walk(tree(path)))
        names = {n.id for n in nodes if isinstance(n, ast.Name)}
        names |= {n.arg for n in nodes if isinstance(n, ast.arg)}
        if names & NO_NOUNS:
            verbs[path.name] = names & NO_NOUNS
    assert verbs == {}


@pytest.mark.parametrize("path", MODULES, ids=module_id)
def test_records_of_many_fields_are_built_by_keyword(path: Path) -> None:
    classes = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    records = [node for node in classes if "dataclass" in decorators(node)]
    large = [node for node in records if len(fields(node)) > 4]
    assert [node.name for node in large if "kw_only=True" not in decorators(node)] == []
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    names = [(ast.unparse(node.func).rsplit(".", 1)[-1], len(node.args)) for node in calls]
    assert [name for name, n in names if n > 5 and name[:1].isupper()] == []


def test_nothing_private_of_optuna_is_used() -> None:
    """Its underscored names may change with any release."""
    private = {
        "_trial_id", "_study_id", "_storage", "_file_path", "_number_offset", "_get_trials",
    }  # fmt: skip
    used = []
    for path in MODULES:
        nodes = list(ast.walk(tree(path)))
        modules = [n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)]
        modules += [alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names]
        used += [f"{path.name}: {m}" for m in modules if re.match(r"optuna\..*_|optuna\._", m)]
        names = {n.attr for n in nodes if isinstance(n, ast.Attribute)}
        if any(module.split(".")[0] == "optuna" for module in modules):
            used += [f"{path.name}: {name}" for name in names & private]
    assert used == []
