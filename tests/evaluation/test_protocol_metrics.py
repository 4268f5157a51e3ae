"""The records of one protocol."""

from __future__ import annotations

import numpy as np
import pytest

from devise_exp.evaluation.metrics.intervals import class_interval, interval
from devise_exp.evaluation.protocol_metrics import (
    chance_records,
    generalised_records,
    hit_records,
)
from devise_exp.evaluation.protocols import Protocol
from devise_exp.evaluation.records import CHANCE, MetricRecord

RANKINGS = np.array([[0, 1], [1, 0], [0, 1], [1, 0]])
TRUTH = np.array([0, 0, 0, 1])


def test_hits_have_their_intervals() -> None:
    of_images, of_classes = hit_records("conse", "unseen", RANKINGS, TRUTH, [1])
    hits = np.array([True, False, True, True])
    assert (of_images.method, of_images.protocol, of_images.k) == ("conse", "unseen", 1)
    assert (of_images.value, of_classes.value) == (0.75, pytest.approx(5 / 6))
    assert (of_images.low, of_images.high) == interval(hits)
    assert (of_classes.low, of_classes.high) == interval(hits, TRUTH)
    over_classes = of_classes.classes_low, of_classes.classes_high
    assert over_classes == class_interval(hits, TRUTH)
    assert of_images.classes_low is None


def test_chance_is_k_of_the_candidates() -> None:
    protocol = Protocol(name="seen", images="seen", candidates=np.arange(5))
    records = chance_records(protocol, TRUTH, [1, 2], None)
    assert [(r.method, r.k, r.value) for r in records] == [(CHANCE, 1, 0.2), (CHANCE, 2, 0.4)]


def test_h_needs_both_sides() -> None:
    u, s = (
        MetricRecord(protocol=p, metric="hit", k=1, average="class", value=value)
        for p, value in (("calibrated_unseen", 0.25), ("calibrated_seen", 0.75))
    )
    h, gamma = generalised_records("devise", [u, s], 0.1)
    assert (h.protocol, h.metric, h.value) == ("calibrated", "H", 0.375)
    assert (gamma.metric, gamma.value) == ("gamma", 0.1)
    assert generalised_records("devise", [u], 0.1) == []
