"""The page of metric names has every key of metrics.json of a real run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from helpers.paths import ROOT

PAGE = (ROOT / "docs" / "reference" / "metric_names.md").read_text(encoding="utf-8")
SPACES = "devise|pretraining|backbone|classifier"


def in_code(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def first_cells(heading: str) -> set[str]:
    """What stands as code in the first column of the tables below a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return in_code("".join(re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)))


def one_of(names: Iterable[str]) -> str:
    """A pattern of names in which K, N, SIDE, SPACE and ... stand for something."""
    sides = in_code(PAGE.partition("SIDE of a search: ")[2].partition("\n\n")[0])
    pattern = "|".join(map(re.escape, sorted(names)))
    pattern = re.sub(r"(?<=@)[KN]\b", r"\\d+", pattern)
    pattern = pattern.replace("SIDE", f"(?:{'|'.join(sides)})").replace("SPACE", f"(?:{SPACES})")
    return f"(?:{pattern})".replace(r"\.\.\.", ".+")


def unknown_keys(keys: Iterable[str]) -> list[str]:
    """The keys that the page lacks."""
    metrics, rests = first_cells("Metrics"), first_cells("What a run rests on")
    bounds = {"lo", "hi", "classes_lo", "classes_hi", "draws"} & metrics
    metric = one_of({*metrics - bounds, "fold_factor@N"})
    protocol = one_of({*first_cells("Protocols"), "similar/SIDE"})
    known = re.compile(
        rf"{one_of(rests)}|index/recall@10|(?:method/\w+/)?{protocol}/{metric}(?:/{one_of(bounds)})?"
    )
    return [key for key in keys if not known.fullmatch(key)]


def test_the_page_has_every_key_of_a_run(series: tuple[Path, dict[str, float]]) -> None:
    runs = sorted(series[0].glob("*/metrics.json"))
    assert len(runs) == 2
    for file in runs:
        metrics = json.loads(file.read_text())
        assert "calibrated/fold_factor@1" in metrics
        assert unknown_keys(metrics) == []


def test_a_key_that_the_page_lacks_is_seen() -> None:
    wrong = ["unseen/hits@5", "unseens/hit@5", "search/unseen/mAP/low", "method/eszsl/unseen"]
    assert unknown_keys(["unseen/hit@5/class_mean/lo", "search/unseen/mAP/lo", *wrong]) == wrong
