from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from helpers.paths import ROOT
from helpers.scripts import load_script
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models import ResNet18_Weights

from devise_exp.core.errors import InputError
from devise_exp.data.verdict_kinds import kind_of
from devise_exp.evaluation.kinds import (
    INCLUDES,
    IS,
    IS_A_KIND_OF,
    RELATIONS,
    KindTable,
    Sense,
    imagenet1k_kinds,
    read_kinds,
)
from devise_exp.evaluation.leakage import audit
from devise_exp.evaluation.verdicts import AuditReport, Overlap

MAKE = ROOT / "experiments" / "overlap_table" / "make.py"
IMAGENET = ResNet18_Weights.DEFAULT.meta["categories"]
# A hand-made world with three classes: killer whale (0), hook (1), crane the bird (2).
WORDNET = {
    "n1": "animal, beast",
    "n2": "dolphin",
    "n3": "killer whale, orca, sea wolf",
    "n4": "hook, claw",
    "n5": "anchor, ground tackle",
    "n6": "crane",
    "n7": "sandhill crane",
    "n8": "okapi",
    "n9": "crane",  # the machine, no class
    "n10": "tool",
}
HYPERNYMS = [("n1", "n2"), ("n2", "n3"), ("n10", "n4"), ("n4", "n5"), ("n1", "n6"), ("n6", "n7")]
HYPERNYMS += [("n1", "n8"), ("n10", "n9")]
CLASSES = {"0": ["n3", "killer_whale"], "1": ["n4", "hook"], "2": ["n6", "crane"]}
CATEGORIES = ["killer whale, orca", "hook", "crane"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    given = tmp_path / "wordnet"
    given.mkdir()
    (given / "words.txt").write_text("".join(f"{k}\t{v}\n" for k, v in WORDNET.items()))
    (given / "wordnet.parent-child.txt").write_text("".join(f"{p} {c}\n" for p, c in HYPERNYMS))
    (given / "imagenet_class_index.json").write_text(json.dumps(CLASSES))
    return given


@pytest.fixture(scope="module")
def make() -> ModuleType:
    return load_script(MAKE)


def test_make_keeps_what_is_includes_or_is_a_kind_of_a_class(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "kinds.tsv.gz"
    command = [sys.executable, str(MAKE), str(folder), "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    assert sorted(gzip.decompress(out.read_bytes()).decode().splitlines()) == [
        "includes\tanimal, beast\t0 2\tn1",
        "includes\tdolphin\t0\tn2",
        "includes\ttool\t1\tn10",
        "is\tcrane\t2\tn6",
        "is\thook, claw\t1\tn4",
        "is\tkiller whale, orca, sea wolf\t0\tn3",
        "is a kind of\tanchor, ground tackle\t1\tn5",
        "is a kind of\tsandhill crane\t2\tn7",
    ]
    first = out.read_bytes()
    subprocess.run(command, check=True, capture_output=True)
    assert out.read_bytes() == first


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("words.txt", None, r"words.txt is missing.*README"),
        ("words.txt", "n1 animal\n", r"words.txt, line 1"),
        ("words.txt", "n1\tanimal\n", r"no words for \d+ synsets"),
        ("wordnet.parent-child.txt", "n1 n2\nn3\n", r"parent-child.txt, line 2"),
        ("imagenet_class_index.json", '["tench"]', "no class index"),
        ("imagenet_class_index.json", "{", "no class index"),
    ],
)
def test_make_names_a_wrong_file(
    folder: Path, make: ModuleType, file: str, content: str | None, message: str
) -> None:
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(InputError, match=message):
        make.make_table(folder)


@pytest.fixture
def table(folder: Path, make: ModuleType) -> KindTable:
    made_table = make.make_table(folder)
    assert isinstance(made_table, KindTable)
    return made_table


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("orca", (), [(IS, 0)]),
        ("sea_wolf", (), [(IS, 0)]),  # a synonym that the categories do not give
        ("SeaWolves", (), [(IS, 0)]),
        ("seawolf", (), [(IS, 0)]),
        ("dolphins", (), [(INCLUDES, 0)]),
        ("animal", (), [(INCLUDES, 0), (INCLUDES, 2)]),
        ("anchor", (), [(IS_A_KIND_OF, 1)]),
        ("001.sandhill-crane", (), [(IS_A_KIND_OF, 2)]),
        ("crane", (), [(IS, 2)]),  # whichever crane is meant
        ("okapi", (), []),
        ("flipper", (), []),
        ("flipper", "porpoise, dolphin", [(INCLUDES, 0)]),
        ("flipper", ("porpoise", "dolphin"), [(INCLUDES, 0)]),
        ("tool", ("hook",), [(IS, 1)]),  # the stronger relation
        ("???", ("",), []),
    ],
)
def test_an_audit_by_kind(
    table: KindTable, name: str, given: str | tuple[str, ...], expected: list[tuple[str, int]]
) -> None:
    report = audit({name: given}, CATEGORIES, table)
    assert report.checked_by == ("words", "kinds")
    relations = [
        (overlap.relation, CATEGORIES.index(overlap.category)) for overlap in report.overlaps
    ]
    assert relations == expected
    assert report.overlapping == ((name,) if expected else ())


def test_an_overlap_says_by_which_sense(table: KindTable) -> None:
    (overlap,) = audit({"anchor": ()}, CATEGORIES, table).overlaps
    assert overlap == Overlap(
        name="anchor",
        relation="is a kind of",
        category="hook",
        sense="anchor, ground tackle",
        basis="kind of",
    )


def test_each_unseen_class_has_one_verdict_its_strongest_overlap(table: KindTable) -> None:
    unseen = {"tool": ("crane",), "animal": (), "okapi": (), "sandhill crane": ()}
    report = audit(unseen, CATEGORIES, table)
    assert len(report.overlaps) == 5  # tool includes hook, and animal two classes
    assert report.verdicts([*unseen, "emu"]) == {
        "tool": "is crane",
        "animal": "includes killer whale, orca",
        "okapi": "clean",
        "sandhill crane": "is a kind of crane",
        "emu": "clean",
    }
    assert audit(unseen, None).verdicts(["okapi"]) == {"okapi": "not checked"}


def test_other_pretraining_is_audited_by_words_only(table: KindTable) -> None:
    unseen = {"dolphins": (), "sea_horse": ("hippocampus",), "okapi": ()}
    report = audit(unseen, ["Dolphin", "seahorse", "zebra"], table)
    assert report.checked_by == ("words",)
    assert [(overlap.name, overlap.relation, overlap.category) for overlap in report.overlaps] == [
        ("dolphins", IS, "Dolphin"),
        ("sea_horse", IS, "seahorse"),
    ]
    assert audit(unseen, CATEGORIES).checked_by == ("words",)


def test_unknown_pretraining_cannot_be_audited(table: KindTable) -> None:
    assert audit({"dolphin": ()}, None, table) == AuditReport(checked_by=(), overlaps=())


def test_a_table_describes_its_own_classes_in_order(table: KindTable) -> None:
    assert table.describes(CATEGORIES)
    assert table.describes(["Orca", "claw", "cranes, crane"])
    assert not table.describes(CATEGORIES[:2])
    assert not table.describes(CATEGORIES[::-1])


def test_the_shipped_table_is_of_imagenet() -> None:
    table = imagenet1k_kinds()
    assert sorted(table.class_keys) == list(range(1000))
    assert table.describes(IMAGENET)
    assert not table.describes(IMAGENET[1:] + IMAGENET[:1])


@pytest.mark.parametrize(
    ("name", "relation", "category"),
    [
        ("dolphin", INCLUDES, "killer whale"),
        ("kangaroo", INCLUDES, "wallaby"),
        ("ewer", IS, "pitcher"),
        ("lamp", INCLUDES, "table lamp"),
        ("elephants", INCLUDES, "African elephant"),
        ("grand_piano", IS, "grand piano"),
        ("GreatWhiteShark", IS, "great white shark"),
        ("crane", IS, "crane bird"),
        ("binocular", IS, "binoculars"),
        ("soccer_ball", IS, "soccer ball"),
        ("anchor", IS_A_KIND_OF, "hook"),
    ],
)
def test_overlaps_of_imagenet(name: str, relation: str, category: str) -> None:
    report = audit({name: ()}, IMAGENET, imagenet1k_kinds())
    assert (relation, category) in [
        (overlap.relation, overlap.category) for overlap in report.overlaps
    ]


def test_very_general_names_overlap_with_every_class() -> None:
    assert len(audit({"entity": ()}, IMAGENET, imagenet1k_kinds()).overlaps) == 1000
    assert len(audit({"animal": ()}, IMAGENET, imagenet1k_kinds()).overlaps) == 398


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("01_llama", "is llama"),
        ("1. llama", "is llama"),
        ("0001.llama", "is llama"),
        ("llama (2)", "is llama"),
        ("llama_12", "is llama"),
        ("llama.n.01", "is llama"),
        ("n02437616-llama", "is llama"),
        ("n02437616", "is llama"),
        ("n02099601", "is golden retriever"),
        ("n02099601_dog_of_mine", "is golden retriever"),
        ("golden retriever dog", "is golden retriever"),
        ("Llama (animal)", "is llama"),
        ("02 okapi [wild]", "clean"),
        ("okapi_3", "clean"),
        ("n02438580", "clean"),  # okapi
        ("大熊猫", "not identified"),
        ("zzyzx", "not identified"),
        ("n99999999", "not identified"),
        ("class_7", "not identified"),
        ("species_12", "not identified"),
        ("image (3)", "not identified"),
        ("unknown", "not identified"),
        ("DC-10", "not identified"),  # an airliner, which ImageNet knows: no direct current
        ("MD-80", "not identified"),
        ("An-12", "not identified"),
        ("Falcon 2000", "not identified"),
        ("Chevrolet Monte Carlo 2007", "not identified"),
        ("Hyundai Santa Fe SUV 2012", "not identified"),
        ("swimming pool party", "not identified"),
        ("llama 2000", "is llama"),
        ("polar bear cub", "is ice bear"),
        ("apple_golden_delicious", "clean"),
        ("water lily flower", "clean"),
        ("okapi_0123", "clean"),
        ("okapi12", "clean"),
        ("7", "not identified"),
        ("l", "not identified"),
        ("", "not identified"),
    ],
)
def test_a_class_is_clean_only_if_its_name_says_what_it_is(name: str, verdict: str) -> None:
    report = audit({name: ()}, IMAGENET, imagenet1k_kinds())
    assert report.verdicts([name]) == {name: verdict}
    assert report.unidentified == ((name,) if verdict == "not identified" else ())


def test_an_alias_identifies_a_class() -> None:
    names = {"大熊猫": "giant panda", "长颈鹿": "giraffe", "雪": "zzyzx"}
    assert audit(names, IMAGENET, imagenet1k_kinds()).verdicts(names) == {
        "大熊猫": "is giant panda",
        "长颈鹿": "clean",
        "雪": "not identified",
    }


def test_a_person_states_what_the_audit_cannot_place_but_not_away_an_overlap() -> None:
    names = {"zzyzx": (), "llama": (), "okapi": ()}
    report = audit(names, IMAGENET, imagenet1k_kinds(), ["zzyzx", "llama"])
    assert report.verdicts(names) == {
        "zzyzx": "clean (as stated)",
        "llama": "is llama",
        "okapi": "clean",
    }
    assert (report.unidentified, report.stated_clean) == ((), ("zzyzx",))


def test_without_pretraining_classes_every_name_is_clean() -> None:
    assert audit({"zzyzx": ()}, []).verdicts(["zzyzx"]) == {"zzyzx": "clean"}


def test_what_imagenet_does_not_know_is_clean() -> None:
    clean = {"okapi": (), "emu": (), "sea_horse": ("seahorse",), "helicopter": (), "ibis": ()}
    assert audit(clean, IMAGENET, imagenet1k_kinds()) == AuditReport(
        checked_by=("words", "kinds"), overlaps=()
    )


@pytest.mark.parametrize(
    "content",
    [
        b"not gzip",
        gzip.compress(b"is\tdolphin\n", mtime=0),
        gzip.compress(b"is\tdolphin\t1-x\n", mtime=0),
    ],
)
def test_a_broken_table_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kinds.tsv.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"kinds.tsv.gz is not a table of kinds.*make.py"):
        read_kinds(path)
    path.unlink()
    with pytest.raises(InputError, match="is not a table of kinds"):
        read_kinds(path)


SENSES = st.builds(
    Sense,
    st.lists(st.text("abc ", min_size=1).map(str.strip).filter(bool), min_size=1).map(tuple),
    st.sampled_from(RELATIONS),
    st.sets(st.integers(0, 30), min_size=1).map(lambda indices: tuple(sorted(indices))),
)


@given(st.lists(SENSES))
def test_a_written_table_reads_back(
    tmp_path_factory: pytest.TempPathFactory, make: ModuleType, senses: list
) -> None:
    path = tmp_path_factory.mktemp("kinds") / "kinds.tsv.gz"
    path.write_bytes(make.table_bytes(KindTable(tuple(senses))))
    assert sorted(read_kinds(path).senses, key=repr) == sorted(senses, key=repr)


# Compounds, activities and senses


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("bike polo", "possibly overlapping: has the part bike, which includes bicycle-built"),
        ("sailboat racing", "possibly overlapping: has the part sailboat, which includes "),
        ("HorseRiding", "possibly overlapping: has the part Horse, which includes sorrel"),
        ("fire alarm box", "possibly overlapping: has the part box, which includes carton"),
        ("tennis serve", "possibly overlapping: has the part tennis, an activity that goes with "),
        ("tennis", "possibly overlapping: is an activity that goes with tennis ball"),
        ("table_tennis", "possibly overlapping: "),
        ("skiing", "possibly overlapping: comes from ski, which is ski"),
        ("canoeing", "possibly overlapping: comes from canoe, which is canoe"),
        ("golfer", "possibly overlapping: comes from golf, which goes with golf ball"),
        ("ski jumping", "possibly overlapping: has the part ski, which is ski"),
        ("rooster", "possibly overlapping: shares a synonym with cock"),
        ("billiards", "is pool table"),  # the project's own table: what its images show
        ("hot dog stand", "is hotdog"),
        ("rescue collie", "is a kind of collie"),  # the head, in its most frequent sense
        ("wheelchair basketball", "possibly overlapping: has the part basketball, which is"),
        ("pool party", "possibly overlapping: has the part pool, which includes rain barrel"),
        ("sea horse", "clean"),  # a noun of WordNet, which is no horse
        ("water lily", "clean"),
        ("street", "clean"),  # a street sign is not named after an activity
        ("judo", "clean"),
        ("boxing", "clean"),  # no box turtle
        ("helicopter", "clean"),  # a chopper is a cleaver too
    ],
)
def test_heads_parts_and_activities_in_names(name: str, verdict: str) -> None:
    report = audit({name: ()}, IMAGENET, imagenet1k_kinds())
    assert report.verdicts([name])[name].startswith(verdict)
    assert bool(report.possible) == verdict.startswith("possibly")
    assert report.undecided == ((name,) if verdict.startswith("possibly") else ())


SPORTS = ["judo", "archery", "fencing", "surfing", "rowing", "lacrosse", "javelin", "luge",
          "bowling", "curling", "frisbee", "high jump"]  # fmt: skip
PLANTS = ["apple", "kiwi", "leek", "garlic", "ginger", "tomato", "pear", "peach", "plum", "mango",
          "onion", "carrot"]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "others", "verdict"),
    [
        ("cricket", [], "is cricket"),  # the insect is the more frequent sense
        ("cricket", SPORTS, "clean (another sense is cricket)"),
        ("cricket", PLANTS, "is cricket"),
        ("Sweet-Potato", [], "possibly overlapping: in another sense is ocarina"),
        ("Sweet-Potato", PLANTS, "clean (another sense is ocarina)"),
        ("Sweet-Potato", SPORTS, "is ocarina"),
        ("mouse", [], "possibly overlapping: in another sense is mouse"),
        ("crane", PLANTS, "is crane bird"),
        ("cup", [*SPORTS], "is cup"),  # ImageNet's cup stands among food
        ("basketball", SPORTS, "is basketball"),  # a sport is seen with its ball
    ],
)
def test_a_sense_is_chosen_by_the_other_classes(name: str, others: list[str], verdict: str) -> None:
    names = dict.fromkeys((*others, name), ())
    report = audit(names, IMAGENET, imagenet1k_kinds())
    assert report.verdicts([name]) == {name: verdict}
    # What is left out of the prior, and which class folds are drawn, goes by every sense.
    assert {overlap.name for overlap in report.of([name]).by_whole_names} == {name}


def test_a_person_states_overlaps_and_what_is_only_possible() -> None:
    names = {"judo": (), "bike polo": (), "zzyzx": (), "okapi": ()}
    stated = {"judo": "mat", "okapi": ""}
    report = audit(names, IMAGENET, imagenet1k_kinds(), ["bike polo", "okapi"], stated)
    assert report.verdicts(names) == {
        "judo": "overlaps as stated with mat",
        "bike polo": "clean (as stated)",
        "zzyzx": "not identified",
        "okapi": "overlaps as stated",
    }
    assert report.categories == {"mat"}
    assert report.overruled == ("okapi",)
    # What a class fold leaves out of the prior.
    assert {o.category for o in report.of(["judo"]).by_whole_names} == {"mat"}
    assert report.count(names) == (
        "1 clean, 2 overlapping, 0 possibly overlapping, 1 not identified"
    )
    assert audit(names, None, stated_overlapping=stated).verdicts(names)["judo"].endswith("mat")


def test_a_report_of_some_classes_says_of_them_what_that_of_all_says() -> None:
    names = dict.fromkeys(["llama", "cricket", "bike polo", "zzyzx", "okapi", *SPORTS], ())
    report = audit(names, IMAGENET, imagenet1k_kinds(), ["okapi"])
    some = ["llama", "cricket", "zzyzx"]
    assert report.of(some).verdicts(some) == {n: report.verdicts(names)[n] for n in some}
    assert report.of(some).possible == ()
    assert report.of(names) == report


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        ("is llama", "overlapping"),
        ("clean", "clean"),
        ("clean (as stated)", "clean"),
        ("possibly overlapping: x", "possibly overlapping"),
        ("not identified", "not identified"),
        ("not checked", "not checked"),
    ],
)
def test_a_verdict_has_a_kind(verdict: str, kind: str) -> None:
    assert kind_of(verdict) == kind


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4))
def test_any_names_can_be_audited(unseen: dict[str, str]) -> None:
    report = audit(unseen, IMAGENET, imagenet1k_kinds())
    assert set(report.overlapping) <= set(unseen)
