"""Unit rows keep their bits."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.indexes import gaussian

from devise_exp.index.exact import ExactIndex


@pytest.mark.parametrize("dim", [1, 2, 3, 50])
def test_unit_rows_keep_their_bits(dim: int) -> None:
    unit = ExactIndex(gaussian(3000, dim)).vectors
    np.testing.assert_array_equal(ExactIndex(unit).vectors, unit)
    np.testing.assert_allclose(np.linalg.norm(unit.astype(np.float64), axis=1), 1, atol=1e-7)
