"""The metrics of finished runs, and which runs differ in the seed alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from devise_exp.core.console import printable
from devise_exp.core.errors import InputError
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import (
    CHANCE,
    INFORMED,
    PUBLISHED,
    MetricName,
    MetricRecord,
    parse,
)
from devise_exp.runs.checked import scalars, text
from devise_exp.runs.files import reading
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.other_folders import did_not_finish
from devise_exp.runs.series_folder import run_folders

_NO_METRICS = (
    "no finished run folder (it has no metrics.json): give one that a training has printed"
)
# Settings that change no metric.
_NEUTRAL = re.compile(
    r"(logger|trust|report|predictions|resume|few_classes|hyperparameters_from|seeds|split_seeds"
    r"|method)(\.|$)"
    r"|\w+\.num_workers$|.*\._partial_$|data\.(download|max_pixels)$|labels\.aliases_by$"
)


@dataclass(frozen=True)
class RunResults:
    """The settings and metrics of a finished run.

    Attributes:
        path: The run folder.
        settings: Values of the config by dotted key, without those that change no metric.
        metrics: metrics.json as it is: what the metrics rest on, and the metrics by key.
    """

    path: Path
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @cached_property
    def records(self) -> tuple[MetricRecord, ...]:
        """The metrics, in the order of metrics.json."""
        return parse(self.metrics)

    @property
    def methods(self) -> list[str]:
        """The trained model, then the other methods in the order of evaluation."""
        return list(dict.fromkeys([MODEL, *(record.method for record in self.records)]))

    def had_pretraining(self, method: str) -> bool:
        """Tell whether a method had the classifier of the pretraining.

        Args:
            method: Name of the method.

        Returns:
            Whether the run says so; runs of before do not say it.
        """
        return method in str(self.metrics.get(INFORMED, "")).split(", ")

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the split."""
        return str(self.metrics["split/fingerprint"])

    def record(self, method: str, name: MetricName) -> MetricRecord | None:
        """Look up one metric of one method.

        Args:
            method: Name of the method.
            name: What is measured; of chance, both averages of hit@k are the same.

        Returns:
            The record, None if the run has none.
        """
        record = self._by_name.get((method, name))
        if record is None and method == CHANCE and name.average == "class":
            record = self._by_name.get((method, replace(name, average="image")))
        return record

    def value(self, method: str, name: MetricName) -> float | None:
        """Look up the value of one metric of one method.

        Args:
            method: Name of the method.
            name: What is measured.

        Returns:
            The value, None if the run has none.
        """
        record = self.record(method, name)
        return None if record is None else record.value

    @cached_property
    def _by_name(self) -> dict[tuple[str, MetricName], MetricRecord]:
        """The records of no space, by method and name."""
        return {(r.method, r.name): r for r in self.records if r.space is None}


def competes(method: str) -> bool:
    """Tell whether a method was trained and measured in the run.

    Args:
        method: Name of the method.

    Returns:
        False for chance and for published results.
    """
    return method not in (CHANCE, PUBLISHED)


def read(folder: Path) -> RunResults:
    """Read the results of a finished run.

    Args:
        folder: The run folder.

    Returns:
        Its settings and metrics.

    Raises:
        InputError: The folder has no metrics.json, or one of its files is damaged.
    """
    missing = did_not_finish(folder) or _NO_METRICS
    with reading(folder, "metrics.json", missing=missing) as file:
        metrics = scalars(json.loads(file.read_text(encoding="utf-8-sig")))
        text(metrics["split/fingerprint"])
    config = OmegaConf.to_container(RunFolder(folder).config())
    return RunResults(folder, flat_settings(config), metrics)


def runs_in(paths: Iterable[Path], several_splits: bool = False) -> list[RunResults]:
    """Read the finished runs of these folders.

    Args:
        paths: Run folders; one that holds runs by seed or by split stands for them, as
            `series_folder.run_folders` says.
        several_splits: Whether the splits may differ.

    Returns:
        The runs.

    Raises:
        InputError: No folder is left, a run is unfinished, or the splits differ.
    """
    folders = [folder for path in paths for folder in run_folders(path)]
    if not folders:
        raise InputError("no run folder among these paths: give those of trained runs")
    unique: dict[Path, Path] = {}  # outputs/latest is a link to one of the others
    for folder in folders:
        unique.setdefault(folder.resolve(), folder)
    runs = [read(folder) for folder in unique.values()]
    for run in runs:
        RunFolder.existing(run.path)
    first = runs[0]
    for other in [] if several_splits else runs[1:]:
        if first.fingerprint != other.fingerprint:
            names = [printable(run.fingerprint) for run in (first, other)]
            raise InputError(
                f"different splits do not compare: {first.path} has {names[0]}, {other.path} has "
                f"{names[1]}: give runs of one split"
            )
    return runs


def flat_settings(config: Any, start: str = "") -> dict[str, Any]:
    """Flatten a config to its settings by dotted key.

    Args:
        config: Nested dict of a config, resolved.
        start: Key that the config stands under, with its dot.

    Returns:
        Dotted key -> value, without settings that change no metric; a `_target_` has its group's
        key, and its last name as value.
    """
    settings: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            settings |= flat_settings(value, f"{start}{key}.")
        elif key == "_target_":
            settings[start.rstrip(".")] = str(value).rsplit(".", 1)[-1]
        else:
            settings[f"{start}{key}"] = value
    return {
        key: value
        for key, value in settings.items()
        if not _NEUTRAL.match(key) and not (key.startswith("callbacks.") and value is True)
    }


def group_by_seed(runs: Sequence[RunResults]) -> list[tuple[RunResults, ...]]:
    """Group runs that differ in the seed alone.

    Args:
        runs: Runs of one split.

    Returns:
        Groups, each sorted by seed; a second run of the same seed starts a group of its own.
    """
    groups: dict[tuple[str, int], list[RunResults]] = {}
    times: dict[str, int] = {}
    for run in runs:
        recipe = repr(sorted((k, v) for k, v in run.settings.items() if k != "seed"))
        whole = f"{recipe} {run.settings.get('seed')}"
        times[whole] = times.get(whole, 0) + 1
        groups.setdefault((recipe, times[whole]), []).append(run)
    return [
        tuple(sorted(group, key=lambda run: str(run.settings.get("seed")).zfill(20)))
        for group in groups.values()
    ]


def differing(runs: Sequence[RunResults]) -> list[str]:
    """Find the settings that runs differ in.

    Args:
        runs: Runs to compare.

    Returns:
        Dotted keys, in the order of the configs.
    """
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [key for key in keys if len({str(run.settings.get(key)) for run in runs}) > 1]
