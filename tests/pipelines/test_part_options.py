"""Every option of every part has a kind: what means nothing is refused in one line, unbuilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any

import pytest
import yaml
from helpers.configs import FEW
from helpers.paths import CONF
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.core.machine import processors
from devise_exp.pipelines.option_errors import as_written
from devise_exp.pipelines.part_options import PARTS, check_part, check_parts
from devise_exp.pipelines.settings import read_settings
from devise_exp.pipelines.sweep.study_config import study_of

Config = Callable[..., DictConfig]


def parts_of(path: str, node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, value in node.items():
            yield from parts_of(f"{path}.{key}".lstrip("."), value)


@cache
def shipped_options() -> dict[tuple[str, str], Any]:
    """(constructor, option) -> a value that conf/ has for it."""
    values: dict[tuple[str, str], Any] = {}
    for file in sorted(CONF.rglob("*.yaml")):
        written = yaml.safe_load(file.read_text(encoding="utf-8"))
        for _, part in parts_of("", written):
            for key, value in part.items():
                if not key.startswith("_") and str(value) != "???" and "${" not in str(value):
                    values.setdefault((part["_target_"], key), value)
    return values


def is_of_callbacks(target: str) -> bool:
    return target.startswith("devise_exp.pipelines.grid")


def test_every_option_of_every_part_has_a_kind() -> None:
    for file in sorted(CONF.rglob("*.yaml")):
        written = yaml.safe_load(file.read_text(encoding="utf-8"))
        for _, part in parts_of("", written):
            named = {key for key in part if not key.startswith("_")}
            assert not named - set(PARTS.get(part["_target_"], {})), f"{file}: without a kind"


def refused(target: str, key: str, value: object) -> str:
    """The line for a value, "" if it is taken."""
    try:
        check_part("part", OmegaConf.create({"_target_": target, key: value}))
    except InputError as error:
        line = str(error)
        assert line.startswith(f"part.{key}={as_written(value)}: give "), line
        assert "\n" not in line
        assert len(line) < 300
        return line
    return ""


WRONG = (True, None, float("nan"), float("inf"), -1, 0, 1e30, [], [0.5], {"a": 1}, "word", "")


def numbers() -> list[tuple[str, str]]:
    return [
        pair
        for pair, value in shipped_options().items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ] + [(target, key) for target, key in shipped_options() if key in MAY_BE_NULL]


# Options that may be null, and numbers that mean something at 0, below it, or at any size.
MAY_BE_NULL = {
    "ef_search", "limit", "n_seen", "train_per_class", "n_unseen", "gradient_clip_val",
}  # fmt: skip
AT_ZERO = {
    "seed", "dropout", "momentum", "weight_decay", "gradient_clip_val", "glove_weight", "variant",
    "n_startup_trials", "n_warmup_steps", "retries",
}  # fmt: skip
BELOW_ZERO = {"devices"}
OF_ANY_SIZE = {"gradient_clip_val"}
IN_A_LIST: set[str] = set()


def test_no_number_takes_what_is_none() -> None:
    assert len(numbers()) > 20
    for (target, key), value in product(numbers(), WRONG):
        is_right = (
            (value is None and key in MAY_BE_NULL)
            or (value == 0 and type(value) is int and key in AT_ZERO)
            or (value == -1 and key in BELOW_ZERO)
            or (value == 1e30 and key in OF_ANY_SIZE)
        )
        assert bool(refused(target, key, value)) != is_right, f"{target}: {key}={value}"


def test_every_other_option_takes_a_value_or_ends_in_one_line() -> None:
    for (target, key), shipped in shipped_options().items():
        assert not refused(target, key, shipped)
        for value in WRONG:
            refused(target, key, value)
        if isinstance(shipped, bool):
            taken = [value for value in WRONG if not refused(target, key, value)]
            assert taken == ([True, None] if key == "fused" else [True])


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("loss.temperature=inf", "loss.temperature=inf: give a number from 0.001 to 1000"),
        ("loss.temperature=1e-30", "loss.temperature=1e-30: give a number from 0.001 to 1000"),
        ("optimizer.lr=0", "optimizer.lr=0: give a number from 1e-10 to 1000"),
        ("projection=mlp projection.hidden=0", "projection.hidden=0: give a whole number from 1"),
        ("projection=mlp projection.dropout=1", "projection.dropout=1: give a number from 0 to"),
        ("optimizer=sgd optimizer.momentum=2", "optimizer.momentum=2: give a number from 0 to"),
        ("trainer.gradient_clip_val=-1", "trainer.gradient_clip_val=-1: give a finite number"),
        ("scheduler.T_max=0", "scheduler.T_max=0: give a whole number from 1 on"),
        ("logger=wandb logger.wandb.offline=maybe", "logger.wandb.offline=maybe: give true or"),
        ("ks=[1,1]", "ks=[1, 1]: give a whole number from 1 on, a list of one or more of them, e"),
        ("prior.weights=[nan]", "prior.weights=[nan]: give a list of weights from 0 to 1000"),
        ("prior.weights=[]", "prior.weights=[]: give a list of weights from 0 to 1000"),
        ("method=ale method.ale.rates=[0]", "method.ale.rates=[0]: give a list of rates from"),
        (
            "method=predicted_classifiers method.predicted_classifiers.shrinkages=[0]",
            "method.predicted_classifiers.shrinkages=[0]: give a list of numbers above 0",
        ),
        (
            "method=predicted_classifiers method.predicted_classifiers.taus=[]",
            "method.predicted_classifiers.taus=[]: give a list of rates from",
        ),
        ("method=devise_softmax method.devise_softmax.loss.temperature=0",
         "method.devise_softmax.loss.temperature=0: give a number"),
        ("index=hnsw index.m=1", "index.m=1: give a whole number from 2 to 1000"),
        ("index=faiss index.kind=lsh", "index.kind=lsh: give flat, hnsw or ivf_pq"),
        ("index=faiss index.probes=0", "index.probes=0: give a whole number from 1 on"),
        ("split.val_share=1", "split.val_share=1: give a share above 0 and below 1"),
        ("split.clean=maybe", "split.clean=maybe: give report or require"),
        ("word_vectors.dim=0", "word_vectors.dim=0: give a whole number from 1 to 100000"),
        ("backbone.trainable=yes", "backbone.trainable=yes: give true or false"),
        ("backbone.variant=7", "backbone.variant=7: give a number of 0, 1 and 2"),
        ("data.root=[a]", "data.root=[a]: give a path, or null"),
        ("seed=4294967296", "seed=4294967296: give a whole number from 0 to 4294967295"),
        ("resume=[a]", "resume=[a]: give a path, or null"),
        ("+optimizer.eps=nan", "optimizer.eps=nan: give a finite number"),
        ("tuning.backbone_lr_factor=1e30", "tuning.backbone_lr_factor=1e+30: give a number from"),
    ],
)  # fmt: skip
def test_values_that_mean_nothing(composed: Config, override: str, line: str) -> None:
    *groups, option = override.split(" ")
    names = {group.partition("=")[0] for group in groups}
    few = [given for given in FEW if given.partition("=")[0] not in names]
    with pytest.raises(InputError) as caught:
        read_settings(composed(*few, *groups, option))
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["training.num_workers", "features.num_workers"])
def test_workers_are_bounded_by_the_processors(composed: Config, key: str) -> None:
    most = 16 * processors()
    read_settings(composed(*FEW, f"{key}={most}"))
    with pytest.raises(InputError, match=rf"^{key}=9999: give a whole number from 0 to {most} \("):
        read_settings(composed(*FEW, f"{key}=9999"))


def test_a_planner_of_a_study_is_checked_like_any_other_part(composed: Config) -> None:
    study = composed("study=head", "study.sampler.n_startup_trials=-1", name="sweep").study
    with pytest.raises(InputError, match=r"^study\.sampler\.n_startup_trials=-1: give a whole"):
        study_of(study)


def test_parts_of_ones_own_are_left_to_their_constructors(composed: Config) -> None:
    weighted = "{_target_: helpers.own_methods.Weighted, loss: hinge}"
    check_parts(composed(*FEW, f"+method.weighted={weighted}"))
    check_parts(composed(*FEW, "prior=none", "~scheduler"))
