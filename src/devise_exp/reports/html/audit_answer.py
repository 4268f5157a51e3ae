"""Which unseen classes were checked for what the backbone knew, and by what."""

from __future__ import annotations

from collections.abc import Mapping

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
from devise_exp.runs.records import unpublished_of

_TITLES = {  # of the kinds of verdicts, in the order of the page: what the verdict says
    CLEAN_AS_STATED: "clean, as a person states so (labels.stated_clean)",
    CLEAN: "clean: by their names, the pretraining had no such class",
    POSSIBLE: "possibly overlapping: the names leave open whether the backbone knows them",
    NOT_IDENTIFIED: "not identified: the audit does not know the name, so nobody knows",
    NOT_CHECKED: "not checked",
    OVERLAPPING: (
        "overlapping: the backbone has seen such images in its pretraining, so the figures are too "
        "high"
    ),
}
_CHECKS = {
    "words": "words compares the names",
    "kinds": "kinds asks WordNet, a dictionary of nouns, whether one class is a kind of the other",
}


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
        f"none of their images and knows them only by their words. {_choice(run)}{_aliases(run)}"
    ]
    about = run.details.about
    checked = str(about.get("leak/checked_by", "nothing"))
    if checked.startswith("nothing"):
        why = unpublished_of(about) or "which classes the backbone was pretrained on is unknown"
        return [
            *sentences,
            f"Nothing was checked: {why}. Any unseen class may have been among them, and the "
            "figures are then too high.",
        ]
    verdicts = run.details.verdicts(unseen)
    means = "; ".join(text for name, text in _CHECKS.items() if name in checked)
    sentences.append(
        "A backbone that has seen images of an unseen class makes its figures too high. So the "
        "overlap audit compared the names of the unseen classes with those of the classes that the "
        f"backbone ({about.get('backbone', 'unknown')}) was pretrained on. It checked by {checked}"
        f"{f': {means}' if means else ''}. It looked at no image."
    )
    return [*sentences, *_by_verdict(verdicts), *_images_called(run)]


def _by_verdict(verdicts: Mapping[str, str]) -> list[str]:
    """Write a paragraph for each kind of verdict: how many classes, what it says, which."""
    by_title: dict[str, list[str]] = {}
    for name, verdict in verdicts.items():
        kind = verdict if verdict == CLEAN_AS_STATED else kind_of(verdict)
        reason = verdict.removeprefix(kind).strip(" :()")
        by_title.setdefault(_TITLES[kind], []).append(f"{name} ({reason})" if reason else name)
    return [
        f"{len(names)} {'is' if len(names) == 1 else 'are'} {title}. "
        f"{'This is' if len(names) == 1 else 'These are'} {listed(names)}."
        for title in _TITLES.values()
        if (names := by_title.get(title))
    ]


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
        "Overlap audit shows the names."
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
