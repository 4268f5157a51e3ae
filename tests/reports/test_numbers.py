"""Numbers are printed with the decimals that their interval supports."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.reports.numbers import to_precision


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (0.3107, 0.017, "31.1"),
        (0.3107, 0.023, "31"),
        (0.306, 0.10, "31"),
        (0.306, 0.097, "31"),
        (0.956, 0.0097, "95.6"),
        (0.956, 0.004, "95.6"),
        (0.95648, 0.001, "95.6"),
        (0.95648, 0.00099, "95.65"),
        (0.95648, 0.00001, "95.65"),
        (0.5, 1.4, "50"),
        (0.31, 0.0199, "31.0"),
        (0.31, 0.02, "31"),
        (0, 0.004, "0.0"),
        (-0.0002, 0.004, "0.0"),
        (-0.0276, 0.023, "-3"),
        (1, 0, "100.0"),
    ],
)
def test_a_share_is_printed_as_its_interval_allows(value: float, half: float, text: str) -> None:
    assert to_precision(value, value - half, value + half) == text


def test_without_an_interval_one_decimal() -> None:
    assert [to_precision(v) for v in (0.3107, 1, 0, -1e-5)] == [
        "31.1", "100.0", "0.0", "0.0",
    ]  # fmt: skip


@given(st.floats(-1, 1), st.floats(1e-6, 1))
def test_what_is_printed_is_as_near_as_the_interval_asks(value: float, half: float) -> None:
    printed = float(to_precision(value, value - half, value + half))
    # A digit of 2 or more, kept, costs at most a quarter of the half-width; where further decimals
    # are cut off, half of the last one.
    cut = 0.05 if half >= 0.001 else 0.005
    assert abs(printed - 100 * value) <= max(25 * half, cut) + 1e-9
