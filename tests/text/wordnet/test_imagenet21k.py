"""The labels of ImageNet-21K: read, counted, and how far they are from senses."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from helpers.paths import ROOT
from helpers.scripts import load_script
from helpers.tiny_hierarchy import DISTANCES, HIERARCHY, TREE
from hypothesis import given
from hypothesis import strategies as st
from timm.data import ImageNetInfo

from devise_exp.core.errors import InputError
from devise_exp.data.caltech import caltech101
from devise_exp.text.wordnet.hierarchy import UNPLACED, place_classes
from devise_exp.text.wordnet.hypernyms import distances_to
from devise_exp.text.wordnet.imagenet21k import (
    LabelTree,
    read_imagenet21k,
    shipped_imagenet21k,
)


@pytest.fixture(scope="module")
def make() -> ModuleType:
    return load_script(ROOT / "experiments" / "noun_table" / "make_imagenet21k.py")


def test_the_shipped_table_has_the_labels_of_imagenet21k() -> None:
    tree = shipped_imagenet21k()
    assert set(tree.labels) == set(ImageNetInfo("imagenet-22k").label_names())
    assert len(tree.labels) == 21_841
    # Lion is a kind of big cat (WordNet 3.0); four labels have no hypernym there.
    assert tree.hypernyms["n02129165"] == ("n02127808",)
    assert sum(not tree.hypernyms[label] for label in tree.labels) == 4


def test_labels_near_imagenets_thousand_classes() -> None:
    """The DeViSE paper's 2-hop set has 1,549 to 1,589 labels, which is one step here."""
    classes = ImageNetInfo("imagenet-1k").label_names()
    tree = shipped_imagenet21k()
    assert [len(set(tree.within(classes, n)) - set(classes)) for n in (0, 1, 2)] == [0, 1548, 5989]


nodes = st.integers(0, 11)
pairs = st.lists(st.tuples(nodes, nodes).filter(lambda pair: pair[0] < pair[1]), max_size=20)


@given(pairs, st.sets(nodes, min_size=1), st.sets(nodes), st.integers(0, 4))
def test_hops_are_those_of_matrix_powers(
    pairs: list[tuple[int, int]], labels: set[int], senses: set[int], hops: int
) -> None:
    hypernyms = {f"{i:02d}": tuple({f"{a:02d}" for a, b in pairs if b == i}) for i in range(12)}
    tree = LabelTree(tuple(f"{i:02d}" for i in sorted(labels)), hypernyms)
    step = np.eye(12, dtype=int)
    for above, below in pairs:
        step[above, below] = step[below, above] = 1
    reached = np.linalg.matrix_power(step, hops) if hops else np.eye(12, dtype=int)
    expected = [i for i in sorted(labels) if any(reached[i, j] for j in senses)]
    assert tree.within([f"{i:02d}" for i in senses], hops) == tuple(f"{i:02d}" for i in expected)


def test_a_sense_that_the_tree_lacks_is_near_nothing() -> None:
    assert shipped_imagenet21k().within(["n99999999"], 3) == ()


def test_distances_are_those_of_the_hierarchy() -> None:
    placed = [node for node in HIERARCHY.nodes if node is not None]
    expected = np.where(np.eye(len(placed), dtype=bool), 0, DISTANCES[:6, :6])
    assert distances_to(placed, placed, TREE, UNPLACED).tolist() == expected.tolist()
    names = caltech101().classes
    hierarchy = place_classes(names, [()] * len(names), "caltech101")
    of_tree = {**shipped_imagenet21k().hypernyms, **hierarchy.hypernyms}
    senses = [node for node in hierarchy.nodes if node is not None]
    hops = distances_to(senses[:20], senses, of_tree, UNPLACED)
    hops[(hops == 0) & ~np.eye(20, len(senses), dtype=bool)] = 1  # two classes of one sense
    assert hops.tolist() == hierarchy.distances[:20].tolist()


def test_two_with_nothing_in_common_are_said_so() -> None:
    hops = distances_to(["lion"], ["lion", "ghost"], TREE | {"ghost": ()}, UNPLACED)
    assert hops.tolist() == [[0, UNPLACED]]


def test_the_table_is_made_and_read_back(make: ModuleType, tmp_path: Path) -> None:
    pairs = tmp_path / "is_a.txt"
    pairs.write_text(
        "n00000001 n00000002\nn00000002 n00000003\nn00000001 n00000009\nn00000002 n00000005\n"
    )
    content = make.table_bytes(pairs, {"n00000003", "n00000005", "n00000007"})
    (tmp_path / "table.tsv.gz").write_bytes(content)
    assert make.table_bytes(pairs, {"n00000003", "n00000005", "n00000007"}) == content
    tree = read_imagenet21k(tmp_path / "table.tsv.gz")
    assert tree.labels == ("n00000003", "n00000005", "n00000007")
    assert tree.hypernyms == {
        "n00000001": (),
        "n00000002": ("n00000001",),
        "n00000003": ("n00000002",),
        "n00000005": ("n00000002",),
        "n00000007": (),
    }
    pairs.write_text("n1 n2\n")
    with pytest.raises(InputError, match="line 1: expected two ids"):
        make.table_bytes(pairs, set())


@pytest.mark.parametrize("content", [b"x", b"1\t2\n", b"1\t5\t1\n", b"1\ta\t1\n"])
def test_a_damaged_table_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "table.tsv.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match="is not a table of labels of ImageNet-21K"):
        read_imagenet21k(path)
