from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from helpers import tiny_wordnet
from helpers.paths import ROOT
from helpers.scripts import load_script
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.data import ImageNetInfo
from torchvision.models import ResNet18_Weights

from devise_exp.core.errors import InputError
from devise_exp.text.wordnet.database import WordNet
from devise_exp.text.wordnet.hypernyms import hops_above, hypernyms_of
from devise_exp.text.wordnet.senses import (
    SenseTable,
    likely_sense,
    read_sense_table,
    shipped_sense_table,
)

MAKE = ROOT / "experiments" / "hypernym_table" / "make.py"
SENSES = {
    "entity": ("", "what is"),
    "artifact": ("entity", "made"),
    "bird": ("entity", "winged"),
    "crane Stephen": ("entity", "the first"),
    "Crane": ("artifact", "a proper name"),
    "Hook": ("artifact", "a proper name"),
    "hook claw": ("artifact", "for hanging"),
    "hook talon claw": ("bird", "of a bird"),
    "in-line_skate": ("artifact", "a shoe"),
    "T-shirt": ("artifact", "worn"),
    "seahorse": ("bird | artifact", "no bird"),
}


@pytest.fixture
def wordnet(tmp_path: Path) -> WordNet:
    tiny_wordnet.write(tmp_path / "wordnet", SENSES)
    return WordNet(tmp_path / "wordnet")


@pytest.mark.parametrize(
    ("name", "gloss"),
    [
        ("crane", "the first"),
        ("hook", "for hanging"),  # a common noun before a proper name
        ("hook, talon", "of a bird"),  # the more synonyms the better
        ("claw", "for hanging"),
        ("Hooks", "for hanging"),
        ("003.birds", "winged"),
        ("in-line skate", "a shoe"),
        ("in-line_skates", None),
        ("tshirt", None),
        ("t_shirt", "worn"),
        ("sea-horse", "no bird"),
        ("SeaHorse", "no bird"),
        ("tool", None),
        ("", None),
        (",?", None),
    ],
)
def test_the_likely_sense_of_a_name(wordnet: WordNet, name: str, gloss: str | None) -> None:
    sense = likely_sense(wordnet, name)
    assert (sense and sense.gloss) == gloss


def test_an_animal_goes_before_its_fur_and_a_thing_before_an_idea(tmp_path: Path) -> None:
    senses = {
        "entity": ("", "what is"),
        "mark": ("entity", "an idea"),
        "physical_entity": ("entity", "what has a body"),
        "fur beaver": ("physical_entity", "the fur"),
        "animal beast": ("physical_entity", "a living thing"),
        "beaver": ("animal beast", "the animal"),
        "tick mark": ("entity", "an idea"),
        "tick": ("physical_entity", "a light mattress"),
    }
    tiny_wordnet.write(tmp_path, senses, at={"physical_entity": 1930, "animal beast": 15388})
    for name, gloss in {
        "beaver": "the animal",
        "tick": "a light mattress",
        "mark, tick": "an idea",
        "fur": "the fur",
    }.items():
        sense = likely_sense(WordNet(tmp_path), name)
        assert sense is not None
        assert sense.gloss == gloss


def test_the_hypernyms_of_a_sense_reach_the_top(wordnet: WordNet) -> None:
    id = {
        lemma: wordnet.senses(lemma)[0].id for lemma in ("seahorse", "bird", "artifact", "entity")
    }
    hypernyms = hypernyms_of([id["seahorse"]], wordnet)
    assert hypernyms == {
        id["seahorse"]: (id["bird"], id["artifact"]),
        id["bird"]: (id["entity"],),
        id["artifact"]: (id["entity"],),
        id["entity"]: (),
    }
    hops = hops_above(id["seahorse"], hypernyms)
    assert hops == {id["seahorse"]: 0, id["bird"]: 1, id["artifact"]: 1, id["entity"]: 2}


def test_hops_are_the_fewest() -> None:
    hypernyms = {"a": ("b", "d"), "b": ("c",), "c": ("d",), "d": ("e",), "e": ()}
    assert hops_above("a", hypernyms) == {"a": 0, "b": 1, "c": 2, "d": 1, "e": 2}


TABLE = SenseTable(
    {
        "zoo": {"mouse": "n00000001", "sea_horse": "n00000002", "yeti": ""},
        "office": {"mouse, computer mouse": "n00000003", "desk": "n00000004"},
        "imagenet": {
            "crane, bird": "n00000005",
            "Cardigan, corgi": "n00000006",
            "cardigan": "n00000007",
            "mouse, computer mouse": "n00000003",
        },
    },
    {f"n0000000{i}": () for i in range(1, 8)} | {"n00000001": ("n00000002",)},
)


@pytest.mark.parametrize(
    ("name", "dataset", "sense"),
    [
        ("mouse", "zoo", "n00000001"),
        ("mouse", "office", "n00000003"),
        ("mouse", "imagenet", "n00000003"),
        ("mouse", "tiny_imagenet200", "n00000003"),
        ("mouse", "image_folder", "n00000001"),  # the first data set that has it
        ("mouse, computer mouse", "image_folder", "n00000001"),
        ("computer-mouse", "zoo", "n00000003"),
        ("seahorses", "", "n00000002"),
        ("017.SeaHorse", "office", "n00000002"),
        ("cardigan", "imagenet", "n00000007"),
        ("Cardigan", "imagenet", "n00000006"),
        ("cardigan, corgi", "imagenet", "n00000006"),
        ("yeti", "", ""),
        ("n00000004", "zoo", "n00000004"),
        ("crane (n00000004)", "imagenet", "n00000004"),
        ("n00000009", "zoo", None),
        ("chair", "zoo", None),
        ("", "", None),
    ],
)
def test_a_class_finds_its_sense(name: str, dataset: str, sense: str | None) -> None:
    assert TABLE.sense(name, dataset) == sense


def test_the_shipped_table_knows_every_class_of_its_data_sets() -> None:
    table = shipped_sense_table()
    counts = {name: len(senses) for name, senses in table.senses.items()}
    assert counts == {
        "caltech101": 101,
        "caltech256": 256,
        "cifar100": 100,
        "food101": 101,
        "flowers102": 102,
        "pascal_sentences": 20,
        "intel_scenes": 6,
        "imagenet": 1000,
    }
    without = {n: sum(not id for id in senses.values()) for n, senses in table.senses.items()}
    assert {n: count for n, count in without.items() if count} == {"food101": 15, "flowers102": 9}
    roots = [id for id, above in table.hypernyms.items() if not above]
    assert roots == ["n00001740"]  # entity
    for senses in table.senses.values():
        for id in filter(None, senses.values()):
            assert "n00001740" in hops_above(id, table.hypernyms)


def test_imagenets_classes_have_their_own_ids() -> None:
    categories = ResNet18_Weights.DEFAULT.meta["categories"]
    ids = sorted(ImageNetInfo().label_names())
    assert [shipped_sense_table().sense(name, "imagenet") for name in categories] == ids
    goldfish = shipped_sense_table().sense("goldfish, Carassius auratus", "tiny_imagenet200")
    assert goldfish == ids[1] == "n01443537"


@pytest.mark.parametrize(
    ("dataset", "name", "above"),
    [
        ("caltech101", "bass", "n02512053"),  # fish
        ("caltech101", "tick", "n01769347"),  # arachnid
        ("caltech101", "emu", "n01503061"),  # bird
        ("caltech101", "anchor", "n03532672"),  # hook
        ("caltech101", "lotus", "n13083586"),  # vascular plant
        ("caltech101", "mayfly", "n02159955"),  # insect
        ("caltech101", "crayfish", "n01976146"),  # decapod crustacean
        ("caltech101", "schooner", "n04530566"),  # vessel
        ("caltech101", "garfield", "n09587565"),  # fictional character
        ("caltech101", "barrel", "n03094503"),  # container
        ("caltech256", "mars", "n09394007"),  # planet
        ("cifar100", "mouse", "n02329401"),  # rodent
        ("imagenet", "mouse", "n03183080"),  # device
        ("imagenet", "crane bird", "n01503061"),  # bird
        ("food101", "tacos", "n07557434"),  # dish
        ("flowers102", "magnolia", "n13083586"),  # vascular plant
        ("pascal_sentences", "tvmonitor", "n03278248"),  # electronic equipment
        ("intel_scenes", "forest", "n00001930"),  # physical entity
    ],
)
def test_classes_have_the_sense_their_images_show(dataset: str, name: str, above: str) -> None:
    table = shipped_sense_table()
    sense = table.sense(name, dataset)
    assert sense is not None
    assert above in hops_above(sense, table.hypernyms)


IDS = st.integers(0, 9).map(lambda i: f"n0000000{i}")
NAMES = st.text("abc ,", min_size=1).filter(lambda name: name.strip(" ,"))


@settings(max_examples=25)
@given(st.dictionaries(st.text("xyz", min_size=1), st.dictionaries(NAMES, IDS, min_size=1)))
def test_a_written_table_reads_back(
    tmp_path_factory: pytest.TempPathFactory, make: ModuleType, senses: dict[str, dict[str, str]]
) -> None:
    table = SenseTable(
        senses, {f"n0000000{i}": (f"n0000000{i - 1}",) if i else () for i in range(10)}
    )
    path = tmp_path_factory.mktemp("table") / "table.tsv.gz"
    path.write_bytes(make.table_bytes(table))
    again = read_sense_table(path)
    assert again == table
    assert list(again.senses) == list(senses)
    assert make.table_bytes(again) == make.table_bytes(table)


def test_the_shipped_file_is_what_its_table_writes(make: ModuleType) -> None:
    path = (
        Path(sys.modules["devise_exp.text.wordnet.senses"].__file__).parent
        / "assets"
        / "hypernyms.tsv.gz"
    )
    assert make.table_bytes(read_sense_table(path)) == path.read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"not gzip",
        gzip.compress(b"zoo\tmouse\n", mtime=0),
        gzip.compress(b"zoo\tmouse\tn00000001\n", mtime=0),
        gzip.compress(b"is a kind of\tn00000001\tn00000002\n", mtime=0),
    ],
)
def test_a_broken_table_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.tsv.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"table.tsv.gz is not a table of senses.*make.py"):
        read_sense_table(path)
    path.unlink()
    with pytest.raises(InputError, match="is not a table of senses"):
        read_sense_table(path)


@pytest.fixture(scope="module")
def make() -> ModuleType:
    return load_script(MAKE)


def test_make_reads_the_choices(make: ModuleType, wordnet: WordNet, tmp_path: Path) -> None:
    talon = wordnet.senses("talon")[0].id
    path = tmp_path / "classes.ini"
    path.write_text(
        f"# classes\n[zoo]\nBirds\nclaw = {talon} # not the hook\nyeti = -\nwing = bird\n"
    )
    imagenet = {"hook bird": talon, "hook": talon}
    table = make.make_table(wordnet, make.read_classes(path), imagenet)
    bird = wordnet.senses("bird")[0].id
    assert table.senses == {
        "zoo": {"Birds": bird, "claw": talon, "yeti": "", "wing": bird},
        "imagenet": {"hook bird, hook, talon, claw": talon, "hook, talon, claw": talon},
    }
    assert set(table.hypernyms) == {talon, bird, wordnet.senses("entity")[0].id}


def test_make_names_what_wordnet_does_not_have(make: ModuleType, wordnet: WordNet) -> None:
    with pytest.raises(InputError, match=r"zoo: WordNet does not have yeti: give yeti another"):
        make.make_table(wordnet, {"zoo": {"yeti": None}}, {})
    with pytest.raises(InputError, match=r"does not have snowman: give yeti another"):
        make.make_table(wordnet, {"zoo": {"yeti": "snowman"}}, {})


def test_make_asks_for_the_version_it_was_made_from(tmp_path: Path) -> None:
    tiny_wordnet.write(tmp_path, SENSES, version="3.1")
    out = tmp_path / "table.tsv.gz"
    command = [sys.executable, str(MAKE), str(tmp_path), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "has WordNet 3.1: give 3.0" in done.stderr
    assert not out.exists()
