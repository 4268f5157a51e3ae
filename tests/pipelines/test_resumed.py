"""A training goes on by the config of its folder; if that is wrong, the file is named."""

from __future__ import annotations

import errno
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.configs import ALONE, FEW
from helpers.options import last_given
from helpers.paths import ROOT
from omegaconf import OmegaConf

import devise_exp
from devise_exp.core.config import compose_config
from devise_exp.core.errors import InputError
from devise_exp.pipelines.resumed import check_goes_on, saying_how_to_go_on
from devise_exp.runs.folder import RunFolder


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """The folder of a run that was stopped before it had read an image."""
    RunFolder(tmp_path / "run").begin(compose_config(last_given([*FEW, *ALONE])))
    return tmp_path / "run"


def edit(folder: Path, **values: object) -> Path:
    """Change keys of config.yaml; None takes a key away."""
    config = OmegaConf.load(folder / "config.yaml")
    for key, value in values.items():
        if value is None:
            config.pop(key)
        else:
            config[key] = value
    OmegaConf.save(config, folder / "config.yaml")
    return folder / "config.yaml"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("seed", "hello", "seed=hello: give a whole number"),
        ("loss", None, "loss is missing"),
        ("trainer", None, "trainer is missing"),
        ("loss", {"_target_": "devise_exp.nothing"}, "devise_exp.nothing"),
        ("data", {"_target_": "devise_exp.data.folders.image_folder", "root": "/nowhere"},
         "/nowhere does not exist"),
    ],
    ids=["a wrong value", "no section", "no section of options", "a wrong part", "no images"],
)  # fmt: skip
def test_an_edited_config_is_named_with_what_is_wrong(
    begun: Path, key: str, value: object, words: str
) -> None:
    file = edit(begun, **{key: value})
    with pytest.raises(InputError) as raised:
        devise_exp.train(f"resume={begun}")
    line = str(raised.value)
    assert line.startswith(f"{file}: ")
    assert words in line
    assert "\n" not in line
    assert begun.joinpath("UNFINISHED").is_file()


def test_the_command_names_it_too(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = edit(begun, seed="hello")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", f"resume={begun}", "hydra.run.dir=new"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {file}: seed=hello: give ")
    assert not (tmp_path / "new").exists()


def test_a_message_that_names_the_folder_is_left_as_it_is(begun: Path) -> None:
    (begun / "config.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(InputError) as raised:
        devise_exp.train(f"resume={begun}")
    assert str(raised.value).count(str(begun)) == 1
    assert "config.yaml" in str(raised.value)


def test_an_option_of_the_command_line_names_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^seed=hello: give a whole number"):
        devise_exp.train(*last_given([*FEW, "seed=hello"]), folder=tmp_path / "run")


@pytest.mark.parametrize(
    ("error", "is_said"),
    [
        (lambda run: InputError(f"{run}/checkpoints/last.ckpt: damaged"), False),
        (lambda run: InputError(f"{run}: the run folder lacks split.json"), False),
        (lambda run: InputError("pictures/1.jpg: unreadable"), True),
        (lambda run: OSError(errno.ENOSPC, "No space left on device", f"{run}/last.ckpt"), True),
    ],
    ids=["damaged", "a file is missing", "an image", "a full disk"],
)
def test_how_to_go_on_is_said_unless_the_folder_is_at_fault(
    begun: Path,
    capsys: pytest.CaptureFixture[str],
    error: Callable[[Path], Exception],
    is_said: bool,
) -> None:
    with (
        pytest.raises((InputError, OSError)),
        saying_how_to_go_on(RunFolder(begun), OmegaConf.create({})),
    ):
        raise error(begun)
    assert ("go on with:" in capsys.readouterr().err) == is_said


def test_a_finished_run_and_what_is_no_run_do_not_go_on(begun: Path, tmp_path: Path) -> None:
    check_goes_on(str(begun))
    RunFolder(begun).finish()
    with pytest.raises(InputError, match=f"^{begun}: this run is finished: evaluate it again"):
        check_goes_on(str(begun))
    with pytest.raises(InputError, match=f"^{tmp_path}: not a run folder"):
        check_goes_on(str(tmp_path))
