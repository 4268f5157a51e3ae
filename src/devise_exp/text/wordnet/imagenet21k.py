"""The 21,841 labels of ImageNet-21K in WordNet, and which of them lie near given senses."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import as_file, files
from pathlib import Path

from devise_exp.core.files import gzipped_table
from devise_exp.text.wordnet.hypernyms import Hypernyms


@dataclass(frozen=True)
class LabelTree:
    """Labels that are senses of WordNet.

    Attributes:
        labels: Their ids, such as n02119789, in order.
        hypernyms: What each of them, and everything above it, is a kind of; () for a label that
            WordNet 3.0 has no hypernym of.
    """

    labels: tuple[str, ...]
    hypernyms: Hypernyms

    @cached_property
    def _near(self) -> Mapping[str, Collection[str]]:
        """Sense -> its hypernyms and hyponyms."""
        near: dict[str, list[str]] = defaultdict(list)
        for below, above in self.hypernyms.items():
            for node in above:
                near[below].append(node)
                near[node].append(below)
        return near

    def within(self, senses: Iterable[str], hops: int) -> tuple[str, ...]:
        """Find the labels near some senses.

        Args:
            senses: Ids; those that the tree lacks have no neighbours.
            hops: The most steps up to a hypernym or down to a hyponym.

        Returns:
            The labels within so many steps of the nearest sense, in order; the senses themselves
            among them if they are labels.
        """
        distance = dict.fromkeys(senses, 0)
        waiting = deque(distance)
        while waiting:
            node = waiting.popleft()
            if distance[node] == hops:
                continue
            for other in self._near.get(node, ()):
                if other not in distance:
                    distance[other] = distance[node] + 1
                    waiting.append(other)
        return tuple(label for label in self.labels if label in distance)


@cache
def shipped_imagenet21k() -> LabelTree:
    """Read the labels of ImageNet-21K with their hypernyms in WordNet 3.0.

    Returns:
        The tree; it is read once.
    """
    with as_file(files("devise_exp.text.wordnet") / "assets" / "imagenet21k.tsv.gz") as path:
        return read_imagenet21k(path)


def read_imagenet21k(path: Path) -> LabelTree:
    """Read a table of labels.

    Args:
        path: Gzipped lines "steps from the id before, tab, hypernyms between commas, tab, 1 for a
            label or 0".

    Returns:
        The tree.

    Raises:
        InputError: The file is no such table.
    """
    number, labels, hypernyms = 0, [], {}
    make = "experiments/noun_table/make_imagenet21k.py"
    with gzipped_table(path, "labels of ImageNet-21K", make) as rows:
        for step, above, is_label in rows:
            number += int(step)
            node = f"n{number:08d}"
            hypernyms[node] = tuple(f"n{int(id):08d}" for id in above.split(",") if id)
            if int(is_label):
                labels.append(node)
        if missing := {n for above in hypernyms.values() for n in above} - hypernyms.keys():
            raise ValueError(f"no line for {min(missing)}")
    return LabelTree(tuple(labels), hypernyms)
