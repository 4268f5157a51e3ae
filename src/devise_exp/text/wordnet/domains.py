"""Which domain of WordNet a noun's sense is of: an animal, an artifact, an act.

WordNet sorts its noun synsets by lexicographer file (lexnames(5WN)), so the ids of a domain are one
range. The ranges are those of version 3.0.
"""

from __future__ import annotations

from bisect import bisect_right

_FIRST_IDS = {
    "tops": "n00001740", "act": "n00034479", "animal": "n01313093", "artifact": "n02665985",
    "attribute": "n04615866", "body": "n05216365", "cognition": "n05611302",
    "communication": "n06251781", "event": "n07283364", "feeling": "n07479926",
    "food": "n07555863", "group": "n07938773", "location": "n08489497", "motive": "n09178727",
    "object": "n09186064", "person": "n09483738", "phenomenon": "n11408559", "plant": "n11529603",
    "possession": "n13240514", "process": "n13423405", "quantity": "n13575869",
    "relation": "n13780449", "shape": "n13860793", "state": "n13920012", "substance": "n14580597",
    "time": "n15113229",
}  # fmt: skip
_NAMES, _STARTS = tuple(_FIRST_IDS), tuple(_FIRST_IDS.values())


def domain_of(id: str) -> str:
    """Look up the domain of a sense.

    Args:
        id: Such as n02084071, of WordNet 3.0.

    Returns:
        The name of its lexicographer file, such as animal; "" for what is no such id.

    Example:
        >>> domain_of("n02084071"), domain_of("n00482298"), domain_of("dog")
        ('animal', 'act', '')
    """
    if len(id) != 9 or id < _STARTS[0] or not id[1:].isdecimal():
        return ""
    return _NAMES[bisect_right(_STARTS, id) - 1]
