"""Make src/devise_exp/evaluation/assets/imagenet1k_kinds.tsv.gz
from three files of WordNet and ImageNet.

python experiments/overlap_table/make.py FOLDER [--out FILE]
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from devise_exp.core.command import command
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.evaluation.kinds import INCLUDES, IS, IS_A_KIND_OF, KindTable, Sense
from devise_exp.text.names import split_synonyms

ROOT = Path(__file__).resolve().parents[2]
Graph = Mapping[str, list[str]]


def make_table(folder: Path) -> KindTable:
    """The senses that are, include or are a kind of a class; raises InputError for wrong files."""
    words = _read_words(folder / "words.txt")
    parents, children = _read_hypernyms(folder / "wordnet.parent-child.txt")
    classes = _read_classes(folder / "imagenet_class_index.json")
    related: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, synset in sorted(classes.items()):
        related[IS, synset].append(index)
        for ancestor in _reachable(synset, parents):
            related[INCLUDES, ancestor].append(index)
        for descendant in _reachable(synset, children):
            related[IS_A_KIND_OF, descendant].append(index)
    unnamed = sorted({synset for _, synset in related} - set(words))
    if unnamed:
        raise InputError(
            f"{folder / 'words.txt'} has no words for {len(unnamed)} synsets ({unnamed[0]} ...): "
            f"take the three files from the same version of WordNet"
        )
    return KindTable(
        tuple(
            Sense(words[synset], relation, tuple(indices), synset)
            for (relation, synset), indices in related.items()
        )
    )


def _reachable(start: str, graph: Graph) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = set(graph.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found


def _read_hypernyms(path: Path) -> tuple[Graph, Graph]:
    parents: dict[str, list[str]] = defaultdict(list)
    children: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(_lines(path), start=1):
        try:
            parent, child = line.split()
        except ValueError:
            raise InputError(f"{path}, line {number}: expected two ids, not {line!r}") from None
        parents[child].append(parent)
        children[parent].append(child)
    return parents, children


def table_bytes(table: KindTable) -> bytes:
    """What read_kinds reads; equal tables give equal bytes."""
    rows = sorted(
        (s.relation, ", ".join(s.synonyms), _ranges(s.classes), s.id) for s in table.senses
    )
    text = "".join("\t".join(row) + "\n" for row in rows)
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def _ranges(indices: Sequence[int]) -> str:
    """Class ranges such as "3 7-9" of these indices."""
    runs: list[list[int]] = []
    for i in sorted(indices):
        if runs and runs[-1][1] == i - 1:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    return " ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs)


def _read_words(path: Path) -> dict[str, tuple[str, ...]]:
    words = {}
    for number, line in enumerate(_lines(path), start=1):
        synset, _, lemmas = line.partition("\t")
        if not split_synonyms(lemmas):
            raise InputError(
                f"{path}, line {number}: expected an id, a tab and words, not {line!r}"
            )
        words[synset] = split_synonyms(lemmas)
    return words


def _read_classes(path: Path) -> dict[int, str]:
    try:
        return {
            int(index): synset for index, (synset, _) in json.loads("\n".join(_lines(path))).items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f'{path} is no class index {{"0": ["n01440764", "tench"], ...}}: {error}'
        ) from None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing: the folder needs the files the README lists"
        ) from None


@command
def main() -> None:
    parser = argparse.ArgumentParser(
        description="Make the table of kinds of the ImageNet-1k classes."
    )
    parser.add_argument("folder", type=Path, help="folder with the three files the README lists")
    default = ROOT / "src" / "devise_exp" / "evaluation" / "assets" / "imagenet1k_kinds.tsv.gz"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    table = make_table(arguments.folder)
    with atomic_path(arguments.out) as made:
        made.write_bytes(table_bytes(table))
    print(f"{arguments.out}: {len(table.senses)} senses, {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
