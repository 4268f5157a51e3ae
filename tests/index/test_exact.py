"""The exact index."""

from __future__ import annotations

import numpy as np
import pytest

from devise_exp.core.errors import InputError
from devise_exp.index.exact import ExactIndex


@pytest.mark.parametrize("dtype", ["U3", object, complex, bool])
def test_vectors_that_are_not_numbers_are_refused(dtype: object) -> None:
    with pytest.raises(InputError, match="give numbers"):
        ExactIndex(np.ones((2, 2)).astype(dtype))  # type: ignore[call-overload]
