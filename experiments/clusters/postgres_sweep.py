"""A sweep on PostgreSQL: a killed worker, a killed command and a server that stops give the trials
of a sweep with a journal; a second command and what is wrong with a database are one line each.

python experiments/clusters/postgres_sweep.py [FOLDER]     (as root; postgresql installed)

The server listens on 127.0.0.1 alone; it goes, and its folder with it, at any end.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import grid
from optuna.trial import FrozenTrial
from slurm_grid import free_ports

from devise_exp.core.config import compose_config
from devise_exp.pipelines.sweep.results import Results
from devise_exp.pipelines.sweep.study_config import study_of

STUDY = ["study=head", "study.trials=12", "study.round=4"]
HEAD = "| storage | trials equal | seconds |"
COMMAND = "from devise_exp.ui.cli.main import app; app()"


@dataclass(frozen=True)
class Server:
    """A PostgreSQL of this script alone, its programs run by the user postgres."""

    programs: Path
    folder: Path
    port: int
    password: str

    def url(self, database: str = "postgres", password: str | None = None) -> str:
        told = quote(self.password if password is None else password, safe="")
        return f"postgresql://devise:{told}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder}"
        self._control("-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        """At once: whoever is connected is cut off."""
        self._control("-m", "fast", "stop")

    def make_data(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        shutil.chown(secret, "postgres")
        access = ["-U", "devise", "-A", "scram-sha-256", f"--pwfile={secret}"]
        self._run("initdb", "-D", str(self.folder / "data"), "--no-sync", *access)

    def make_database(self, name: str) -> None:
        secret = {**os.environ, "PGPASSWORD": self.password}
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "devise"]
        subprocess.run([self.programs / "createdb", *where, name], env=secret, check=True)

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        command = ["runuser", "-u", "postgres", "--", str(self.programs / program), *arguments]
        done = subprocess.run(
            command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            sys.exit(f"error: {program}: {done.stderr.strip()}")


@contextmanager
def server() -> Iterator[Server]:
    """The running server, with a password that an URL has to spell."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found or os.geteuid() != 0:
        sys.exit("error: run as root, with PostgreSQL's server: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    shutil.chown(folder, "postgres")
    made = Server(found[-1].parent, folder, free_ports(1)[0], f"{secrets.token_hex(8)}/@:")
    try:
        made.make_data()
        made.start()
        yield made
    finally:
        if (folder / "data/postmaster.pid").exists():
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def begun(folder: Path, *more: str) -> subprocess.Popen:
    """`devise-exp sweep` in a working folder of its own, what it says in FOLDER.log."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", COMMAND, "sweep", *STUDY, f"folder={folder}", *more]
    with folder.with_suffix(".log").open("a") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def ended(process: subprocess.Popen, folder: Path, code: int = 0) -> str:
    """The last line of a sweep that is over, or is about to be; exits with 1 where it ended in
    another way than expected.
    """
    log = folder.with_suffix(".log")
    found = process.wait()
    if found != code:
        sys.exit(f"error: the sweep ended with {found}, not {code}: see {log}")
    return log.read_text().strip().split("\n")[-1]


def results(storage: str) -> Results:
    return Results.open(study_of(compose_config(STUDY, "sweep").study), storage)


def facts(trials: list[FrozenTrial]) -> list[tuple]:
    """All of the trials that must not hang on the storage, on workers or on what befell them."""
    kept = ("number", "state", "params", "values", "intermediate_values")
    return [tuple(getattr(trial, name) for name in kept) for trial in trials]


def waited_for(process: subprocess.Popen, seen: Callable[[], bool]) -> None:
    while not seen():
        if process.poll() is not None:
            sys.exit("error: the sweep ended before it could be disturbed")
        time.sleep(0.05)


def workers_of(process: subprocess.Popen) -> list[int]:
    """The processes that run the trials of a sweep."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    commands = {child: Path(f"/proc/{child}/cmdline").read_text() for child in children}
    return [int(child) for child, command in commands.items() if "spawn_main" in command]


def disturbed(work: Path, url: str) -> tuple[subprocess.Popen, Path]:
    """A sweep on two workers that has kept two trials, and its folder."""
    folder = work / url.rpartition("/")[2]
    process = begun(folder, "workers=2", f"storage={url}")
    waited_for(process, lambda: len(results(url).by_number) > 1)
    return process, folder


def with_a_second_command(work: Path, url: str, database: Server) -> str:
    """The second one's line, which comes from another folder, as from another machine."""
    process, folder = disturbed(work, url)
    second = work / "second"
    line = ended(begun(second, f"storage={url}"), second, 2)
    ended(process, folder)
    return line


def with_a_killed_worker(work: Path, url: str, database: Server) -> None:
    process, folder = disturbed(work, url)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    ended(process, folder)


def with_a_killed_command(work: Path, url: str, database: Server) -> None:
    process, folder = disturbed(work, url)
    process.kill()
    process.wait()
    ended(begun(folder, "workers=2", f"storage={url}"), folder)


def with_a_stopped_server(work: Path, url: str, database: Server) -> str:
    """The command ends with a line, which is returned, and goes on once the server does."""
    process, folder = disturbed(work, url)
    database.stop()
    line = ended(process, folder, 2)
    database.start()
    ended(begun(folder, "workers=2", f"storage={url}"), folder)
    return line


WAYS: dict[str, Callable[[Path, str, Server], str | None]] = {
    "a second command refused": with_a_second_command,
    "a worker killed": with_a_killed_worker,
    "the command killed, then started again": with_a_killed_command,
    "the server stopped, then started": with_a_stopped_server,
}


def refused(work: Path, database: Server) -> dict[str, str]:
    """What a person reads who gives a wrong password, or a port where nobody listens."""
    nobody = replace(database, port=free_ports(1)[0])
    wrong = {"wrong password": database.url(password="no/@:"), "no server": nobody.url()}
    folder = work / "refused"
    return {name: ended(begun(folder, f"storage={url}"), folder, 2) for name, url in wrong.items()}


def row(name: str, trials: list[FrozenTrial], alone: list[FrozenTrial], began: float) -> bool:
    """Print a line of the table; whether the trials are those of `alone`."""
    values, expected = facts(trials), facts(alone)
    same = sum(one == two for one, two in zip(values, expected, strict=True))
    print(f"| {name} | {same} of {len(expected)} | {time.monotonic() - began:.0f} |", flush=True)
    return values == expected


def main() -> None:
    grid.clean_up_when_ended()
    work = grid.work_folder() / "postgres"
    os.environ.update(grid.environment(work))
    print(f"\n## A sweep on PostgreSQL\n\n{HEAD}\n|{' --- |' * (HEAD.count('|') - 1)}", flush=True)
    began = time.monotonic()
    ended(begun(work / "alone", "workers=1"), work / "alone")
    alone = list(results(str(work / "alone/journal.log")).trials())
    equal, lines = [row("a journal, one worker", alone, alone, began)], {}
    with server() as database:
        for number, (name, way) in enumerate(WAYS.items()):
            database.make_database(f"number{number}")
            began, url = time.monotonic(), database.url(f"number{number}")
            if line := way(work, url, database):
                lines[name] = line
            equal.append(row(name, list(results(url).trials()), alone, began))
        lines |= refused(work, database)
    secret = quote(database.password, safe="")
    print("\n| what a person reads | |\n| --- | --- |")
    for name, line in lines.items():
        print(f"| {name} | `{line}` |")
    safe = all(line.startswith("error: ") and secret not in line for line in lines.values())
    if not all(equal) or not safe:
        sys.exit(1)


if __name__ == "__main__":
    main()
