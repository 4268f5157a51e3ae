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
    low, high, over = (
        record.classes_low,
        record.classes_high,
        "classes, for one draw of the vectors",
    )
    if draws is not None:
        low, high, over = record.low, record.high, f"{draws} draws of the vectors"
    value, at = to_precision(record.value, low, high), to_precision(chance)
    sentences = [
        f"{CONTROL} is a control. It is the same training, but each class has a random vector in "
        "place of the vector of its words. For unseen classes it can only guess. So its unseen "
        f"hit@1 should be at chance, which is {at}.",
    ]
    if low is None or high is None:
        sentences.append(f"Its unseen hit@1 is {value}; the run has no interval for it.")
    else:
        interval = f"its 95 % interval, {bounds(record.value, low, high, ' to ')} over {over},"
        sentences.append(
            f"It is at chance: its unseen hit@1 is {value}, and {interval} contains {at}."
            if low <= chance <= high
            else f"It is NOT at chance: its unseen hit@1 is {value}, and {interval} does not "
            f"contain {at}. Luck alone does this in 1 of 20 runs. If it happens again with another "
            "seed, something tells unseen classes apart without their words."
        )
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
    interval = bounds(model.value, low, high, " to ")
    figures = f"{MODEL} has {to_precision(model.value, low, high)}" + (
        f", with a 95 % interval of {interval} over {over}." if interval else "."
    )
    if model.value <= max(control, chance):
        other = CONTROL if control >= chance else "chance"
        return (
            f"{figures} That is no more than {other}. For these unseen classes the words were of "
            "no use."
        )
    if low is None or low <= bar:
        doubt = (
            "it has no interval"
            if low is None
            else f"its interval reaches down to chance or into the interval of {CONTROL}"
        )
        return (
            f"{figures} That is more than {CONTROL} and chance, but {doubt}. So this run does not "
            "show that the words help."
        )
    return (
        f"{figures} All of that interval is above chance and above the interval of {CONTROL}. So "
        "the words help."
    )
