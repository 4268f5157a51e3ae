"""What a page says its figures rest on, on the runs of a real series."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy import stats

from devise_exp.core.config import compose_config
from devise_exp.reports import comparison
from devise_exp.reports.html.foundations import foundations
from devise_exp.reports.html.page import PAGE, refresh_splits, write_html
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.titles import PROTOCOL_TITLES
from devise_exp.runs.folder import RunFolder

Series = tuple[Path, dict[str, float]]


@pytest.fixture
def run(splits: Series, tmp_path: Path) -> Path:
    """The copy of a run of a series over splits."""
    folder = Path(shutil.copytree(splits[0], tmp_path / "series"))
    return folder / "split=3/seed=1"


def answers(run: Path) -> dict[str, str]:
    return {a.question: " ".join(a.sentences) for a in foundations(ShownRun(run))}


def answer(run: Path, start: str) -> str:
    (text,) = (text for question, text in answers(run).items() if question.startswith(start))
    return text


def change(run: Path, name: str, **values: Any) -> None:
    content = json.loads((run / name).read_text(encoding="utf-8"))
    inner = content["about"] if name == "about.json" else content
    inner.update(values)
    (run / name).write_text(json.dumps(content), encoding="utf-8")


def test_the_unseen_classes_with_who_chose_and_checked_them(run: Path) -> None:
    records = RunFolder(run).classes()
    unseen = [record.name for record in records if not record.seen]
    text = answer(run, "Which unseen classes")
    assert f"3 of the {len(records)} classes are unseen" in text
    assert "drawn at random (split random3, split.seed=3)" in text
    assert "made two checks: same name, and kind-of in WordNet" in text
    assert "The verdicts use names only" in text
    verdicts = RunFolder(run).details().verdicts(unseen)
    shown = [f"{name} ({verdict})" for name, verdict in verdicts.items()]
    assert "3 are overlapping: the backbone has seen such images in its pretraining" in text
    assert f"The classes: {', '.join(shown)}." in text


def test_a_backbone_of_unknown_classes_has_checked_nothing(run: Path) -> None:
    change(run, "about.json", **{"leak/checked_by": "nothing (classes unknown)"})
    text = answer(run, "Which unseen classes")
    assert "Nothing was checked" in text
    assert "clean" not in text


@pytest.mark.parametrize(
    ("n_doubtful", "said"),
    [
        (0, "nothing here contradicts the verdicts"),
        (2, "For 2 of the clean classes it gave the sa"),
    ],
)
def test_what_the_classifier_calls_the_images_is_set_against_the_verdicts(
    run: Path, n_doubtful: int, said: str
) -> None:
    change(run, "about.json", **{"leak/clean_called_one_name": n_doubtful})
    assert said in answer(run, "Which unseen classes")


def test_each_kind_of_verdict_has_its_sentence_and_its_reason(run: Path) -> None:
    content = json.loads((run / "about.json").read_text(encoding="utf-8"))
    first, second, third = (r.name for r in RunFolder(run).classes() if not r.seen)
    overlap = {"name": first, "relation": "is a kind of", "category": "hook", "sense": ""}
    other = {"name": second, "relation": "is", "category": "ocarina", "sense": ""}
    content |= {"leaks": [overlap], "other_senses": [other], "unidentified": [third]}
    (run / "about.json").write_text(json.dumps(content), encoding="utf-8")
    text = answer(run, "Which unseen classes")
    assert "1 is overlapping: the backbone has seen such images in its pretraining" in text
    assert f"The class: {first} (is a kind of hook)." in text
    assert f"The class: {second} (another sense is ocarina)." in text
    assert "The clean class was compared by both checks" in text
    assert (
        "1 is not identified: the name is no noun of WordNet. The audit cannot judge 1 class: "
        f"{third}." in text
    )
    assert "((" not in text


def test_how_many_images_and_classes_stand_behind_each_figure(run: Path) -> None:
    split, classes = RunFolder(run).split(), RunFolder(run).classes()
    text = answer(run, "How many images")
    assert f"{len(split.train):,} images of {len(classes) - 3} seen classes. " in text
    assert f"{len(split.val):,} other images of these classes decided which epoch is kept" in text
    (table,) = (a.table for a in foundations(ShownRun(run)) if a.table)
    rows = {row[1]: row[2:] for row in table.rows}
    by_class: dict[str, int] = {}
    for row in split.unseen:
        by_class[row.split("/")[0]] = by_class.get(row.split("/")[0], 0) + 1
    low, high = min(by_class.values()), max(by_class.values())
    span = f"{low}" if low == high else f"{low} – {high}"
    assert rows["unseen → unseen"] == (str(len(split.unseen)), "3", span, 3)
    titles = [title.replace(" among ", " → ") for title in PROTOCOL_TITLES.values()]
    assert list(rows) == [title for title in titles if title in rows]
    assert rows["seen → all"][0] == str(len(split.test))
    assert rows["seen → all"][3] == len(classes)


def test_classes_of_equally_many_images_have_one_number(run: Path) -> None:
    entries = json.loads((run / "diagnostics.json").read_text(encoding="utf-8"))["classes"]
    change(run, "diagnostics.json", classes=[entry | {"images": 4} for entry in entries])
    (table,) = (a.table for a in foundations(ShownRun(run)) if a.table)
    assert {row[4] for row in table.rows} == {"4"}
    text = answer(run, "How many images")
    assert "Every unseen class has fewer than 5 test images" in text
    assert "Every seen class has fewer than 5 test images" in text


def test_what_random_vectors_mean_beside_chance(run: Path) -> None:
    assert not any("random vectors" in question for question in answers(run))
    key = "method/random_vectors/unseen/hit@1/class_mean"
    bounds = {f"{key}/classes_lo": 0.25, f"{key}/classes_hi": 0.41}
    change(run, "metrics.json", **{key: 0.33}, **bounds)
    text = answer(run, "What do random vectors")
    assert "should be at chance, which is 33.3" in text
    assert "It is at chance: its unseen hit@1 is 33, and its 95 % interval, 25 to 41 over" in text
    assert "classes, for one draw of the vectors, contains 33.3" in text
    change(run, "metrics.json", **{f"{key}/lo": 0.2, f"{key}/hi": 0.3, f"{key}/draws": 10})
    text = answer(run, "What do random vectors")
    assert "It is NOT at chance" in text
    assert "20 to 30 over 10 draws of the vectors, does not contain 33.3" in text


KEY = "method/random_vectors/unseen/hit@1/class_mean"
CONTROL = {KEY: 0.33, f"{KEY}/lo": 0.27, f"{KEY}/hi": 0.39, f"{KEY}/draws": 10}  # chance is 1/3


@pytest.mark.parametrize(
    ("model", "worth"),
    [
        ((0.70, 0.55, 0.82), "has 70, with a 95 % interval of 55 to 82 over classes. All of"),
        ((0.45, 0.37, 0.52), "but its interval reaches down to chance or into the interval of ran"),
        ((0.30, 0.10, 0.60), "no more than chance. For these unseen classes the words were of no"),
        ((0.331, 0.1, 0.6), "no more than chance"),
    ],
    ids=["above", "above but not shown", "below chance", "between the control and chance"],
)
def test_what_is_owed_to_the_words_follows_the_figures(
    run: Path, model: tuple[float, float, float], worth: str
) -> None:
    key = "unseen/hit@1/class_mean"
    value, low, high = model
    change(run, "metrics.json", **CONTROL)
    change(run, "metrics.json", **{key: value, f"{key}/classes_lo": low, f"{key}/classes_hi": high})
    text = answer(run, "What do random vectors")
    assert worth in text
    assert ("So the words help." in text) == (value == 0.70)


def test_a_model_below_the_control_is_measured_by_it_and_not_by_chance(run: Path) -> None:
    high = {KEY: 0.6, f"{KEY}/lo": 0.55, f"{KEY}/hi": 0.65, f"{KEY}/draws": 10}
    key = "unseen/hit@1/class_mean"
    model = {key: 0.5, f"{key}/classes_lo": 0.45, f"{key}/classes_hi": 0.55}
    change(run, "metrics.json", **high, **model)
    text = answer(run, "What do random vectors")
    assert "no more than random_vectors" in text
    assert "words help" not in text


def test_how_sure_gamma_is(run: Path) -> None:
    assert not any("gamma" in question for question in answers(run))
    change(run, "metrics.json", **{"calibrated/factor": 0.2})
    change(run, "about.json", rehearsals=4)
    text = answer(run, "How sure is gamma")
    assert "gamma is 0.200. It was chosen on 4 class folds" in text
    assert "The run has not noted an interval" in text
    change(run, "metrics.json", **{"calibrated/factor/lo": 0.05, "calibrated/factor/hi": 0.3})
    text = answer(run, "How sure is gamma")
    assert "The 95 % interval of gamma is 0.050 to 0.300. That is wider than gamma itself" in text
    assert "200 repetitions" in text


def test_gamma_of_few_classes_is_half_a_default_and_hindsight_stands_beside_it(run: Path) -> None:
    folds = {f"calibrated/fold_factor@{i}": g for i, g in enumerate((0.1, 0.15, 0.4), start=1)}
    change(run, "metrics.json", **folds, **{"calibrated/factor": 0.2})
    bounds = {"calibrated/factor/lo": 0.12, "calibrated/factor/hi": 0.26}
    change(run, "metrics.json", **bounds)
    text = answer(run, "How sure is gamma")
    n_seen = sum(record.seen for record in RunFolder(run).classes())
    assert n_seen < 60
    assert f"With fewer than 60 seen classes (here {n_seen})" in text
    # Half of 0.2 is half the median: the other half is of 0.25.
    assert "0.150, the median of the best gammas of the folds, and 0.250, a default" in text
    assert "It covers only the draw of the classes of the folds" in text
    assert "range from 0.100 to 0.400. Single folds scatter more than the interval" in text
    regret = {"calibrated/regret": 0.031, "calibrated/best_factor": 0.31}
    change(run, "metrics.json", **regret, **{"calibrated/H@1": 0.402})
    text = answer(run, "How sure is gamma")
    assert "for the test images is 0.310 and would add 3.1 to the calibrated H of 40.2" in text
    assert "That is the regret" in text
    assert "The value 0.310 lies outside the interval" in text
    change(run, "metrics.json", **{"calibrated/factor/lo": 0.05, "calibrated/factor/hi": 0.45})
    text = answer(run, "How sure is gamma")
    assert "0.400, within the interval" in text
    assert "The value 0.310 lies inside the interval" in text


def test_gamma_of_many_classes_is_the_mean_of_the_folds(run: Path) -> None:
    entries = json.loads((run / "classes.json").read_text(encoding="utf-8"))
    many = [*entries, *(entries[0] | {"name": f"{i}", "seen": True} for i in range(60))]
    (run / "classes.json").write_text(json.dumps(many), encoding="utf-8")
    vectors = np.load(run / "class_vectors.npy")
    np.save(run / "class_vectors.npy", np.concatenate([vectors, vectors[:1].repeat(60, axis=0)]))
    folds = {"calibrated/fold_factor@1": 0.1, "calibrated/fold_factor@2": 0.3}
    change(run, "metrics.json", **folds, **{"calibrated/factor": 0.2})
    text = answer(run, "How sure is gamma")
    assert "gamma is the mean of the best gammas of the folds" in text
    assert "default" not in text


def test_what_word_vectors_reach_is_said_by_class_folds_alone(run: Path) -> None:
    question = "What do these word vectors reach on class folds?"
    assert question not in answers(run)
    change(run, "about.json", rehearsals=4, word_vectors="glove_6b_50d")
    assert question not in answers(run)  # an older run has no such figure
    path = run / "about.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["methods"]["devise"] = {"rehearsal/AUSUC": 0.6066}
    path.write_text(json.dumps(content), encoding="utf-8")
    change(run, "metrics.json", **{"all/AUSUC": 0.447})
    text = answer(run, question[:-1])
    assert "An AUSUC of 60.7 with glove_6b_50d" in text
    assert "mean over 4 class folds" in text
    assert "The unseen classes themselves have 44.7." in text


def test_another_split_is_estimated_from_the_classes_of_one_run(run: Path) -> None:
    classes = json.loads((run / "diagnostics.json").read_text())["classes"]
    shares = [entry["hit@1"] for entry in classes if not entry["seen"]]
    text = answer(run, "What would another split give?")
    half = stats.t.ppf(0.975, len(shares) - 1) * np.std(shares, ddof=1) * (2 / len(shares)) ** 0.5
    low, high = max(0.0, np.mean(shares) - half), min(1.0, np.mean(shares) + half)
    shown = re.search(r"may well give anything from ([\d.]+) to ([\d.]+)\. ", text)
    assert shown is not None
    assert [float(shown[1]), float(shown[2])] == pytest.approx([100 * low, 100 * high], abs=0.5)


def test_equal_classes_say_nothing_of_how_far_another_split_goes(run: Path) -> None:
    classes = json.loads((run / "diagnostics.json").read_text())["classes"]
    change(run, "diagnostics.json", classes=[c | {"hit@1": 1.0} for c in classes])
    key = "unseen/hit@1/class_mean"
    bounds = {f"{key}/classes_lo": 0.29, f"{key}/classes_hi": 1.0}
    change(run, "metrics.json", **{key: 1.0}, **bounds)
    text = answer(run, "What would another split give?")
    assert "All 3 unseen classes have the same hit@1, so they do not say how far" in text
    assert "anything from" not in text


def command_of(run: Path) -> list[str]:
    """The options of the command that measures other splits; the config accepts them."""
    text = answer(run, "What would another split give?")
    (command,) = re.findall(r"<code>devise-exp train OPTIONS (.*?)</code>", text)
    options: list[str] = command.split()
    config = compose_config(options)
    assert config.split_seeds == 10
    assert config.split.n_unseen == 3
    return options


def test_the_command_of_other_splits_is_that_of_the_run(run: Path) -> None:
    n = len(RunFolder(run).classes())
    options = command_of(run)
    assert options[:2] == ["split=random", "split.n_unseen=3"]
    assert f"drawn among all {n} classes" in answer(run, "What would another split give?")
    config = OmegaConf.load(run / "config.yaml")
    config.split.train_per_class, config.split.val_share = 12, 0.25
    OmegaConf.save(config, run / "config.yaml")
    assert {"split.train_per_class=12", "split.val_share=0.25"} < set(command_of(run))


def test_the_command_of_other_splits_is_whole_if_the_run_knows_its_own(run: Path) -> None:
    of_split = ["split=random", "split.seed=3", "+split.n_seen=5", "split_seeds=2", "resume=x"]
    overrides = ["data.root='/a b'", *of_split, "split_layout=x", "loss=cosine"]
    (run / ".hydra").mkdir()
    OmegaConf.save(OmegaConf.create(overrides), run / ".hydra/overrides.yaml")
    text = html.unescape(answer(run, "What would another split give?"))
    start = (
        """devise-exp train 'data.root='"'"'/a b'"'"'' split_layout=x loss=cosine split=random """
    )
    assert f"run <code>{start}split.n_unseen=3 " in text
    assert "OPTIONS" not in text
    page = html.unescape(re.sub("<[^>]*>", "", write_html(ShownRun(run)).read_text("utf-8")))
    assert "The command that made this run:" in page
    assert "split.seed=3 +split.n_seen=5 split_seeds=2" in page


def test_classes_without_a_word_vector_are_named(run: Path) -> None:
    assert "without a word vector" not in answer(run, "How many images")
    change(run, "about.json", **{"labels/missing": 2})
    assert "2 classes of the data take no part" in answer(run, "How many images")
    content = json.loads((run / "about.json").read_text(encoding="utf-8"))
    (run / "about.json").write_text(json.dumps(content | {"dropped": ["qwx", "zzy"]}), "utf-8")
    assert "(labels.on_missing=drop): qwx, zzy." in answer(run, "How many images")


def test_an_unseen_class_that_may_be_a_seen_one_is_named(run: Path) -> None:
    assert "same thing" not in answer(run, "Which unseen classes")
    entries = json.loads((run / "classes.json").read_text(encoding="utf-8"))
    unseen = next(entry for entry in entries if not entry["seen"])
    seen = next(entry for entry in entries if entry["seen"])
    unseen["words"], seen["words"] = ["aubergine"], ["eggplant"]
    (run / "classes.json").write_text(json.dumps(entries), encoding="utf-8")
    pair = f"{unseen['name']} (unseen) and {seen['name']} (seen) may be the same thing"
    assert pair in answer(run, "Which unseen classes")


def test_a_split_of_clean_classes_is_drawn_again_among_the_clean_ones(run: Path) -> None:
    path = run / "classes.json"
    entries = json.loads(path.read_text(encoding="utf-8"))
    for i, entry in enumerate(entries):
        entry["pretraining"] = "clean" if not entry["seen"] or i == 0 else "is a kind of dog"
    path.write_text(json.dumps(entries), encoding="utf-8")
    n_clean = sum(entry["pretraining"] == "clean" for entry in entries)
    assert command_of(run)[0] == "split=clean"
    text = answer(run, "What would another split give?")
    assert f"the {n_clean} of {len(entries)} classes that pass the check" in text
    assert "share many of their unseen classes" in text


def test_the_page_of_a_series_has_the_measured_interval(run: Path) -> None:
    series = run.parents[1]
    table = comparison.over_splits([series])
    cell = table.lines[0].cells[1]
    assert cell is not None
    (series / "summary.csv").rename(series / "later.csv")  # as while the series is trained
    before = write_html(ShownRun(run)).read_text(encoding="utf-8")
    assert "Measured in the series" not in before
    refresh_splits(run, table)
    after = (run / PAGE).read_text(encoding="utf-8")
    text = html.unescape(re.sub("<[^>]*>", "", after))
    assert "Measured in the series of this run, over 2 splits: unseen hit@1 has a mean of" in text
    assert "95 % of the mean" in text
    (series / "later.csv").rename(series / "summary.csv")
    assert write_html(ShownRun(run)).read_text(encoding="utf-8") == after  # whenever it is written
