"""What a person may choose of the protocols: which of them (protocols=), and which hit@k (ks=)."""

from __future__ import annotations

from collections.abc import Sequence

from devise_exp.core.errors import InputError
from devise_exp.evaluation.protocols import Protocol

KS = (1, 2, 3, 5, 10, 20)


def select_protocols(
    available: Sequence[Protocol], names: Sequence[str] | str | None
) -> tuple[Protocol, ...]:
    """Select protocols by name.

    Args:
        available: Protocols to choose among.
        names: Names, or one name; None for all.

    Returns:
        The protocols in their order.

    Raises:
        InputError: A name is unknown, or there is none.
    """
    known = [protocol.name for protocol in available]
    if isinstance(names, str):
        names = [names]
    if names is not None and (not names or not set(names) <= set(known)):
        raise InputError(f"protocols={list(names)}: choose among {', '.join(known)}")
    return tuple(p for p in available if names is None or p.name in names)


def ks_of(protocol: Protocol, ks: Sequence[int] | int | None) -> tuple[int, ...]:
    """Choose the ks of hit@k in a protocol.

    Among k candidates hit@k is 100 for every method, which measures nothing, so such a k is left
    out.

    Args:
        protocol: The protocol.
        ks: The ks, or one k; None for those of KS below the number of candidates.

    Returns:
        The ks, sorted; () for a protocol that measures nothing.

    Raises:
        InputError: A k is no whole number from 1 to the number of candidates.
    """
    n = len(protocol.candidates)
    if ks is None:
        return tuple(k for k in KS if k < n)
    listed = [ks] if isinstance(ks, int | float | str) else list(ks)
    wrong = [k for k in listed if type(k) is not int or not 0 < k <= n]
    if wrong or not listed:
        asked = f": hit@{wrong[0]} is not defined" if wrong else " is empty"
        raise InputError(
            f"ks={listed}{asked} for the {n} candidates of {protocol.name}: give ks between 1 and "
            f"{n}"
        )
    return tuple(sorted(set(listed) - {n}))
