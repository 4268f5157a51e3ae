"""The trained model under the plain names of unseen classes, beside itself under aliases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.pipelines import reevaluation, run
from devise_exp.pipelines.plain_names import plain_names
from devise_exp.pipelines.prepare import prepare
from devise_exp.reports.html.page import write_html
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.runs.folder import RunFolder

WORDS = (
    "face", "leopard", "motorbike", "airplane", "bonsai", "brain", "butterflies", "car", "side",
    "chandelier", "grand", "piano", "hawksbill", "turtle", "ketch", "wristwatch", "witch",
)  # fmt: skip
UNSEEN = ["Leopards", "bonsai", "car_side", "watch"]
Config = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def config(composed: Config, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A quick run on few shipped features; no word vector for "watch", whose alias has one."""
    file = tmp_path_factory.mktemp("words") / "words.txt"
    rng = np.random.default_rng(0)
    rows = [" ".join([word, *(f"{x:.4f}" for x in rng.normal(size=8))]) for word in WORDS]
    file.write_text("\n".join(rows))
    options = (
        "subset.limit_per_class=6", "subset.min_images=90", "split=named", "split.val_share=0.2",
        f"split.unseen=[{','.join(UNSEEN)}]", "word_vectors=glove", f"word_vectors.path={file}",
        "projection=linear", "trainer.max_epochs=2", "training.batch_size=16", "index=exact",
        "class_folds=auto", "method=unseen_plain_names", "logger=none", "report=none",
    )  # fmt: skip
    return lambda *more: composed(*options, *more)


@pytest.fixture(scope="module")
def trained(
    config: Config, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunFolder, dict[str, float]]:
    folder = tmp_path_factory.mktemp("runs") / "plain"
    return RunFolder(folder), run.train(config(), folder, quietly=True)


def test_only_unseen_aliases_are_taken_back(config: Config) -> None:
    data = prepare(config())
    plain = plain_names(data, "error")
    assert plain is not None
    assert plain.aliases == ("Leopards", "car_side", "watch")
    assert plain.missing == ("watch",)
    names = list(data.split.classes)
    changed = (plain.class_vectors != data.class_vectors).any(axis=1)
    # The plural is looked up in the singular, which is the alias; butterfly is seen.
    assert [name for name, c in zip(names, changed, strict=True) if c] == ["car_side", "watch"]
    both = data.vocabulary.vector("car") + data.vocabulary.vector("side")
    np.testing.assert_allclose(
        plain.class_vectors[names.index("car_side")], both / np.linalg.norm(both), atol=1e-6
    )
    assert not plain.class_vectors[names.index("watch")].any()


def test_a_missing_name_takes_the_nearest_spelling_if_labels_do(config: Config) -> None:
    data = prepare(config())
    plain = plain_names(data, "nearest")
    assert plain is not None
    assert plain.missing == ()  # it takes "witch"
    assert plain.class_vectors[list(data.split.classes).index("watch")].any()


def test_without_an_unseen_alias_there_is_no_row(config: Config) -> None:
    data = prepare(config("split.unseen=[bonsai,brain]"))
    assert plain_names(data, "error") is None
    only = prepare(config("split.unseen=[bonsai,watch]"))  # whose plain name has no vector
    assert plain_names(only, "error") is None


def test_the_row_is_the_same_model_among_other_vectors(
    trained: tuple[RunFolder, dict[str, float]],
) -> None:
    """Against plain loops; the class without a vector is neither asked for nor an answer."""
    folder, values = trained
    model, plain = folder.embedded("devise"), folder.embedded("unseen_plain_names")
    np.testing.assert_array_equal(model.unseen.vectors, plain.unseen.vectors)
    assert plain.gamma == model.gamma is not None
    names = [record.name for record in folder.classes()]
    seen, unseen = folder.class_ids()
    rest = [c for c in unseen if names[c] != "watch"]
    labels = {"unseen": rest, "all_unseen": [*seen, *rest], "calibrated_unseen": [*seen, *rest]}
    for protocol, candidates in labels.items():
        for k in (1, 2):
            shares: dict[int, list[bool]] = {}
            for image, true in zip(plain.unseen.vectors, plain.unseen.class_ids, strict=True):
                if true not in rest:
                    continue
                gamma = model.gamma if protocol == "calibrated_unseen" else 0.0
                score = {
                    c: float(image @ plain.class_vectors[c]) - gamma * (c in seen)
                    for c in candidates
                }
                best = sorted(candidates, key=lambda c: -score[c])[:k]
                shares.setdefault(int(true), []).append(true in best)
            key = f"method/unseen_plain_names/{protocol}/hit@{k}"
            everything = [hit for hits in shares.values() for hit in hits]
            assert values[key] == pytest.approx(np.mean(everything))
            assert values[f"{key}/class_mean"] == pytest.approx(
                np.mean([np.mean(hits) for hits in shares.values()])
            )
    assert "method/unseen_plain_names/unseen/hit@3" not in values  # of three labels
    assert "unseen/hit@3" in values
    assert values["method/unseen_plain_names/seen/hit@1"] == values["seen/hit@1"]
    assert "method/unseen_plain_names/search/unseen/mAP" in values


def test_a_run_says_how_many_aliases_and_who_chose_them(
    trained: tuple[RunFolder, dict[str, float]], composed: Config
) -> None:
    folder, values = trained
    about: dict[str, Any] = folder.about()
    assert about["labels/unseen_alias"] == "3 of 4"
    assert about["unseen_plain_names/left_out"] == "1 of 4 unseen classes: watch"
    page = write_html(ShownRun(folder.path)).read_text()
    assert "8 of 13 classes, 3 of 4 unseen ones, stand under an alias" in page
    assert "chosen by the authors of devise-exp, by hand, by the nearest neighbours" in page
    again = reevaluation.evaluate(composed(f"run_dir={folder.path}", name="evaluate"))
    assert again == {k: v for k, v in values.items() if k not in ("val/hit@1", "epoch")}


def test_other_class_vectors_of_a_method_are_refused(config: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"class_vectors=plain: give random or plain_names"):
        run.train(config("method.unseen_plain_names.class_vectors=plain"), tmp_path / "run")
    with pytest.raises(InputError, match=r"method\.random_vectors\.draws=0: give a whole number"):
        run.train(
            config("method=random_vectors", "method.random_vectors.draws=0"), tmp_path / "run"
        )
    with pytest.raises(InputError, match=r"method\.random_vectors\.epochs_share=2: give"):
        run.train(
            config("method=random_vectors", "method.random_vectors.epochs_share=2"),
            tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()
