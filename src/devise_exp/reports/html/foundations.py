"""What the figures of a run rest on, as questions of a reader who knows nothing of the project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devise_exp.core.name_files import listed
from devise_exp.evaluation.leakage import CLEAN, CLEAN_AS_STATED, NOT_CHECKED, NOT_IDENTIFIED
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import CHANCE, MetricName
from devise_exp.reports.html.foundation_tables import sizes
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.html.split_answer import another_split
from devise_exp.reports.numbers import bounds, to_precision
from devise_exp.reports.tables import Table

CONTROL = "random_vectors"
_UNSEEN = MetricName("unseen", "hit", 1, "class")
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
        "Which unseen classes were checked for what the backbone knew, and by what?": _audit,
        "What do random vectors mean?": _control,
        "How sure is gamma, the calibration?": _gamma,
        "What would another split give?": another_split,
    }
    answers = [
        Answer(question=question, sentences=tuple(answer(run)))
        for question, answer in questions.items()
    ]
    answers.insert(1, images)
    return [answer for answer in answers if answer.sentences]


def _audit(run: ShownRun) -> list[str]:
    """Which classes are unseen, by whose choice, and the verdicts."""
    unseen = [record.name for record in run.classes if not record.seen]
    if not unseen:
        return []
    sentences = [
        f"{len(unseen)} of the {len(run.classes)} classes are unseen: the model was trained on "
        f"none of their images, and knows them by their words alone. {_choice(run)}"
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
        "names, kinds asks WordNet whether one is a kind of the other. No image was looked at."
    )
    groups = {
        "clean, none of the pretraining's classes": [CLEAN],
        "clean because a person states so (labels.stated_clean)": [CLEAN_AS_STATED],
        "not identified (the check knows no such noun), so nobody knows": [NOT_IDENTIFIED],
        "not checked": [NOT_CHECKED],
    }
    known = {verdict for group in groups.values() for verdict in group}
    parts = []
    for title, members in groups.items():
        names = [name for name in unseen if verdicts[name] in members]
        parts += [f"{len(names)} {title}: {listed(names)}"] if names else []
    overlapping = [name for name in unseen if verdicts[name] not in known]
    if overlapping:
        shown = [f"{name} ({verdicts[name]})" for name in overlapping]
        parts.append(
            f"{len(overlapping)} overlapping, of which the backbone has seen images, so that their "
            f"figures are too high: {listed(shown)}"
        )
    return [*sentences, f"The verdicts: {'; '.join(parts)}."]


def _choice(run: ShownRun) -> str:
    """Who chose the unseen classes."""
    if not (run.path / "split.json").is_file():
        return ""
    split, settings = run.folder.split(), run.results.settings
    if settings.get("split.unseen") or settings.get("split.unseen_file"):
        return f"They were named by hand (split {split.name})."
    if "split.n_unseen" in settings:
        return f"They were drawn at random (split {split.name}, split.seed={split.seed})."
    return f"They are those of the split {split.name}."


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
        "same classes would change. The interval over classes is wider where classes differ."
    )
    if few:
        sentences.append(
            f"{len(few)} unseen classes have fewer than {_FEW} images, so that a figure of one of "
            f"them means little: {listed(few)}."
        )
    return sentences


def _control(run: ShownRun) -> list[str]:
    """What the control with random class vectors shows."""
    record, chance = run.results.record(CONTROL, _UNSEEN), run.results.value(CHANCE, _UNSEEN)
    if record is None or chance is None:
        return []
    interval = bounds(record.value, record.classes_low, record.classes_high)
    return [
        f"{CONTROL} is a control: the same training, but every class has a random vector instead "
        "of that of its words. For unseen classes it can only guess, so it has to come out near "
        f"chance, which is {to_precision(chance)} for unseen hit@1; what {MODEL} reaches above it "
        "is owed to the words.",
        f"Here it has {to_precision(record.value, record.low, record.high)}"
        f"{f' ({interval} over classes)' if interval else ''}.",
    ]


def _gamma(run: ShownRun) -> list[str]:
    """What chose the calibration."""
    gamma = run.results.value(MODEL, MetricName("calibrated", "gamma"))
    if gamma is None:
        return []
    about, folds = run.details.about, run.details.about.get("rehearsals")
    source = (
        f"the run {about['choices']}"
        if "choices" in about
        else f"{folds} class folds: trainings without some of the seen classes, which play the "
        "unseen ones"
    )
    return [
        f"The model finds seen classes too similar; gamma is taken off their similarity. gamma is "
        f"{gamma:.3f}, chosen by {source}. No unseen class and no test image had a part in it."
    ]
