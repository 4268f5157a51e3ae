"""Published results of DeViSE."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devise_exp.data.xlsa17.files import NAMES
from devise_exp.evaluation import published_results


def published_values(split_name: str) -> dict[str, float]:
    return {r.name.key: r.value for r in published_results.published(split_name)}


@pytest.mark.parametrize("name", NAMES)
def test_published_results_are_consistent(name: str) -> None:
    row = published_values(f"xlsa17_{name}")
    u, s = row["all_unseen/hit@1/class_mean"], row["all_seen/hit@1/class_mean"]
    assert row["all/H@1"] == pytest.approx(2 * u * s / (u + s), abs=6e-4)  # of rounded numbers
    assert 0.3 < row["unseen/hit@1/class_mean"] < 0.7
    assert published_values(name) == {}


def test_published_results_have_the_keys_of_a_run(searchable: Path) -> None:
    assert published_values("xlsa17_AWA2") == {
        "unseen/hit@1/class_mean": 0.597,
        "all_unseen/hit@1/class_mean": 0.171,
        "all_seen/hit@1/class_mean": 0.747,
        "all/H@1": 0.278,
    }
    saved = json.loads((searchable / "metrics.json").read_text(encoding="utf-8"))
    assert set(published_values("xlsa17_AWA2")) <= set(saved)
