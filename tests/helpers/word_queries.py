"""All protocols of searches by class names at once."""

from __future__ import annotations

from typing import Any

from devise_exp.evaluation.image_retrieval import Sizes, word_evaluations
from devise_exp.evaluation.records import MetricRecord


def evaluate_word_queries(*args: Any) -> tuple[list[MetricRecord], Sizes]:
    """The records and sizes of every function that `word_evaluations` lists, in its order."""
    records: list[MetricRecord] = []
    sizes: Sizes = {}
    for evaluate in word_evaluations(*args):
        of_protocol, size = evaluate()
        records += of_protocol
        sizes |= size
    return records, sizes
