"""Metrics as records, and the one place that knows their keys in metrics.json.

A key is the method (none for the run's trained model), the protocol and the metric, such as
`unseen/hit@5/class_mean/lo` or `method/conse/search/unseen/mAP`. `flatten` writes the keys and
`parse` reads them; no other module composes a key or takes one apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from devise_exp.evaluation.protocols import MODEL

CHANCE = "chance"
PUBLISHED = "published_devise"
# Key of about.json and metrics.json: names of the methods that had the pretraining's classifier.
INFORMED = "pretraining/methods"
METRICS = (
    *("hit", "hp", "hp_classes", "hp_images"),
    *("H", "AUSUC", "gamma", "fold_gamma", "best_gamma", "regret"),
    *("recall", "P", "mAP"),
    *("AUROC", "threshold", "kept", "rejected"),
)
# metrics whose word in a key is another
_WORDS = {"gamma": "factor", "fold_gamma": "fold_factor", "best_gamma": "best_factor"}
_METRICS = {word: metric for metric, word in _WORDS.items()}
_BOUNDS = {
    "low": "lo",
    "high": "hi",
    "classes_low": "classes_lo",
    "classes_high": "classes_hi",
    "draws": "draws",
}
_FIELDS = {None: "value"} | {ending: field for field, ending in _BOUNDS.items()}
_KEY = re.compile(
    r"(?:method/(?P<method>[^/]+)/)?"
    r"(?:(?P<task>search|similar)/(?:(?P<space>\w+)/)?)?(?P<side>\w+)"
    r"/(?:hit@(?P<hit_k>\d+)(?P<mean>/class_mean)?"
    r"|(?P<word>hp|hp_classes|hp_images|H|AUSUC|factor|fold_factor|best_factor|regret|recall|P|mAP"
    r"|AUROC|threshold|kept|rejected)"
    r"(?:@(?P<k>\d+))?)"
    r"(?:/(?P<bound>lo|hi|classes_lo|classes_hi|draws))?"
)


@dataclass(frozen=True)
class MetricName:
    """What a metric measures, whatever the method.

    Attributes:
        protocol: Protocol, such as "unseen", "all", "index" or "search/unseen".
        metric: One of METRICS.
        k: Number of labels or images that count, None for a metric of the whole ranking; the number
            of the class fold, from 1, for its "fold_gamma".
        average: For hit@k, "image" (the share of images) or "class" (the mean over classes); None
            for all other metrics. "hp_classes" and "hp_images" are how many classes and images
            hierarchical precision rests on.
    """

    protocol: str
    metric: str
    k: int | None = None
    average: str | None = None

    def __post_init__(self) -> None:
        averages = ("image", "class") if self.metric == "hit" else (None,)
        if self.metric not in METRICS or self.average not in averages:
            raise ValueError(
                f"{self}: choose the metric among {METRICS}, the average of {averages}"
            )

    @property
    def key(self) -> str:
        """Key of the trained model's value in metrics.json."""
        return f"{self.protocol}/{self.ending}"

    @property
    def ending(self) -> str:
        """The key after the protocol, such as "hit@5/class_mean"."""
        k = "" if self.k is None else f"@{self.k}"
        mean = "/class_mean" if self.average == "class" else ""
        return f"{_WORDS.get(self.metric, self.metric)}{k}{mean}"


@dataclass(frozen=True, kw_only=True)
class MetricRecord:
    """One metric of one method.

    Attributes:
        method: Name of the method, CHANCE for a random ranking, PUBLISHED for an article.
        protocol: As in MetricName.
        metric: As in MetricName.
        k: As in MetricName.
        average: As in MetricName.
        space: Space that images are compared in, None if the protocol has but one.
        value: The metric; shares are in [0, 1].
        low: Lower bound of the 95 % interval over images or queries, None without an interval.
        high: Upper bound of that interval.
        classes_low: Lower bound of the 95 % interval over classes, None without one.
        classes_high: Upper bound of that interval.
        draws: Number of random draws that the value is the mean of, and that its interval is over;
            None if it is no mean.
    """

    method: str = MODEL
    protocol: str
    metric: str
    k: int | None = None
    average: str | None = None
    space: str | None = None
    value: float
    low: float | None = None
    high: float | None = None
    classes_low: float | None = None
    classes_high: float | None = None
    draws: int | None = None

    @cached_property
    def name(self) -> MetricName:
        """What is measured."""
        return MetricName(self.protocol, self.metric, self.k, self.average)

    @property
    def key(self) -> str:
        """Key of the value in metrics.json."""
        task, _, side = self.protocol.rpartition("/")
        protocol = "/".join(part for part in (task, self.space, side) if part)
        return f"{method_key(self.method, protocol)}/{self.name.ending}"

    @property
    def row(self) -> str:
        """What a table lists the record under: its space if it has one, else its method."""
        return self.space or self.method


def method_key(method: str, protocol: str) -> str:
    """Key of a method's metrics in metrics.json and of its rankings in neighbours.npz.

    Args:
        method: Name of the method.
        protocol: Name of the protocol.

    Returns:
        The protocol alone for the trained model.
    """
    return protocol if method == MODEL else f"method/{method}/{protocol}"


def flatten(records: Iterable[MetricRecord]) -> dict[str, float]:
    """Write records as the flat numbers of metrics.json.

    Args:
        records: Records in the order of the keys.

    Returns:
        Key -> number; each value is followed by its bounds.

    Example:
        >>> flatten([MetricRecord(protocol="all", metric="H", k=1, value=0.5, low=0.4, high=0.6)])
        {'all/H@1': 0.5, 'all/H@1/lo': 0.4, 'all/H@1/hi': 0.6}
    """
    flat: dict[str, float] = {}
    for record in records:
        flat[record.key] = record.value
        for field, ending in _BOUNDS.items():
            if (bound := getattr(record, field)) is not None:
                flat[f"{record.key}/{ending}"] = bound
    return flat


def parse(flat: Mapping[str, Any]) -> tuple[MetricRecord, ...]:
    """Read records from the flat numbers of metrics.json.

    Args:
        flat: Key -> value. Keys that name no metric (what a run rests on) and values that are no
            finite number are passed over.

    Returns:
        The records in the order of their keys.
    """
    fields: dict[str, dict[str, Any]] = {}
    for key, value in flat.items():
        match = _KEY.fullmatch(key)
        if not match or not _is_number(value):
            continue
        stem = key.removesuffix(f"/{match['bound']}")
        record = fields.setdefault(stem, _identity(match))
        field = _FIELDS[match["bound"]]
        record[field] = int(value) if field == "draws" else float(value)
    return tuple(MetricRecord(**record) for record in fields.values() if "value" in record)


def _identity(match: re.Match[str]) -> dict[str, Any]:
    """The fields of a record that say what it measures, from its key."""
    if match["hit_k"]:
        metric, k, average = "hit", match["hit_k"], "class" if match["mean"] else "image"
    else:
        metric, k, average = _METRICS.get(match["word"], match["word"]), match["k"], None
    return {
        "method": match["method"] or MODEL,
        "protocol": f"{match['task']}/{match['side']}" if match["task"] else match["side"],
        "metric": metric,
        "k": None if k is None else int(k),
        "average": average,
        "space": match["space"],
    }


def _is_number(value: Any) -> bool:
    """Whether a value of a JSON file is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False
