"""How slow is a run on a machine whose processors have other work?

python experiments/speed/busy.py [OPTION=VALUE of train.py ...]

train.py with these options (trainer=smoke) on an idle machine and beside busy processes, half as
many again as there are processors. Threads of OpenMP that wait spin as long as the library does by
itself (GOMP_SPINCOUNT=300000), as train.py lets them, or not at all (one thread).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from devise_exp.core.machine import SPINS, processors

ROOT = Path(__file__).parents[2]
WAYS = {
    "as OpenMP does": {"GOMP_SPINCOUNT": "300000"},
    "as train.py does": {"GOMP_SPINCOUNT": str(SPINS)},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


def seconds(options: list[str], variables: dict[str, str]) -> float:
    """Seconds of a run with some environment variables."""
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "train.py", f"hydra.run.dir={place}/run", *options],
            cwd=ROOT, env={**os.environ, **variables}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        return time.perf_counter() - start


def main(options: list[str]) -> None:
    """Print the table."""
    print("| waiting threads spin | idle, s | busy, s |\n| --- | ---: | ---: |")
    for name, variables in WAYS.items():
        idle = seconds(options, variables)
        others = [
            subprocess.Popen([sys.executable, "-c", "while True: pass"])
            for _ in range(-(-3 * processors() // 2))
        ]
        try:
            busy = seconds(options, variables)
        finally:
            for other in others:
                other.kill()
                other.wait()
        print(f"| {name} | {idle:.0f} | {busy:.0f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["trainer=smoke"])
