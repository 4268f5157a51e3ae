"""Metric records and their keys in metrics.json."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.evaluation.records import MetricName, MetricRecord, flatten, method_key, parse

SIDES = ("seen", "unseen", "all_seen", "all_unseen", "unseen_clean", "extra_seen", "train", "val")
METHODS = ("devise", "conse", "chance", "published_devise", "my-method")
SHARES = st.floats(0, 1)
BOUNDS = st.none() | SHARES


def record(protocol: str, metric: str, **fields: Any) -> MetricRecord:
    return MetricRecord(protocol=protocol, metric=metric, value=0.5, **fields)


@st.composite
def any_record(draw: st.DrawFn) -> MetricRecord:
    """A record of any kind that a run has."""
    k = draw(st.integers(1, 50))
    kinds: list[dict[str, Any]] = [
        {"metric": "hit", "k": k, "average": draw(st.sampled_from(["image", "class"]))},
        {"metric": "hp", "k": k},
        {"metric": "H", "k": 1},
        {"metric": "AUSUC"},
        {"metric": "gamma"},
        {"metric": "recall", "k": k},
        {"metric": "P", "k": k},
        {"metric": "mAP"},
    ]
    task = draw(st.sampled_from(["", "search/", "similar/"]))
    space = draw(st.sampled_from([None, "devise", "backbone"])) if task else None
    return MetricRecord(
        **draw(st.sampled_from(kinds)),
        method=draw(st.sampled_from(METHODS)),
        protocol=task + draw(st.sampled_from(SIDES)),
        space=space,
        value=draw(SHARES),
        low=draw(BOUNDS),
        high=draw(BOUNDS),
        classes_low=draw(BOUNDS),
        classes_high=draw(BOUNDS),
    )


@given(st.lists(any_record(), unique_by=lambda r: r.key, max_size=20))
def test_records_come_back_from_their_keys_in_their_order(records: list[MetricRecord]) -> None:
    flat = flatten(records)
    assert parse(flat) == tuple(records)
    assert list(flatten(parse(json.loads(json.dumps(flat)))).items()) == list(flat.items())


@pytest.mark.parametrize(
    ("metric_record", "key"),
    [
        (record("unseen", "hit", k=5, average="image"), "unseen/hit@5"),
        (record("unseen", "hit", k=5, average="class"), "unseen/hit@5/class_mean"),
        (record("seen", "hp", k=2, method="conse"), "method/conse/seen/hp@2"),
        (record("all", "H", k=1), "all/H@1"),
        (record("all", "AUSUC", method="ale"), "method/ale/all/AUSUC"),
        (record("calibrated", "gamma"), "calibrated/factor"),
        (record("index", "recall", k=10), "index/recall@10"),
        (record("search/unseen", "P", k=10, method="conse"), "method/conse/search/unseen/P@10"),
        (record("similar/seen", "mAP", space="backbone"), "similar/backbone/seen/mAP"),
        (record("similar/seen", "mAP", method="chance"), "method/chance/similar/seen/mAP"),
    ],
)
def test_keys_are_those_of_metrics_json(metric_record: MetricRecord, key: str) -> None:
    assert flatten([metric_record]) == {key: 0.5}
    assert parse({key: 0.5}) == (metric_record,)


def test_a_value_stands_before_its_bounds() -> None:
    metric_record = record("unseen", "hit", k=1, average="class", low=0.1, high=0.9,
                  classes_low=0.0, classes_high=1.0)  # fmt: skip
    assert list(flatten([metric_record])) == [
        "unseen/hit@1/class_mean" + end for end in ("", "/lo", "/hi", "/classes_lo", "/classes_hi")
    ]


def test_what_is_no_metric_is_passed_over() -> None:
    flat = {
        "data": "caltech101", "split/name": "random", "labels/missing": 3, "epoch": 8,
        "leak/unseen_leaked": 0, "hierarchy/unplaced": 1, "unseen/hit@1": "damaged",
        "seen/hit@4": 10**400, "seen/hit@1": math.nan, "seen/hit@2": True, "seen/hit@3/lo": 0.1,
        "unseen/hp@1/class_mean": 1,
        "val/hit@1": 1,
    }  # fmt: skip
    val = MetricRecord(protocol="val", metric="hit", k=1, average="image", value=1.0)
    assert parse(flat) == (val,)


@pytest.mark.parametrize(
    "wrong",
    [
        ("seen", "hit", 1),
        ("seen", "hp", 1, "class"),
        ("seen", "accuracy"),
        ("all", "H", 1, "image"),
    ],
)
def test_names_of_no_metric_are_refused(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="choose the metric among"):
        MetricName(*wrong)


def test_spaces_take_the_line_of_a_method() -> None:
    assert record("similar/seen", "mAP", space="backbone").row == "backbone"
    assert record("search/seen", "mAP", method="conse").row == "conse"


def test_rankings_have_the_start_of_the_keys() -> None:
    assert method_key("devise", "unseen") == "unseen"
    assert method_key("conse", "unseen") == "method/conse/unseen"


def test_the_metrics_of_a_run_come_back(searchable: Path) -> None:
    text = (searchable / "metrics.json").read_text(encoding="utf-8")
    flat = json.loads(text)
    back = flatten(parse(flat))
    kept = {key: value for key, value in flat.items() if key in back}
    assert json.dumps(back) == json.dumps(kept)
    others = set(flat) - set(back)
    assert not [key for key in others if "@" in key or "AUSUC" in key or "mAP" in key]
    assert {"seen/hit@1/class_mean/classes_lo", "index/recall@10", "all/H@1"} <= set(back)
