"""How long does one wait for the commands that answer at once?

python experiments/speed/start_up.py [RUN]

RUN: the folder of a default run; left out, one is trained first. The quickest of several starts of
each command, files in the memory of the system.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

TIMES = 5
ROOT = Path(__file__).parents[2]


def seconds_of(command: list[str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return time.perf_counter() - start


def main(run: Path, place: str) -> None:
    own = str(Path(sys.executable).with_name("devise-exp"))
    commands = {
        "devise-exp --help": [own, "--help"],
        "devise-exp search RUN okapi": [
            own,
            "search",
            str(run),
            "okapi",
            "--out",
            f"{place}/found",
        ],
        "devise-exp words RUN ocean": [own, "words", str(run), "ocean"],
        "python evaluate.py run_dir=RUN": [sys.executable, "evaluate.py", f"run_dir={run}"],
    }
    table = Table("", "seconds")
    for name, command in commands.items():
        table.add_row(name, f"{min(seconds_of(command) for _ in range(TIMES)):.2f}")
    console = Console(width=100)
    console.print(table)
    console.print(f"the quickest of {TIMES} starts")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path(place) / "run"
        if not folder.exists():
            seconds_of([sys.executable, "train.py", f"hydra.run.dir={folder}"])
        main(folder, place)
