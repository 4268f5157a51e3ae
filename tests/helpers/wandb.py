"""What W&B wrote, read back by its own tool."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path


def wandb_inspect(run_file: Path, *options: str) -> str:
    """What `wandb leet inspect` reads out of an offline run, without a Python for each question."""
    from wandb.util import get_core_path

    command = [get_core_path(), "leet", "inspect", "--no-observability", *options]
    folder = ["--run-file", str(run_file), str(run_file.parents[1])]
    done = subprocess.run([*command, *folder], capture_output=True, text=True, check=True)
    return done.stdout


def wandb_group(run_file: Path) -> str:
    """The group of an offline run, "" for none."""
    records = map(json.loads, wandb_inspect(run_file, "--json").splitlines())
    (run,) = (record["run"] for record in records if record["type"] == "run")
    return str(run.get("run_group", ""))
