"""Searches for tests of metrics, drawn by hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st


@st.composite
def searches(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Neighbours (N, K), truth (N,) and the number of candidates, K of which are neighbours."""
    candidates = draw(st.integers(1, 12))
    n, k = draw(st.integers(1, 30)), draw(st.integers(1, candidates))
    rows = [draw(st.permutations(range(candidates)))[:k] for _ in range(n)]
    truth = [draw(st.integers(0, candidates - 1)) for _ in range(n)]
    return np.array(rows), np.array(truth), candidates
