"""Runs on several splits: which of them are averaged, and which cannot stand side by side."""

from __future__ import annotations

from collections.abc import Sequence

from devise_exp.core.console import printable
from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.runs.results import RunResults, differing, group_by_seed

SPLIT_SEED = "split.seed"
Splits = tuple[tuple[RunResults, ...], ...]  # the runs of each split by seed


def group_by_split(runs: Sequence[RunResults]) -> list[Splits]:
    """Group runs that differ in the seeds of the training and of the split alone.

    Args:
        runs: Runs of one split or several.

    Returns:
        Groups, each by split.seed. On one split, as `group_by_seed` gives them.

    Raises:
        InputError: The groups do not have the same splits.
    """
    if len({run.fingerprint for run in runs}) == 1:
        return [(group,) for group in group_by_seed(runs)]
    groups: dict[tuple[str, int], list[tuple[RunResults, ...]]] = {}
    times: dict[str, int] = {}
    for of_split in group_by_seed(runs):
        settings = of_split[0].settings
        recipe = repr(sorted((k, v) for k, v in settings.items() if k not in ("seed", SPLIT_SEED)))
        whole = f"{recipe} {settings.get(SPLIT_SEED)}"
        times[whole] = times.get(whole, 0) + 1
        groups.setdefault((recipe, times[whole]), []).append(of_split)
    by_split = [tuple(sorted(group, key=_split_seed)) for group in groups.values()]
    _check_same_splits(by_split)
    return by_split


def _split_seed(of_split: Sequence[RunResults]) -> str:
    return str(of_split[0].settings.get(SPLIT_SEED)).zfill(20)


def _check_same_splits(groups: Sequence[Splits]) -> None:
    """InputError unless each group has every split once, under the same seed."""
    for group in groups:
        _check_seeds(group)
    first = groups[0]
    for other in groups[1:]:
        ours, theirs = ({of[0].fingerprint: of[0] for of in group} for group in (first, other))
        if ours.keys() == theirs.keys():
            continue
        if ours.keys() & theirs.keys():
            raise _splits_missing(first, other)
        a, b = first[0][0], other[0][0]
        keys = [key for key in differing([a, b]) if key != "seed"]
        raise InputError(
            f"different splits do not compare: {a.path} has {printable(a.fingerprint)}, {b.path} "
            f"has {printable(b.fingerprint)}, and they differ in "
            f"{listed(keys) or 'no setting'}: give runs of one split, or runs that differ in "
            f"{SPLIT_SEED} alone (each recipe on the same splits)"
        )


def _splits_missing(first: Splits, other: Splits) -> InputError:
    """Two recipes of which one has splits that the other one lacks."""
    seeds = [[str(of[0].settings.get(SPLIT_SEED)) for of in group] for group in (first, other)]
    return InputError(
        f"different splits do not compare: {first[0][0].path} has {SPLIT_SEED} {listed(seeds[0])}, "
        f"{other[0][0].path} has {listed(seeds[1])}: give the runs of the same splits of both"
    )


def _check_seeds(group: Splits) -> None:
    """InputError if a seed stands for two splits, or two seeds for one."""
    by_fingerprint: dict[str, RunResults] = {}
    for of_split in group:
        first = of_split[0]
        seed = first.settings.get(SPLIT_SEED)
        for run in of_split:
            if run.fingerprint != first.fingerprint:
                raise InputError(
                    f"different splits do not compare: {first.path} has "
                    f"{printable(first.fingerprint)}, {run.path} has {printable(run.fingerprint)}, "
                    f"both with {SPLIT_SEED}={seed}: their images or classes differ: give runs of "
                    "one data set"
                )
        same = by_fingerprint.setdefault(first.fingerprint, first)
        if same is not first:
            raise InputError(
                f"{SPLIT_SEED}={same.settings.get(SPLIT_SEED)} and {seed} are the same split "
                f"({printable(first.fingerprint)}): give {same.path} or {first.path}, not both"
            )
