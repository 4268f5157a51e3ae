"""What random vectors mean: what the words are worth, by the control without them."""

from __future__ import annotations

from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import CHANCE, MetricName, MetricRecord
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.numbers import bounds, to_precision

CONTROL = "random_vectors"
_UNSEEN = MetricName("unseen", "hit", 1, "class")
_CHANCE = MetricName("unseen", "hit", 1, "image")  # of chance both averages are the same


def control(run: ShownRun) -> list[str]:
    """Say what the control with random class vectors shows.

    Args:
        run: The run.

    Returns:
        Sentences; none without the control.
    """
    record, chance = run.results.record(CONTROL, _UNSEEN), run.results.value(CHANCE, _CHANCE)
    if record is None or chance is None:
        return []
    draws = run.results.metrics.get(f"{record.key}/draws")
    low, high, over = record.classes_low, record.classes_high, "classes, of one draw of the vectors"
    if draws is not None:
        low, high, over = record.low, record.high, f"{draws} draws of the vectors"
    interval = bounds(record.value, low, high)
    contains = low is not None and high is not None and low <= chance <= high
    verdict = "contains" if contains else "does not contain"
    sentences = [
        f"{CONTROL} is a control: the same training, but every class has a random vector instead "
        "of that of its words. For unseen classes it can only guess, so it has to come out near "
        f"chance, which is {to_precision(chance)} for unseen hit@1.",
        f"Here it has {to_precision(record.value, low, high)}"
        + (f"; its 95 % interval, {interval} over {over}, {verdict} chance." if interval else "."),
    ]
    model = run.results.record(MODEL, _UNSEEN)
    bar = max(chance, record.value if high is None else high)
    return sentences if model is None else [*sentences, _worth(model, record.value, chance, bar)]


def _worth(model: MetricRecord, control: float, chance: float, bar: float) -> str:
    """Whether the words are worth anything, by the interval of the trained model.

    `bar` is what it has to exceed: chance, and the upper bound of the control.
    """
    over = "classes" if model.classes_low is not None else "images"
    low = model.classes_low if model.classes_low is not None else model.low
    high = model.classes_high if model.classes_low is not None else model.high
    interval = bounds(model.value, low, high)
    figures = f"{MODEL} has {to_precision(model.value, low, high)}" + (
        f" (95 % interval over {over} {interval})" if interval else ""
    )
    if model.value <= max(control, chance):
        other = CONTROL if control >= chance else "chance"
        return (
            f"{figures}, no more than {other}: for these unseen classes the words were of no use."
        )
    if low is None or low <= bar:
        return (
            f"{figures}: more than {CONTROL} and chance, but not by enough to be sure of, as "
            f"{'it has no interval' if low is None else 'the intervals meet'}. That the words "
            "help is not shown here."
        )
    return (
        f"{figures}, more than {CONTROL} and chance beyond both intervals: what it has above them "
        "is owed to the words."
    )
