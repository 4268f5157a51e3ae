"""The functions of `devise_exp`: train, evaluate and open runs."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from devise_exp.core.arguments import checks_arguments
from devise_exp.core.errors import input_errors
from devise_exp.runs.folder import RunFolder
from devise_exp.search import saved_run
from devise_exp.ui.python.comparison import folder_of
from devise_exp.ui.python.metrics import Metrics
from devise_exp.ui.python.options import overrides_of
from devise_exp.ui.python.run import Run


def train(*overrides: str, folder: str | PathLike[str] | None = None, **options: Any) -> Run:
    """Train and evaluate one run.

    A wrong option raises before anything is written. Ctrl-C (a notebook's "interrupt") leaves a run
    that `train(resume=FOLDER)` goes on with, or nothing. A training waits until another one in the
    same process has ended. For several devices processes are started that import the calling
    script, which therefore calls this under `if __name__ == "__main__":`.

    Args:
        *overrides: Options as for train.py, such as "loss=cosine" or "trainer.max_epochs=5".
        folder: The run folder; None: outputs/DATE/TIME in the working folder, as for train.py.
        **options: The same as keywords, two underscores for each dot: loss="cosine",
            trainer__max_epochs=5, or a mapping below a key: optimizer={"lr": 0.01}. `root` is
            short for data__root.

    Returns:
        The finished run.

    Raises:
        InputError: If an option is wrong, or asks for several runs.

    Example:
        >>> train("loss=cosine", seed=1, lr=0.1)
        Traceback (most recent call last):
            ...
        devise_exp.core.errors.InputError: no option lr: did you mean optimizer__lr?
    """
    from devise_exp.pipelines.from_python import train as train_run  # late: Lightning

    with input_errors():
        path = train_run(overrides_of(overrides, options), folder)
        return Run(RunFolder.existing(path, trust=True))  # the caller has named its parts


def evaluate(run: saved_run.Run | str | PathLike[str], *overrides: str, **options: Any) -> Metrics:
    """Evaluate a finished run again.

    Args:
        run: The run, or its folder.
        *overrides: Options as for evaluate.py, such as "ks=[1,5]".
        **options: The same as keywords: ks=[1, 5]; `root`, short for data__root, is a folder of
            other images.

    Returns:
        The metrics by name, as in metrics.json.

    Raises:
        InputError: If an option is wrong, or the path is not a folder of a finished run.

    Example:
        >>> evaluate("nowhere", k=[1])
        Traceback (most recent call last):
            ...
        devise_exp.core.errors.InputError: no option k: did you mean ks?
    """
    from devise_exp.pipelines.from_python import evaluate as evaluate_run

    path = folder_of(run, "evaluate")
    with input_errors():
        given = overrides_of(overrides, options, "evaluate")
        if isinstance(run, saved_run.Run) and run.folder.trusted:
            given = ["trust=true", *given]
        report, _ = evaluate_run(path, given)
        return Metrics(report)


@checks_arguments
def open_run(path: str | PathLike[str], trust: bool = False) -> Run:
    """Open a finished run: its metrics, tables, classes and answers to questions.

    Args:
        path: The run folder.
        trust: Whether parts of your own that its config names are imported and built.

    Returns:
        The run.

    Raises:
        InputError: The path is not a folder of a finished run.

    Example:
        >>> open_run("nowhere")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        devise_exp.core.errors.InputError: nowhere: not a run folder...
    """
    with input_errors():
        return Run(RunFolder.existing(Path(path), trust))
