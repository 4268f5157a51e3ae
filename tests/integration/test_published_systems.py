"""The systems of published articles: each runs from its name on a small tree of its layout."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.configs import ALONE, TINY
from helpers.images import draw
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from devise_exp.evaluation import leakage
from devise_exp.evaluation.kinds import imagenet1k_kinds
from devise_exp.features.backbones.base import Backbone
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.pipelines import run
from devise_exp.search.answers import find_images
from devise_exp.search.saved_run import Run
from devise_exp.text import labels
from devise_exp.text.names import split_words
from devise_exp.text.word_vectors import glove_6b_50d

Config = Callable[..., DictConfig]
# Random weights, and a small network for VGG-16: what the experiment chose beside is as it is.
SMALL = [
    "backbone.weights=null", "features.num_workers=0", *ALONE, "logger=none",
    "trainer.max_epochs=2",
]  # fmt: skip
RESNET18 = ["backbone=resnet18", *SMALL]
SYSTEMS = ("caltech256_fasttext", "intel_retrieval", "pascal_vgg16_glove", "photos32_vgg16")
PASCAL_NAMES = """
aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person
pottedplant sheep sofa train tvmonitor
"""
SCENES = ("buildings", "forest", "glacier", "mountain", "sea", "street")
# The folders of Caltech-256 from 001 on, without their numbers.
CALTECH256_NAMES = """
ak47 american-flag backpack baseball-bat baseball-glove basketball-hoop bat bathtub bear beer-mug
billiards binoculars birdbath blimp bonsai-101 boom-box bowling-ball bowling-pin boxing-glove
brain-101 breadmaker buddha-101 bulldozer butterfly cactus cake calculator camel cannon canoe
car-tire cartman cd centipede cereal-box chandelier-101 chess-board chimp chopsticks cockroach
coffee-mug coffin coin comet computer-keyboard computer-monitor computer-mouse conch cormorant
covered-wagon cowboy-hat crab-101 desk-globe diamond-ring dice dog dolphin-101 doorknob
drinking-straw duck dumb-bell eiffel-tower electric-guitar-101 elephant-101 elk ewer-101 eyeglasses
fern fighter-jet fire-extinguisher fire-hydrant fire-truck fireworks flashlight floppy-disk
football-helmet french-horn fried-egg frisbee frog frying-pan galaxy gas-pump giraffe goat
golden-gate-bridge goldfish golf-ball goose gorilla grand-piano-101 grapes grasshopper guitar-pick
hamburger hammock harmonica harp harpsichord hawksbill-101 head-phones helicopter-101 hibiscus
homer-simpson horse horseshoe-crab hot-air-balloon hot-dog hot-tub hourglass house-fly
human-skeleton hummingbird ibis-101 ice-cream-cone iguana ipod iris jesus-christ joy-stick
kangaroo-101 kayak ketch-101 killer-whale knife ladder laptop-101 lathe leopards-101 license-plate
lightbulb light-house lightning llama-101 mailbox mandolin mars mattress megaphone menorah-101
microscope microwave minaret minotaur motorbikes-101 mountain-bike mushroom mussels necktie octopus
ostrich owl palm-pilot palm-tree paperclip paper-shredder pci-card penguin people pez-dispenser
photocopier picnic-table playing-card porcupine pram praying-mantis pyramid raccoon radio-telescope
rainbow refrigerator revolver-101 rifle rotary-phone roulette-wheel saddle saturn school-bus
scorpion-101 screwdriver segway self-propelled-lawn-mower sextant sheet-music skateboard skunk
skyscraper smokestack snail snake sneaker snowmobile soccer-ball socks soda-can spaghetti speed-boat
spider spoon stained-glass starfish-101 steering-wheel stirrups sunflower-101 superman sushi swan
swiss-army-knife sword syringe tambourine teapot teddy-bear teepee telephone-box tennis-ball
tennis-court tennis-racket theodolite toaster tomato tombstone top-hat touring-bike tower-pisa
traffic-light treadmill triceratops tricycle trilobite-101 tripod t-shirt tuning-fork tweezer
umbrella-101 unicorn vcr video-projector washing-machine watch-101 waterfall watermelon welding-mask
wheelbarrow windmill wine-bottle xylophone yarmulke yo-yo zebra airplanes-101 car-side-101
faces-easy-101 greyhound tennis-shoes toad
"""
PASCAL, CALTECH256 = PASCAL_NAMES.split(), CALTECH256_NAMES.split()


@pytest.fixture(scope="module")
def words300(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of gensim with few words of 300 dimensions."""
    root = tmp_path_factory.mktemp("gensim")
    file = root / "glove-wiki-gigaword-300" / "glove-wiki-gigaword-300.gz"
    file.parent.mkdir()
    known = [name for name in PASCAL if name not in ("diningtable", "pottedplant", "tvmonitor")]
    known += ["dining", "table", "potted", "plant", "television", "tiger", "lion", "ship"]
    known += ["airplane", "helicopter"]
    file.write_bytes(gzip.compress(text_of(known)))
    return root


def text_of(words: Iterable[str]) -> bytes:
    """A .vec file of `words` with vectors of 300 dimensions."""
    listed = list(words)
    vectors = np.random.default_rng(0).normal(size=(len(listed), 300)).round(3)
    lines = [" ".join([w, *map(str, v)]) for w, v in zip(listed, vectors.tolist(), strict=True)]
    return "\n".join([f"{len(listed)} 300", *lines, ""]).encode()


def save_images(folder: Path, n: int, colour: int) -> None:
    """`n` images of a colour known by its number, named as the data sets name them."""
    for i in range(n):
        shade = (37 * colour % 256, 91 * colour % 256, 151 * colour % 256)
        draw(folder / f"{folder.name[:3]}_{i + 1:04}.jpg", shade, seed=100 * colour + i)


def unseen_classes(saved: Run) -> set[str]:
    return {row.label for row in saved.gallery("unseen").rows}


def test_caltech256_with_fasttext(composed: Config, tmp_path: Path) -> None:
    root, config = tmp_path / "root", composed("data=caltech256", "data.root=x")
    unseen = OmegaConf.to_container(config.split)["unseen"]
    chosen = {*config.labels.aliases, *unseen, "dog", "zebra", "hot-dog", "yarmulke"}
    folder = root / "caltech256" / "256_ObjectCategories"
    for number, name in enumerate(CALTECH256, start=1):
        if name.removesuffix("-101") in chosen:
            n = 1 if name.removesuffix("-101") in unseen else 3
            save_images(folder / f"{number:03}.{name}", n, number)
    save_images(folder / "257.clutter", 1, 257)
    known = {w for name in chosen for w in split_words(config.labels.aliases.get(name, name))}
    known -= {"yarmulke"}
    cased = [form for word in sorted(known) for form in (word.capitalize(), word)]
    (root / "crawl-300d-2M.vec").write_bytes(text_of(["the", "The", *cased]))

    config = composed("experiment=caltech256_fasttext", f"data.root={root}", *SMALL)
    run.train(config, tmp_path / "run")
    saved = Run.open(tmp_path / "run")
    assert set(saved.classes) == chosen - {"yarmulke"}
    assert saved.folder.about()["labels/missing"] == 1
    assert isinstance(saved.gallery("all").index, NmslibIndex)
    assert unseen_classes(saved) == set(unseen)
    assert (saved.vocabulary.dim, len(saved.vocabulary)) == (300, len(known) + 1)
    result = find_images(saved, "watermelon", gallery="unseen", k=3)
    assert {hit.row.part for hit in result.hits} == {"unseen"}


def test_pascal_sentences_with_glove(
    composed: Config, words300: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENSIM_DATA_DIR", str(words300))
    for colour, name in enumerate(PASCAL):
        save_images(tmp_path / "root" / name, 3, colour)
    config = composed("experiment=pascal_vgg16_glove", f"data.root={tmp_path / 'root'}", *RESNET18)
    run.train(config, tmp_path / "run")
    saved = Run.open(tmp_path / "run")
    assert len(saved.classes) == 20
    assert saved.classes["diningtable"] == ("dining", "table")
    assert len(unseen_classes(saved)) == 4
    assert saved.spaces == ("devise", "backbone")
    assert saved.gallery("test", "backbone").index.vectors.shape == (16, 512)
    assert saved.gallery("test").index.vectors.shape == (16, 300)


def test_photographs_with_two_trained_layers(
    composed: Config,
    words300: Path,
    image_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GENSIM_DATA_DIR", str(words300))
    config = composed(
        "experiment=photos32_vgg16", f"data.root={image_tree}", "subset.limit_per_class=4",
        *RESNET18, *TINY,
    )  # fmt: skip
    values = run.train(config, tmp_path / "run")
    saved = Run.open(tmp_path / "run")
    assert len(unseen_classes(saved)) == 5
    for images, n_labels in (("train", 3), ("seen", 3), ("unseen", 5)):
        asked = {f"{images}/hit@{k}" for k in (1, 2, 3, 5)}
        assert {*values} & asked == {f"{images}/hit@{k}" for k in (1, 2, 3) if k < n_labels}


def test_its_network_has_the_published_number_of_weights(composed: Config) -> None:
    """143,064,044, of which 8,798,900 are trained: as Keras counts, for which the running mean and
    variance of a batch norm are weights that are not trained.
    """
    config = composed("experiment=photos32_vgg16", "data.root=x", "backbone.weights=null")
    with torch.device("meta"):  # shapes alone
        backbone: Backbone = instantiate(config.backbone)
        head: torch.nn.Module = instantiate(config.projection)(backbone.feature_dim, 300)
    trained = sum(p.numel() for p in head.parameters())
    running = sum(b.numel() for b in head.buffers() if b.is_floating_point())
    frozen = sum(t.numel() for t in backbone.network.state_dict().values())
    assert not backbone.trainable
    assert trained == 8_798_900
    assert frozen + trained + running == 143_064_044


def test_scenes_are_stored_in_three_spaces(composed: Config, tmp_path: Path) -> None:
    for colour, name in enumerate(SCENES):
        n_train = 1 if name in ("glacier", "street") else 2
        save_images(tmp_path / "root/seg_train/seg_train" / name, n_train, colour)
        save_images(tmp_path / "root/seg_test/seg_test" / name, 1, colour + 10)
    config = composed("experiment=intel_retrieval", f"data.root={tmp_path / 'root'}", *SMALL)
    values = run.train(config, tmp_path / "run")
    saved = Run.open(tmp_path / "run")
    assert unseen_classes(saved) == {"glacier", "street"}
    sizes = {space: saved.gallery("all", space).index.vectors.shape for space in saved.spaces}
    assert sizes == {"devise": (12, 50), "backbone": (12, 2048), "classifier": (12, 2048)}
    for space in ("backbone", "classifier"):
        assert any(space in name and name.endswith("mAP") for name in values)


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_a_person_chooses_goes_before_what_a_system_chose(
    composed: Config, system: str
) -> None:
    config = composed(
        f"experiment={system}", "data=caltech101", "backbone=efficientnet_lite0",
        "word_vectors=glove_6b_50d", "loss=softmax", "trainer.max_epochs=3", "split.seed=4",
    )  # fmt: skip
    assert config.data.root is None
    assert (config.split.name, config.split.seed) == ("caltech101_clean", 4)
    assert config.labels.merges.Faces_easy == "Faces"
    for part in ("word_vectors", "backbone", "loss"):
        instantiate(config[part])
    assert config.trainer.max_epochs == 3
    named = composed(f"experiment={system}", "data.root=x", "split=named", "split.unseen=[a]")
    assert "n_unseen" not in named.split


def test_glove_knows_all_but_one_class_of_caltech256(composed: Config) -> None:
    vocabulary, config = glove_6b_50d(), composed("data=caltech256", "data.root=x")
    assert len(CALTECH256) == 256
    names = [name.removesuffix("-101") for name in CALTECH256]
    plain = labels.resolve(names, vocabulary, on_missing="drop")
    assert {r.name for r in plain if r.rule == "missing"} == {"breadmaker"}
    aliased = labels.resolve(names, vocabulary, dict(config.labels.aliases))
    assert labels.count_rules(aliased)["alias"] == len(config.labels.aliases)


@pytest.mark.parametrize("data", ["caltech256", "intel_scenes"])
def test_unseen_classes_are_none_that_the_pretraining_knew(composed: Config, data: str) -> None:
    from torchvision.models import ResNet18_Weights

    unseen = composed(f"data={data}", "data.root=x").split.unseen
    categories = ResNet18_Weights.DEFAULT.meta["categories"]
    audit = leakage.audit({name: name for name in unseen}, categories, imagenet1k_kinds())
    assert audit.checked_by == ("words", "kinds")
    assert audit.overlapping == ()
