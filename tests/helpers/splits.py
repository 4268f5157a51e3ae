"""Small data to split: classes, labels and row names."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.splits import Split, named_split


def shuffled(data: LabelledRows, seed: int) -> LabelledRows:
    """The same rows and classes, met in another order."""
    rng = np.random.default_rng(seed)
    folder, order = rng.permutation(len(data.classes)), rng.permutation(len(data.rows))
    new_id = np.append(np.argsort(folder), -1)  # labels of -1 stay -1
    return LabelledRows(
        classes=[data.classes[i] for i in folder],
        labels=new_id[data.labels[order]],
        rows=[data.rows[i] for i in order],
        contents=None if data.contents is None else [data.contents[i] for i in order],
        parts=None if data.parts is None else [data.parts[i] for i in order],
    )


def data_of(sizes: dict[str, int], left_out: int = 0) -> LabelledRows:
    classes = list(sizes)
    labels = np.repeat(np.arange(len(classes)), list(sizes.values()))
    rows = [f"{name}/{i:03}.jpg" for name, size in sizes.items() for i in range(size)]
    labels = np.append(labels, np.full(left_out, -1, dtype=labels.dtype))
    rows += [f"left out/{i}.jpg" for i in range(left_out)]
    return LabelledRows(classes=classes, labels=labels, rows=rows)


def first_classes(data: LabelledRows, seed: int = 0) -> Split:
    """A person's own split, which its seed does not change."""
    del seed
    return named_split(data, unseen=sorted(data.classes)[:3])


def parts(data: LabelledRows, split: Split) -> dict[str, set[str]]:
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
