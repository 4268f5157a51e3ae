"""The grid: its trials under a launcher, and one table of them beside the basic launcher's.

python experiments/clusters/grid.py [FOLDER] runs the basic launcher, for all scripts, and joblib.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tries import FILE

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
QUICK = ["method=none", "prior=none", "class_folds=0", "logger=none", "trainer.max_epochs=5"]
GRID = ["seed=0,1,2", "projection=linear,mlp"]
HEAD = "| trial | ran on | tries | val/hit@1 | basic launcher | figures equal | weights equal |"


def work_folder() -> Path:
    """Of all figures: the first argument of the script, or outputs/clusters."""
    return Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "outputs/clusters").resolve()


def environment(folder: Path) -> dict[str, str]:
    """For trials in `folder`, with a feature cache beside it that is empty.

    One thread per trial: launchers differ in how many they leave to one, and a sum over two threads
    may round otherwise than over one.
    """
    cache = folder.with_name(f"{folder.name}_cache")
    for each in (folder, cache):
        shutil.rmtree(each, ignore_errors=True)
    paths = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    own = {"PYTHONPATH": paths, "DEVISE_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own}


def clean_up_when_ended() -> None:
    """SIGTERM raises, so that what was begun is undone."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@contextmanager
def started(
    folder: Path, launcher: list[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen]:
    """`python train.py -m` with the grid, its log in FOLDER.log; waits for its end."""
    folder.mkdir(parents=True)
    callback = "+hydra.callbacks.tries._target_=tries.Tries"
    command = ["train.py", "-m", *GRID, *QUICK, f"hydra.sweep.dir={folder}", callback, *launcher]
    with folder.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        yield process
        code = process.wait()
    finally:
        process.terminate()
    if code:
        sys.exit(f"error: the grid in {folder} failed: see {folder.with_suffix('.log')}")


def run(folder: Path, launcher: list[str]) -> float:
    """The grid under `launcher`; returns the seconds that it took."""
    began = time.monotonic()
    with started(folder, launcher, environment(folder)):
        pass
    return time.monotonic() - began


def basic(work: Path) -> Path:
    """The folder of the basic launcher's grid, one trial after the other; made if not there."""
    folder = work / "basic"
    if not (work / "basic.done").is_file():
        (work / "basic.done").write_text(f"{run(folder, []):.0f}")
    return folder


def figures(folder: Path) -> dict[str, Any]:
    """Every figure of a run folder."""
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return found


def same_weights(one: Path, other: Path) -> bool:
    """Whether two run folders have the same trained map, to the last bit."""
    own, theirs = (
        torch.load(each / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
        for each in (one, other)
    )
    return own.keys() == theirs.keys() and all(own[key].equal(theirs[key]) for key in own)


def table(name: str, folder: Path, work: Path, seconds: float) -> None:
    """Print the trials of `folder` beside the basic launcher's; exits with 1 where one differs, or
    where the bank was not made exactly once.
    """
    lines = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    starts = [line for line in lines if "trial" in line]
    banks = [line["bank"] for line in lines if "bank" in line]
    reference, equal, rows = basic(work), [], []
    for job, trial in sorted({(each["job"], each["trial"]) for each in starts}):
        nodes = [each["node"] for each in starts if each["job"] == job]
        runs = [each / str(job) for each in (folder, reference)]
        (own, theirs), weights = map(figures, runs), same_weights(*runs)
        equal.append(own == theirs and weights)
        values = " | ".join(f"{each['val/hit@1']:.16g}" for each in (own, theirs))
        same = f"{sum(own.get(k) == v for k, v in theirs.items())} of {len(theirs)}"
        same += f" | {'yes' if weights else '**no**'}"
        rows.append(f"| {trial} | {', '.join(nodes)} | {len(nodes)} | {values} | {same} |")
    print(f"\n## {name}\n\n{HEAD}\n|{' --- |' * (HEAD.count('|') - 1)}", *rows, sep="\n")
    said = f"{sum(equal)} of {len(equal)} trials equal; feature banks made: {len(banks)}"
    once = (work / "basic.done").read_text()
    print(f"\n{said}; {seconds:.0f} s (basic launcher: {once} s)", flush=True)
    if not all(equal) or len(equal) != 6 or len(banks) != 1:
        sys.exit(1)


def main() -> None:
    clean_up_when_ended()
    work = work_folder()
    (work / "basic.done").unlink(missing_ok=True)  # of an earlier state of the code, perhaps
    basic(work)
    folder = work / "joblib"
    table("joblib", folder, work, run(folder, ["hydra/launcher=joblib"]))


if __name__ == "__main__":
    main()
