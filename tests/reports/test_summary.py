"""A run in a few sentences, by the figures alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.records import MetricName, parse
from devise_exp.reports import run_tables
from devise_exp.reports.chance import chance_of
from devise_exp.reports.summary import of_report
from devise_exp.runs.results import RunResults

UNSEEN, CONTROL = "unseen/hit@1/class_mean", "method/random_vectors/unseen/hit@1/class_mean"
SEEN = "seen/hit@1/class_mean"
CHANCE = {
    "method/chance/unseen/hit@1": 0.2,
    "method/chance/seen/hit@1": 0.05,
    "method/chance/calibrated_unseen/hit@1": 0.04,
    "method/chance/calibrated_seen/hit@1": 0.04,
}
SIZES = {"unseen": (50, 5), "seen": (90, 20), "calibrated_unseen": (50, 25)}
TOGETHER = {
    "calibrated_unseen/hit@1/class_mean": 0.3,
    "calibrated_seen/hit@1/class_mean": 0.6,
    "calibrated/H@1": 0.4,
}


def report(**about: int) -> EvalReport:
    return EvalReport((), {key.replace("__", "/"): value for key, value in about.items()}, SIZES)


def text(values: dict[str, float], **about: int) -> str:
    known = report(**about)
    return " ".join(of_report(EvalReport(parse(CHANCE | values), known.about, SIZES)))


def unseen(value: float, low: float, high: float) -> dict[str, float]:
    return {UNSEEN: value, f"{UNSEEN}/classes_lo": low, f"{UNSEEN}/classes_hi": high}


def control(value: float, low: float, high: float) -> dict[str, float]:
    return {CONTROL: value, f"{CONTROL}/lo": low, f"{CONTROL}/hi": high, f"{CONTROL}/draws": 10}


@pytest.mark.parametrize(
    ("values", "start"),
    [
        (unseen(0.6, 0.5, 0.7), "Yes: the model is useful"),
        (unseen(0.6, 0.2, 0.9), "Not shown: this run does not prove"),
        (unseen(0.6, 0.25, 0.9) | control(0.2, 0.1, 0.3), "Not shown: this run does not prove"),
        (unseen(0.2, 0.1, 0.3), "No: on classes it never saw, the model is no better than a guess"),
        (unseen(0.4, 0.3, 0.5) | control(0.5, 0.4, 0.6), "No: on classes it never saw, the model "
         "is no better than random_vectors"),
        (unseen(0.15, 0.1, 0.3) | control(0.17, 0.1, 0.3), "No: on classes it never saw, the model "
         "is no better than a guess"),
    ],
    ids=["above", "reaches chance", "reaches the control", "chance", "control", "below both"],
)  # fmt: skip
def test_the_answer_follows_the_interval_over_classes(values: dict[str, float], start: str) -> None:
    assert text(values).startswith(start)


def test_the_sentences_have_the_figures_with_their_chance() -> None:
    values = unseen(0.6, 0.5, 0.7) | control(0.21, 0.17, 0.25) | TOGETHER
    actual = text(values)
    assert "Among the 5 unseen labels it names 60 % of their images right" in actual
    assert (
        "a guess has 20.0, random_vectors 21; the model's 95 % interval over classes is 50 to 70"
        in actual
    )
    assert "Among all 25 labels, with gamma, it names 30.0 % of the images of unseen" in actual
    assert "60.0 % of those of seen classes (s); H, their harmonic mean, is 40.0" in actual
    assert "a guess has 4.0 in all three" in actual
    assert "This rests on 50 images of 5 unseen classes and 90 images of 20 seen ones" in actual
    assert "Seen hit@1" not in actual
    assert "pretraining" not in actual


@pytest.mark.parametrize(("low", "is_at_chance"), [(0.05, True), (0.06, False)])
def test_seen_classes_at_chance_are_said_to_be(low: float, is_at_chance: bool) -> None:
    seen = {SEEN: 0.1, f"{SEEN}/lo": low, f"{SEEN}/hi": 0.3}
    actual = text(unseen(0.6, 0.5, 0.7) | seen)
    assert ("Seen hit@1 is at chance: 10 against 5.0" in actual) == is_at_chance


def test_overlapping_classes_speak_against_the_figures() -> None:
    actual = text(unseen(0.6, 0.5, 0.7), leak__unseen_leaked=2)
    assert "2 of the 5 unseen classes were in the backbone's pretraining" in actual


def test_what_is_not_measured_has_no_sentences() -> None:
    assert text({}) == ""
    assert of_report(EvalReport(parse(unseen(0.6, 0.5, 0.7)), {}, SIZES)) == ()


def test_report_md_and_the_terminal_have_the_same_sentences(
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured = EvalReport(parse(CHANCE | unseen(0.6, 0.5, 0.7) | TOGETHER), {}, SIZES)
    sentences = of_report(measured)
    lines = run_tables.markdown(measured, "title").splitlines()
    assert lines[0] == "# title"
    assert [line for line in lines if line in sentences] == list(sentences)
    run_tables.show(measured, "title")
    printed = " ".join(capsys.readouterr().out.split())
    assert " ".join(sentences) in printed


def test_chance_of_two_groups_of_images() -> None:
    run = RunResults(Path(), {}, CHANCE | {"method/chance/calibrated_unseen/hit@1": 0.12})
    assert chance_of(run, MetricName("calibrated", "H", 1)) == pytest.approx(0.06)
    # Guesses name a seen label with a share of t: s is t / 20 and u is (1 - t) / 5.
    assert chance_of(run, MetricName("all", "AUSUC")) == pytest.approx(0.05 * 0.2 / 2)
    assert chance_of(run, MetricName("all", "H", 1)) is None
    assert chance_of(run, MetricName("search/unseen", "mAP")) is None
