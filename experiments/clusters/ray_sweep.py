"""A sweep on a Ray cluster of two nodes, one of which is killed, against a sweep of one process.

python experiments/clusters/ray_sweep.py [FOLDER]
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import grid
from postgres_sweep import begun, ended, results, row, waited_for
from ray_grid import cluster

HEAD = "| executor | trials equal | seconds |"


def journal(folder: Path) -> str:
    return str(folder / "journal.log")


def main() -> None:
    work = grid.work_folder() / "ray_sweep"
    os.environ.update(grid.environment(work))
    os.environ["RAY_TMPDIR"] = state = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # a short path
    print(
        f"\n## A sweep on Ray, two nodes\n\n{HEAD}\n|{' --- |' * (HEAD.count('|') - 1)}", flush=True
    )
    began, alone = time.monotonic(), work / "alone"
    ended(begun(alone, "workers=1"), alone)
    expected = list(results(journal(alone)).trials())
    equal = [row("one process", expected, expected, began)]
    grid.clean_up_when_ended()
    nodes, (_, second) = cluster()
    try:
        began, folder = time.monotonic(), work / "ray"
        process = begun(folder, "executor=ray", f"executor.address={nodes.address}")
        waited_for(process, lambda: kept(folder) > 1)
        nodes.remove_node(second, allow_graceful=False)
        ended(process, folder)
    finally:
        nodes.shutdown()
        shutil.rmtree(state, ignore_errors=True)
    trials = list(results(journal(folder)).trials())
    equal.append(row("ray, a node killed after two trials", trials, expected, began))
    if not all(equal):
        sys.exit(1)


def kept(folder: Path) -> int:
    """How many trials a sweep has kept so far."""
    return len(results(journal(folder)).by_number) if (folder / "journal.log").is_file() else 0


if __name__ == "__main__":
    main()
