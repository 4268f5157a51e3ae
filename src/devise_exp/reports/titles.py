"""The titles of protocols and averages in tables, figures and pages."""

from __future__ import annotations

from collections.abc import Iterable

# In the order of all tables: first what a user of the model gets.
PROTOCOL_TITLES = {
    "calibrated_seen": "seen among all, calibrated",
    "calibrated_unseen": "unseen among all, calibrated",
    "seen": "seen among seen",
    "unseen": "unseen among unseen",
    "all_seen": "seen among all",
    "all_unseen": "unseen among all",
    "unseen_clean": "clean unseen among unseen",
    "unseen_leaked": "overlapping unseen among unseen",
    "unseen_unidentified": "unseen without a sure verdict among unseen",
    "train": "training images among seen",
    "extra_seen": "seen among all + extra",
    "extra_unseen": "unseen among all + extra",
    "hop1_unseen": "unseen among labels 1 hop from seen",
    "hop1_all_unseen": "unseen among labels 1 hop from seen + seen",
    "hop2_unseen": "unseen among labels up to 2 hops from seen",
    "hop2_all_unseen": "unseen among labels up to 2 hops from seen + seen",
    "hop3_unseen": "unseen among labels up to 3 hops from seen",
    "hop3_all_unseen": "unseen among labels up to 3 hops from seen + seen",
    "imagenet21k_unseen": "unseen among ImageNet-21K",
    "imagenet21k_all_unseen": "unseen among ImageNet-21K + seen",
    "listed_unseen": "unseen among the listed labels",
    "listed_all_unseen": "unseen among the listed labels + seen",
}
AVERAGE_TITLES = {"image": "per image", "class": "per class"}


def protocol_title(protocol: str) -> str:
    """Name a protocol in tables and figures.

    Args:
        protocol: Such as "all_unseen".

    Returns:
        Its title.
    """
    return PROTOCOL_TITLES.get(protocol, protocol.replace("_", " "))


def in_order(protocols: Iterable[str]) -> list[str]:
    """Put protocols into the order of all tables.

    Args:
        protocols: Such as "all_unseen".

    Returns:
        Those that have a title.
    """
    chosen = set(protocols)
    return [protocol for protocol in PROTOCOL_TITLES if protocol in chosen]
