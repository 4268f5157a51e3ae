"""How many trials a minute does a sweep run, against the same trials as separate processes?

python experiments/sweep_speed/compare.py [TRIALS] [SEPARATE]

Runs the study `head` with TRIALS trials on two workers, then the first SEPARATE of its trials again
as `python train.py` processes, two at a time, that do no more than a trial needs; and tells both
paces, the peak memory of a worker, and whether the figures are the same.
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

from devise_exp.board import Board
from devise_exp.composing import composed
from devise_exp.study import study_of

ROOT = Path(__file__).parents[2]
WORKERS = 2
# What a trial does not do, and a run would.
STUDY = ["study=head", "study.pruner=null"]  # pruned trials would be no fair ones
PLAIN = ["method=none", "prior=none", "rehearsals=0", "logger=none"]


def swept(trials: int, folder: Path) -> tuple[float, int]:
    """Seconds of a whole sweep, and the peak memory (VmHWM, KiB) of a worker."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            for status in Path("/proc").glob("[0-9]*/status"):
                try:
                    if f"sweep_worker\0{folder}" in (status.parent / "cmdline").read_text():
                        fields = dict(row.split(":", 1) for row in status.open() if ":" in row)
                        peak[0] = max(peak[0], int(fields["VmHWM"].split()[0]))
                except (OSError, KeyError, ValueError):  # it has ended
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    start = time.perf_counter()
    command = [sys.executable, "-c", "from devise_exp.cli import app; app()", "sweep", *STUDY]
    told = [f"study.trials={trials}", f"workers={WORKERS}", f"folder={folder}"]
    subprocess.run([*command, *told], check=True)
    seconds = time.perf_counter() - start
    done.set()
    thread.join()
    return seconds, peak[0]


def separately(overrides: list[str], folder: Path) -> float:
    """val/hit@1 of one `python train.py`."""
    command = [
        sys.executable,
        str(ROOT / "train.py"),
        *overrides,
        *PLAIN,
        f"hydra.run.dir={folder}",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return float(json.loads((folder / "metrics.json").read_text())["val/hit@1"])


def main(trials: int, n_separate: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        seconds, peak = swept(trials, place / "sweep")
        study = study_of(composed([*STUDY, f"study.trials={trials}"], "sweep").study)
        found = Board.open(study, str(place / "sweep" / "journal.log")).trials()
        again = [trial for trial in found if trial.values][:n_separate]
        start = time.perf_counter()
        with ThreadPoolExecutor(WORKERS) as pool:
            jobs = [
                pool.submit(separately, study.overrides_of(t.params), place / str(t.number))
                for t in again
            ]
            scores = [job.result() for job in jobs]
        apart = time.perf_counter() - start
    same = sum(abs(s - t.values[0]) < 1e-6 for s, t in zip(scores, again, strict=True))
    ours, theirs = 60 * trials / seconds, 60 * len(again) / apart
    table = Table("", "trials", "seconds", "trials a minute", title="trials of study head")
    table.add_row("devise-exp sweep", str(trials), f"{seconds:.0f}", f"{ours:.1f}")
    table.add_row("python train.py", str(len(again)), f"{apart:.0f}", f"{theirs:.1f}")
    console = Console()
    console.print(table)
    console.print(
        f"{ours / theirs:.1f} times as many; {same} of {len(again)} figures are the same;"
    )
    console.print(f"peak memory of a worker {peak / 1024:.0f} MiB")


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    main(*given, *(100, 10)[len(given) :])
