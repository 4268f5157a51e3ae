"""Which unseen classes were checked for what the backbone knew, and by what."""

from __future__ import annotations

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

_TITLES = {  # of the kinds of verdicts, in the order of the page
    CLEAN_AS_STATED: "clean because a person states so (labels.stated_clean)",
    CLEAN: "clean, none of the pretraining's classes",
    POSSIBLE: "possibly overlapping, so nobody knows",
    NOT_IDENTIFIED: "not identified (the check knows no such noun), so nobody knows",
    NOT_CHECKED: "not checked",
    OVERLAPPING: (
        "overlapping, of which the backbone has seen images, so that their figures are too high"
    ),
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
        f"{len(unseen)} of the {len(run.classes)} classes are unseen: the model was trained on "
        f"none of their images, and knows them by their words alone. {_choice(run)}"
        f"{_aliases(run)}"
    ]
    about = run.details.about
    checked = str(about.get("leak/checked_by", "nothing"))
    if checked.startswith("nothing"):
        return [
            *sentences,
            "Nothing was checked: which classes the backbone was pretrained on is unknown. Any "
            "unseen class may have been among them, and the figures are then too high.",
        ]
    verdicts = run.details.verdicts(unseen)
    sentences.append(
        f"Their names were checked against the classes that the backbone "
        f"({about.get('backbone', 'unknown')}) was pretrained on, by {checked}: words compares "
        "names, kinds asks WordNet whether one is a kind of the other. It decides "
        "by names, and looks at no image."
    )
    by_title: dict[str, list[str]] = {}
    for name, verdict in verdicts.items():
        kind = verdict if verdict == CLEAN_AS_STATED else kind_of(verdict)
        shown = name if verdict == kind else f"{name} ({verdict})"
        by_title.setdefault(_TITLES[kind], []).append(shown)
    parts = [
        f"{len(by_title[title])} {title}: {listed(by_title[title])}"
        for title in _TITLES.values()
        if title in by_title
    ]
    return [*sentences, f"The verdicts: {'; '.join(parts)}.", *_images_called(run)]


def _images_called(run: ShownRun) -> list[str]:
    """Whether the backbone's own classifier contradicts a verdict."""
    doubtful = run.details.about.get("leak/clean_called_one_name")
    if doubtful is None:
        return []
    return [
        "After all methods were fitted, the backbone's own classifier was asked what it calls the "
        "images of each unseen class (Overlap audit, below). "
        f"{doubtful} of the clean classes have one name for more than half of their images, which "
        "speaks against their verdict."
    ]


def _aliases(run: ShownRun) -> str:
    """How many unseen classes stand under words that a person has chosen."""
    unseen = [record for record in run.classes if not record.seen]
    named = sum(record.rule == "alias" for record in unseen)
    if not named:
        return ""
    return (
        f" {named} of the {len(unseen)} stand under an alias, words that a person has chosen in "
        "place of the name."
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
