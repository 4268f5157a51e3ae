"""Give hundreds of mutated inputs of one kind to the tool's own readers, and count what comes.

    python experiments/robustness/fuzz.py images --n 1000 --seed 0

A kind is a module cases_KIND.py beside this file with

    make(folder, random, number) -> str   makes case `number` in an empty folder, and names its sort
    read(folder) -> str                   runs the tool's real reader on it: what it found
    prepare() -> None                     optional: slow imports and shared files, before any case

`read` lets InputError pass (a line for people: right), checks what it can with assert, and lets
everything else pass, which is a fault. Each case runs in a child process with 2 GiB of address
space above its baseline, and 10 seconds. The table goes to stdout and, with --out, to a file.
`--case NUMBER` runs one case here, without limits, and shows its whole traceback;
`--keep FOLDER` makes the case in that folder.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from worker import Outcome, serve

from devise_exp.core.console import progress

SECONDS = 10
RENEWED_AFTER = 250  # cases, so that what one leaves in memory does not count for all others
FAULTS = ("traceback", "wrong", "unclear", "hang", "memory", "crash")


class Child:
    """A worker process, started again when it hangs, crashes or has run many cases."""

    def __init__(self, kind: str, seed: int) -> None:
        self.kind, self.seed, self.process, self.cases = kind, seed, None, 0

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.kind, self.seed))
        self.process.start()
        theirs.close()
        self.cases = 0
        if self.connection.recv() != "ready":
            raise RuntimeError("the worker did not start")

    def stop(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.join()
            self.process = None

    def run(self, number: int) -> Outcome:
        if self.process is None or self.cases >= RENEWED_AFTER:
            self.stop()
            self.start()
        self.cases += 1
        label = "(ended while the case was made)"
        try:
            self.connection.send(number)
            while self.connection.poll(SECONDS):
                answer = self.connection.recv()
                if isinstance(answer, Outcome):
                    return answer
                label = answer
            result, text = "hang", f"over {SECONDS} seconds"
        except (EOFError, OSError):
            assert self.process is not None
            self.process.join()
            result, text = "crash", f"the process ended with {self.process.exitcode}"
        self.stop()
        return Outcome(label=label, result=result, text=text)


def run_all(kind: str, n: int, seed: int, workers: int) -> Iterator[tuple[int, Outcome]]:
    children = [Child(kind, seed) for _ in range(workers)]

    def share(first: int) -> list[tuple[int, Outcome]]:
        rows = []
        for number in range(first, n, workers):
            rows.append((number, children[first].run(number)))
            bar.advance(task)
        children[first].stop()
        return rows

    with progress() as bar, ThreadPoolExecutor(workers) as pool:
        task = bar.add_task(f"{n} cases of {kind}", total=n)
        shares = list(pool.map(share, range(workers)))
    yield from sorted((row for rows in shares for row in rows), key=lambda row: row[0])


def table(rows: list[tuple[int, Outcome]], command: str) -> str:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for _, outcome in rows:
        counts[outcome.label][outcome.result] += 1
        counts["**all**"][outcome.result] += 1
    columns = ("read", "refused", *FAULTS)
    lines = [
        f"`{command}`",
        "",
        f"A case is one input. Read: it was used. Refused: one line said why not. Right are no "
        f"traceback, no wrong result, no unclear line, no hang (over {SECONDS} s), no memory over "
        "2 GiB, no crash.",
        "",
        f"| sort of case | cases | {' | '.join(columns)} |",
        f"| --- |{' ---: |' * (len(columns) + 1)}",
    ]
    for label in sorted(counts):
        cells = [str(counts[label][column]) for column in columns]
        lines.append(f"| {label} | {counts[label].total()} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *messages(rows), *faults(rows)])


def messages(rows: list[tuple[int, Outcome]]) -> list[str]:
    """What the refused were told: each wording once, without its numbers and names."""
    shapes: Counter[str] = Counter()
    for _, outcome in rows:
        if outcome.result == "refused":
            text = re.sub(r"/\S*/[^\s:]*", "PATH", outcome.text)
            shapes[re.sub(r"(\d[\d,.]*)", "N", text)[:160].replace("|", "\\|")] += 1
    if not shapes:
        return []
    lines = ["| the 20 most frequent lines of the refused | cases |", "| --- | ---: |"]
    return [*lines, *(f"| {shape} | {count} |" for shape, count in shapes.most_common(20)), ""]


def faults(rows: list[tuple[int, Outcome]]) -> list[str]:
    lines = []
    for number, outcome in rows:
        if outcome.result in FAULTS:
            last = outcome.text.splitlines()[-1][:200] if outcome.text else ""
            lines.append(f"- case {number} ({outcome.label}): {outcome.result}: {last}")
    return [*lines, ""] if lines else []


def one_case(kind: str, seed: int, number: int, keep: Path | None) -> None:
    """Run a case in this process, so that its traceback is whole."""
    cases = importlib.import_module(f"cases_{kind}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print(cases.make(folder, random.Random(f"{seed}/{number}"), number), folder, flush=True)
        if hasattr(cases, "prepare"):
            cases.prepare()
        print(cases.read(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", help="the module is cases_KIND.py beside this file")
    parser.add_argument("--n", type=int, default=300, help="number of cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="child processes at once")
    parser.add_argument("--out", type=Path, help="write the table to this file too")
    parser.add_argument("--case", type=int, help="run only this case, in this process")
    parser.add_argument("--keep", type=Path, help="with --case: make it in this folder")
    options = parser.parse_args()
    if options.case is not None:
        return one_case(options.kind, options.seed, options.case, options.keep)
    # Threads of numeric libraries reserve address space each, which is no use of memory.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MALLOC_ARENA_MAX="2")
    rows = list(run_all(options.kind, options.n, options.seed, options.workers))
    script = "python experiments/robustness/fuzz.py"
    text = table(rows, f"{script} {options.kind} --n {options.n} --seed {options.seed}")
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    sys.exit(any(outcome.result in FAULTS for _, outcome in rows))


if __name__ == "__main__":
    main()
