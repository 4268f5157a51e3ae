"""What a guess has of each metric, all labels alike, beside which a figure is read."""

from __future__ import annotations

from dataclasses import replace

from devise_exp.evaluation.records import CHANCE, MetricName
from devise_exp.runs.results import RunResults

_SIDES = {"all": ("all_seen", "all_unseen"), "calibrated": ("calibrated_seen", "calibrated_unseen")}


def chance_of(run: RunResults, name: MetricName) -> float | None:
    """Compute what a guess has of one metric.

    Args:
        run: Its records have hit@k of chance.
        name: What is measured. Of two groups of images, H is the harmonic mean of what a guess has
            of either, and AUSUC the area below the line of all guesses: a share of them names a
            seen label, the others an unseen one.

    Returns:
        A share; None if a guess has none, or the run does not say.
    """
    if name.metric == "hit":
        return run.value(CHANCE, name)
    if name.metric == "H" and name.protocol in _SIDES:
        s, u = (
            run.value(CHANCE, MetricName(side, "hit", name.k, "class"))
            for side in _SIDES[name.protocol]
        )
        return 2 * s * u / (s + u) if s and u else None
    if name.metric == "AUSUC" and name.protocol == "all":
        alone = MetricName("seen", "hit", 1, "class")
        s, u = (run.value(CHANCE, replace(alone, protocol=side)) for side in ("seen", "unseen"))
        return s * u / 2 if s and u else None
    return None
