"""What the word vectors of a run reach on class folds, where no unseen class has a part."""

from __future__ import annotations

from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricName
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.numbers import to_precision

_AUSUC = MetricName("all", "AUSUC")


def fold_answer(run: ShownRun) -> list[str]:
    """Say what the trained model reaches on class folds with its word vectors.

    Args:
        run: The run.

    Returns:
        Sentences; none without class folds.
    """
    details = run.details
    area = details.methods.get(MODEL, {}).get("rehearsal/AUSUC")
    n_folds, vectors = details.about.get("rehearsals"), details.about.get("word_vectors")
    if not isinstance(area, float) or not n_folds or not vectors:
        return []
    test = run.results.value(MODEL, _AUSUC)
    beside = "" if test is None else f" The unseen classes themselves have {to_precision(test)}."
    return [
        f"An AUSUC of {to_precision(area)} with {vectors}: the best of all the additions that were "
        f"tried, as a mean over {n_folds} class folds, in which some seen classes act as unseen "
        f"ones.{beside} A fold has fewer classes to choose from, so its AUSUC is the higher one as "
        "a rule. To see whether sentences or descriptions tell your classes apart better, train "
        "with them (word_vectors=sentence_minilm) and compare this figure, not that of the unseen "
        "classes."
    ]
