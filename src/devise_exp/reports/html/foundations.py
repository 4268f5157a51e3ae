"""What the figures of a run rest on, as questions of a reader who knows nothing of the project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devise_exp.core.name_files import listed
from devise_exp.reports.html.audit_answer import checked
from devise_exp.reports.html.control_answer import control
from devise_exp.reports.html.fold_answer import fold_answer
from devise_exp.reports.html.foundation_tables import sizes
from devise_exp.reports.html.gamma_answer import gamma_answer
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.html.split_answer import another_split
from devise_exp.reports.tables import Table

_FEW = 5  # images; a class with fewer says little by itself


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A question of a reader, with its answer.

    Attributes:
        question: What is asked.
        sentences: The answer, a paragraph for each; none if the run has no records of it.
        table: Figures that belong to it.
    """

    question: str
    sentences: tuple[str, ...]
    table: Table | None = None


def foundations(run: ShownRun) -> list[Answer]:
    """Answer what a reader has to know before the figures.

    Args:
        run: The run.

    Returns:
        The questions that the files of the run can answer.
    """
    images = Answer(
        question="How many images and classes are behind each figure?",
        sentences=tuple(_images(run)),
        table=sizes(run),
    )
    questions: dict[str, Callable[[ShownRun], Sequence[str]]] = {
        "Which unseen classes did the backbone know already, and what was checked?": checked,
        "What do random vectors mean, and are they at chance?": control,
        "How sure is gamma, the calibration?": gamma_answer,
        "What do these word vectors reach on class folds?": fold_answer,
        "What would another split give?": another_split,
    }
    answers = [
        Answer(question=question, sentences=tuple(answer(run)))
        for question, answer in questions.items()
    ]
    answers.insert(1, images)
    return [answer for answer in answers if answer.sentences]


def _images(run: ShownRun) -> list[str]:
    """How many images trained, chose and tested."""
    if not run.report.n:
        return []
    sentences = []
    if (run.path / "split.json").is_file():
        split, seen = run.folder.split(), sum(record.seen for record in run.classes)
        sentences.append(
            f"The model was trained on {len(split.train):,} images of {seen} seen classes. "
            f"{len(split.val):,} other images of these classes decided which epoch is kept. All "
            "figures are measured on further images, which had no part in any choice."
        )
    entries = run.diagnostics.get("classes", ())
    few = {
        side: [e["name"] for e in entries if e["seen"] == seen and e["images"] < _FEW]
        for side, seen in (("unseen", False), ("seen", True))
    }
    sentences.append(
        "Small print below a figure is its 95 % interval. An interval over images says "
        "how far the figure may move with other images of the same classes. An interval over "
        "classes says how far it may move with other classes. In tables the interval is over "
        "images, and for random_vectors over its draws. If all images are right or all are wrong, "
        "or if all draws are equal, the interval shows what so few images or draws cannot rule out "
        "(Clopper and Pearson 1934): for ten draws that are all 0, it is 0 to 31. H and AUSUC of a "
        "single training have no interval."
    )
    sentences += [_few(side, names, entries) for side, names in few.items() if names]
    sentences += _left_out(run)
    if sizes(run):
        sentences.append(
            "The table says how many images and classes a figure is measured on, and among how "
            "many labels the model chooses: 'unseen → all' are images of unseen classes with all "
            "labels to choose from, which other headings call unseen among all. For example, "
            "unseen hit@1 is the share of images of unseen classes whose nearest unseen label is "
            "the right one, a mean over classes. H and AUSUC are measured on two groups of images, "
            "so they are in two rows. The section Methods side by side explains every figure."
        )
    return sentences


def _few(side: str, names: Sequence[str], entries: Sequence[Mapping[str, Any]]) -> str:
    """Say which classes of a side have so few images that the figure of one says little."""
    n = sum(entry["seen"] == (side == "seen") for entry in entries)
    if len(names) == n:
        which = f"Every {side} class has fewer than {_FEW} test images"
    else:
        verb = "class has" if len(names) == 1 else "classes have"
        which = f"{len(names)} of {n} {side} {verb} fewer than {_FEW} test images"
    return f"{which}. The figure of one such class says little: {listed(names)}."


def _left_out(run: ShownRun) -> list[str]:
    """Say which classes take no part as no word vector is known for them."""
    n = run.details.about.get("labels/missing")
    if not n:
        return []
    take = "class of the data takes" if n == 1 else "classes of the data take"
    names = f": {listed(run.details.dropped)}" if run.details.dropped else ""
    return [f"{n} {take} no part, without a word vector (labels.on_missing=drop){names}."]
