"""What the words of a run's page mean: metrics, methods, searches and verdicts, a sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from devise_exp.data.verdict_kinds import CLEAN, NOT_IDENTIFIED, OVERLAPPING, POSSIBLE
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import CHANCE

_METRICS = {
    "hit@k": "the share of images whose true label is among the k nearest labels, a mean over "
    "classes.",
    "seen hit@k": "images of seen classes among the seen labels alone.",
    "unseen hit@k": "images of unseen classes among the unseen labels alone.",
    "s": "hit@1 of seen images among all labels, seen and unseen.",
    "u": "hit@1 of unseen images among all labels.",
    "H": "the harmonic mean of s and u; it is near 0 if one of them is.",
    "calibrated": "gamma was subtracted from the similarity of every seen label: u rises, s falls.",
    "AUSUC": "the area under the curve of s plotted against u as gamma grows.",
    "pretraining": "whether a method had the classifier of the pretraining.",
    "Bold, italic": "bold is the best figure of a column, if it is above chance. Italic is not "
    "shown to differ from it, by a permutation test over the same images (p at least 0.05), or, "
    "for H, AUSUC and random_vectors, as their 95 % intervals overlap.",
}
_METHODS = {
    MODEL: "the trained model of this run. A projection maps images "
    "to the word vectors of their class names. A prior and predicted classifiers may be added.",
    "frozen_backbone": "the projection alone, before the network was trained too.",
    "unseen_plain_names": "the same model with the plain names of unseen classes, not the aliases.",
    "majority": "always the most frequent seen class.",
    "prototypes": "the nearest mean of the training images of a seen class. It knows no unseen "
    "class.",
    "devise_map": "the trained projection with nothing added.",
    "devise_prior": "the trained projection with its prior alone.",
    "devise_classifiers": "the trained projection with its predicted classifiers alone.",
    "softmax": "a linear classifier of the seen classes. It knows no unseen class.",
    "conse": "the mean of the word vectors of the most probable seen classes (Norouzi et al. "
    "2014).",
    "conse_pretraining": "the same with the classes that the backbone was pretrained on.",
    "eszsl": "a bilinear map in closed form (Romera-Paredes and Torr 2015).",
    "sae": "a linear autoencoder whose code is the class vector (Kodirov et al. 2017).",
    "ale": "a bilinear map trained by a ranking loss (Akata et al. 2016).",
    "sje": "a bilinear map trained by the loss of a structured SVM (Akata et al. 2015).",
    "latem": "several bilinear maps, of which the best counts (Xian et al. 2016).",
    "sync": "classifiers mixed of those of phantom classes (Changpinyo et al. 2016).",
    "class_norm": "a network from class vectors to prototypes, standardised over classes "
    "(Skorokhodov and Elhoseiny 2021).",
    "cvae": "a classifier of all classes, trained on features of unseen ones that a conditional "
    "variational autoencoder generates (Mishra et al. 2018).",
    "ridge_to_features": "ridge regression from class vectors to features (Shigeto et al. 2015).",
    "predicted_classifiers": "classifiers of unseen classes, predicted from their words in closed "
    "form.",
    "clip_zero_shot": "the class whose text is nearest to the image by CLIP's own two towers, "
    "nothing trained (Radford et al. 2021); its captions are unpublished.",
    "random_vectors": "the control: the model with random vectors in place of word vectors.",
    CHANCE: "a guess, with all labels alike.",
}
_TRAINED = ("softmax", "conse", "ale", "sje", "latem")  # by steps
_SEARCHES = {
    "P@k": "the share of the k images found first that show what was asked for.",
    "mAP": "the mean average precision: 100 if all right images come before all others.",
    "seen, unseen": "the names of these classes are searched among images of such classes.",
    "all seen, all unseen": "the names are searched among the images of all classes.",
    "compound": "only names of several words.",
    "pairs": "the names of two classes are one query. Images of either are right.",
    "number": "how many queries there are.",
    "images": "how many images are searched.",
    "space": "where a search by an image compares: the trained space, or the features of the "
    "backbone.",
}
_VERDICTS = {
    OVERLAPPING: "a class of the pretraining has the same name, is a kind of this class, or this "
    "class is a kind of it.",
    POSSIBLE: "only a part of the name, an activity, or another sense of a word overlaps. The "
    "audit cannot judge whether the class is clean.",
    NOT_IDENTIFIED: "the name is no noun of WordNet, so the audit cannot judge whether the class "
    "is clean.",
    CLEAN: "the name is a noun of WordNet, and neither check finds an overlap.",
}


def terms(methods: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """Explain the words of a page.

    Args:
        methods: The methods of the run; others are not explained.

    Returns:
        Part of the page -> term -> a text that ends with a period.
    """
    return {
        "metrics": _METRICS,
        "methods": {name: text for name in methods if (text := _method(name))},
        "searches": _SEARCHES,
        "verdicts": _VERDICTS,
    }


def training_of(methods: Sequence[str], has_folds: bool) -> str:
    """Say how long the other rows of a run are trained.

    Args:
        methods: The methods of the run; others are not named.
        has_folds: Whether the run has class folds.

    Returns:
        Sentences; "" if nothing else is trained.
    """
    as_long = ["class folds"] if has_folds else []
    if any(name.startswith(f"{MODEL}_") for name in methods):
        as_long.append(f"the rows named {MODEL}_...")
    sentences = []
    if as_long:
        take = " and ".join(as_long)
        sentences.append(f"{take[0].upper()}{take[1:]} take as many epochs of their images.")
    if "random_vectors" in methods:
        share = "method.random_vectors.epochs_share"
        sentences.append(f"random_vectors takes a share of them ({share}).")
    if fitted := [name for name in _TRAINED if name in methods]:
        verb = "takes" if len(fitted) == 1 else "take"
        sentences.append(f"{' and '.join(fitted)} {verb} about 600 steps or more.")
    return " ".join(sentences)


def _method(name: str) -> str:
    """What a method is; "" for one that is not part of the tool."""
    if name not in _METHODS and (alone := name.removesuffix("_prior")) in _METHODS:
        return f"the method {alone} with the prior, which has a share in each similarity."
    loss = name.removeprefix(f"{MODEL}_")
    if name not in _METHODS and loss != name:
        return f"the same projection, trained by the loss {loss} and without a prior."
    return _METHODS.get(name, "")
