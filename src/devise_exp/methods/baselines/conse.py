"""ConSE (Norouzi et al. 2014), on the seen classes or on the classes of the pretraining."""

from __future__ import annotations

from collections.abc import Sequence

from devise_exp.core.errors import InputError
from devise_exp.methods import prior
from devise_exp.methods.baselines.softmax import seen_classifier
from devise_exp.methods.task import ClassFold, FittedMethod, Task

TOP = 10  # the classes that ConSE mixes, T = 10 as in the paper


def conse(task: Task, folds: Sequence[ClassFold] = ()) -> FittedMethod:
    """ConSE (Norouzi et al. 2014) on the softmax classifier of the task's seen classes, TOP of
    which are mixed.
    """
    classifier, seen_vectors = seen_classifier(task), task.class_vectors[task.seen]
    return FittedMethod(
        "conse",
        task.class_vectors,
        lambda x: prior.conse(classifier.probabilities(x), seen_vectors, TOP),
        {"top": TOP},
    )


def conse_pretraining(task: Task, folds: Sequence[ClassFold] = ()) -> FittedMethod:
    """ConSE (Norouzi et al. 2014) on the backbone's own classifier and its pretraining classes, TOP
    of which are mixed: nothing is trained.

    InputError where the backbone's classifier is unknown.
    """
    known = task.pretraining
    if known is None:
        raise InputError(
            "conse_pretraining: the classifier of the backbone's pretraining is unknown; leave "
            "this method out, or choose a backbone whose weights have one"
        )
    return FittedMethod(
        "conse_pretraining",
        task.class_vectors,
        lambda x: prior.conse(known.probabilities(x), known.vectors, TOP),
        {"top": TOP},
    )
