"""Shared pieces: an own cache, a tree of images easily told apart, and composed configs."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from helpers.configs import ALONE, CHOOSING, FEW
from helpers.images import COLOURS, draw
from helpers.own_process import collect_rarely
from helpers.paths import CONF, TESTS
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from devise_exp.pipelines.experiment_data import ExperimentData

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # As a shell starts what runs in the background; the commands that tests stop would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says nothing on a machine that has other work.
settings.register_profile(
    "suite", deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


# What takes longest starts first, so that no worker is left alone with it at the end.
SLOW = ("integration/", "pipelines/", "training/distributed/", "core/test_command.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.path.relative_to(TESTS).as_posix().startswith(SLOW))


def pytest_xdist_auto_num_workers() -> int:
    """A worker more than there are cores: some wait for processes that their tests have started."""
    return (os.cpu_count() or 1) + 1


# torch and Lightning are imported late: the process that deals out the tests needs neither.
def of_all_workers(factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run, the same for all of its workers."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the user's cache; what one test converts, later tests reuse, those of
    other workers too.
    """
    import torch

    os.environ["DEVISE_CACHE"] = str(of_all_workers(tmp_path_factory) / "cache")
    # The threads of torch wait by spinning, which costs more than they bring on tensors this small.
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    collect_rarely()
    _keep_open()


def _keep_open() -> None:
    """absl, which tensorboard brings, closes the stderr that it was imported with as soon as Hydra
    sets up logging: that of pytest's capture.
    """
    from absl import logging as absl_logging

    absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Hydra's handlers write to a stream that ends with the test."""
    handlers = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = handlers


@pytest.fixture(scope="session")
def image_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight classes of ten images each: ROOT/<class>/NN.png."""
    root = tmp_path_factory.mktemp("pictures")
    for c, (name, colour) in enumerate(COLOURS.items()):
        for i in range(10):
            draw(root / name / f"{i:02}.png", colour, seed=100 * c + i)
    return root


@pytest.fixture(scope="session")
def composed() -> Callable[..., DictConfig]:
    """composed("loss=cosine", ...) -> the config that train.py would get; name= for evaluate's."""

    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    def make(*overrides: str, name: str = "config") -> DictConfig:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose(name, overrides=list(overrides))

    return make


@pytest.fixture(scope="session")
def searchable(
    composed: Callable[..., DictConfig],
    image_tree: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder of a quick run on its own copy of the small images, images/ beside it, stored
    in every space. What a test changes it has to copy first, or to put back.
    """
    from devise_exp.pipelines import run

    root_folder = tmp_path_factory.mktemp("searchable")
    images = shutil.copytree(image_tree, root_folder / "images")
    config = composed(
        "data=image_folder", f"data.root={images}", "backbone=resnet18", "backbone.weights=null",
        "projection.hidden=16", "trainer.max_epochs=1", "features.num_workers=0",
        "features.dtype=float32", "spaces=[backbone,classifier]", "logger=none", *ALONE,
    )  # fmt: skip
    run.train(config, root_folder / "run", quietly=True)
    return root_folder / "run"


@pytest.fixture(autouse=True)
def _shared_run_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test leaves files in the run that others share, or takes some away."""
    if "searchable" not in request.fixturenames:
        yield
        return
    folder = request.getfixturevalue("searchable").parent
    before = sizes(folder)
    yield
    assert sizes(folder) == before


def sizes(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def trained_once(base: Path, name: str, config: DictConfig) -> tuple[Path, dict[str, float]]:
    """The folder of a series and what its training returned, by the first worker that asks."""
    from devise_exp.pipelines.series import train_series

    arguments = base / f"{name}.json"
    with FileLock(f"{arguments}.lock"):
        if not arguments.exists():
            arguments.write_text(json.dumps(train_series(config, base / name)))
    values: dict[str, float] = json.loads(arguments.read_text())
    return base / name, values


@pytest.fixture(scope="session")
def series(
    composed: Callable[..., DictConfig], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, float]]:
    """The folder of CHOOSING over the seeds 1 and 2, and what its training returned. What a test
    changes it has to copy first.
    """
    config = composed(*CHOOSING, "seeds=2")
    return trained_once(of_all_workers(tmp_path_factory), "two", config)


@pytest.fixture(scope="session")
def splits(
    composed: Callable[..., DictConfig], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, float]]:
    """As `series`: one run that chooses nothing on each of the splits 3 and 4."""
    config = composed(
        *FEW, "class_folds=0", "method=devise_cosine", "split.seed=3", "split_seeds=2"
    )
    return trained_once(of_all_workers(tmp_path_factory), "splits", config)


@pytest.fixture(scope="session")
def xlsa17_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two files of a small published data set; no test changes them."""
    from helpers.xlsa17 import published_files, write

    return write(tmp_path_factory.mktemp("xlsa17"), *published_files())


@pytest.fixture(scope="session")
def xlsa17_config(
    composed: Callable[..., DictConfig], xlsa17_root: Path
) -> Callable[..., DictConfig]:
    """xlsa17_config("split.seed=1", ...) -> the config of a quick run on these files."""
    from helpers.xlsa17 import small_run

    return partial(composed, *small_run(xlsa17_root))


@pytest.fixture(scope="session")
def xlsa17_data(xlsa17_config: Callable[..., DictConfig]) -> ExperimentData:
    """What such a run prepares."""
    from devise_exp.pipelines.prepare import prepare

    return prepare(xlsa17_config())
