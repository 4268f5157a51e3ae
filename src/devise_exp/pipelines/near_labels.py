"""The labels of evaluate.py's candidate_sets: their names, word vectors and places in WordNet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed, read_names
from devise_exp.evaluation.candidate_sets import PlacedLabels
from devise_exp.methods.pretraining_words import category_vectors
from devise_exp.runs.folder import RunFolder
from devise_exp.text.word_vectors.vectors import WordVectors
from devise_exp.text.wordnet.hierarchy import Hierarchy
from devise_exp.text.wordnet.imagenet21k import LabelTree, shipped_imagenet21k
from devise_exp.text.wordnet.nouns import shipped_nouns

HOPS = {"hop1": 1, "hop2": 2, "hop3": 3}
ALL, LISTED = "imagenet21k", "listed"
ROOT = "n00001740"  # entity, the root of WordNet's nouns
_SAME = 1 - 1e-6  # cosine of two labels of the same words


@dataclass(frozen=True, kw_only=True, eq=False)
class NearLabels:
    """Labels beyond the run's classes.

    Attributes:
        names: E names.
        vectors: (E, W) unit word vectors.
        placed: The classes of the run and these labels.
        about: How many there are, and how many are left out, for tables.
    """

    names: list[str]
    vectors: np.ndarray
    placed: PlacedLabels
    about: dict[str, int]


def near_labels(
    run: RunFolder, vocabulary: WordVectors, sets: Sequence[str] | str, first_id: int
) -> NearLabels:
    """Look up the labels of candidate sets.

    Args:
        run: The run folder, whose classes have places in WordNet.
        vocabulary: The word vectors of the run.
        sets: Names of sets, or one: hop1, hop2, hop3, imagenet21k, or a text file of WordNet ids.
        first_id: Id of the first label.

    Returns:
        The labels. Those without a word vector are left out, and those with the words of a class
        of the run: no vector tells the two apart.

    Raises:
        InputError: A set is unknown, its file holds other things, no class of the run has a place,
            or no label is left.
    """
    hierarchy = run.hierarchy()
    tree = _joined(shipped_imagenet21k(), hierarchy)
    seen, unseen = run.class_ids()
    nodes = hierarchy.nodes
    n_placed = sum(nodes[i] is not None for i in unseen.tolist())
    if not n_placed:
        raise InputError(
            f"candidate_sets: {run.path}: no unseen class has a place in WordNet: evaluate a run "
            "whose classes are those of a known data set, or are named by nouns or WordNet ids"
        )
    members = _members(sets, tree, [node for i in seen.tolist() if (node := nodes[i])])
    here = set(nodes)
    wanted = [id for id in tree.labels if id not in here and any(id in m for m in members.values())]
    words = shipped_nouns().words
    names = {id: words.get(id, "").replace(",", ", ") for id in wanted}
    vectors = dict(zip(wanted, category_vectors([*names.values()], vocabulary), strict=True))
    known = {id: vector for id, vector in vectors.items() if vector is not None}
    kept = _of_other_words(known, run.class_vectors())
    if not kept:
        raise InputError(
            f"candidate_sets={listed(members)}: no label is left that has a word vector and is no "
            "class of the run: choose a larger set"
        )
    ids = {id: first_id + n for n, id in enumerate(kept)}
    of_classes = {node: np.flatnonzero([other == node for other in nodes]) for node in here if node}
    placed = PlacedLabels(
        nodes=[*nodes, *[None] * (first_id - len(nodes)), *ids],
        hypernyms=tree.hypernyms,
        sets={name: _ids_of(m, ids, of_classes) for name, m in members.items()},
    )
    return NearLabels(
        names=[names[id].split(", ")[0] for id in kept],
        vectors=np.stack([known[id] for id in kept]).astype(np.float32),
        placed=placed,
        about={
            "candidates/labels": len(kept),
            "candidates/no_vector": len(wanted) - len(known),
            "candidates/same_words": len(known) - len(kept),
            "candidates/unseen_placed": n_placed,
        },
    )


def _joined(tree: LabelTree, hierarchy: Hierarchy) -> LabelTree:
    """The tree of the labels and of the run's classes; roots of their own hang under the root."""
    hypernyms = {**tree.hypernyms, **hierarchy.hypernyms}
    one_root = {n: above or (ROOT,) * (n != ROOT) for n, above in hypernyms.items()}
    return LabelTree(tree.labels, one_root)


def _members(
    sets: Sequence[str] | str, tree: LabelTree, seen: Sequence[str]
) -> dict[str, frozenset[str]]:
    """Name of a set -> its labels."""
    asked = [sets] if isinstance(sets, str) else list(map(str, sets))
    if not asked:
        raise InputError(f"candidate_sets is empty: give {listed([*HOPS, ALL])} or a file, or null")
    members = {}
    for name in asked:
        if name in HOPS and not seen:
            raise InputError(
                f"candidate_sets={name}: no seen class has a place in WordNet: choose {ALL}, or "
                "give a file"
            )
        if name in HOPS:
            members[name] = frozenset(tree.within(seen, HOPS[name]))
        elif name == ALL:
            members[name] = frozenset(tree.labels)
        elif LISTED in members:
            raise InputError(f"candidate_sets: {name}: a second file: join both into one")
        else:
            members[LISTED] = _listed_ids(name, tree)
    return members


def _listed_ids(file: str, tree: LabelTree) -> frozenset[str]:
    """The WordNet ids of a file."""
    if not re.search(r"[./\\]", file) and not Path(file).is_file():
        raise InputError(
            f"candidate_sets={file}: choose among {listed([*HOPS, ALL])}, or give a text file of "
            "WordNet ids, one a line"
        )
    ids = frozenset(read_names(file, "candidate_sets"))
    if wrong := sorted(ids - set(tree.labels)):
        raise InputError(
            f"candidate_sets: {file}: {listed(wrong)}: no label of ImageNet-21K: give ids such as "
            "n02119789, one a line"
        )
    return ids


def _of_other_words(labels: Mapping[str, np.ndarray], class_vectors: np.ndarray) -> list[str]:
    """The labels whose vector (D,) is none of the classes' (C, D)."""
    if not labels:
        return []
    nearest = (np.stack([*labels.values()]) @ class_vectors.T).max(axis=1)
    return [id for id, cosine in zip(labels, nearest.tolist(), strict=True) if cosine < _SAME]


def _ids_of(
    members: frozenset[str], ids: dict[str, int], of_classes: dict[str, np.ndarray]
) -> np.ndarray:
    """Ids of the labels and of the run's classes that are members."""
    labels = np.array([ids[label] for label in members & ids.keys()], dtype=np.int64)
    classes = [of_classes[label] for label in members & of_classes.keys()]
    return np.unique(np.concatenate([labels, *classes]))
