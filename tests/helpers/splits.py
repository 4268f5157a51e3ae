"""Small data to split: classes, labels and row names."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from devise_exp.data.splits import Split


class Data(NamedTuple):
    """classes, labels (N,) with -1 for left-out rows, and row names."""

    classes: list[str]
    labels: np.ndarray
    rows: list[str]

    def shuffled(self, seed: int) -> Data:
        """The same rows and classes, met in another order."""
        rng = np.random.default_rng(seed)
        folder, order = rng.permutation(len(self.classes)), rng.permutation(len(self.rows))
        new_id = np.append(np.argsort(folder), -1)  # labels of -1 stay -1
        return Data(
            [self.classes[i] for i in folder],
            new_id[self.labels[order]],
            [self.rows[i] for i in order],
        )


def data_of(sizes: dict[str, int], left_out: int = 0) -> Data:
    classes = list(sizes)
    labels = np.repeat(np.arange(len(classes)), list(sizes.values()))
    rows = [f"{name}/{i:03}.jpg" for name, size in sizes.items() for i in range(size)]
    labels = np.append(labels, np.full(left_out, -1, dtype=labels.dtype))
    return Data(classes, labels, rows + [f"left out/{i}.jpg" for i in range(left_out)])


def parts(data: Data, split: Split) -> dict[str, set[str]]:
    """Row names by part; unlike indices, they mean the same whatever the order."""
    indices = {
        "train": split.train,
        "val": split.val,
        "test": split.test,
        "unseen": split.unseen_rows,
    }
    return {part: {data.rows[i] for i in result} for part, result in indices.items()}


names = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=6)
datas = st.builds(
    data_of,
    st.dictionaries(names, st.integers(3, 40), min_size=3, max_size=9),
    left_out=st.integers(0, 4),
)
