"""Which sense a class name has, by the other classes: cricket among sports is no insect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devise_exp.evaluation.pretraining_names import sphere_of
from devise_exp.text.wordnet.nouns import shipped_nouns

_MIN_VOTES = 8.0  # of other classes, before these have a say
_MIN_SHARE = 0.8  # of the votes


@dataclass(frozen=True)
class NameSpheres:
    """The spheres of a name.

    Attributes:
        every: Those of all its senses, of "living" and "made".
        first: That of its most frequent sense; "" if that is of neither.
    """

    every: frozenset[str]
    first: str


def spheres_of(keys: Sequence[str]) -> NameSpheres:
    """List the spheres of a name.

    Args:
        keys: Its spelling keys.

    Returns:
        The spheres.
    """
    nouns = shipped_nouns()
    known = [key for key in keys if key in nouns.ids]
    every = frozenset(sphere_of(id) for key in known for id in nouns.ids[key]) - {""}
    several = len(every) > 1  # else there is nothing to choose
    return NameSpheres(every, sphere_of(nouns.first_sense(known[0])) if several else "")


class SenseChoice:
    """The senses of classes of one data set.

    Args:
        spheres: Class -> its spheres.
    """

    def __init__(self, spheres: Mapping[str, NameSpheres]) -> None:
        self._spheres = spheres
        self._votes: dict[str, float] = {}
        for name in spheres.values():
            for sphere in name.every:
                self._votes[sphere] = self._votes.get(sphere, 0.0) + 1 / len(name.every)

    def choose(self, name: str) -> tuple[str, bool]:
        """Choose the sphere that a class most likely is of.

        Args:
            name: The class.

        Returns:
            The sphere, "" if nothing is to be chosen; and whether the other classes say so. Else it
            is "living" if the most frequent sense is: a vegetable before an ocarina. The reverse is
            not said, as animals and plants are named less often in texts than on images.
        """
        spheres = self._spheres[name]
        if len(spheres.every) < 2:
            return "", False
        votes = {sphere: n - 1 / len(spheres.every) for sphere, n in self._votes.items()}
        total = sum(votes.values())
        for sphere, n in votes.items():
            if total >= _MIN_VOTES and n >= _MIN_SHARE * total:
                return sphere, True
        return "living" if spheres.first == "living" else "", False
