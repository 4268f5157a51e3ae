"""The figures of finished runs by name, and which runs differ in the seed alone."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from devise_exp.core.console import printable
from devise_exp.core.errors import InputError
from devise_exp.evaluation.protocols import MODEL
from devise_exp.runs.folder import RunFolder

CHANCE = "chance"
_PUBLISHED = "published_"  # what the names of rows start with that an article gives
# Settings that change no figure.
_NEUTRAL = re.compile(
    r"(logger|report|resume|hyperparameters_from|seeds|split_seeds|method)(\.|$)"
    r"|\w+\.num_workers$|.*\._partial_$|data\.download$"
)
_METHOD = re.compile(r"^method/(\w+)/")


@dataclass(frozen=True)
class RunResults:
    """What a run folder says of itself: settings by dotted key, figures by name (metrics.json)."""

    path: Path
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @property
    def methods(self) -> list[str]:
        """The trained model, then the other methods in the order of evaluation."""
        found = [match[1] for key in self.metrics if (match := _METHOD.match(key))]
        return list(dict.fromkeys([MODEL, *found]))

    def figure(self, method: str, key: str) -> float | None:
        """A share in [0, 1], None where the run has none; chance is the same for both means."""
        value = self.metrics.get(prefix(method) + key)
        if value is None and method == CHANCE:
            value = self.metrics.get(prefix(method) + key.removesuffix("/class_mean"))
        known = isinstance(value, int | float) and math.isfinite(value)
        return float(value) if known and value is not None else None


def prefix(method: str) -> str:
    """What the names of a method's figures start with."""
    return "" if method == MODEL else f"method/{method}/"


def competes(method: str) -> bool:
    """Whether a row was trained and measured here: chance and published figures were not."""
    return method != CHANCE and not method.startswith(_PUBLISHED)


def read(folder: Path) -> RunResults:
    """InputError where the folder has no figures yet, or one of its files is damaged."""
    file = folder / "metrics.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{folder}: no finished run folder (it has no {file.name}): give one that train.py "
            "named"
        ) from error
    except ValueError as error:
        raise InputError(f"{file}: damaged: train the run again") from error
    if not isinstance(found, dict) or not isinstance(found.get("split/fingerprint"), str):
        raise InputError(f"{file}: damaged (no split/fingerprint): train the run again")
    config = OmegaConf.to_container(RunFolder(folder).config())
    return RunResults(folder, flat_settings(config), found)


def runs_in(paths: Iterable[Path]) -> list[RunResults]:
    """The finished runs of these folders; one that holds runs by seed (seed=0, seed=1 ...) stands
    for them.

    Files are passed over, for a pattern also finds Hydra's multirun.yaml. InputError where nothing
    is left, and where the splits differ.
    """
    folders: list[Path] = []
    for path in paths:
        inner = [] if (path / "metrics.json").is_file() else list(path.glob("seed=*/"))
        by_number = sorted(inner, key=lambda p: (len(p.name), p.name))
        folders += by_number or ([] if path.is_file() else [path])
    if not folders:
        raise InputError("no run folder among these paths: give folders that train.py named")
    runs = [read(folder) for folder in dict.fromkeys(folders)]
    for run in runs:
        RunFolder.existing(run.path)
    first = runs[0]
    for other in runs[1:]:
        names = [printable(run.metrics["split/fingerprint"]) for run in (first, other)]
        if names[0] != names[1]:
            raise InputError(
                f"different splits do not compare: {first.path} has {names[0]}, {other.path} has "
                f"{names[1]}: give runs of one split"
            )
    return runs


def flat_settings(config: Any, start: str = "") -> dict[str, Any]:
    """Settings by dotted key, without those that change no figure; a _target_ goes by its group's
    key and its own last name.
    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            found |= flat_settings(value, f"{start}{key}.")
        elif key == "_target_":
            found[start.rstrip(".")] = str(value).rsplit(".", 1)[-1]
        else:
            found[f"{start}{key}"] = value
    return {key: value for key, value in found.items() if not _NEUTRAL.match(key)}


def group_by_seed(runs: Sequence[RunResults]) -> list[tuple[RunResults, ...]]:
    """Runs that differ in the seed alone, sorted by it; a seed that is there twice starts a group
    of its own.
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
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [key for key in keys if len({str(run.settings.get(key)) for run in runs}) > 1]
