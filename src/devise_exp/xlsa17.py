"""The zero-shot benchmark of Xian et al. 2018 (Zero-Shot Learning - A Comprehensive Evaluation of
the Good, the Bad and the Ugly) as data, class vectors, backbone and split of a run.

No pictures come with it, and none are needed: see xlsa17_files.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from devise_exp import splits, xlsa17_files
from devise_exp.datasets import ImageDataset, OwnFeatures
from devise_exp.errors import InputError
from devise_exp.labels import split_words
from devise_exp.mat_files import PUBLISHED
from devise_exp.pictures import fingerprint_of
from devise_exp.splits import Split
from devise_exp.storage import cache_root, checksum
from devise_exp.word_vector_store import Chunk, Source, open_or_build
from devise_exp.word_vectors import WordVectors

if TYPE_CHECKING:
    from devise_exp.backbone import Backbone

BACKBONE = "xlsa17_res101"
# DEVISE under the proposed splits, per class, in per cent (Xian et al. 2018): T1 of zero-shot
# learning, then u, s and H of generalised zero-shot learning.
_DEVISE = {
    "SUN": (56.5, 16.9, 27.4, 20.9),
    "CUB": (52.0, 23.8, 53.0, 32.8),
    "AWA1": (54.2, 13.4, 68.7, 22.4),
    "AWA2": (59.7, 17.1, 74.7, 27.8),
    "APY": (39.8, 4.9, 76.9, 9.2),
}
_FIGURES = (
    "unseen/hit@1/class_mean",
    "all_unseen/hit@1/class_mean",
    "all_seen/hit@1/class_mean",
    "all/H@1",
)


def dataset(root: str | Path, name: str) -> ImageDataset:
    """The N pictures of AWA1, AWA2, CUB, SUN or APY by name, with their published features.

    Row i is column i of the features. Raises InputError for files that are not of the format.
    """
    listing = xlsa17_files.read(root, name)
    order = np.argsort(listing.classes)
    content = checksum(listing.folder / xlsa17_files.FEATURES).encode()
    return ImageDataset(
        name=_title(name),
        classes=tuple(listing.classes[i] for i in order),
        labels=np.argsort(order)[listing.labels].astype(np.int64),
        rows=listing.rows,
        fingerprint=fingerprint_of((row, content) for row in listing.rows),
        images=None,
        features=OwnFeatures(BACKBONE, partial(xlsa17_files.features, listing)),
    )


def attributes(root: str | Path, name: str) -> WordVectors:
    """The attributes of each class, D = A, as the unit vector of its name ("killer whale").

    Names are in lower case, without marks. Raises InputError for a class without attributes.
    """
    classes, vectors = xlsa17_files.attributes(root, name)
    words = [" ".join(split_words(each)).lower() for each in classes]
    alike = [word for word, n in Counter(words).items() if n > 1 or not word]
    if alike:
        raise InputError(
            f"{xlsa17_files.SPLITS} of {name}: allclasses_names has several classes called "
            f"{alike[0]!r}, so words cannot tell them apart: {PUBLISHED}"
        )
    content = repr(words).encode() + vectors.tobytes()
    fingerprint = hashlib.blake2b(content, digest_size=16).hexdigest()

    def read(folder: Path) -> Source:
        return Source(Path(xlsa17_files.SPLITS), vectors.shape[1], "class", chunks())

    def chunks() -> Generator[Chunk, None, None]:
        yield Chunk([word.encode() for word in words], vectors, 1, 1.0)

    table = open_or_build(cache_root() / "word_vectors" / fingerprint, read, None)
    return WordVectors(f"{_title(name)}_attributes", fingerprint, table)


def res101(trainable: bool = False) -> Backbone:
    """What the features come from: ResNet-101 pretrained on ImageNet-1k, 2048-d, whose classes the
    audit needs. Its network was not published with them: a picture asked of it is an InputError.
    """
    from torch import Tensor, nn

    from devise_exp.backbone import Backbone, Preprocess, imagenet1k_names

    class Unpublished(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise InputError(
                f"{BACKBONE}: the network behind these features was not published with them, so no "
                "other picture can be embedded: search by words, or train with another backbone "
                "on pictures"
            )

    if trainable:
        raise InputError(
            f"backbone.trainable=true: {BACKBONE} stands for published features and has no "
            "network to train: leave it false"
        )
    plain = Preprocess(224, 224)
    return Backbone(BACKBONE, Unpublished, xlsa17_files.FEATURE_DIM, plain, imagenet1k_names())


def proposed_split(
    classes: Sequence[str],
    labels: np.ndarray,
    rows: Sequence[str],
    root: str | Path,
    name: str,
    seed: int = 0,
    val_share: float = 0.1,
) -> Split:
    """The proposed split as it is, but for validation rows, which `seed` takes from trainval.

    The benchmark's own validation rows (val_loc) are of seen classes that play unseen ones, some of
    them test rows, so no row is taken from there. Of rows that are left out (by subset, or without
    a vector) the others keep their part, and the name ends in "_part".
    classes, labels (N,), rows (N,): as in splits.named.
    """
    if not 0 < val_share < 1:
        raise InputError(f"split.val_share={val_share}: give a share between 0 and 1")
    listing = xlsa17_files.read(root, name)
    place = {row: i for i, row in enumerate(rows) if labels[i] >= 0}
    trainval, test, unseen_rows = (
        np.array(sorted(place[listing.rows[i]] for i in part if listing.rows[i] in place), int)
        for part in listing.parts
    )
    counts = [np.bincount(labels[part], minlength=len(classes)) for part in (trainval, test)]
    of_unseen = np.bincount(labels[unseen_rows], minlength=len(classes)) > 0
    if mixed := [c for c, n in zip(classes, counts[0] * of_unseen, strict=True) if n]:
        raise InputError(
            f"split xlsa17 of {name}: class {mixed[0]!r} is seen and unseen: mend labels.merges"
        )
    small = [
        classes[c]
        for c in np.flatnonzero(~of_unseen).tolist()
        if counts[0][c] < 2 or not counts[1][c]  # two, one of which validates
    ]
    if small or not of_unseen.any() or of_unseen.all():
        some = f"of {', '.join(small[:3])}" if small else "on both sides of the split"
        raise InputError(
            f"split xlsa17 of {name}: too few of its rows {some} are in the data: it belongs to "
            "data=xlsa17, with subset.limit_per_class=null"
        )
    train, val = _deal(classes, labels, rows, trainval, seed, val_share)
    n_given, n_here = (sum(map(len, p)) for p in (listing.parts, (trainval, test, unseen_rows)))
    title = _title(name) + ("" if n_here == n_given else "_part")
    return splits.given(classes, labels, rows, (train, val, test, unseen_rows), title, seed)


def published(split_name: str) -> dict[str, float]:
    """The published figures of DEVISE under the split of this name, shares in [0, 1] (Xian et al.
    2018); {} where it is no whole proposed split.
    """
    row = {_title(name): row for name, row in _DEVISE.items()}.get(split_name, ())
    return {figure: round(share / 100, 3) for figure, share in zip(_FIGURES, row, strict=False)}


def _deal(
    classes: Sequence[str],
    labels: np.ndarray,
    rows: Sequence[str],
    trainval: np.ndarray,
    seed: int,
    val_share: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Train and validation rows: of each class its share validates, at least one row."""
    val: list[int] = []
    for c in np.unique(labels[trainval]):
        own = sorted(trainval[labels[trainval] == c].tolist(), key=rows.__getitem__)
        # A class's own stream, as in splits.named.
        rng = np.random.default_rng([seed, *hashlib.blake2b(classes[c].encode()).digest()[:8]])
        n_val = min(max(1, round(len(own) * val_share)), len(own) - 1)
        val += [own[i] for i in rng.permutation(len(own))[:n_val]]
    return np.setdiff1d(trainval, val), np.sort(np.array(val, int))


def _title(name: str) -> str:
    return f"xlsa17_{name}"
