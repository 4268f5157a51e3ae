"""Whatever a user gets wrong ends a command in one line, and leaves no run folder."""

from __future__ import annotations

import os
import resource
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.configs import ALONE, SMALL_NETWORK
from helpers.images import COLOURS, draw
from helpers.options import last_given, options
from helpers.own_process import OwnProcess
from helpers.paths import ROOT
from omegaconf import DictConfig

from devise_exp.core.command import command, spelled, underlying_stop
from devise_exp.core.config import check_given_once
from devise_exp.core.errors import InputError
from devise_exp.core.machine import processors
from devise_exp.core.overrides import quoted
from devise_exp.core.vectors import normalize_rows

SMALL = [
    "data=image_folder",
    *SMALL_NETWORK,
    "word_vectors=random",
    "projection.hidden=8",
    "trainer.max_epochs=1",
    "features.num_workers=0",
    *ALONE,
    "logger=none",
]
FEW = "subset.limit_per_class=3"  # where features are extracted again


@dataclass(frozen=True)
class Ended:
    code: int | str | None
    line: str
    stderr: str


Command = Callable[..., Ended]


@pytest.fixture
def ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """ran("train.py", "loss=mse") -> how the command ended, in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(script: str, *arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", [script, *last_given(arguments)])
        capsys.readouterr()
        code: int | str | None = 0
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as end:
            code = end.code
        err = capsys.readouterr().err
        lines = err.strip().splitlines() or [""]
        return Ended(code, lines[-1], err)

    return run


@pytest.fixture
def small_glove(tmp_path: Path) -> list[str]:
    """Options for a file of GloVe's format with a vector for each class; its table is 20 kB."""
    rng = np.random.default_rng(0)
    words = [*COLOURS, *(f"word{i}" for i in range(200))]
    lines = [f"{word} {' '.join(f'{x:.4f}' for x in rng.normal(size=25))}" for word in words]
    (tmp_path / "glove.txt").write_text("\n".join(lines) + "\n")
    return ["word_vectors=glove", f"word_vectors.path={tmp_path / 'glove.txt'}"]


@pytest.fixture
def train(ran: Command, image_tree: Path) -> Command:
    """train("loss=mse") -> how a quick training on the small images ended."""

    def run(*arguments: str) -> Ended:
        return ran("train.py", *SMALL, f"data.root={image_tree}", *arguments)

    return run


def assert_one_line(ended: Ended, *words: str) -> None:
    assert ended.code == 2, ended.stderr
    assert ended.line.startswith("error: "), ended.stderr
    for word in words:
        assert word in ended.line, f"{word!r} is not in {ended.line!r}"
    assert "Traceback" not in ended.stderr
    assert len(ended.line) < 600


def assert_no_run_folder(folder: Path) -> None:
    assert not [path for name in ("outputs", "multirun") for path in (folder / name).rglob("*")]


HYDRA = [
    (["projection.hiden=9"], ["no option projection.hiden", "did you mean projection.hidden?"]),
    (["optimiser=sgd"], ["no option optimiser", "did you mean optimizer?"]),
    (["lr=0.1"], ["no option lr", "did you mean optimizer.lr?"]),
    (["max_epochs=3"], ["no option max_epochs", "tuning.max_epochs or trainer.max_epochs?"]),
    (["foo=1"], ["no option foo", "--cfg job"]),
    (["subset.foo=1"], ["subset has min_images, limit_per_class"]),
    (["loss=cosine", "loss.margin=1"], ["no option loss.margin"]),
    (["labels.aliases.cat=dog"], ["++labels.aliases.cat=VALUE"]),
    (["loss=nosuch"], ["loss=nosuch", options("loss")]),
    (["~loss"], ["~loss: a run needs this part: choose an option of conf/loss (loss=...)"]),
    (["~split=random"], ["~split=random: a run needs this part"]),
    (["~/images"], ["the argument '~/images' is neither group=option nor key=value"]),
    (["data="], ["choose among caltech101"]),
    (["experiment=nosuch"], ["experiment=nosuch"]),
    (["loss"], ["'loss'", "group=option nor key=value"]),
    (["data=food101"], ["root"]),
    (["logger=null"], ["logger=null: choose an option of conf/logger, such as none"]),
    (
        ["-m", "loss=cosine,null"],
        ["loss=cosine,null: choose an option of conf/loss, such as cosine"],
    ),
    (["method=[ale,null]"], ["method=[ale,null]: choose an option of conf/method"]),
    (["+experiment=3"], ["experiment=3: choose an option of conf/experiment"]),
    (["hydra/launcher=null"], ["hydra/launcher=null: choose an option"]),
    (["loss=[cosine,mse]"], ["loss=[cosine,mse]: choose an option of conf/loss"]),
    (["-m", "loss=[cosine,mse],softmax"], ["choose an option of conf/loss"]),
    (["loss=cosine,mse"], ["a comma divides the values of a grid: add -m", '"loss=[cosine,mse]"']),
    (["hydra.run.dir="], ["hydra.run.dir=: no folder: give it a name"]),
    (["-m", "hydra.sweep.dir=null"], ["hydra.sweep.dir=null: no folder"]),
    (["++labels.aliases.crème=custard"], ["no key for the name crème", "labels.aliases_file=FILE"]),
]


@pytest.mark.parametrize(("arguments", "words"), HYDRA, ids=[" ".join(a) for a, _ in HYDRA])
def test_a_wrong_option(
    train: Command, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    assert_one_line(train(*arguments), *words)
    assert_no_run_folder(tmp_path)


def test_a_value_that_is_needed(ran: Command, tmp_path: Path) -> None:
    assert_one_line(ran("train.py", "data=image_folder"), "data.root is needed", "data.root=...")
    assert_one_line(ran("evaluate.py"), "run_dir is needed", "run_dir=...")
    assert_one_line(ran("evaluate.py", "rundir=x"), "no option rundir", "run_dir")
    assert_one_line(
        ran("evaluate.py", "index=x"),
        "choose among auto, brute_force, exact, faiss, hnsw, own, saved",
    )
    assert_one_line(ran("evaluate.py", "run_dir=x", "index=null"), "index=null: choose an option")
    assert_one_line(ran("evaluate.py", "run_dir=null"), "run_dir=null: give a path")
    for wrong in ("1", "[1]"):
        ended = ran("evaluate.py", "run_dir=x", f"protocols={wrong}")
        assert_one_line(ended, f"protocols={wrong}: give a name, a list of names, or null")
    assert_no_run_folder(tmp_path)


VALUES = [
    (["split.n_unseen=0"], ["split.n_unseen=0: give a whole number from 1 on"]),
    (["split.n_unseen=7"], ["split.n_unseen=7 of 8 classes", "two seen ones"]),
    (["split=named", "split.unseen=[catt]"], ["no class catt", "for catt, give cat"]),
    (
        ["split=named", "split.unseen=[cat,dog,lion,tiger,boat,ship,airplane,helicopter]"],
        ["split.unseen names all of the 8 classes"],
    ),
    (["ks=[1000]"], ["hit@1000", "6 candidates of seen"]),
    (["ks=[3]"], ["hit@3", "2 candidates of unseen"]),
    (["ks=[]"], ["ks=[]"]),
    (["loss=hinge_rank", "loss.violators=none"], ["loss.violators=none: give all or first"]),
    (["projection.hidden=many"], ["projection.hidden=many: give a whole number from 1 to 100000"]),
    (["optimizer.lr=-1"], ["optimizer.lr=-1: give a number from 1e-10 to 1000"]),
    (["++optimizer.eps=-1"], ["optimizer", "Invalid epsilon value: -1"]),
    (["+optimizer.nosuch=1"], ["optimizer", "nosuch"]),
    (["index.m=0"], ["index.m=0: give a whole number from 2 to 1000"]),
    (["seed=abc"], ["seed", "abc"]),
    (["trainer.max_epochs=0"], ["trainer.max_epochs=0"]),
    (["trainer.max_epochs=-1"], ["trainer.max_epochs=-1"]),
    (["trainer.precision=7"], ["trainer", "Precision 7"]),
    (["training.batch_size=0"], ["training.batch_size=0"]),
    (["features.dtype=int8"], ["features.dtype=int8: give float16 or float32"]),
    (["++labels.aliases.caat=dog"], ["caat", "did you mean cat?"]),
    (["labels.on_missing=skip"], ["labels.on_missing"]),
    (["subset.limit_per_class=2"], ["airplane (2)", "3 or more a class"]),
    (["subset.min_images=11"], ["lower subset.min_images"]),
]


@pytest.mark.parametrize(("arguments", "words"), VALUES, ids=[" ".join(a) for a, _ in VALUES])
def test_a_wrong_value_ends_before_anything_is_written(
    train: Command, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    assert_one_line(train(*arguments), *words)
    assert_no_run_folder(tmp_path)


def test_a_folder_of_the_users_stays_though_it_is_empty(train: Command, tmp_path: Path) -> None:
    for run_dir in ("mine/run", "run"):
        (tmp_path / "mine").mkdir(exist_ok=True)
        assert_one_line(train("split.n_unseen=0", f"hydra.run.dir={run_dir}"), "split.n_unseen=0")
        assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


def test_a_key_is_given_once() -> None:
    for arguments in (["++seed=3", "++seed=4"], ["-m", "seed=3", "loss=mse", "+seed=4"]):
        with pytest.raises(InputError, match=r"^seed is given twice, seed=3 and seed=4: take one"):
            check_given_once(arguments)
    check_given_once(["seed=3", "seed=3", "~method.a", "~method.a=1", "--cfg", "job"])


def test_a_folder_with_files_of_ones_own_becomes_no_run_folder(
    train: Command, tmp_path: Path
) -> None:
    for name in ("thesis.tex", "b.txt", "c.txt", "d.txt"):
        (tmp_path / "mine").mkdir(exist_ok=True)
        (tmp_path / "mine" / name).write_text("mine")
    line = "mine: holds b.txt, c.txt, d.txt and 1 more, which no run has written: give a new"
    assert_one_line(train("hydra.run.dir=mine"), line)
    assert_one_line(train("hydra.run.dir=mine", "seeds=2"), line)
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "b.txt", "c.txt", "d.txt", "thesis.tex",
    ]  # fmt: skip
    (tmp_path / "logged").mkdir()
    (tmp_path / "logged/slurm-7.out").write_text("a scheduler's")
    assert train("hydra.run.dir=logged").code == 0


def test_more_processes_than_processors(train: Command, tmp_path: Path) -> None:
    most = processors()
    ended = train(f"trainer.devices={most + 3}", "trainer.strategy=ddp")
    assert_one_line(ended, f"trainer.devices={most + 3}: more processes", f"give {most} or fewer")
    assert_no_run_folder(tmp_path)


def test_a_gpu_where_there_is_none(train: Command, tmp_path: Path) -> None:
    overrides = ["trainer=gpu"]
    if torch.cuda.is_available():  # there is one, but surely not sixty-four
        overrides.append("trainer.devices=64")
    assert_one_line(train(*overrides), "trainer: ", "choose another option or value")
    assert_no_run_folder(tmp_path)


def test_wandb_online_without_an_account(
    train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    ended = train("logger=wandb", "logger.offline=false")
    assert_one_line(ended, "logger.offline=false", "wandb login")
    assert_no_run_folder(tmp_path)


def test_images_that_are_not_where_or_what_they_should_be(
    train: Command, tmp_path: Path, image_tree: Path
) -> None:
    (tmp_path / "empty").mkdir()
    draw(tmp_path / "flat/a.png", (1, 2, 3), seed=0)
    lone = tmp_path / "lone"
    shutil.copytree(image_tree, lone)
    for path in sorted((lone / "cat").iterdir())[1:]:
        path.unlink()
    unnamed = tmp_path / "unnamed"
    shutil.copytree(image_tree, unnamed)
    (unnamed / "dog").rename(unnamed / "helicoptr")
    for arguments, words in (
        (["data.root=nowhere"], ["nowhere does not exist", "data.root"]),
        (["data.root=empty"], ["empty", "<class>/<image>"]),
        (["data.root=flat"], ["no class folders", "a.png", "flat/<class>/<image>"]),
        (
            ["data.root=lone", "split=named", "split.unseen=[dog]"],
            ["cat (1)", "subset.min_images=3"],
        ),
        (
            ["data.root=unnamed", "word_vectors=glove_6b_50d"],
            [
                "1 of 8 classes",
                "'helicoptr' (near: helicopt",
                "++labels.aliases",
                "on_missing=drop",
            ],
        ),
    ):
        assert_one_line(train(*arguments), *words)
    assert_no_run_folder(tmp_path)


@pytest.fixture(scope="module")
def finished(image_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a quick training, which tests copy."""
    folder = tmp_path_factory.mktemp("finished")
    arguments = ["train.py", *SMALL, f"data.root={image_tree}", "hydra.run.dir=done"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", arguments)
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    return folder / "done"


def test_resuming_what_cannot_be_resumed(train: Command, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "done")
    before = (tmp_path / "done/metrics.json").read_bytes()
    ended = train("resume=done")
    assert_one_line(ended, "is finished", "evaluate.py run_dir=")
    assert_one_line(train("resume=nowhere"), "nowhere", "not a run folder")
    (tmp_path / "some").mkdir()
    assert_one_line(train("resume=some"), "not a run folder")
    assert (tmp_path / "done/metrics.json").read_bytes() == before
    assert list((tmp_path / "some").iterdir()) == []
    assert_no_run_folder(tmp_path)


@pytest.mark.parametrize("name", ["2026_11_27", "1e3"])
def test_a_path_may_read_as_a_number(
    train: Command, ran: Command, finished: Path, tmp_path: Path, image_tree: Path, name: str
) -> None:
    shutil.copytree(finished, tmp_path / name)
    ended = ran("evaluate.py", f"run_dir={name}")
    assert ended.code == 0, ended.stderr
    shutil.copy(tmp_path / name / "checkpoints/best.ckpt", tmp_path / "7")
    ended = ran("evaluate.py", f"run_dir={name}", "checkpoint=7")
    assert ended.code == 0, ended.stderr
    assert_one_line(train(f"resume={name}"), f"{name}: this run is finished")
    shutil.copytree(image_tree, tmp_path / "3_1")
    assert_one_line(train("data.root=3_1", "split.n_unseen=7"), "at least one unseen")
    assert_one_line(
        train(f"hyperparameters_from={name}", "projection.hidden=9"),
        f"{name}: that run has another",
    )


def test_a_run_folder_that_is_in_use_already(
    train: Command, finished: Path, tmp_path: Path
) -> None:
    """hydra.run.dir may name one; its checkpoints and figures must not be mixed with new ones."""
    shutil.copytree(finished, tmp_path / "done")
    before = (tmp_path / "done/metrics.json").read_bytes()
    for arguments in ([], ["loss=mse"]):
        ended = train("hydra.run.dir=done", *arguments)
        assert_one_line(ended, "is finished", "evaluate.py run_dir=", "hydra.run.dir")
    assert (tmp_path / "done/metrics.json").read_bytes() == before
    (tmp_path / "done/UNFINISHED").touch()
    assert_one_line(train("hydra.run.dir=done", "loss=mse"), "another config", "resume=")
    assert train("hydra.run.dir=done").code == 0  # as a cluster starts a killed job again
    assert (tmp_path / "done/metrics.json").read_bytes() == before


def test_a_loss_that_is_no_number_leaves_the_run_unfinished(train: Command, tmp_path: Path) -> None:
    ended = train("loss=mse", "optimizer=sgd", "optimizer.lr=1000", "trainer.max_epochs=30")
    assert_one_line(ended, "the loss became", "lower optimizer.lr")
    (folder,) = (tmp_path / "outputs").glob("*/*")
    assert (folder / "UNFINISHED").is_file()
    assert not (folder / "metrics.json").exists()
    assert not (tmp_path / "outputs/latest").exists()


@pytest.mark.parametrize("cache", ["a file", "/proc/devise"])
def test_a_cache_that_cannot_be_written(
    train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    (tmp_path / "a file").write_text("in the way")
    monkeypatch.setenv("DEVISE_CACHE", cache)
    assert_one_line(train(), cache, "DEVISE_CACHE")
    assert_no_run_folder(tmp_path)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Stands for a full disk: in both cases writing fails midway."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # it would be cut off
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sys.dont_write_bytecode = writes_bytecode


@pytest.mark.parametrize("vectors", ["random", "glove"])
def test_a_disk_that_is_full_while_the_cache_is_filled(
    train: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    small_glove: list[str],
    vectors: str,
) -> None:
    options = [FEW, "word_vectors=random"] if vectors == "random" else [FEW, *small_glove]
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "cache"))
    with files_up_to(4_000):
        ended = train(*options)
    assert_one_line(ended, "free some space", "DEVISE_CACHE")
    assert_no_run_folder(tmp_path)
    # Nothing half-written stands in the way, or is taken for whole.
    for cache in ("cache", "other"):
        monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / cache))
        ended = train(*options, f"hydra.run.dir=with_{cache}")
        assert ended.code == 0, ended.stderr
    files = [tmp_path / f"with_{cache}/metrics.json" for cache in ("cache", "other")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_disk_that_is_full_while_the_run_is_saved(train: Command, tmp_path: Path) -> None:
    """Here the weights are 400 kB; what the cache takes and the rest of the run is small."""
    options = ("projection.hidden=200", "hydra.run.dir=run")
    with files_up_to(200_000):
        ended = train(*options)
    assert_one_line(ended, "free some space")
    assert (tmp_path / "run/UNFINISHED").is_file()
    assert not list((tmp_path / "run").rglob("*.ckpt"))
    assert train("resume=run").code == 0
    assert train("projection.hidden=200", "hydra.run.dir=other").code == 0
    first, second = ((tmp_path / f"{n}/metrics.json").read_bytes() for n in ("run", "other"))
    assert first == second


@pytest.mark.parametrize("damage", ["halved", "gone"])
def test_damaged_cache_entries_are_made_again(
    train: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
    small_glove: list[str],
) -> None:
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "cache"))
    assert train("hydra.run.dir=first", *small_glove, FEW).code == 0
    files = [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.suffix != ".lock"]
    assert len(files) >= 4
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    if damage == "gone":  # as a folder for temporary files is emptied
        shutil.rmtree(tmp_path / "cache")
    ended = train("hydra.run.dir=second", *small_glove, FEW)
    assert ended.code == 0, ended.stderr
    first, second = ((tmp_path / f"{n}/metrics.json").read_bytes() for n in ("first", "second"))
    assert first == second


def test_the_same_in_processes_of_their_own(tmp_path: Path, image_tree: Path) -> None:
    arguments = {
        "option": ["train.py", "loss=nosuch"],
        "value": ["train.py", *SMALL, f"data.root={image_tree}", "split.n_unseen=7"],
        "folder": ["evaluate.py", "run_dir=nowhere"],
    }
    running = {
        name: OwnProcess(str(ROOT / script), *rest, cwd=tmp_path)
        for name, (script, *rest) in arguments.items()
    }
    words = {
        "option": f"choose among {options('loss')}",
        "value": "at least one unseen class",
        "folder": "nowhere: not a run folder",
    }
    for name, process in running.items():
        out, err = process.communicate(timeout=300)
        line = err.strip().splitlines()[-1]
        assert_one_line(Ended(process.returncode, line, err), words[name])
        assert out == ""
    assert_no_run_folder(tmp_path)


@pytest.mark.parametrize(
    ("program", "spelling"),
    [
        ("train.py", "python evaluate.py"),
        ("/a clone/evaluate.py", "python '/a clone/evaluate.py'"),
        ("/usr/bin/devise-exp train", "devise-exp evaluate"),
        ("-c", "devise-exp evaluate"),
    ],
)
def test_a_command_is_spelled_as_its_user_can_give_it(
    monkeypatch: pytest.MonkeyPatch, program: str, spelling: str
) -> None:
    monkeypatch.setattr(sys, "argv", [program])
    assert spelled("evaluate", run_dir="x/y") == f"{spelling} run_dir=x/y"


@pytest.mark.parametrize(
    "folder", ["a run", "it's", "a,b", "{a}", "seed=0", "back\\slash", "at end\\", "\\'", "[x]"]
)
def test_what_a_message_spells_is_read_back(
    composed: Callable[..., DictConfig], folder: str
) -> None:
    *_, argument = shlex.split(spelled("evaluate", run_dir=folder))
    assert composed(quoted(argument), name="evaluate").run_dir == folder


def test_other_errors_keep_their_traceback() -> None:
    def broken() -> None:
        normalize_rows("no array")  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="could not convert string to float"):
        command(broken)()


def test_an_interrupted_command_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt("the run is not finished")

    with pytest.raises(SystemExit) as end:
        command(stopped)()
    assert end.value.code == 130
    assert capsys.readouterr().err == "interrupted: the run is not finished\n"


def test_a_chain_of_errors_that_leads_back_to_itself_ends() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert underlying_stop(first) is None
    second.__cause__ = KeyboardInterrupt()
    assert underlying_stop(first) is second.__cause__


def test_nothing_speaks_after_the_line_of_a_stop() -> None:
    program = """
from devise_exp.core.command import command

class Worker:
    def __del__(self):
        raise RuntimeError("killed by the same signal")

@command
def main():
    worker = Worker()
    raise KeyboardInterrupt("the same command starts it")

main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "interrupted: the same command starts it\n")


def test_leaving_ends_threads_and_exit_handlers_but_no_other_program(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import atexit, threading, time\n"
        "from devise_exp.core.command import leave\n"
        "atexit.register(lambda: print('handler'))\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), print('thread'))).start()\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "idle = ThreadPoolExecutor(1)\n"
        "idle.submit(int)\n"
        "leave()\n"
        "print('within another program')\n"
    )
    outer = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__'); print('outer')"
    printed = [
        subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
        for arguments in ([str(script)], ["-c", outer])
    ]
    assert printed[0].stdout.split("\n") == ["thread", "handler", ""]
    lines = printed[1].stdout.split("\n")
    assert lines[:2] == ["within another program", "outer"]


def test_leaving_tells_of_output_that_is_lost(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("from devise_exp.core.command import leave\nprint('rows')\nleave()\n")
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, str(script)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=buffered,
        )
    assert (done.returncode, "No space left" in done.stderr) == (120, True)


def test_a_section_that_nothing_reads_is_warned_of_if_it_is_nearly_one(ran: Command) -> None:
    shown = ran("train.py", "++label.aliases.cat=dog", "++x.y=1", "--cfg", "job")
    assert shown.code == 0
    assert shown.stderr.splitlines() == [
        "warning: ++label.aliases.cat=dog: no section label here: did you mean labels?"
    ]
    assert ran("train.py", "++labels.aliases.cat=dog", "--cfg", "job").stderr == ""
    rebuilt = ran(
        "train.py", "~loss", "+loss._target_=devise_exp.methods.losses.mse", "--cfg", "job"
    )
    assert (rebuilt.code, rebuilt.stderr) == (0, "")


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_a_config_that_is_not_printed_whole_fails(script: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, str(ROOT / script), "--cfg", "job"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("warning: stdout: No space left on device")
