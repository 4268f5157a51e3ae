"""What the figures of a run rest on, as questions of a reader who knows nothing of the project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devise_exp.core.name_files import listed
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import CHANCE, MetricName, MetricRecord
from devise_exp.reports.html.foundation_tables import sizes
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.html.split_answer import another_split
from devise_exp.reports.numbers import bounds, to_precision
from devise_exp.reports.tables import Table

CONTROL = "random_vectors"
_UNSEEN = MetricName("unseen", "hit", 1, "class")
# What the verdicts of the audit begin with -> what they mean; "" for those that name an overlap.
_TITLES = {
    "clean (as stated)": "clean because a person states so (labels.stated_clean)",
    "clean": "clean, none of the pretraining's classes",
    "possibly overlapping": "possibly overlapping, so nobody knows",
    "not identified": "not identified (the check knows no such noun), so nobody knows",
    "not checked": "not checked",
    "": "overlapping, of which the backbone has seen images, so that their figures are too high",
}
_CHANCE = MetricName("unseen", "hit", 1, "image")  # of chance both averages are the same
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
        starts = [start for start in _TITLES if start and verdict.startswith(start)]
        shown = name if starts and verdict in starts else f"{name} ({verdict})"
        by_title.setdefault(_TITLES[starts[0] if starts else ""], []).append(shown)
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


def _control(run: ShownRun) -> list[str]:
    """What the control with random class vectors shows."""
    record, chance = run.results.record(CONTROL, _UNSEEN), run.results.value(CHANCE, _CHANCE)
    if record is None or chance is None:
        return []
    draws = run.results.metrics.get(f"{record.key}/draws")
    low, high, over = record.classes_low, record.classes_high, "classes, of one draw of the vectors"
    if draws is not None:
        low, high, over = record.low, record.high, f"{draws} draws of the vectors"
    interval = bounds(record.value, low, high)
    contains = low is not None and high is not None and low <= chance <= high
    verdict = "contains" if contains else "does not contain"
    return [
        f"{CONTROL} is a control: the same training, but every class has a random vector instead "
        "of that of its words. For unseen classes it can only guess, so it has to come out near "
        f"chance, which is {to_precision(chance)} for unseen hit@1; what {MODEL} reaches above it "
        "is owed to the words.",
        f"Here it has {to_precision(record.value, low, high)}"
        + (f"; its 95 % interval, {interval} over {over}, {verdict} chance." if interval else "."),
    ]


def _gamma(run: ShownRun) -> list[str]:
    """What chose the calibration."""
    record = run.results.record(MODEL, MetricName("calibrated", "gamma"))
    if record is None:
        return []
    gamma = record.value
    about, folds = run.details.about, run.details.about.get("rehearsals")
    source = (
        f"the run {about['choices']}"
        if "choices" in about
        else f"{folds} class folds: trainings without some of the seen classes, which play the "
        "unseen ones"
    )
    sentences = [
        f"The model finds seen classes too similar; gamma is taken off their similarity. gamma is "
        f"{gamma:.3f}, chosen by {source}. No unseen class and no test image had a part in it."
    ]
    if record.low is not None and record.high is not None:
        wide = record.high - record.low
        sentences.append(
            f"Other seen classes in these folds would have led to a gamma within {record.low:.3f} "
            f"to {record.high:.3f} (95 %)"
            + (", so that it is hardly known." if wide > abs(gamma) else ".")
        )
    else:
        sentences.append("How far the choice of these classes moves gamma, the run has not noted.")
    others = {r.metric: r.value for r in run.results.records if _is_of_gamma(r)}
    folds = [r.value for r in run.results.records if _is_of_gamma(r) and r.metric == "fold_gamma"]
    if len(folds) > 1:
        sentences.append(
            f"The {len(folds)} folds had {', '.join(f'{value:.3f}' for value in folds)}."
        )
    if "regret" in others:
        sentences.append(
            f"In hindsight the best gamma of these very test images has "
            f"{100 * others['regret']:.1f} more H: so much is lost by not knowing it."
        )
    return sentences


def _is_of_gamma(record: MetricRecord) -> bool:
    return record.method == MODEL and record.protocol == "calibrated"
