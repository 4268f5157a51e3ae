"""The child process of the fuzz job: makes a case, gives it to the tool's reader, says what came.

It has LIMIT bytes of address space more than it had before its first case, so an allocation
past that is a MemoryError, and the parent ends it if a case takes too long.
"""

from __future__ import annotations

import importlib
import os
import random
import resource
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

from devise_exp.core.errors import InputError, user_message

LIMIT = 2 << 30  # bytes above the baseline
LONGEST = 2000  # characters of a line for people


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a case.

    Attributes:
        label: Which sort of case it is, a row of the table.
        result: "read", "refused" (an InputError of one line), or a fault: "traceback", "memory",
            "wrong" (an AssertionError of the case's own checks), "unclear" (an InputError whose
            line is empty or too long); the parent adds "hang" and "crash".
        text: What the reader returned, the message, or the end of the traceback.
    """

    label: str
    result: str
    text: str


def run_case(
    cases: ModuleType, seed: int, number: int, folder: Path, announce: Callable[[str], None]
) -> Outcome:
    """Make one case in an empty folder and read it.

    Args:
        cases: The module of the kind.
        seed: Of the job.
        number: Of the case.
        folder: An empty folder.
        announce: Gets the sort of case before it is read.

    Returns:
        What became of it.
    """
    label: str = cases.make(folder, random.Random(f"{seed}/{number}"), number)
    announce(label)
    try:
        return Outcome(label=label, result="read", text=str(cases.read(folder)))
    except InputError as error:
        text = user_message(error) or ""
        clear = text.strip() and "\n" not in text and len(text) <= LONGEST
        return Outcome(label=label, result="refused" if clear else "unclear", text=text)
    except MemoryError:
        return Outcome(label=label, result="memory", text=_last_lines())
    except AssertionError:
        return Outcome(label=label, result="wrong", text=_last_lines())
    except Exception:
        return Outcome(label=label, result="traceback", text=_last_lines())


def serve(connection: Connection, kind: str, seed: int) -> None:
    """Run the cases whose numbers come through a connection, until None comes.

    Args:
        connection: Gets "ready", then the sort of case and an Outcome per number.
        kind: Whose module is cases_KIND.
        seed: Of the job.
    """
    os.setsid()  # the parent ends this process together with those that a reader starts
    warnings.simplefilter("ignore")
    cases = importlib.import_module(f"cases_{kind}")
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(DEVISE_CACHE=f"{home}/cache", HOME=home)
        if hasattr(cases, "prepare"):
            cases.prepare()
        _limit_memory()
        connection.send("ready")
        while (number := connection.recv()) is not None:
            with tempfile.TemporaryDirectory() as folder:
                outcome = run_case(cases, seed, number, Path(folder), connection.send)
            connection.send(outcome)


def _limit_memory() -> None:
    """Allow LIMIT bytes of address space above what this process has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + LIMIT
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _last_lines() -> str:
    """The current exception with its last frames."""
    return traceback.format_exc(limit=-6).strip()
