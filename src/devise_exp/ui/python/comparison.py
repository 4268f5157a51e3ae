"""Runs side by side in Python."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from devise_exp.core.errors import InputError, input_errors
from devise_exp.reports.comparison import Comparison, over_splits
from devise_exp.reports.comparison import compare as compare_results
from devise_exp.reports.comparison_formats import data_table, to_table
from devise_exp.runs.results import runs_in
from devise_exp.search.saved_run import Run
from devise_exp.ui.python.tables import ShownTable

RunOrFolder = Run | str | PathLike[str]


def compare(runs: Iterable[RunOrFolder] | RunOrFolder, methods: bool = False) -> ShownTable:
    """Put runs of one split side by side, in per cent.

    Runs that differ in the seed alone are one line, mean ± standard deviation; those that differ in
    split.seed too are averaged over splits. One series over splits is a table of its methods.

    Args:
        runs: Runs or their folders; a folder that holds runs stands for them.
        methods: A line for each method within the runs too.

    Returns:
        The table; as data, shares to the last digit with their intervals.

    Raises:
        InputError: If there is no run, one is unfinished, or they do not compare.

    Example:
        >>> compare([])
        Traceback (most recent call last):
            ...
        devise_exp.core.errors.InputError: compare: no run: give runs, or their folders
    """
    if isinstance(runs, Run | str | bytes | PathLike) or not isinstance(runs, Iterable):
        runs = [runs]
    paths = [folder_of(run, "compare") for run in runs]
    if not paths:
        raise InputError("compare: no run: give runs, or their folders")
    with input_errors():
        comparison = compare_results(runs_in(paths, several_splits=True), methods)
        if comparison.span is not None and len(comparison.lines) == 1:
            comparison = over_splits(paths)
        return shown_comparison(comparison)


def folder_of(run: object, function: str) -> Path:
    """Take the folder of a run.

    Args:
        run: A run, or its folder.
        function: The function that was called with it, for the message.

    Returns:
        The folder, without ~.

    Raises:
        InputError: It is neither.
    """
    if isinstance(run, Run):
        return run.folder.path
    if isinstance(run, str | PathLike):
        return Path(run).expanduser()
    raise InputError(f"{function}: {type(run).__name__}: no run: give a run or its folder")


def shown_comparison(comparison: Comparison) -> ShownTable:
    """Make a comparison a table that shows itself.

    Args:
        comparison: Runs, methods or both side by side.

    Returns:
        The table.
    """
    return ShownTable(to_table(comparison), data_table(comparison))
