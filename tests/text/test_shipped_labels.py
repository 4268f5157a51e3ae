"""The labels that come with ImageNet and Tiny ImageNet: every class has words of its own."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig
from timm.data import ImageNetInfo

from devise_exp.data.imagenet_sets import _distinct_names
from devise_exp.text.distinct import require_distinct_vectors
from devise_exp.text.labels import class_vectors, resolve
from devise_exp.text.wordnet.nouns import shipped_nouns

WNIDS = sorted(ImageNetInfo().label_names())
FEW = ("beach wagon, station wagon, wagon, estate car, beach waggon, station waggon, waggon",
       "police van, police wagon, paddy wagon, patrol wagon, wagon, black Maria")  # fmt: skip


def class_names(data: str) -> list[str]:
    if data == "tiny_imagenet200":  # its words.txt has WordNet's words
        return list(_distinct_names({id: shipped_nouns().words[id] for id in WNIDS}).values())
    path = files("devise_exp.features.backbones") / "assets" / "imagenet1k_names.txt"
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("data", ["tiny_imagenet200", "imagenet"])
def test_every_class_has_words_and_a_vector_of_its_own(
    composed: Callable[..., DictConfig], data: str
) -> None:
    config = composed(f"data={data}", "data.root=pictures")
    names, aliases = class_names(data), dict(config.labels.aliases)
    assert len(names) == 1000
    assert aliases.keys() <= set(names)
    assert config.labels.on_unknown == "drop"
    vocabulary = instantiate(config.word_vectors)
    resolutions = resolve(names, vocabulary, aliases)
    require_distinct_vectors(names, class_vectors(resolutions, vocabulary))
    if data == "tiny_imagenet200":
        words = {r.name: r.words for r in resolutions}
        assert [words[name] for name in FEW] == [("station", "wagon"), ("police", "van")]
