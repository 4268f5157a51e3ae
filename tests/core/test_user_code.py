"""Python of a user's own is found, or one line says why it is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devise_exp.core.errors import InputError
from devise_exp.core.user_code import check_call, locate, user_errors

FILES = {
    "c18_good": "class Loss:\n    def of(self): ...\n\ndef loss(a, b, c, margin=1.0): ...\n",
    "c18_typo": "import os\nx = undefined_name\n",
    "c18_syntax": "def loss(:\n    pass\n",
    "c18_needs": "import c18_nosuch_package\n",
    "c18_exits": "raise SystemExit(3)\n",
    "c18_odd": "from functools import partial\n\ndef scaled(a, b, c, scale): ...\n\n"
               "class Holder:\n    def __call__(self, a, b, c): ...\n\n"
               "short = lambda a, b, c: None\nhalf = partial(scaled, scale=2)\nheld = Holder()\n",
    "c18_plain/deep/inner": "def part(): ...\n",
    "c18_pack/__init__": "",
    "c18_pack/inner": "def part(): ...\nvalue = 3\n",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("c18_")]:
        del sys.modules[name]


def test_what_is_there_is_found(folder: Path) -> None:
    assert locate("c18_good.Loss.of", "loss").__name__ == "of"
    assert locate("c18_pack.inner.part", "loss").__name__ == "part"
    assert sys.path[-1] == str(folder)  # after all that is installed
    assert locate("torch.optim.Adam", "optimizer").__name__ == "Adam"
    assert locate("c18_plain.deep.inner.part", "loss").__name__ == "part"  # without __init__.py


@pytest.mark.parametrize("name", ["short", "half", "held"])
def test_a_lambda_a_partial_and_an_object_are_functions_too(folder: Path, name: str) -> None:
    function = locate(f"c18_odd.{name}", "loss")
    check_call(function, "loss", {}, ("a", "b", "c"))
    with pytest.raises(InputError, match=r"loss.scales: \S+ takes no scales: it takes a, b, c"):
        check_call(function, "loss", {"scales": 2}, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("c18_nosuch.loss", "there is no module c18_nosuch: put c18_nosuch.py into {folder}, "),
        ("c18_good.los", "c18_good has no los ({folder}/c18_good.py): did you mean Loss or loss?"),
        ("c18_good.Loss.xyzzy", "Loss has no xyzzy: give a name that it has"),
        ("c18_pack.outer", "c18_pack has no outer"),
        ("c18_pack.inner.value", "this is no function and no class: give one"),
        ("c18_typo.loss", "importing c18_typo failed: NameError: name 'undefined_name' is not "
                          "defined ({folder}/c18_typo.py, line 2)"),
        ("c18_syntax.loss", "importing c18_syntax failed: SyntaxError: "),
        ("c18_needs.loss", "importing c18_needs failed: ModuleNotFoundError: No module named "
                           "'c18_nosuch_package' ({folder}/c18_needs.py, line 1)"),
        ("c18_exits.loss", "importing c18_exits failed: SystemExit: 3"),
        ("loss", "give MODULE.NAME"),
        ("c18 good.loss", "give MODULE.NAME"),
        ("", "give MODULE.NAME"),
    ],
)  # fmt: skip
def test_what_is_not_is_one_line(folder: Path, target: str, line: str) -> None:
    with pytest.raises(InputError) as error:
        locate(target, "loss")
    text = str(error.value)
    assert text.startswith(f"loss._target_={target}: ")
    assert line.format(folder=folder) in text
    assert "\n" not in text


def loss(embeddings: object, targets: object, class_vectors: object, margin: float) -> None: ...


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"margn": 1}, "loss.margn: loss takes no margn: it takes embeddings, targets, "),
        ({}, "cannot be called with a, b, c: missing a required argument: 'margin'"),
        ({"margin": 1, "targets": 2}, "multiple values for argument 'targets'"),
    ],
)
def test_other_arguments_are_one_line(given: dict[str, int], line: str) -> None:
    check_call(loss, "loss", {"margin": 1}, ("a", "b", "c"))
    with pytest.raises(InputError) as error:
        check_call(loss, "loss", given, ("a", "b", "c"))
    assert line in str(error.value)


def test_an_error_of_a_users_part_says_where(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), user_errors("loss", None):
        _ = 1 / 0
    line = r"loss: my.loss failed: ZeroDivisionError: division by zero \(.*test_user_code.py, line"
    with pytest.raises(InputError, match=line), user_errors("loss", "my.loss"):
        _ = 1 / 0
