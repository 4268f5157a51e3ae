"""Unit rows keep their bits; a k beyond the candidates is refused."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.indexes import gaussian

from devise_exp.core.errors import InputError
from devise_exp.index.exact import ExactIndex
from devise_exp.index.unit_rows import check_k


@pytest.mark.parametrize("dim", [1, 2, 3, 50])
def test_unit_rows_keep_their_bits(dim: int) -> None:
    unit = ExactIndex(gaussian(3000, dim)).vectors
    np.testing.assert_array_equal(ExactIndex(unit).vectors, unit)
    np.testing.assert_allclose(np.linalg.norm(unit.astype(np.float64), axis=1), 1, atol=1e-7)


@pytest.mark.parametrize("k", [0, -2, 26])
def test_k_outside_the_candidates_is_named(k: int) -> None:
    with pytest.raises(InputError, match=rf"k is {k}, but there are 25 candidates: set k"):
        check_k(k, 25)
