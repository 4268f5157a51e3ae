"""What the figures of a run rest on, as questions of a reader who knows nothing of the project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devise_exp.core.name_files import listed
from devise_exp.reports.html.audit_answer import checked
from devise_exp.reports.html.control_answer import control
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
        question="How many images and classes stand behind each figure?",
        sentences=tuple(_images(run)),
        table=sizes(run),
    )
    questions: dict[str, Callable[[ShownRun], Sequence[str]]] = {
        "Which unseen classes were checked for what the backbone knew, and by what?": checked,
        "What do random vectors mean?": control,
        "How sure is gamma, the calibration?": gamma_answer,
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
            f"{len(split.train):,} images of {seen} seen classes trained the model, and "
            f"{len(split.val):,} others of them chose its epoch. The figures are measured on "
            "images that had no part in any choice, below."
        )
    entries = run.diagnostics.get("classes", ())
    few = [e["name"] for e in entries if not e["seen"] and e["images"] < _FEW]
    sentences.append(
        "An interval below a figure is its 95 % interval over images: what further images of the "
        "same classes would change. The interval over classes is wider where classes differ. "
        "Where nothing varies, such as where all images are right, it says how many errors would "
        "still be likely to go unseen among so few (Clopper and Pearson 1934)."
    )
    if few:
        sentences.append(
            f"{len(few)} unseen classes have fewer than {_FEW} images, so that a figure of one of "
            f"them means little: {listed(few)}."
        )
    return sentences
