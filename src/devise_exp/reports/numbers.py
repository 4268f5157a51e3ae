"""Numbers and their intervals as text, to the precision that they support."""

from __future__ import annotations

from devise_exp.reports.tables import Marked


def to_precision(value: float, lo: float | None = None, hi: float | None = None) -> str:
    """Write a share as per cent, with the decimals that its interval supports.

    The last digit is the first significant digit of the half-width, or the second if the first is
    1. It is never coarser than whole per cents, nor finer than one decimal (two for a half-width
    under 0.1). Source: JCGM 100:2008, 7.2.6, and the Particle Data Group.

    Args:
        value: A share in [0, 1].
        lo: The lower bound of its interval; None for one decimal.
        hi: The upper bound of its interval; None for one decimal.

    Returns:
        Per cent, without the sign.

    Example:
        >>> to_precision(0.3107, 0.2937, 0.3277), to_precision(0.3107, 0.2877, 0.3337)
        ('31.1', '31')
    """
    half = 50 * (hi - lo) if lo is not None and hi is not None else 0.0
    decimals = 1
    if half > 0:
        digits, exponent = f"{half:.6e}".split("e")
        decimals = digits.startswith("1") - int(exponent)
        decimals = min(max(decimals, 0), 2 if half < 0.1 else 1)
    return f"{round(100 * value, decimals) + 0.0:.{decimals}f}"  # + 0.0: no "-0.0"


def bounds(value: float, lo: float | None, hi: float | None, joined: str = " - ") -> str:
    """Write the interval of a share as per cent, with the decimals of `to_precision`.

    Args:
        value: A share in [0, 1].
        lo: The lower bound of its interval.
        hi: The upper bound of its interval.
        joined: What stands between the bounds; " to " in a sentence.

    Returns:
        "LOW - HIGH", or "" without an interval.
    """
    if lo is None or hi is None:
        return ""
    decimals = len(to_precision(value, lo, hi).partition(".")[2])
    return f"{100 * lo:.{decimals}f}{joined}{100 * hi:.{decimals}f}"


def metric_cell(
    value: float | None,
    lo: float | None = None,
    hi: float | None = None,
    *,
    sd: float | None = None,
    mark: str = "",
) -> Marked:
    """Write a metric in per cent, with the decimals that its interval supports.

    Args:
        value: A share in [0, 1], None for an empty cell.
        lo: The lower bound of its interval, None without one.
        hi: The upper bound of its interval, None without one.
        sd: Its standard deviation over several seeds, shown after ± and giving the decimals.
        mark: BEST, TIED or "".

    Returns:
        The cell, with its interval.
    """
    if value is None:
        return Marked("")
    text = to_precision(value, *((lo, hi) if sd is None else (value - sd, value + sd)))
    decimals = len(text.partition(".")[2])
    spread = "" if sd is None else f" ± {100 * sd:.{decimals}f}"
    interval = ""
    if lo is not None and hi is not None:
        interval = f"{100 * lo:.{decimals}f} – {100 * hi:.{decimals}f}"
    return Marked(text + spread, mark, interval)
