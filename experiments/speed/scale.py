"""Do a million pictures fit: bank, training and evaluation, in how much memory and time?

python experiments/speed/scale.py [PICTURES]

PICTURES (1,000,000) pictures of 8 x 8 pixels in 1,000 classes, 200 of them unseen, are drawn as
they are asked for, and a small network makes 1,280 features of each, so that decoding and network
are cheap and all else is what a million pictures need: the bank row by row, the split, one epoch of
the default map, hit@k with intervals by exact search. Memory is what the process and its workers
hold of their own (anonymous pages, shared ones divided), not pages of the bank that are read from
disk.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import nn

from devise_exp.core.config import compose_config
from devise_exp.data.dataset import ImageDataset, labelled_rows
from devise_exp.data.splits import random_split
from devise_exp.evaluation.evaluator import evaluate
from devise_exp.evaluation.protocols import MODEL, EmbeddedImages, MethodOutput, standard_protocols
from devise_exp.features.backbones.base import Backbone, Preprocess
from devise_exp.features.bank import feature_bank
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.methods.embedding import embed
from devise_exp.methods.task import make_task
from devise_exp.pipelines.fit_projection import fit_plain
from devise_exp.pipelines.recipe import recipe_of

CLASSES, UNSEEN, SIDE, FEATURES, DIM = 1000, 200, 8, 1280, 50


class Drawn(Sequence):
    """Pictures of noise about a colour pattern of their class."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels
        shape = (CLASSES, SIDE, SIDE, 3)
        self.patterns = np.random.default_rng(0).integers(40, 216, shape, dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> Image.Image:
        noise = np.random.default_rng(i).integers(-40, 40, (SIDE, SIDE, 3))
        return Image.fromarray((self.patterns[self.labels[i]] + noise).astype(np.uint8))


class Memory:
    """Its peak, looked at ten times a second."""

    def __init__(self) -> None:
        self.peak = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def look(self) -> int:
        self.peak = max(self.peak, sum(_own(pid) for pid in _family(os.getpid())))
        return self.peak

    def _watch(self) -> None:
        while True:
            self.look()
            time.sleep(0.1)


def _family(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):  # a thread or process has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _own(pid: int) -> int:
    """KiB of anonymous and shared memory of a process, shared pages divided among those sharing."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon", "Pss_Shmem")))


@contextmanager
def row_of(table: Table, memory: Memory, what: str, n: int) -> Iterator[None]:
    memory.peak, start = 0, time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    table.add_row(what, f"{seconds:.0f}", f"{n / seconds:,.0f}", f"{memory.look() / 2**20:.2f}")


def dataset_of(n: int) -> ImageDataset:
    labels = np.arange(n) % CLASSES
    return ImageDataset(
        name="drawn",
        classes=tuple(f"class{c:04}" for c in range(CLASSES)),
        labels=labels,
        rows=tuple(f"class{c:04}/{i}" for i, c in enumerate(labels.tolist())),
        fingerprint=f"drawn {n}",
        images=Drawn(labels),
    )


def backbone() -> Backbone:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE * 3, FEATURES), nn.ReLU())
    return Backbone(
        name="small",
        build=lambda: network,
        feature_dim=FEATURES,
        preprocess=Preprocess(resize=SIDE, crop=SIDE),
        categories=(),
    )


def main(n: int) -> None:
    table = Table("", "seconds", "pictures/s", "peak memory, GiB", title=f"{n:,} pictures")
    memory, config = Memory(), compose_config(["trainer.max_epochs=1", "index=exact"])
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((CLASSES, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["DEVISE_CACHE"] = cache
        with row_of(table, memory, "dataset and split", n):
            dataset = dataset_of(n)
            split = random_split(labelled_rows(dataset), UNSEEN)
        with row_of(table, memory, "bank", n):
            features = feature_bank(
                dataset, backbone(), ExtractionSettings(batch_size=1024)
            ).features
        with row_of(table, memory, "bank, opened again", n):
            features = feature_bank(dataset, backbone()).features
        task = make_task(split, dataset.labels, vectors, features, seed=0)
        with row_of(table, memory, "one epoch, with validation", len(split.train)):
            projection, _ = fit_plain(recipe_of(config, len(task.train)), task)
        rows = split.test, split.unseen_rows
        with row_of(table, memory, "embedding", sum(map(len, rows))):
            seen, unseen = (embed(projection, features[own]) for own in rows)
        truths = [dataset.labels[own] for own in rows]
        parts = {
            "seen": EmbeddedImages(seen, truths[0]),
            "unseen": EmbeddedImages(unseen, truths[1]),
        }
        model = MethodOutput(name=MODEL, class_vectors=vectors, parts=parts)
        chosen = standard_protocols(split.seen, split.unseen)
        with row_of(table, memory, "evaluation, four protocols", sum(map(len, rows))):
            values = evaluate([model], chosen, instantiate(config.index)).report.values
    console = Console(width=100)
    console.print(table)
    console.print(
        f"seen hit@1 {values['seen/hit@1']:.3f}, recall {values['index/recall@10']:.4f}; "
        f"{torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
