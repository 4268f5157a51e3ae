"""A hierarchy of seven classes, made by hand."""

from __future__ import annotations

from devise_exp.text.wordnet.hierarchy import Hierarchy

# animal: cat (lion, tiger), dog; artifact: boat (ferry)
TREE = {
    "entity": (),
    "animal": ("entity",),
    "artifact": ("entity",),
    "cat": ("animal",),
    "dog": ("animal",),
    "lion": ("cat",),
    "tiger": ("cat",),
    "boat": ("artifact",),
    "ferry": ("boat",),
}
CLASSES = ("lion", "tiger", "cat", "dog", "boat", "ferry", None)
LION, TIGER, CAT, DOG, BOAT, FERRY, UNKNOWN = range(7)
HIERARCHY = Hierarchy(CLASSES, TREE, "by hand")
DISTANCES = HIERARCHY.distances
