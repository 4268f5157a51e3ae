"""Python keywords as overrides of the config."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from devise_exp.core.config import compose_config
from devise_exp.core.errors import InputError
from devise_exp.ui.python.options import literal, overrides_of


def test_keywords_reach_the_config_as_they_are() -> None:
    names = ["T-shirt (red)", "emu, small", "null", "1e5", "it's"]
    config = compose_config(
        overrides_of(
            ["loss=cosine"],
            {
                "seed": np.int64(3),
                "data": "image_folder",
                "root": Path("My Pictures, (2020)/seed=0"),
                "split": "named",
                "split__unseen": names,
                "trainer__max_epochs": 4,
                "optimizer": {"lr": np.float64(0.25)},
                "few_classes": "allow",
                "train_metrics": True,
                "ks": range(1, 4),
                "resume": None,
                "prior": None,
                "labels": {"aliases": {"a dog, (b)": "wild dog", "cat": "cats"}},
            },
        )
    )
    assert (config.seed, config.data.root) == (3, "My Pictures, (2020)/seed=0")
    assert list(config.split.unseen) == names
    assert (config.trainer.max_epochs, config.optimizer.lr) == (4, 0.25)
    assert (config.train_metrics, list(config.ks), config.resume) == (True, [1, 2, 3], None)
    assert not config.prior
    assert dict(config.labels.aliases) == {"a dog, (b)": "wild dog", "cat": "cats"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": 0.1}, "no option lr: did you mean optimizer__lr?"),
        ({"los": "cosine"}, "no option los: did you mean loss?"),
        ({"epochs": 3}, "no option epochs: did you mean .*trainer__max_epochs"),
        ({"trainer": {"max_epoch": 3}}, "no option trainer__max_epoch: .* trainer__max_epochs"),
        ({"zzqqxx": 1}, "no option zzqqxx: devise-exp train --cfg job shows all options"),
        ({"split": "named", "unsen": ["a"]}, r"no option unsen: did you mean split__unseen"),
        ({"loss": object()}, "no value of an option: give a number"),
        ({"loss": b"cosine"}, "no value of an option: give a number"),
        ({"trainer": {1: 2}}, "trainer: give each key as a text"),
    ],
    ids=["lr", "los", "epochs", "below", "unlike", "of_split", "object", "bytes", "number"],
)
def test_a_wrong_keyword_is_one_line(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words) as raised:
        overrides_of([], options)
    assert len(str(raised.value).splitlines()) == 1


def test_a_key_is_given_once_and_arguments_are_texts() -> None:
    with pytest.raises(InputError, match=r"seed is given twice, seed=1 and seed=2: take one out"):
        overrides_of(["seed=1"], {"seed": 2})
    with pytest.raises(InputError, match=r"data\.root is given twice"):
        overrides_of([], {"root": "a", "data__root": "b"})
    assert overrides_of(["seed=1"], {"seed": 1}) == ["seed=1", "seed=1"]
    with pytest.raises(InputError, match="give options as texts"):
        overrides_of([3], {})  # type: ignore[list-item]


def test_a_key_of_ones_own_is_left_to_hydra() -> None:
    assert overrides_of([], {"+loss._target_": "mine.loss"}) == ["+loss._target_=mine.loss"]
    assert overrides_of([], {"root": "IMAGES", "ks": [1]}, "evaluate") == [
        "data.root=IMAGES",
        "ks=[1]",
    ]


def test_numbers_and_texts_stay_what_they_are() -> None:
    texts = ["7", "true", "null", "a b", ""]
    assert [literal(value) for value in (True, 7, 1e-05, float("inf"), None)] == [
        *("true", "7", "1e-05", "inf", "null")
    ]
    names = ["T-shirt (red)", "null", "it's"]
    config = compose_config(["split=named", f"split.unseen={literal(names)}"])
    assert list(config.split.unseen) == names
    assert literal(texts[:5]) == "['7','true','null',a b,'']"
