"""The grid on a Ray cluster of two nodes, one of which is killed while a trial trains on it.

python experiments/clusters/ray_grid.py [FOLDER]
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from subprocess import Popen

import grid
from ray.cluster_utils import Cluster
from tries import FILE

LOST = "node 2"
# A node that starts while other work goes on may need longer than Ray's 30 s.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")
# Ray would turn 127.0.0.1 into the machine's outer address, where this cluster shall not listen.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"


def cluster() -> tuple[Cluster, list]:
    """Two nodes of one CPU each on this machine, so each has one trial at a time."""
    started = Cluster()
    nodes = []
    for name in ("node 1", LOST):
        node = started.add_node(
            num_cpus=1,
            object_store_memory=100 << 20,
            node_ip_address="127.0.0.1",
            include_dashboard=False,
            env_vars={"CLUSTER_NODE": name},  # what tries.py says of a trial
        )
        nodes.append(node)
    started.wait_for_nodes()
    return started, nodes


def training_on(name: str, folder: Path) -> int | None:
    """The trial that node `name` is training, with at least one epoch behind it."""
    tries = folder / FILE
    lines = tries.read_text().splitlines() if tries.is_file() else []
    for line in reversed([json.loads(line) for line in lines]):
        if line.get("node") == name:
            run = folder / str(line["job"])
            begun = (run / "checkpoints/last.ckpt").is_file()
            return line["job"] if begun and not (run / "metrics.json").is_file() else None
    return None


def lose(nodes: Cluster, node: object, folder: Path, process: Popen) -> int | None:
    """Kill `node` once it has finished a trial and trains the next; returns which one."""
    while process.poll() is None:
        trial = training_on(LOST, folder)
        if trial is not None and trial > 1:
            nodes.remove_node(node, allow_graceful=False)
            return trial
        time.sleep(0.02)
    return None


def main() -> None:
    work = grid.work_folder()
    grid.basic(work)
    folder = work / "ray"
    os.environ.update(environment := grid.environment(folder))
    os.environ["RAY_TMPDIR"] = state = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # a short path
    nodes, (_, second) = cluster()
    launcher = [
        "hydra/launcher=ray",
        f"hydra.launcher.ray.init.address={nodes.address}",
        # The launcher's own default is refused where the cluster is there already.
        "+hydra.launcher.ray.init.object_store_memory=null",
    ]
    grid.clean_up_when_ended()  # Ray has its own way by now
    began = time.monotonic()
    try:
        with grid.started(folder, launcher, environment) as process:
            lost = lose(nodes, second, folder, process)
    finally:
        nodes.shutdown()
        shutil.rmtree(state, ignore_errors=True)
    grid.table("Ray, two nodes", folder, work, time.monotonic() - began)
    if lost is None:
        sys.exit(f"error: the grid ended before {LOST} could be killed in a training")
    print(
        f"{LOST} was killed while it trained trial {lost} (counted from 0), after an epoch or more"
    )


if __name__ == "__main__":
    main()
