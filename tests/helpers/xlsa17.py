"""Small files of exactly the format of the benchmark of Xian et al. 2018."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

Arrays = dict[str, Any]
# In the files' own order, which is not the alphabet's.
CLASSES = ("zebra", "killer+whale", "001.Black_footed_Albatross", "sheep", "access_road", "bobcat")
UNSEEN = ("sheep", "001.Black_footed_Albatross")
PER_CLASS = 12
N = len(CLASSES) * PER_CLASS


def cells(texts: list[str]) -> np.ndarray:
    """A MATLAB cell array (n, 1) of texts."""
    array = np.empty((len(texts), 1), object)
    array[:, 0] = texts
    return array


def column(numbers: list[int]) -> np.ndarray:
    """Numbers as MATLAB has them: (n, 1) doubles."""
    return np.array(numbers, float)[:, None]


def published_files() -> tuple[Arrays, Arrays]:
    """The arrays of res101.mat and att_splits.mat; rows of all classes are mixed."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), PER_CLASS))
    centres = np.maximum(rng.normal(size=(len(CLASSES), 2048)), 0)
    features = centres[labels] + 0.4 * rng.random((N, 2048))
    files = [
        f"/BS/elsewhere/JPEGImages/{CLASSES[c]}/{CLASSES[c]}_{i // 2:05d}.jpg"  # each name twice
        for i, c in enumerate(labels)
    ]
    seen = [i for i in range(N) if CLASSES[labels[i]] not in UNSEEN]
    order = {c: [i for i in seen if labels[i] == c] for c in range(len(CLASSES))}
    test = sorted(i for rows in order.values() for i in rows[-3:])
    att = rng.random((7, len(CLASSES)))
    return {
        "features": features.T,
        "labels": column([c + 1 for c in labels]),
        "image_files": cells(files),
    }, {
        "allclasses_names": cells(list(CLASSES)),
        "att": att / np.linalg.norm(att, axis=0),
        "original_att": 100 * att,
        "trainval_loc": column([i + 1 for i in seen if i not in test]),
        "test_seen_loc": column([i + 1 for i in test]),
        "test_unseen_loc": column([i + 1 for i in range(N) if i not in seen]),
        # As published: test rows of its classes too.
        "val_loc": column([i + 1 for i in order[CLASSES.index("bobcat")]]),
    }


def write(root: Path, bank: Arrays, splits: Arrays) -> Path:
    """Write both files below `root`, one compressed and one not."""
    (root / "AWA2").mkdir(parents=True)
    savemat(root / "AWA2" / "res101.mat", bank, do_compression=True)
    savemat(root / "AWA2" / "att_splits.mat", splits)
    return root


def small_run(root: Path) -> list[str]:
    """The overrides of a quick run on the files below `root`."""
    return [
        "data=xlsa17", f"data.root={root}", "data.name=AWA2", "projection.hidden=32",
        "optimizer.lr=0.01", "trainer.max_epochs=8", "training.batch_size=16", "logger=none",
        "report=none",
    ]  # fmt: skip


def attributes_of(name: str) -> np.ndarray:
    """The attributes of a class as the file has them."""
    att: np.ndarray = published_files()[1]["att"][:, CLASSES.index(name)]
    return att
