"""Numbers and their intervals as text, to the precision that they support."""

from __future__ import annotations


def to_precision(value: float, lo: float | None = None, hi: float | None = None) -> str:
    """A share as per cent, with the decimals that its interval (lo, hi) supports.

    The last digit printed is the first significant digit of the interval's half-width, the second
    where the first is 1, after the rules of metrology (JCGM 100:2008, 7.2.6, and the Particle Data
    Group): 31.07 ± 1.7 is "31.1", 31.07 ± 2.3 is "31", 30.6 ± 10 is "31". Never coarser than whole
    per cents, nor finer than one decimal, two where the half-width is under 0.1. One decimal
    without an interval, or with one of no width.
    """
    half = 50 * (hi - lo) if lo is not None and hi is not None else 0.0
    decimals = 1
    if half > 0:
        digits, exponent = f"{half:.6e}".split("e")
        decimals = digits.startswith("1") - int(exponent)
        decimals = min(max(decimals, 0), 2 if half < 0.1 else 1)
    return f"{round(100 * value, decimals) + 0.0:.{decimals}f}"  # + 0.0: no "-0.0"


def bounds(value: float, lo: float | None, hi: float | None) -> str:
    """The interval of a share as per cent, with the decimals of `to_precision`; "" for none."""
    if lo is None or hi is None:
        return ""
    decimals = len(to_precision(value, lo, hi).partition(".")[2])
    return f"{100 * lo:.{decimals}f} - {100 * hi:.{decimals}f}"
