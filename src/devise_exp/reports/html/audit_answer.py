"""Which unseen classes were checked for what the backbone knew, and by what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from devise_exp.core.name_files import listed
from devise_exp.data.verdict_kinds import (
    CLEAN,
    CLEAN_AS_STATED,
    NOT_CHECKED,
    NOT_IDENTIFIED,
    OVERLAPPING,
    POSSIBLE,
    kind_of,
)
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.image_name_cells import FEW_IMAGES
from devise_exp.runs.records import unpublished_of
from devise_exp.text.distinct import confused_line, is_glove
from devise_exp.text.same_things import same_things, same_things_line

_TITLES = {  # of the kinds of verdicts, in the order of the page: what the verdict says
    CLEAN_AS_STATED: "clean, as a person states so (labels.stated_clean)",
    CLEAN: "clean: by their names, the pretraining had no such class",
    POSSIBLE: "possibly overlapping: the names leave open whether the backbone knows them",
    NOT_IDENTIFIED: "not identified: the name is no noun of WordNet",
    NOT_CHECKED: "not checked",
    OVERLAPPING: (
        "overlapping: the backbone has seen such images in its pretraining, so the figures may be "
        "too high"
    ),
}
_CHECKS = {"words": "same name", "kinds": "kind-of in WordNet, a dictionary of nouns"}
_COUNTS = ("no check", "one check", "two checks")


def checked(run: ShownRun) -> list[str]:
    """Say which classes are unseen, by whose choice, and the verdicts.

    Args:
        run: The run.

    Returns:
        Sentences; none without unseen classes.
    """
    unseen = [record.name for record in run.classes if not record.seen]
    if not unseen:
        return []
    sentences = [
        f"{len(unseen)} of the {len(run.classes)} classes are unseen. The model was trained on "
        "none of their images and knows them only by the words of their names. "
        f"{_choice(run)}{_aliases(run)}"
    ]
    about = run.details.about
    checked = str(about.get("leak/checked_by", "nothing"))
    if checked.startswith("nothing"):
        why = unpublished_of(about) or "which classes the backbone was pretrained on is unknown"
        return [
            *sentences,
            f"Nothing was checked: {why}. Any unseen class may have been among them, and its "
            "figure is then too high.",
            *_confused(run),
        ]
    verdicts = run.details.verdicts(unseen)
    later = " A later check used images." if _images_called(run) else ""
    sentences.append(
        "If the backbone has seen a class, the figure of that class is too high. So the overlap "
        "audit compared the names of the unseen classes with those of the classes that the "
        f"backbone ({about.get('backbone', 'unknown')}) was pretrained on. {checks_made(about)} "
        f"The verdicts use names only.{later}"
    )
    return [
        *sentences,
        *_by_verdict(verdicts),
        *_both_checks(about, verdicts),
        *_images_called(run),
        *_same_things(run),
        *_confused(run),
    ]


def _few_images(run: ShownRun) -> str:
    """Say if no class has images enough for what they are called to say anything."""
    most = max((r.image_names.n for r in run.classes if r.image_names and not r.seen), default=0)
    few = "Each unseen class has fewer than {} images, so this says little."
    return "" if most >= FEW_IMAGES else f" {few.format(FEW_IMAGES)}"


def _same_things(run: ShownRun) -> list[str]:
    """Say which unseen classes may be a seen one under another name."""
    if not (run.path / "class_vectors.npy").is_file():
        return []
    records, vectors = run.classes, run.folder.class_vectors()
    words = [" ".join(record.words) for record in records]
    seen = [record.seen for record in records]
    pairs = same_things([record.name for record in records], words, vectors, seen)
    return [f"{same_things_line(pairs)}."] if pairs else []


def _confused(run: ShownRun) -> list[str]:
    """Say which unseen classes have names that the word vectors hardly tell apart."""
    vectors = str(run.details.about.get("word_vectors", ""))
    if not is_glove(vectors) or not (run.path / "class_vectors.npy").is_file():
        return []
    unseen = np.array([not record.seen for record in run.classes])
    names = [record.name for record in run.classes]
    line = confused_line(names, run.folder.class_vectors(), unseen)
    return [f"{line}."] if line else []


def checks_made(about: Mapping[str, Any]) -> str:
    """Say by what the audit checked.

    Args:
        about: What the metrics of a run rest on.

    Returns:
        A sentence.
    """
    checked = str(about.get("leak/checked_by", "nothing"))
    if checked.startswith("nothing"):
        return "Nothing was checked."
    texts = [text for name, text in _CHECKS.items() if name in checked]
    return f"The audit made {_COUNTS[len(texts)]}: {', and '.join(texts)}."


def _both_checks(about: Mapping[str, Any], verdicts: Mapping[str, str]) -> list[str]:
    """Say by how many checks the clean classes were cleared."""
    n = sum(
        kind_of(verdict) == CLEAN and verdict != CLEAN_AS_STATED for verdict in verdicts.values()
    )
    if not n:
        return []
    these = "The clean class was" if n == 1 else f"All {n} clean classes were"
    if "kinds" not in str(about.get("leak/checked_by", "")):
        return [
            f"{these} compared by name only: no table says which classes are a kind of one of this "
            "pretraining."
        ]
    return [
        f"{these} compared by both checks: the audit has all nouns of WordNet that are a kind of a "
        "pretraining class, or include one. (The column in WordNet at the end of this page is "
        "another table, which only hierarchical precision uses.)"
    ]


def _by_verdict(verdicts: Mapping[str, str]) -> list[str]:
    """Write a paragraph for each kind of verdict: how many classes, what it says, which."""
    by_title: dict[str, list[str]] = {}
    for name, verdict in verdicts.items():
        kind = verdict if verdict == CLEAN_AS_STATED else kind_of(verdict)
        reason = verdict.removeprefix(kind).strip(" :()")
        by_title.setdefault(_TITLES[kind], []).append(f"{name} ({reason})" if reason else name)
    return [
        f"{len(names)} {'is' if len(names) == 1 else 'are'} {title}. "
        f"{_which(title, len(names))}: {listed(names)}."
        for title in _TITLES.values()
        if (names := by_title.get(title))
    ]


def _which(title: str, n: int) -> str:
    """How the list of the classes of a verdict begins."""
    classes = "class" if n == 1 else "classes"
    if title == _TITLES[NOT_IDENTIFIED]:
        return f"The audit cannot judge {n} {classes}"
    return f"The {classes}"


def _images_called(run: ShownRun) -> list[str]:
    """Whether the backbone's own classifier contradicts a verdict."""
    doubtful = run.details.about.get("leak/clean_called_one_name")
    if doubtful is None:
        return []
    result = (
        "For no clean class it gave the same name to more than half of the images. So nothing here "
        "contradicts the verdicts."
        if not doubtful
        else f"For {doubtful} of the clean classes it gave the same name to more than half of the "
        "images. If that name means the same as the class, the class is not clean. The section "
        f"Overlap audit shows the names.{_few_images(run)}"
    )
    return [
        "After the training, the backbone's own classifier was asked to name the images of each "
        f"unseen class. {result}"
    ]


def _aliases(run: ShownRun) -> str:
    """How many unseen classes stand under words that a person has chosen."""
    unseen = [record for record in run.classes if not record.seen]
    named = sum(record.rule == "alias" for record in unseen)
    if not named:
        return ""
    return (
        f" {named} of the {len(unseen)} have an alias: words that a person has chosen in place of "
        "the name."
    )


def _choice(run: ShownRun) -> str:
    """Who chose the unseen classes."""
    if not (run.path / "split.json").is_file():
        return ""
    split, settings = run.folder.split(), run.results.settings
    if settings.get("split.unseen") or settings.get("split.unseen_file"):
        return f"They were named by hand (split {split.name})."
    if settings.get("split") == "clean_split":
        return (
            f"They were drawn at random among the classes that pass the check below (split "
            f"{split.name}, split.seed={split.seed})."
        )
    if "split.n_unseen" in settings:
        among = " among the classes that pass the check" if split.name.startswith("clean") else ""
        return f"They were drawn at random{among} (split {split.name}, split.seed={split.seed})."
    return f"They are those of the split {split.name}."
