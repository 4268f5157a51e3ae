"""Where does every second of a run go?

python experiments/speed/costs.py [--beside FOLDER] [--times N] [OPTION=VALUE of train.py ...]

One run of train.py, or N, by this checkout, and beside it by the checkout in FOLDER, alternately.
Columns are seconds on the clock and of processors (all threads of the process; with processes that
it started, in the last two rows). A step counts without the steps within it: reading a module is an
import wherever it happens. `method=all seeds=5` are options too.
"""

from __future__ import annotations

import argparse
import atexit
import importlib._bootstrap as bootstrap  # what every first import of a module goes through
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RUN = "devise_exp.pipelines.run"
# Module -> function or Class.function in it, as it is called there -> step. What a checkout lacks
# is counted in the step around it.
STEPS = {
    "devise_exp.pipelines.labelled": {"first_look": "images, names and words"},
    "devise_exp.text.word_vectors.loading": {"_load": "word vectors"},
    RUN: {
        "prepare": "split, words and audit",
        "_prepare": "checks, class folds, run folder",
        "_fit_model": "training",
        "_fit_methods": "methods, the rest",
        "devise": "method devise, class folds",  # until it was called in fit_methods
        "_embed": "embeddings and galleries",
        "_evaluate": "evaluation",
        "write_html": "page",  # until it was called in run_page
        "_write_reports": "tables",
        "log_finished": "W&B, what a run came to",
        "_show": "tables on the terminal",
    },
    "devise_exp.pipelines.fit_methods": {
        "MethodFits.tasks": "methods, the rest",
        "MethodFits.fit": "methods, the rest",
        "devise": "method devise, class folds",
    },
    "devise_exp.pipelines.run_page": {"write_html": "page"},
    "devise_exp.core.side_work": {"SideWork._wait": "waiting for other processes"},
    "devise_exp.pipelines.additions": {"additions_of": "priors and classifiers"},
    "devise_exp.pipelines.logger": {
        "_build": "W&B, start",
        "_wandb_logger": "W&B, start",
        "_finish_wandb": "W&B, finish",
    },
    "devise_exp.pipelines.lasting_logger": {
        "LastingLogger.log_hyperparams": "W&B, start",
        "LastingLogger.log_metrics": "W&B, each epoch",
    },
    "devise_exp.reports.figures.plots": {
        "hit_curves": "figures",
        "tradeoff": "figures",
        "similarity": "figures",
    },
    "devise_exp.reports.figures.class_plot": {"class_plot": "figures"},
    "devise_exp.reports.figures.style": {
        "to_svg": "figures, as SVG",
        "to_image": "figures, as PNG",
    },
    "devise_exp.pipelines.reused_hyperparameters": {
        "ReusedHyperparameters.fit": "method {1.name}, class folds"
    },
}
START, IMPORTS, REST, EXIT = "start of Python", "imports", "command line and the rest", "exit"


class Clock:
    """Gives every second to the innermost step."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.steps = [REST]
        self.thread = threading.get_ident()
        self.last = self.now()

    def now(self) -> tuple[float, float]:
        """Seconds on the clock and of processors."""
        return time.perf_counter(), time.process_time()

    def turn(self) -> None:
        """Give the step what has passed."""
        now = self.now()
        row = self.seconds.setdefault(self.steps[-1], [0.0, 0.0])
        for i in range(2):
            row[i] += now[i] - self.last[i]
        self.last = now

    def counts(self, function: Callable[..., Any], step: str) -> Callable[..., Any]:
        """The function, whose seconds are those of the step."""

        @wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self.thread:
                return function(*args, **kwargs)
            self.turn()
            self.steps.append(step.format(*args))
            try:
                return function(*args, **kwargs)
            finally:
                self.turn()
                self.steps.pop()

        return counted

    def follow_imports(self) -> None:
        """Count imports, and the steps of modules as soon as they are imported."""
        load = bootstrap._find_and_load  # type: ignore[attr-defined]
        counted = self.counts(load, IMPORTS)

        def find_and_load(name: str, import_: Any) -> Any:
            module = counted(name, import_)
            for attribute, step in STEPS.pop(name, {}).items():
                *owners, last = attribute.split(".")
                holder = getattr(module, owners[0], None) if owners else module
                if hasattr(holder, last):
                    setattr(holder, last, self.counts(getattr(holder, last), step))
            return module

        bootstrap._find_and_load = find_and_load  # type: ignore[attr-defined]


def follow(out: str) -> None:
    """Count the seconds of this process, and write where they went when it ends."""
    if "train.py" not in sys.orig_argv:
        return  # a program that train.py has started
    clock = Clock()
    clock.follow_imports()

    def end() -> None:
        clock.turn()
        Path(out).write_text(json.dumps({"steps": clock.seconds, "end": time.time()}))

    atexit.register(end)


def measure(checkout: Path, options: list[str]) -> dict[str, list[float]]:
    """Seconds of each step of one run by a checkout, in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "seconds.json"
        lines = [f"sys.path.append({str(Path(__file__).parent)!r})", f"costs.follow({str(out)!r})"]
        # Python imports it before any program.
        text = f"import sys\n{lines[0]}\nimport costs\n{lines[1]}\n"
        Path(place, "sitecustomize.py").write_text(text)
        folders = [place, str(checkout / "src"), os.environ.get("PYTHONPATH", "")]
        before, start = os.times(), time.time()
        done = subprocess.run(
            [sys.executable, "train.py", f"hydra.run.dir={place}/run", *options], cwd=checkout,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        end, after = time.time(), os.times()
        if done.returncode:
            raise SystemExit(f"{checkout}: {done.stderr}")
        read = json.loads(out.read_text())
    steps: dict[str, list[float]] = read["steps"]
    whole = after.children_user + after.children_system
    whole -= before.children_user + before.children_system
    processor = whole - sum(row[1] for row in steps.values())
    ended = read["end"] - start
    steps[START] = [ended - sum(row[0] for row in steps.values()), 0.0]
    steps[EXIT] = [end - read["end"], processor]
    steps["all"] = [end - start, whole]
    return steps


def table(runs: dict[str, list[dict[str, list[float]]]]) -> str:
    """Means over the runs of each checkout, in Markdown."""
    steps = list(dict.fromkeys(step for of in runs.values() for run in of for step in run))
    steps = [step for step in steps if step != "all"] + ["all"]
    means = {
        name: {
            step: [sum(run.get(step, [0.0, 0.0])[i] for run in of) / len(of) for i in range(2)]
            for step in steps
        }
        for name, of in runs.items()
    }
    heads = [f"{name}{of}" for name in runs for of in (", s", ", processor s")]
    lines = [f"| | {' | '.join(heads)} |", f"| --- |{' ---: |' * len(heads)}"]
    for step in steps:
        cells = [f"{value:.1f}" for name in runs for value in means[name][step]]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    if len(runs) == 2:
        here, there = (means[name]["all"] for name in runs)
        lines.append(f"\nhere / beside: {here[0] / there[0]:.2f} of the seconds on the clock, ")
        lines[-1] += f"{here[1] / there[1]:.2f} of those of processors"
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(usage=str(__doc__))
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--times", type=int, default=1)
    args, options = parser.parse_known_args()
    checkouts = {"here": ROOT} | ({"beside": args.beside.resolve()} if args.beside else {})
    runs: dict[str, list[dict[str, list[float]]]] = {name: [] for name in checkouts}
    for _ in range(args.times):
        for name, checkout in checkouts.items():
            runs[name].append(measure(checkout, options))
            print(f"{name}: {runs[name][-1]['all'][0]:.1f} s", file=sys.stderr)
    print(table(runs))


if __name__ == "__main__":
    main()
