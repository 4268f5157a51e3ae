"""A run in a few sentences: is it useful on classes that it never saw, and how sure is that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricName
from devise_exp.reports.chance import chance_of
from devise_exp.reports.numbers import bounds, to_precision
from devise_exp.reports.worth import CONTROL, Worth, worth_of
from devise_exp.runs.results import RunResults

Sizes = Mapping[str, tuple[int, int]]
_ANSWERS = {
    "yes": "Yes: the model is useful on classes it never saw.",
    "not shown": "Not shown: this run does not prove the model useful on classes it never saw.",
    "no": "No: on classes it never saw, the model is no better than {}.",
}
_SEEN = MetricName("seen", "hit", 1, "class")


def of_report(report: EvalReport) -> tuple[str, ...]:
    """Summarise the metrics of a run that are not in files yet.

    Args:
        report: The metrics.

    Returns:
        As `summary`.
    """
    return summary(RunResults(Path(), {}, report.about | report.values), report.n)


def summary(run: RunResults, sizes: Sizes) -> tuple[str, ...]:
    """Summarise a run.

    Args:
        run: Its metrics.
        sizes: Protocol -> its numbers of images and labels.

    Returns:
        Sentences for a reader who knows nothing of the run; none without unseen hit@1.
    """
    worth = worth_of(run)
    if worth is None or "unseen" not in sizes:
        return ()
    n_labels = sizes["unseen"][1]
    return tuple(filter(None, (_unseen(worth, n_labels), _together(run, sizes), _sure(run, sizes))))


def _unseen(worth: Worth, n_labels: int) -> str:
    """Whether unseen hit@1 is above a guess and above the control."""
    value, (low, high), control = worth.record.value, worth.interval, worth.control
    above = control is not None and control.value > worth.chance
    rivals = f"a guess has {to_precision(worth.chance)}"
    if control is not None:
        rivals += f", {CONTROL} {to_precision(control.value, control.low, control.high)}"
    interval = bounds(value, low, high, " to ")
    sure = f"; the model's 95 % interval over {worth.over} is {interval}" if interval else ""
    if worth.verdict == "not shown" and low is not None:
        sure += ", which reaches down to them"
    return (
        f"{_ANSWERS[worth.verdict].format(CONTROL if above else 'a guess')} Among the {n_labels:,} "
        f"unseen labels it names {to_precision(value, low, high)} % of their images right (unseen "
        f"hit@1: {rivals}{sure})."
    )


def _together(run: RunResults, sizes: Sizes) -> str:
    """What is left if seen labels may be answered too."""
    for kind, how in (("calibrated", "with gamma"), ("all", "without gamma")):
        names = [MetricName(f"{kind}_{side}", "hit", 1, "class") for side in ("unseen", "seen")]
        u, s = (run.record(MODEL, name) for name in names)
        harmonic = MetricName(kind, "H", 1)
        score, guess = run.value(MODEL, harmonic), chance_of(run, harmonic)
        if u and s and score is not None and f"{kind}_unseen" in sizes:
            beside = "" if guess is None else f"; a guess has {to_precision(guess)} in all three"
            return (
                f"Among all {sizes[f'{kind}_unseen'][1]:,} labels, {how}, it names "
                f"{to_precision(u.value, u.low, u.high)} % of the images of unseen classes right "
                f"(u) and {to_precision(s.value, s.low, s.high)} % of those of seen classes (s); "
                f"H, their harmonic mean, is {to_precision(score)}{beside}."
            )
    return ""


def _sure(run: RunResults, sizes: Sizes) -> str:
    """What the figures rest on, and what speaks against them."""
    images, labels = sizes["unseen"]
    rests = f"{images:,} images of {labels:,} unseen classes"
    if "seen" in sizes:
        rests += f" and {sizes['seen'][0]:,} images of {sizes['seen'][1]:,} seen ones"
    parts = [f"This rests on {rests}, in one split."]
    seen, guess = run.record(MODEL, _SEEN), chance_of(run, _SEEN)
    if seen is not None and guess is not None and is_at_chance(seen.low, seen.value, guess):
        value = to_precision(seen.value, seen.low, seen.high)
        parts.append(
            f"Seen hit@1 is at chance: {value} against {to_precision(guess)}, so the model may not "
            "even have learned the classes it was trained on."
        )
    if known := run.metrics.get("leak/unseen_leaked"):
        verb = "was" if known == 1 else "were"
        parts.append(
            f"{known} of the {labels:,} unseen classes {verb} in the backbone's pretraining, so "
            "the figures may be too high."
        )
    return " ".join(parts)


def is_at_chance(low: float | None, value: float, chance: float) -> bool:
    """Tell whether a figure is not shown to be above chance.

    Args:
        low: The lower bound of its interval, None without one.
        value: The figure.
        chance: What a guess has.

    Returns:
        Whether it, or its interval, reaches down to chance.
    """
    return (value if low is None else low) <= chance
