"""The grid and a training on two processes, on a Slurm of two nodes on the loopback interface.

python experiments/clusters/slurm_grid.py [FOLDER]     (as root; slurm-wlm and munge installed)

The cluster's whole state is a temporary folder; it goes, and every daemon with it, at any end.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grid

DAEMONS = ("munged", "slurmctld", "slurmd")
TRAINING = [*grid.QUICK, "trainer=ddp", "training.batch_size=128"]
ONE_NODE = ["trainer.devices=2"]
TWO_NODES = ["trainer.devices=1", "trainer.num_nodes=2"]
# The nodes' names are Slurm's alone: no name server knows them, as one would on a cluster.
SRUN = "env MASTER_ADDR=127.0.0.1 srun --kill-on-bad-exit "
# How a training on two processes is started: sbatch's arguments, what goes before the command, and
# what train.py is told.
TWO_PROCESSES = {
    "one task, which starts its own two ranks": (
        ["--ntasks=1", "--cpus-per-task=2"], "", ONE_NODE,
    ),
    "srun, two tasks on a node": (["--nodes=1", "--ntasks=2"], SRUN, ONE_NODE),
    "srun, a task on each of two nodes": (["--nodes=2", "--ntasks-per-node=1"], SRUN, TWO_NODES),
}  # fmt: skip
CONFIG = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={state}/munge.socket
# What would need rights over the machine, or a database, stays off.
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# Two nodes on one machine, each said to have two processors whatever the machine has.
SlurmdParameters=config_overrides
ReturnToService=2
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2
PartitionName=all Nodes=node[1-2] Default=YES MaxTime=60
StateSaveLocation={state}/ctld
SlurmdSpoolDir={state}/%n
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/%n.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/%n.log
"""


@contextmanager
def slurm() -> Iterator[None]:
    """The running cluster; commands find it by SLURM_CONF."""
    missing = [name for name in DAEMONS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        sys.exit(f"error: run as root, with {', '.join(DAEMONS)}: apt-get install slurm-wlm munge")
    with ExitStack() as undo:
        # Not below the user's TMPDIR: the path of a socket may have 108 characters.
        state = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        undo.callback(shutil.rmtree, state, ignore_errors=True)
        state.chmod(0o755)
        key, config = state / "munge.key", state / "slurm.conf"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        host = socket.gethostname().split(".")[0]
        config.write_text(CONFIG.format(host=host, ports=free_ports(3), state=state))
        os.environ["SLURM_CONF"] = str(config)
        files = {"key-file": key, "socket": state / "munge.socket"}
        files |= {f"{name}-file": state / f"munge.{name}" for name in ("log", "pid", "seed")}
        munge = ["munged", "-F", *(f"--{name}={path}" for name, path in files.items())]
        daemon(undo, state, munge)
        wait_for("munged", (state / "munge.socket").exists)
        daemon(undo, state, ["slurmctld", "-D", "-i"])
        for node in ("node1", "node2"):
            daemon(undo, state, ["slurmd", "-D", "-N", node])
        undo.callback(end_jobs)
        wait_for("two idle nodes", lambda: said("sinfo", "-h", "-t", "idle", "-o", "%D") == "2")
        yield


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def daemon(undo: ExitStack, state: Path, command: list[str]) -> None:
    """Start `command`, to be ended, and waited for, with `undo`."""
    with (state / "daemons.log").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)

    def end() -> None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    undo.callback(end)


def end_jobs() -> None:
    """Cancel what still runs, for a job would outlive the daemons."""
    subprocess.run(["scancel", "--user=root"], capture_output=True)
    wait_for("the end of all jobs", lambda: said("squeue", "-h") == "", fatal=False)


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def wait_for(what: str, ready: Callable[[], bool], seconds: float = 60, fatal: bool = True) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            if fatal:
                log = Path(os.environ["SLURM_CONF"]).with_name("daemons.log").read_text()[-2000:]
                sys.exit(f"error: waited {seconds:.0f} s for {what}:\n{log}")
            return
        time.sleep(0.2)


def train_grid(work: Path) -> None:
    folder = work / "slurm"
    # A trial takes both processors of its node, so that two of them run at once, not four.
    launcher = ["hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=2"]
    grid.table("Slurm, two nodes", folder, work, grid.run(folder, launcher))


def train_on_two(work: Path) -> None:
    """The same training outside Slurm, then in each way of TWO_PROCESSES; exits with 1 where the
    figures differ.
    """
    folder = work / "ddp"
    environment = grid.environment(folder)
    folder.mkdir()
    log = folder / "ddp.log"
    rows = []
    for number, way in enumerate(["outside Slurm", *TWO_PROCESSES]):
        options, before, told = TWO_PROCESSES.get(way, ([], "", ONE_NODE))
        command = ["train.py", *TRAINING, *told, f"hydra.run.dir={folder / str(number)}"]
        line, began = f"{before}{sys.executable} {' '.join(command)}", time.monotonic()
        batch = ["sbatch", "--wait", *options, f"--output={log}", "--open-mode=append", "--wrap"]
        with log.open("a") as output:
            started = [*batch, line] if number else line.split()
            done = subprocess.run(
                started, cwd=grid.ROOT, env=environment, stdout=output, stderr=output
            )
        if done.returncode:
            sys.exit(f"error: {way}: the training failed: see {log}")
        rows.append((way, grid.figures(folder / str(number)), time.monotonic() - began))
    print("\n## Slurm, a training on two processes\n")
    print("| started as | val/hit@1 | figures equal | seconds |\n| --- | --- | --- | --- |")
    equal = [own == rows[0][1] for _, own, _ in rows]
    for (way, own, seconds), same in zip(rows, equal, strict=True):
        share = f"{len(own)} of {len(rows[0][1])}" if same else "**no**"
        print(f"| {way} | {own['val/hit@1']:.16g} | {share} | {seconds:.0f} |", flush=True)
    if not all(equal):
        sys.exit(1)


def main() -> None:
    grid.clean_up_when_ended()
    work = grid.work_folder()
    grid.basic(work)
    with slurm():
        train_grid(work)
        train_on_two(work)


if __name__ == "__main__":
    main()
