"""Whole runs on small files of exactly the format of the published benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.xlsa17 import CLASSES, UNSEEN, attributes_of, published_files
from omegaconf import DictConfig

from devise_exp.core.errors import user_message
from devise_exp.evaluation import leakage
from devise_exp.evaluation.kinds import imagenet1k_kinds
from devise_exp.features.backbones import published
from devise_exp.pipelines import reevaluation, run
from devise_exp.runs.folder import RunFolder

Config = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def trained(
    xlsa17_config: Config, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("runs") / "run"
    return folder, run.train(xlsa17_config(), folder)


def test_the_audit_knows_the_published_names() -> None:
    categories = published.res101().categories
    names = dict.fromkeys(("killer+whale", "001.Black_footed_Albatross", "blue+whale"), "")
    result = leakage.audit(names, categories, imagenet1k_kinds())
    assert result.checked_by == ("words", "kinds")
    relations = {(overlap.name, overlap.relation, overlap.category) for overlap in result.overlaps}
    assert ("killer+whale", "is", "killer whale") in relations
    assert ("001.Black_footed_Albatross", "is a kind of", "albatross") in relations
    assert "blue+whale" not in result.overlapping


def test_a_run_trains_and_its_class_means_are_right(
    trained: tuple[Path, dict[str, Any]], composed: Config
) -> None:
    folder, values = trained
    bank, stated = published_files()
    saved = RunFolder.existing(folder)
    assert saved.about()["leak/unseen_leaked"] == 2  # ImageNet has albatrosses and rams
    model = saved.embedded("devise")
    names = [entry.name for entry in saved.classes()]
    both = np.stack([attributes_of(name) for name in names])
    seen = [c for c, name in enumerate(names) if name not in UNSEEN]
    unseen = [c for c, name in enumerate(names) if name in UNSEEN]
    figures = {}
    for key, images, loc, candidates in (
        ("seen", model.seen.vectors, "test_seen_loc", seen),
        ("unseen", model.unseen.vectors, "test_unseen_loc", unseen),
        ("all_seen", model.seen.vectors, "test_seen_loc", seen + unseen),
        ("all_unseen", model.unseen.vectors, "test_unseen_loc", seen + unseen),
    ):
        right: dict[str, list[bool]] = {}
        for base, image in zip(stated[loc].ravel(), images, strict=True):
            truth = CLASSES[int(bank["labels"][int(base) - 1, 0]) - 1]
            best = max(candidates, key=lambda c: float(image @ both[c]))
            right.setdefault(truth, []).append(names[best] == truth)
        shares = [sum(this) / len(this) for this in right.values()]
        figures[key] = sum(shares) / len(shares)
        assert values[f"{key}/hit@1/class_mean"] == pytest.approx(figures[key])
    u, s = figures["all_unseen"], figures["all_seen"]
    assert values["all/H@1"] == pytest.approx(2 * u * s / (u + s) if u + s else 0)
    assert values["seen/hit@1"] > 2 * values["method/chance/seen/hit@1"]  # it has learnt something
    again = reevaluation.evaluate(composed(f"run_dir={folder}", name="evaluate"))
    assert again == {n: v for n, v in values.items() if n not in ("val/hit@1", "epoch")}


def test_what_belongs_to_the_benchmark_alone_says_so(
    xlsa17_config: Config, composed: Config, xlsa17_root: Path, image_tree: Path, tmp_path: Path
) -> None:
    def refused(config: DictConfig) -> str:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - Hydra wraps ours
            run.train(config, tmp_path / "refused")
        line = user_message(caught.value)
        assert line is not None
        assert "\n" not in line
        assert not (tmp_path / "refused").exists()
        return line

    image_options = (
        "data=image_folder", f"data.root={image_tree}", "logger=none", "report=none",
        "features.num_workers=0",
        "word_vectors=random",
    )  # fmt: skip
    other = xlsa17_config("backbone=resnet18", "backbone.weights=null")
    assert "choose backbone=xlsa17_res101" in refused(other)
    assert "was not published" in refused(composed(*image_options, "backbone=xlsa17_res101"))
    assert "has no network to train" in refused(xlsa17_config("backbone.trainable=true"))
    split = ("split=xlsa17", f"split.root={xlsa17_root}", "split.name=AWA2")
    assert "use it with data=xlsa17" in refused(composed(*image_options, *split))
    assert "is seen and unseen" in refused(xlsa17_config("++labels.merges.sheep=zebra"))
    assert "choose among SUN" in refused(xlsa17_config("data.name=../AWA2"))
    assert "data.name is needed" in refused(
        composed("data=xlsa17", f"data.root={xlsa17_root}", "logger=none", "report=none")
    )
