"""What runs with class folds share."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.class_folds import draw_classes


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of the classes of `draw_classes`, of each module anew."""
    root = tmp_path_factory.mktemp("tree")
    draw_classes(root)
    return root
