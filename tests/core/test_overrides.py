"""What people type arrives as they typed it: paths and names as text, everything else as before."""

from __future__ import annotations

import shlex
import string
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.core.command import spelled
from devise_exp.core.config import compose_config
from devise_exp.core.errors import InputError
from devise_exp.core.overrides import quoted, quoted_arguments


def read(argument: str, multirun: bool = False) -> Any:
    """What Hydra makes of an argument, quoted first."""
    return OverridesParser.create().parse_override(quoted(argument, multirun)).value()


PATHS = [
    "/path/Bücher", "/path/My Pictures (2020)", "/path/it's", "/path/R&D", "/path/#1", "/path/a,b",
    "/path/$HOME{x}", "~/写真", "/path/[2020] trip", "/path/{a}", "/path/50% off!", "2026_11_27",
    "1e3", "true", "null and void", " leading", "trailing ", "a\\b", "C:\\Users\\x\\", "'half",
    'say "cheese"', "a;b|c", "a=b", "runs/seed=0", "/path/a:b", "`x`", "<new>", "café\u0301",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_path_arrives_as_it_was_typed(path: str) -> None:
    for key in ("data.root", "run_dir", "resume", "labels.aliases_file", "++word_vectors.path"):
        assert read(f"{key}={path}") == path
    assert compose_config(["data=image_folder", f"data.root={path}"]).data.root == path


def spells_a_text(text: str) -> bool:
    """Not what a person means Hydra to read: nothing, quotes around it, calls, references."""
    is_meant = text[0] in "'\"" and text[0] == text[-1] and len(text) > 1
    is_part = (text[0] in "[{" and text[-1] in "]}") or text.endswith(")")
    return not (is_meant or is_part or "${" in text or text.lower() == "null")


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(spells_a_text)
AWKWARD = st.text(string.punctuation + " aé大0", min_size=1).filter(spells_a_text)


@given(TEXT | AWKWARD)
def test_any_path_arrives(path: str) -> None:
    assert read(f"data.root={path}") == path
    once = quoted(f"data.root={path}")
    assert quoted(once) == once


@given(TEXT | AWKWARD)
def test_what_a_message_spells_out_arrives(path: str) -> None:
    *_, argument = shlex.split(spelled("train", resume=path))
    assert read(argument) == path


NAME = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=",[]{}()'\""))


@given(st.lists(NAME.map(str.strip).filter(lambda name: name and spells_a_text(name)), min_size=1))
def test_any_names_arrive(names: list[str]) -> None:
    assert read(f"split.unseen=[{','.join(names)}]") == names
    assert read(f"split.unseen=[{', '.join(names)}]") == names


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("[大熊猫]", ["大熊猫"]),
        ("[crème brûlée,T-shirt (red),it's]", ["crème brûlée", "T-shirt (red)", "it's"]),
        ("[null,true,1e5,007,1.50]", ["null", "true", "1e5", "007", "1.50"]),
        ("['dining table, board',emu]", ["dining table, board", "emu"]),
        ("[T-shirt (red, blue), emu]", ["T-shirt (red, blue)", "emu"]),
        ("[don't,won't]", ["don't", "won't"]),
        ("[5 o'clock, R&B]", ["5 o'clock", "R&B"]),
        ("[]", []),
    ],
)
def test_names_in_lists(value: str, names: list[str]) -> None:
    assert read(f"split.unseen={value}") == names
    assert compose_config(["split=named", f"split.unseen={value}"]).split.unseen == names


AS_BEFORE = [
    "seed=7", "loss=cosine", "ks=[1,5]", "prior.weights=[0.25,0.5]", "split.n_unseen=null",
    "++labels.aliases={a: b, c: d}", "++labels.aliases.cat=dog", "~method.softmax", "~data",
    "data.root=${oc.env:HOME}", "data.root='a, b'", 'data.root="x"', "data.root=null", "data.root=",
    "data.root=plain/folder", "spaces=[backbone]", "training.patience=3", "logger.offline=true",
    "trainer.devices=-1", "word_vectors.templates=['a photo of a {}']", "split.unseen=[okapi,emu]",
]  # fmt: skip


@pytest.mark.parametrize("argument", AS_BEFORE)
def test_what_hydra_reads_as_it_stands_is_left(argument: str) -> None:
    assert quoted(argument) == argument
    assert quoted(argument, multirun=True) == argument


def test_values_of_a_grid_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for sweep in ("seed=range(1,3)", "loss=cosine,mse", "ks=[1],[5]", "seed=choice(1,2)"):
        assert quoted(sweep, multirun=True) == sweep
    assert quoted_arguments(["-m", "data.root=Bücher,it's"])[1] == r"data.root='Bücher','it\'s'"
    sweep = read("split.unseen=[大熊猫],[it's,emu]", multirun=True)
    assert isinstance(sweep, ChoiceSweep)
    assert len(sweep.list) == 2
    (tmp_path / "a,b").mkdir()
    assert read("data.root=a,b", multirun=True) == "a,b"
    assert isinstance(read("data.root=a,c", multirun=True), ChoiceSweep)
    assert read("data.root=a,c") == "a,c"
    assert quoted("data.root=glob(*)", multirun=True) == "data.root=glob(*)"


def test_every_job_of_a_grid_gets_the_texts() -> None:
    arguments = ["-m", "data.root=Bücher/it's,R&D (1)", "split.unseen=[大熊猫, it's]", "seed=1,2"]
    parser = OverridesParser.create()
    overrides = parser.parse_overrides(quoted_arguments(arguments)[1:])
    (jobs,) = BasicSweeper.split_arguments(overrides, None)
    values = [[o.value() for o in parser.parse_overrides(list(job))] for job in jobs]
    names = ["大熊猫", "it's"]
    roots = ("Bücher/it's", "R&D (1)")
    assert values == [[root, names, seed] for root in roots for seed in (1, 2)]


def test_a_folder_of_options_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "it's (ü)/loss").mkdir(parents=True)
    (tmp_path / "it's (ü)/loss/mine.yaml").write_text("defaults: [softmax]\ntemperature: 0.7\n")
    config = compose_config(["loss=mine"], more=tmp_path / "it's (ü)")
    assert config.loss.temperature == 0.7


def test_a_path_that_a_person_has_escaped_for_hydra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b").mkdir()
    assert read(r"data.root=a\,b") == "a,b"
    (tmp_path / "[x]").mkdir()
    assert read("data.root=[x]") == "[x]"


def test_the_values_of_hydras_own_flags_are_left() -> None:
    arguments = ["--config-dir", "own=conf (1)", "data.root=é", "-cn", "a=b"]
    assert quoted_arguments(arguments) == [*arguments[:2], "data.root='é'", *arguments[3:]]


@pytest.mark.parametrize("name", ["T-shirt (red)", "u.s.", "t.v", "5 o.clock", "x: y", "null", "7"])
def test_an_alias_of_a_name_that_is_no_key(name: str) -> None:
    aliases = compose_config([f"++labels.aliases.{name}=crème"]).labels.aliases
    assert {str(key): value for key, value in aliases.items()}[name] == "crème"
    assert aliases.anchor  # those of the data set stay


def test_an_alias_of_a_name_that_hydra_cannot_spell() -> None:
    for name in ("crème brûlée", "it's", "大熊猫"):
        with pytest.raises(InputError) as error:
            compose_config([f"++labels.aliases.{name}=custard"])
        assert name in str(error.value)
        assert "labels.aliases_file" in str(error.value)
