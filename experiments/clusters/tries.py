"""A Hydra callback that keeps, under any launcher, where each trial ran and who made the bank."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

FILE = "tries.jsonl"
NAMED = ("seed", "projection")  # what a trial of the grid is called by


class Tries(Callback):
    """Adds a line to FILE of the sweep's folder whenever a trial is started, which is again after
    its node was lost, and whenever a feature bank is written.
    """

    watched = False  # an audit hook stays for the life of a process, which may run several trials

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        file = Path(config.hydra.sweep.dir).absolute() / FILE
        here = os.environ.get("CLUSTER_NODE") or os.environ.get("SLURMD_NODENAME")
        named = [o for o in config.hydra.overrides.task if o.split("=")[0] in NAMED]
        start = {"job": config.hydra.job.num, "trial": " ".join(named)}
        _add(file, start | {"node": here or f"process {os.getpid()}"})
        if not Tries.watched:
            Tries.watched = True
            sys.addaudithook(lambda event, args: _watch(file, event, args))


def _watch(file: Path, event: str, args: tuple) -> None:
    if event == "open" and "w" in str(args[1]) and str(args[0]).endswith("features.npy"):
        _add(file, {"bank": str(args[0])})


def _add(file: Path, line: dict[str, Any]) -> None:
    with file.open("a") as lines:  # lines this short are appended whole
        lines.write(json.dumps(line) + "\n")
