"""Every file under conf/ can be selected, and names exactly the parameters of what it builds."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from helpers.paths import CONF
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.config import compose_config
from devise_exp.core.errors import InputError, input_errors
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.evaluation.protocols import standard_protocols
from devise_exp.pipelines.settings import read_settings
from devise_exp.pipelines.sweep.study_config import study_of
from devise_exp.pipelines.sweep.sweep import check_space
from devise_exp.training.lightning import OURS as CALLBACKS

FILES = sorted(path.relative_to(CONF).with_suffix("").as_posix() for path in CONF.rglob("*.yaml"))
OPTIONS = [
    name for name in FILES if "/" in name and not name.startswith("study/") and name[-4:] != "/own"
]
OWN = [name.split("/")[0] for name in FILES if name.endswith("/own")]
# Options of method that name several or none.
SEVERAL = {"none", "controls", "ablation", "all", "with_prior", "published"}
# Of the field's methods these are in method=published alone.
SLOW = {"sje", "latem", "sync", "class_norm", "cvae"}
STUDIES = [name.split("/")[1] for name in FILES if name.startswith("study/")]
# What a person has to give where an option has ???.
NEEDED = {
    "backbone/timm": ["backbone.name=resnet10t"],
    "backbone/open_clip": ["backbone.pretrained=local-dir:weights"],
    "word_vectors/sentence_encoder": ["word_vectors.model=all-mpnet-base-v2"],
    "split/named": ["split.unseen=[okapi]"],
    **{f"word_vectors/{name}": ["word_vectors.path=vectors.txt"]
       for name in ("glove", "word2vec", "fasttext", "class_table")},
    **{f"data/{name}": ["data.root=pictures"]
       for name in ("caltech256", "cifar100", "flowers102", "food101", "image_folder", "imagenet",
                    "intel_scenes", "pascal_sentences", "photos32", "tiny_imagenet200")},
    "data/hugging_face": ["data.path=pictures"],
    "data/webdataset": ["data.root=pictures"],
    "data/table": ["data.file=images.csv"],
    "data/xlsa17": ["data.root=pictures", "data.name=AWA2"],
    **{f"{group}/{name}": ["data=xlsa17", "data.root=pictures", "data.name=AWA2"]
       for group, name in (("split", "xlsa17"), ("word_vectors", "xlsa17_attributes"))},
    **{f"experiment/{name}": ["data.root=pictures"]
       for name in ("caltech256_fasttext", "intel_retrieval", "pascal_vgg16_glove",
                    "photos32_vgg16")},
}  # fmt: skip
# Given when a run is built, not in YAML: the module's parameters, the data, the folders.
LATER = {
    "projection": {"feature_dim", "dim"},
    "loss": {"embeddings", "targets", "class_vectors"},
    "split": {"data"},
    "index": {"vectors"},
    "prior": {"pretraining"},
    "optimizer": {"params"},
    "scheduler": {"optimizer"},
    "executor": {"folder"},
    "logger": {"save_dir"},
}
# Of torch's and Lightning's constructors the YAML names only some parameters, of ours all.
OURS = "devise_exp."
# Parameters that no option shows.
INTERNAL = {
    "index/hnsw": {"graph"},
    "index/faiss": {"saved"},
    # Further options of the library, +executor.KEY=VALUE.
    "executor/ray": {"options"},
    "executor/submitit": {"parameters"},
}
NOT_OF_THIS = {"index/brute_force": {"m", "ef_construction", "ef_search", "graph"}}


@cache
def composed_with(composed: Callable[..., DictConfig], option: str) -> DictConfig:
    group, name = option.split("/")
    primary = "sweep" if group == "executor" else "config"
    return composed(f"{group}={name}", *NEEDED.get(option, []), name=primary)


def target_of(node: DictConfig) -> Callable[..., Any]:
    module, name = str(node._target_).rsplit(".", 1)
    result: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return result


def settings(node: DictConfig) -> dict[str, Any]:
    return {str(k): v for k, v in node.items() if str(k) not in ("_target_", "_partial_")}


def nodes_of(config: DictConfig, group: str) -> list[tuple[str, DictConfig]]:
    """(group, node) of what an option builds; a method may be the run's own with another loss."""
    if group in ("logger", "callbacks"):
        return [(group, node) for node in config[group].values() if OmegaConf.is_dict(node)]
    if group != "method":
        return [(group, config[group])]
    specs = list(config.method.values())
    this = [(group, spec) for spec in specs if "_target_" in spec]
    return this + [("loss", spec.loss) for spec in specs if "loss" in spec]


def buildable(option: str) -> bool:
    nothing = ("index/saved", "logger/none", "prior/none", "classifiers/none", "method/none",
               "method/random_vectors", "method/unseen_plain_names", "method/devise_map",
               "method/devise_prior", "method/devise_classifiers", "callbacks/default")  # fmt: skip
    return option not in nothing and option.split("/")[0] not in ("labels", "experiment")


@pytest.mark.parametrize("option", [o for o in OPTIONS if o != "index/saved"])
def test_every_option_can_be_selected(composed: Callable[..., DictConfig], option: str) -> None:
    config = composed_with(composed, option)
    OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    group, name = option.split("/")
    written = yaml.safe_load((CONF / f"{option}.yaml").read_text(encoding="utf-8")) or {}
    if group == "experiment":
        return
    this = written.get(group, written) if "defaults" in written else written
    for key, value in this.items():
        if key != "defaults" and value not in ("???", []) and "${" not in str(value):
            assert OmegaConf.to_container(config[group])[key] == value, f"{name}: {key}"


@pytest.mark.parametrize("group", OWN)
def test_a_part_of_ones_own_has_no_options_but_those_of_its_function(group: str) -> None:
    config = compose_config([f"+{group}._target_=mymodule.part", f"{group}.width=2"])
    partial = {"_partial_": True} if group in LATER else {}
    assert config[group] == {"_target_": "mymodule.part", **partial, "width": 2}
    assert compose_config([f"{group}=own", f"{group}._target_=a.b"])[group]._target_ == "a.b"
    with pytest.raises(InputError, match=rf"{group}._target_ is needed"), input_errors():
        read_settings(compose_config([f"{group}=own"]))


def test_a_chosen_option_keeps_its_keys_for_a_function_of_ones_own() -> None:
    config = compose_config(["loss=hinge_rank", "loss._target_=mymodule.hinge"])
    assert (config.loss._target_, config.loss.margin) == ("mymodule.hinge", 1.0)
    with pytest.raises(HydraException, match="nosuch"):
        compose_config(["nosuch._target_=a.b"])


def test_evaluate_names_every_protocol() -> None:
    seen, unseen = np.array([0, 1]), np.array([2, 3])
    every = standard_protocols(seen, unseen, np.array([4]), True, np.array([2]), calibrated=True)
    text = (CONF / "evaluate.yaml").read_text(encoding="utf-8")
    comment = text[text.index("# Only these protocols") : text.index("\nprotocols: null")]
    assert {p.name for p in every} <= set(re.findall(r"\w+", comment))


def test_evaluate_offers_every_index(composed: Callable[..., DictConfig]) -> None:
    targets = {}
    for option in (o for o in OPTIONS if o.startswith("index/")):
        name = option.split("/")[1]
        targets[name] = composed(f"index={name}", "run_dir=x", name="evaluate").index
    assert not targets.pop("saved")
    assert set(targets) == {"exact", "hnsw", "brute_force", "auto", "faiss"}
    for name, node in targets.items():
        assert instantiate(node)(torch.eye(3).numpy()).name == name


@pytest.mark.parametrize("option", [o for o in OPTIONS if buildable(o)])
def test_the_keys_are_the_parameters_of_the_target(
    composed: Callable[..., DictConfig], option: str
) -> None:
    nodes = nodes_of(composed_with(composed, option), option.split("/")[0])
    assert nodes
    for group, node in nodes:
        assert_keys_are_parameters(group, node, option)


def assert_keys_are_parameters(group: str, node: DictConfig, option: str) -> None:
    target = target_of(node)
    parameters = inspect.signature(target).parameters
    named = set(settings(node))
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        assert named <= set(parameters)
    later = LATER.get(group, set())
    assert not named & later
    required = {
        name
        for name, p in parameters.items()
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }
    assert required - later <= named
    if node._target_.startswith(OURS):  # all that a person may set is shown
        hidden = INTERNAL.get(option, set()) | NOT_OF_THIS.get(option, set())
        if group == "method":
            hidden = hidden | {"name"}  # the key in config
        assert set(parameters) - later - named <= hidden | {"method"}
        assert bool(node.get("_partial_")) is bool(later)


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.split("/")[0] == "method"])
def test_what_a_method_does_not_build_is_the_runs_own_but_for_what_it_says(
    composed: Callable[..., DictConfig], option: str
) -> None:
    specs = composed_with(composed, option).method
    if option.split("/")[1] not in SEVERAL:
        assert list(specs) == [option.split("/")[1]]
    for name, spec in specs.items():
        if "_target_" in spec:
            assert instantiate(spec).name == name
        else:
            assert set(spec) in (
                {"loss"},
                {"additions"},
                {"class_vectors"},
                {"class_vectors", "draws", "epochs_share"},
            )
            if "additions" in spec:
                assert str(name).removeprefix("devise_") in (*spec.additions, "map")
                continue
            assert str(name).removeprefix("devise_") in (
                str(OmegaConf.select(spec, "loss._target_")).rsplit(".", 1)[-1],
                f"{spec.get('class_vectors')}_vectors",
                f"unseen_{spec.get('class_vectors')}",
            )


def test_every_method_is_among_all_of_them(composed: Callable[..., DictConfig]) -> None:
    singles = {o.split("/")[1] for o in OPTIONS if o.split("/")[0] == "method"}
    priors = {name for name in singles - SEVERAL if name.endswith("_prior")}
    assert set(composed("method=all").method) == singles - SEVERAL - SLOW - priors | {
        "devise_prior"
    }
    assert set(composed("method=published").method) > SLOW
    slow_priors = {f"{name}_prior" for name in SLOW}
    assert priors - slow_priors < set(composed("method=with_prior").method)
    assert slow_priors < priors
    assert not composed("method=none").method
    assert set(composed().method) == {
        "unseen_plain_names", "softmax", "conse", "conse_pretraining", "random_vectors",
    }  # fmt: skip


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.split("/")[0] == "projection"])
def test_projections_build(composed: Callable[..., DictConfig], option: str) -> None:
    projection = instantiate(composed_with(composed, option).projection)(12, 5)
    assert projection(torch.zeros(3, 12)).shape == (3, 5)


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.split("/")[0] == "loss"])
def test_losses_build(composed: Callable[..., DictConfig], option: str) -> None:
    loss = instantiate(composed_with(composed, option).loss)
    value = loss(torch.eye(3), torch.arange(3), torch.eye(3))
    assert value.shape == ()
    assert torch.isfinite(value)


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.split("/")[0] == "optimizer"])
@pytest.mark.parametrize("scheduler", ["cosine", "constant"])
def test_optimizers_and_schedulers_build(
    composed: Callable[..., DictConfig], option: str, scheduler: str
) -> None:
    names = f"optimizer={option.split('/')[1]}", f"scheduler={scheduler}"
    config = composed(*names, "trainer.max_epochs=10")
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = instantiate(config.optimizer)([weight])
    rate = optimizer.param_groups[0]["lr"]
    steps = instantiate(config.scheduler)(optimizer)
    for _ in range(config.trainer.max_epochs):
        weight.grad = torch.ones(2)
        optimizer.step()
        steps.step()
    end = optimizer.param_groups[0]["lr"]
    assert (end == rate) if scheduler == "constant" else (end < rate / 1000)
    assert (weight < 1).all()


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.split("/")[0] == "trainer"])
def test_trainers_build_where_their_device_is(
    composed: Callable[..., DictConfig], option: str
) -> None:
    overrides = [f"trainer={option.split('/')[1]}"]
    if (
        not torch.cuda.is_available() or option == "trainer/mps"
    ):  # the rest of the option must still be right
        overrides += ["trainer.accelerator=cpu", "trainer.precision=bf16-mixed"]
    config = composed(*overrides)
    assert config.trainer.max_epochs == (1 if option == "trainer/smoke" else None)
    trainer = instantiate(config.trainer)(logger=False, enable_checkpointing=False)
    assert trainer.num_devices == (2 if option == "trainer/ddp" else 1)


# That of xlsa17 is read from the published archive, with which test_xlsa17 builds it.
SPLITS = [o for o in OPTIONS if o.split("/")[0] == "split" and o != "split/xlsa17"]


@pytest.mark.parametrize("option", SPLITS)
def test_splits_build(composed: Callable[..., DictConfig], option: str) -> None:
    config = composed_with(composed, option)
    animals = ("okapi", "cat", "dog", "emu", "fox", "gnu", "hen", "yak")
    classes = sorted({*animals, *(config.split.get("unseen") or ())})
    labels = torch.arange(len(classes)).repeat_interleave(5).numpy()
    rows = [f"{classes[c]}/{i}" for i, c in enumerate(labels)]
    if option == "split/caltech101_clean":
        classes = [c for c in classes if c != "okapi"] + ["okapi"]
        classes.sort()
    parts = ["train", "train", "train", "val", "test"] * len(classes)
    verdicts = dict.fromkeys(classes, "clean")
    data = LabelledRows(classes=classes, labels=labels, rows=rows, parts=parts, verdicts=verdicts)
    split = instantiate(config.split)(data)
    assert len(split.unseen) >= 1
    if config.split.get("unseen"):
        assert {classes[i] for i in split.unseen} == set(config.split.unseen)


def test_packaged_word_vectors_build(composed: Callable[..., DictConfig]) -> None:
    real = instantiate(composed().word_vectors)
    assert (real.dim, len(real)) == (50, 400_000)
    control = instantiate(composed("word_vectors=random").word_vectors)
    assert control.dim == real.dim


def test_the_default_needs_nothing_that_is_missing(composed: Callable[..., DictConfig]) -> None:
    config = composed()
    OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert config.logger.wandb.offline is True
    assert config.split.name == "caltech101_clean"  # data brings its split and labels along
    assert config.labels.merges.Faces_easy == "Faces"
    assert composed("data=image_folder", "data.root=x").split._target_.endswith(".random_split")


def test_data_that_brings_its_split_still_lets_a_person_choose(
    composed: Callable[..., DictConfig],
) -> None:
    config = composed("split=random", "labels=plain")
    assert config.split._target_ == "devise_exp.data.splits.random_split"
    assert not config.labels.merges


def test_callbacks_and_loggers_stand_beside_each_other(
    composed: Callable[..., DictConfig],
) -> None:
    config = compose_config(["logger=[wandb,csv]", "callbacks=[default,lr_monitor]"])
    assert list(config.logger) == ["wandb", "csv"]
    assert set(config.callbacks) == {*CALLBACKS, "lr_monitor"}
    assert all(config.callbacks[name] is True for name in CALLBACKS)
    online = compose_config(["logger=[csv,wandb]", "logger.offline=false", "logger.log_model=true"])
    assert (online.logger.wandb.offline, online.logger.wandb.log_model) == (False, True)
    assert composed("trainer=mps").trainer.accelerator == "mps"


def test_an_unknown_option_of_any_group_is_refused(composed: Callable[..., DictConfig]) -> None:
    for group in sorted({option.split("/")[0] for option in OPTIONS} | {"experiment"}):
        with pytest.raises(MissingConfigException):
            composed_with(composed, f"{group}/nosuch")


def test_an_unknown_key_is_refused_anywhere(composed: Callable[..., DictConfig]) -> None:
    for key in ("nosuch", "training.nosuch", "loss.nosuch", "data.nosuch", "trainer.nosuch"):
        with pytest.raises(ConfigCompositionException, match=f"override '{key}'"):
            composed(f"{key}=1")


def test_nothing_names_a_file_that_is_not_there() -> None:
    """Options that comments and defaults name exist."""
    for name in FILES:
        written = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8")) or {}
        for entry in written.get("defaults", []):
            if isinstance(entry, str):
                assert entry == "_self_" or f"{name.split('/')[0]}/{entry}" in FILES
                continue
            ((group, option),) = entry.items()
            group = re.sub(r"^(optional|override) |@.*$", "", group).lstrip("/")
            if option is not None and not group.startswith("hydra/"):
                assert f"{group}/{option}" in FILES


def test_the_sweep_for_wandb_is_what_train_takes() -> None:
    created = yaml.safe_load((CONF.parent / "experiments/wandb_sweep/sweep.yaml").read_text())
    arguments = []
    for key, given in created["parameters"].items():
        value = given["values"][-1] if "values" in given else given["min"]
        arguments.append(f"{key}={value}")
    rest = [item for item in created["command"] if not item.startswith("$")]
    config = compose_config([*arguments, *rest])
    assert config.logger.wandb.tags == ["sweep"]
    assert config.loss.temperature == 0.05
    assert (CONF.parent / created["program"]).is_file()


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_searches_what_train_takes(
    composed: Callable[..., DictConfig], name: str
) -> None:
    config = composed(f"study={name}", name="sweep")
    study = study_of(config.study)
    assert study.name == name
    check_space(study)
    (first, *_) = study.plan([], 0)
    assert set(first) == set(study.space)
    assert {item.split(".")[0] for item in study.space} <= set(composed())
