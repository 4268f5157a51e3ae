"""How many trials a minute does a sweep run, against the same trials as separate processes?

python experiments/sweep_speed/compare.py [TRIALS] [SEPARATE]

Runs the study `head` with TRIALS trials on two workers, as it is and without its pruner; then the
first SEPARATE trials of the latter again as `python train.py` processes, two at a time: as anyone
would type them, and told to do no more than a trial does. Tells the pace of each, the peak memory
of a worker, and whether the figures are the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from devise_exp.core.config import compose_config
from devise_exp.pipelines.sweep.results import Results
from devise_exp.pipelines.sweep.study_config import study_of

ROOT = Path(__file__).parents[2]
WORKERS = 2
# A run that only trains and evaluates: no rows to compare with, no class folds, no W&B.
BARE = ["method=none", "prior=none", "class_folds=0", "logger=none"]


def swept(study: list[str], folder: Path) -> tuple[float, int]:
    """Seconds of a whole sweep, and the peak memory (VmHWM, KiB) of a worker."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            for status in Path("/proc").glob("[0-9]*/status"):
                try:
                    if "spawn_main" in (status.parent / "cmdline").read_text():
                        fields = dict(row.split(":", 1) for row in status.open() if ":" in row)
                        peak[0] = max(peak[0], int(fields["VmHWM"].split()[0]))
                except (OSError, KeyError, ValueError):  # it has ended
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    start = time.perf_counter()
    command = [
        sys.executable,
        "-c",
        "from devise_exp.ui.cli.main import app; app()",
        "sweep",
        *study,
    ]
    subprocess.run([*command, f"workers={WORKERS}", f"folder={folder}"], check=True)
    seconds = time.perf_counter() - start
    done.set()
    thread.join()
    return seconds, peak[0]


def separately(trials: list[list[str]], more: list[str], place: Path) -> tuple[float, list[float]]:
    """Seconds of all trials, given by their overrides, and val/hit@1 of each."""

    def run(number: int) -> float:
        folder = place / str(number)
        told = [*trials[number], *more, f"hydra.run.dir={folder}"]
        subprocess.run(
            [sys.executable, str(ROOT / "train.py"), *told],
            check=True,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return float(json.loads((folder / "metrics.json").read_text())["val/hit@1"])

    start = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        scores = list(pool.map(run, range(len(trials))))
    return time.perf_counter() - start, scores


def main(n: int, n_separate: int) -> None:
    table = Table("", "trials", "seconds", "trials a minute", title="trials of study head")

    def add(what: str, count: int, seconds: float) -> float:
        pace = 60 * count / seconds
        table.add_row(what, str(count), f"{seconds:.0f}", f"{pace:.1f}")
        return pace

    whole = ["study=head", "study.pruner=null", f"study.trials={n}"]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        seconds, peak = swept(["study=head", f"study.trials={n}"], place / "pruned")
        pruned = add("devise-exp sweep", n, seconds)
        seconds, other_peak = swept(whole, place / "whole")
        ours = add("devise-exp sweep study.pruner=null", n, seconds)
        study = study_of(compose_config(whole, "sweep").study)
        trials = Results.open(study, str(place / "whole" / "journal.log")).trials()[:n_separate]
        told = [study.overrides_of(trial.params) for trial in trials]
        seconds, scores = separately(told, BARE, place / "bare")
        bare = add("python train.py, told to do no more", len(told), seconds)
        seconds, typed_scores = separately(told, [], place / "typed")
        typed = add("python train.py", len(told), seconds)
    pairs = zip(scores, typed_scores, trials, strict=True)
    same = sum(abs(a - t.values[0]) < 1e-6 and a == b for a, b, t in pairs)
    console = Console(width=100)
    console.print(table)
    console.print(
        f"without pruning {ours / bare:.1f} times as many as bare runs, {ours / typed:.1f} times "
        f"as many as whole ones; with pruning {pruned / bare:.1f} and {pruned / typed:.1f} times"
    )
    console.print(f"{same} of {len(told)} figures are the same")
    console.print(f"peak memory of a worker {max(peak, other_peak) / 1024:.0f} MiB")


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    main(*given, *(100, 8)[len(given) :])
