"""What random vectors mean: what the words are worth, by the control without them."""

from __future__ import annotations

from devise_exp.evaluation.protocols import MODEL
from devise_exp.reports.chance import chance_of
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.numbers import bounds, to_precision
from devise_exp.reports.worth import CONTROL, UNSEEN, Worth, worth_of


def control(run: ShownRun) -> list[str]:
    """Say what the control with random class vectors shows.

    Args:
        run: The run.

    Returns:
        Sentences; none without the control.
    """
    record, chance = run.results.record(CONTROL, UNSEEN), chance_of(run.results, UNSEEN)
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
        f"{CONTROL} is a control. It is trained as the model is, but each class has a random "
        "vector in place of the word vector of its name. For unseen classes it can only guess. So "
        "its unseen "
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
    worth = worth_of(run.results)
    return sentences if worth is None else [*sentences, _worth(worth, record.value)]


def _worth(worth: Worth, control: float) -> str:
    """Whether the words are worth anything, by the interval of the trained model."""
    value, (low, high) = worth.record.value, worth.interval
    interval = bounds(value, low, high, " to ")
    figures = f"{MODEL} has {to_precision(value, low, high)}" + (
        f", with a 95 % interval of {interval} over {worth.over}." if interval else "."
    )
    if worth.verdict == "no":
        other = CONTROL if control >= worth.chance else "chance"
        return (
            f"{figures} That is no more than {other}. For these unseen classes the words were of "
            "no use."
        )
    if worth.verdict == "not shown":
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
