"""Is a sweep of this version as quick as one of another, and are its trials the same?

git worktree add FOLDER COMMIT; python experiments/sweep_speed/versions.py FOLDER [TRIALS]

Both run the study `head` at the same time, on two workers each, so that whatever else the machine
does is in the way of both. Prints seconds and processor seconds of each with all of its workers.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "from devise_exp.ui.cli.main import app; app()"
VARYING = {"seconds", "tries", "error"}  # columns of trials.csv


def swept(version: Path, folder: Path, n: int) -> tuple[float, float]:
    """Seconds of a sweep of a version, and those that processors spent on it."""
    start = time.perf_counter()
    options = ["study=head", f"study.trials={n}", "workers=2", f"folder={folder}"]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "sweep", *options],
        env={**os.environ, "PYTHONPATH": str(version / "src")},
        cwd=version,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"error: the sweep of {version} failed")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def trials(folder: Path) -> list[dict[str, str]]:
    """The trials of a finished sweep, without what differs from run to run."""
    with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        return [{k: v for k, v in row.items() if k not in VARYING} for row in csv.DictReader(file)]


def main(other: Path, n: int) -> None:
    versions = {"this version": ROOT, "the other": other}
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        folders = [Path(name) / str(i) for i in range(2)]
        new, old = pool.map(swept, versions.values(), folders, [n] * 2)
        pairs = list(zip(*map(trials, folders), strict=True))
    print("| | trials | seconds | processor seconds |\n| --- | ---: | ---: | ---: |")
    for title, (seconds, spent) in zip(versions, (new, old), strict=True):
        print(f"| {title} | {n} | {seconds:.0f} | {spent:.0f} |")
    print(
        f"\nratio: {new[0] / old[0]:.2f} of the seconds, {new[1] / old[1]:.2f} of the processors'"
    )
    print(f"{sum(one == two for one, two in pairs)} of {n} trials are the same")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 100)
