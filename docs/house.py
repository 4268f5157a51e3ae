"""Write the picture of the packages into docs/reference/architecture.md: python docs/house.py.

The layers come from the import contract in pyproject.toml, the words from the packages' docstrings.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "architecture.md"
BEGIN, END = "<!-- house: begin -->\n", "<!-- house: end -->\n"


def layers() -> list[list[str]]:
    """The packages of each layer, top first, as import-linter holds them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (rows,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [row.split(" | ") for row in rows]


def summary(package: str) -> str:
    """The first line of the docstring of a package."""
    source = (ROOT / "src" / "devise_exp" / package / "__init__.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").splitlines()[0]


def picture() -> str:
    """The layers as text: a package imports only from lines below its own layer."""
    lines = ["```"]
    for number, packages in enumerate(layers()):
        lines += ["   |"] * (number > 0)
        lines += [f"{package:12}{summary(package)}" for package in packages]
    return "\n".join([*lines, "```\n"])


def with_picture(page: str) -> str:
    """The page with its picture renewed."""
    head, rest = page.split(BEGIN)
    return head + BEGIN + picture() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(with_picture(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
