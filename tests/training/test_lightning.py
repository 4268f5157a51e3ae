"""Fitting: what is learnt, which epoch is kept, and that an interrupted training ends the same."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.folders import image_folder
from devise_exp.features.backbones.base import Augment, Preprocess
from devise_exp.features.backbones.torchvision import torchvision_backbone
from devise_exp.methods import losses, projection
from devise_exp.methods.losses import hinge_rank
from devise_exp.training.batches import (
    FeatureInputs,
    Inputs,
    RowBatches,
    SeededBatchSampler,
    image_inputs,
)
from devise_exp.training.checkpoint import BEST, LAST, read_checkpoint
from devise_exp.training.distributed.ranks import processes_per_node
from devise_exp.training.lightning import FitSettings, fit_with_lightning, interruptible
from devise_exp.training.module import DeviseModule

CLASSES, DIM, FEATURE_DIM, EPOCHS = 6, 5, 8, 6
SGD = partial(torch.optim.SGD, lr=0.5, momentum=0.9)


@dataclass(frozen=True)
class Bank:
    """Features of noisy classes: targets by row, the first 90 rows to train on."""

    features: np.ndarray
    targets: np.ndarray
    class_vectors: np.ndarray
    n_train: int = 90

    def rows(self, inputs: Inputs | None = None) -> tuple[RowBatches, RowBatches]:
        source = inputs or FeatureInputs(self.features)
        train, val = np.split(np.arange(len(self.targets)), [self.n_train])
        return RowBatches(source, train, self.targets[train]), RowBatches(
            source, val, self.targets[val]
        )

    def hit_at_1(self, module: DeviseModule) -> float:
        """On the validation rows, by numpy alone; the projection must be linear."""
        weight, bias = (p.detach().numpy().astype(float) for p in module.projection.parameters())
        embeddings = self.features[self.n_train :] @ weight.T + bias
        return float(
            ((embeddings @ self.class_vectors.T).argmax(1) == self.targets[self.n_train :]).mean()
        )


def bank(n: int = 130, noise: float = 0.8) -> Bank:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(CLASSES, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    targets = rng.integers(0, CLASSES, n)
    features = vectors[targets] @ rng.normal(size=(DIM, FEATURE_DIM))
    features += noise * rng.normal(size=features.shape)
    return Bank(features.astype(np.float32), targets, vectors.astype(np.float32))


@dataclass
class Training:
    """One way to train on a bank; run() starts, or goes on in, a folder."""

    data: Bank = field(default_factory=bank)
    head: Callable[[int, int], nn.Module] = projection.linear
    loss: Any = losses.softmax
    optimizer: Any = SGD
    scheduler: Any = None
    inputs: Inputs | None = None
    epochs: int = EPOCHS
    seed: int = 3
    patience: int | None = None
    num_workers: int = 0
    batch_size: int = 16

    def run(self, folder: Path, *callbacks: Callback) -> tuple[DeviseModule, dict[str, float]]:
        torch.manual_seed(self.seed)
        module = DeviseModule(
            self.head(FEATURE_DIM, DIM),
            self.loss,
            torch.from_numpy(self.data.class_vectors),
            self.optimizer,
            self.scheduler,
        )

        def make_trainer(**options: Any) -> pl.Trainer:
            options["callbacks"] = [*options["callbacks"], *callbacks]
            return pl.Trainer(accelerator="cpu", devices=1, max_epochs=self.epochs, **options)

        train, val = self.data.rows(self.inputs)
        settings = FitSettings(
            batch_size=self.batch_size, patience=self.patience, num_workers=self.num_workers
        )
        best = fit_with_lightning(
            module,
            make_trainer,
            train,
            val,
            folder,
            self.seed,
            settings,
        )
        return module, best


class Watch(Callback):
    """Scores and losses of all epochs, by Lightning and by numpy."""

    def __init__(self, data: Bank | None = None) -> None:
        self.data = data
        self.scores: list[float] = []
        self.by_numpy: list[float] = []
        self.losses: list[float] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.scores.append(float(trainer.callback_metrics["val/hit@1"]))
        self.losses.append(float(trainer.callback_metrics["train/loss"]))
        if self.data is not None:
            assert isinstance(pl_module, DeviseModule)
            self.by_numpy.append(self.data.hit_at_1(pl_module))


class Interrupt(Callback):
    """Ctrl-C as a batch begins."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.when = epoch, batch

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == self.when:
            raise KeyboardInterrupt


def weights(path: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = read_checkpoint(path)["state_dict"]
    return state


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a) and a.keys() == b.keys()


def test_the_loss_falls_and_the_score_is_that_of_all_validation_rows(tmp_path: Path) -> None:
    data = bank(n=90 + 2500)  # three batches to validate on
    watch = Watch(data)
    module, best = Training(data).run(tmp_path, watch)
    assert watch.losses[-1] < 0.5 * watch.losses[0]
    assert watch.scores == pytest.approx(watch.by_numpy, abs=1e-7)
    assert best["val/hit@1"] == pytest.approx(data.hit_at_1(module), abs=1e-7)
    assert best["val/hit@1"] > 0.6 > 3 / CLASSES


def test_sigterm_means_during_a_training_what_it_meant_before(tmp_path: Path) -> None:
    """Lightning's own handler would speak to other ranks in the middle of their steps."""
    heard = []

    class Handler(Callback):
        def on_train_batch_start(self, *given: Any) -> None:
            heard.append(signal.getsignal(signal.SIGTERM))

    def handler(number: int, frame: Any) -> None:
        raise SystemExit(number)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        Training(bank(), epochs=1).run(tmp_path, Handler())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert set(heard) == {handler}


def test_the_best_epoch_is_kept_the_first_of_equals_and_the_last_beside_it(tmp_path: Path) -> None:
    hard = Training(bank(noise=2.0), epochs=10)
    watch = Watch(hard.data)
    module, best = hard.run(tmp_path, watch)
    highest = max(watch.scores)
    first = watch.scores.index(highest)
    assert 0 < first < 9  # the data were chosen so
    assert watch.scores.count(highest) > 1
    assert best == {"val/hit@1": pytest.approx(highest), "epoch": first}
    assert read_checkpoint(tmp_path / BEST)["epoch"] == first
    assert read_checkpoint(tmp_path / LAST)["epoch"] == 9
    assert same(module.state_dict(), weights(tmp_path / BEST))
    assert hard.data.hit_at_1(module) == pytest.approx(highest)
    assert not same(weights(tmp_path / LAST), weights(tmp_path / BEST))
    assert sorted(p.name for p in tmp_path.iterdir()) == [BEST, LAST]


def test_the_seed_decides_every_bit(tmp_path: Path) -> None:
    training = Training(
        head=partial(projection.mlp, hidden=16, dropout=0.3),
        loss=partial(hinge_rank, violators="first"),
        epochs=2,
    )
    first, second, other = (
        replace(training, seed=seed).run(tmp_path / name)[0].state_dict()
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert same(first, second)
    assert not same(first, other)


@dataclass(frozen=True)
class Noisy:
    """Features with noise by torch's generator, as augmentation has it."""

    features: np.ndarray

    def __call__(self, rows: np.ndarray) -> Tensor:
        clean = torch.from_numpy(self.features[rows])
        return clean + 0.5 * torch.randn_like(clean)


RANDOM = Training(
    head=partial(projection.mlp, hidden=16, dropout=0.3),
    loss=partial(hinge_rank, violators="first"),
    optimizer=partial(torch.optim.AdamW, lr=0.01),
    scheduler=partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=EPOCHS),
)


@pytest.mark.parametrize(
    ("training", "stops"),
    [
        (Training(), [(2, 1)]),
        (Training(), [(0, 2), (1, 0), (5, 5)]),
        (RANDOM, [(3, 2)]),
        (replace(RANDOM, inputs=Noisy(bank().features)), [(1, 1), (4, 0)]),
        (replace(RANDOM, inputs=Noisy(bank().features), num_workers=2, epochs=3), [(2, 1)]),
        # Scores rise and fall, so that the last epoch is not the best where it stops.
        (Training(bank(noise=2.0), epochs=10), [(1, 0), (6, 0), (9, 2)]),
        (Training(bank(noise=2.0), epochs=10, patience=3), [(5, 0)]),
    ],
    ids=["plain", "thrice", "random", "noisy", "workers", "up-and-down", "patience"],
)
def test_an_interrupted_training_ends_at_the_same_bits(
    tmp_path: Path, training: Training, stops: list[tuple[int, int]]
) -> None:
    whole, best = training.run(tmp_path / "whole")
    for epoch, batch in stops:
        watch = Watch()
        with pytest.raises(KeyboardInterrupt):
            training.run(tmp_path / "parts", Interrupt(epoch, batch), watch)
        if epoch:  # no finished epoch is lost
            assert read_checkpoint(tmp_path / "parts" / LAST)["epoch"] == epoch - 1
    parts, resumed = training.run(tmp_path / "parts")
    assert resumed == best
    assert same(parts.state_dict(), whole.state_dict())
    for name in (BEST, LAST):
        assert same(weights(tmp_path / "parts" / name), weights(tmp_path / "whole" / name))


def test_a_moved_folder_resumes_the_same(tmp_path: Path) -> None:
    training = Training(bank(noise=2.0), epochs=10)
    whole, best = training.run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        training.run(tmp_path / "here", Interrupt(9, 0))
    (tmp_path / "here").rename(tmp_path / "there")
    parts, resumed = training.run(tmp_path / "there")
    assert best["epoch"] < 9
    assert resumed == best
    assert same(parts.state_dict(), whole.state_dict())
    assert not (tmp_path / "here").exists()


def test_patience_ends_the_training_and_resuming_does_not_go_on(tmp_path: Path) -> None:
    still = Training(optimizer=partial(torch.optim.SGD, lr=0.0), patience=2, epochs=9)
    watch = Watch()
    _, best = still.run(tmp_path, watch)
    assert len(watch.scores) == 1 + 2
    assert best["epoch"] == 0
    before = weights(tmp_path / LAST)
    again = Watch()
    module, resumed = still.run(tmp_path, again)
    assert again.scores == []
    assert resumed == best
    assert same(weights(tmp_path / LAST), before)
    assert same(module.state_dict(), weights(tmp_path / BEST))


def test_without_patience_every_epoch_is_trained(tmp_path: Path) -> None:
    watch = Watch()
    Training(optimizer=partial(torch.optim.SGD, lr=0.0), epochs=13).run(tmp_path, watch)
    assert len(watch.scores) == 13


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    training = Training(bank(noise=2.0), epochs=10)
    whole, best = training.run(tmp_path)
    watch = Watch()
    again, resumed = training.run(tmp_path, watch)
    assert watch.scores == []
    assert resumed == best
    assert same(again.state_dict(), whole.state_dict())


class _FailsToSave(Callback):
    """Has a state that cannot be saved from an epoch on."""

    def __init__(self, epoch: int) -> None:
        self.epoch, self.now = epoch, 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.now = trainer.current_epoch

    def state_dict(self) -> dict[str, Any]:
        return {} if self.now < self.epoch else {"state": lambda: None}


def test_a_write_that_fails_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    whole, _ = Training().run(tmp_path / "whole")
    with pytest.raises((AttributeError, TypeError, RuntimeError), match=r"pickle|local object"):
        Training().run(tmp_path / "parts", _FailsToSave(2))
    assert read_checkpoint(tmp_path / "parts" / LAST)["epoch"] == 1
    assert {p.name for p in (tmp_path / "parts").iterdir()} == {BEST, LAST}
    parts, _ = Training().run(tmp_path / "parts")
    assert same(parts.state_dict(), whole.state_dict())


def test_checkpoints_do_not_go_by_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It may lie on another file system, from which a rename is a copy.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    Training(epochs=1).run(tmp_path / "run")
    assert read_checkpoint(tmp_path / "run" / LAST)["epoch"] == 0


def test_a_rate_too_high_is_named(tmp_path: Path) -> None:
    wild = Training(loss=losses.mse, optimizer=partial(torch.optim.SGD, lr=1e20))
    with pytest.raises(InputError, match=r"the loss became (inf|nan) .* lower optimizer\.lr"):
        wild.run(tmp_path)


def test_a_foreign_or_damaged_checkpoint_in_the_folder_is_one_line(tmp_path: Path) -> None:
    Training(epochs=1).run(tmp_path)
    with pytest.raises(InputError, match="another shape") as caught:
        Training(head=partial(projection.mlp, hidden=4)).run(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / LAST).write_bytes(b"junk")
    with pytest.raises(InputError, match=r"last\.ckpt: damaged"):
        Training(epochs=1).run(tmp_path)


def test_a_training_of_no_epochs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trainer\.max_epochs"):
        Training(epochs=0).run(tmp_path)


def test_an_exit_is_an_interruption() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        raise SystemExit(1)


@given(
    st.integers(0, 60), st.integers(1, 9), st.integers(0, 99), st.integers(1, 5), st.integers(0, 9)
)
def test_ranks_share_an_epoch(
    n: int, batch_size: int, seed: int, world_size: int, epoch: int
) -> None:
    shares = []
    for rank in range(world_size):
        order = SeededBatchSampler(n, batch_size, seed, rank, world_size)
        order.set_epoch(epoch)
        batches = list(order)
        assert [b.tolist() for b in batches] == [b.tolist() for b in order]  # it can be read again
        assert len(order) == len(batches)
        assert all(len(batch) == batch_size for batch in batches[:-1])
        # A row that would be alone joins the batch before it.
        assert all(0 < len(batch) <= batch_size + (batch_size > 1) for batch in batches)
        assert batch_size == 1 or n // world_size == 1 or all(len(batch) > 1 for batch in batches)
        shares.append([row for batch in batches for row in batch.tolist()])
    assert len({len(share) for share in shares}) == 1
    together = [row for share in shares for row in share]
    assert len(set(together)) == len(together)
    assert set(together) <= set(range(n))
    assert n - len(together) < world_size


def test_the_order_changes_with_the_epoch_and_the_seed_only() -> None:
    def rows(seed: int, epoch: int, world_size: int = 1) -> list[int]:
        parts = [SeededBatchSampler(50, 7, seed, rank, world_size) for rank in range(world_size)]
        for part in parts:
            part.set_epoch(epoch)
        return [
            int(row) for batches in zip(*parts, strict=True) for row in np.stack(batches, 1).flat
        ]

    assert rows(1, 1) == rows(1, 1)
    assert rows(1, 1) != rows(1, 2)
    assert rows(1, 1) != rows(2, 1)
    # Step by step, two ranks see what one process with batches of twice the size would see.
    assert rows(1, 1, world_size=2) == rows(1, 1)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("auto", 1), 1),
        (("auto", 2), 2),  # Lightning then takes ddp
        (("ddp", 2), 2),
        (("ddp", "3"), 3),
        (("ddp", [0, 2]), 2),
        (("ddp", "0,2,3"), 3),
        (("ddp", "1,"), 1),
        (("ddp_find_unused_parameters_true", 2), 2),
        (("auto", "auto", "cpu"), 1),
        (("ddp", -1, "cpu"), 1),
        (("ddp_spawn", 1), 1),
        (("fsdp", 1), 1),
    ],
)
def test_processes_of_a_machine(arguments: tuple[Any, ...], expected: int) -> None:
    assert processes_per_node(*arguments) == expected


@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_notebook", "fsdp"])
def test_strategies_that_start_processes_otherwise_are_refused(strategy: str) -> None:
    with pytest.raises(InputError, match=f"trainer.strategy={strategy}: .* choose ddp"):
        processes_per_node(strategy, 2)


SMALL = Preprocess(resize=36, crop=32)


@pytest.fixture(scope="module")
def dataset(image_tree: Path) -> ImageDataset:
    return image_folder(image_tree)


def test_one_epoch_on_images_trains_the_backbone_in_two_loader_processes(
    tmp_path: Path, dataset: ImageDataset
) -> None:
    rng = np.random.default_rng(0)
    vectors = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(8, 4)).astype("f4")))
    rows = rng.permutation(len(dataset.rows))
    backbone = replace(torchvision_backbone("resnet18", weights=None), preprocess=SMALL)
    augmented, plain = image_inputs(dataset, backbone)
    assert (augmented.transform, plain.transform) == (Augment(SMALL), SMALL)
    module = DeviseModule(
        projection.linear(512, 4),
        losses.cosine,
        vectors,
        partial(torch.optim.SGD, lr=0.1),
        backbone=backbone.network,
    )
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    best = fit_with_lightning(
        module,
        partial(pl.Trainer, accelerator="cpu", max_epochs=1),
        RowBatches(augmented, rows[:32], dataset.labels[rows[:32]]),
        RowBatches(plain, rows[32:], dataset.labels[rows[32:]]),
        tmp_path,
        seed=0,
        settings=FitSettings(batch_size=16, num_workers=2),
    )
    after = module.state_dict()
    for name in ("backbone.conv1.weight", "backbone.layer4.1.conv2.weight", "projection.weight"):
        assert not torch.equal(after[name], before[name])
    assert torch.equal(after["class_vectors"], before["class_vectors"])
    module.eval()
    with torch.inference_mode():
        answers = (module(plain(rows[32:])) @ vectors.T).argmax(dim=1).numpy()
    assert best["val/hit@1"] == pytest.approx((answers == dataset.labels[rows[32:]]).mean())


def test_augmented_images_are_random_crops_normalized_alike(dataset: ImageDataset) -> None:
    assert dataset.images is not None
    image = dataset.images[0]
    transform = Augment(SMALL)

    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return transform(image)

    assert drawn(0).shape == (3, 32, 32) == SMALL(image).shape
    assert torch.equal(drawn(0), drawn(0))
    assert len({drawn(seed).numpy().tobytes() for seed in range(8)}) > 4
    # An image of one colour with noise has the same channel means in any part of it.
    many = torch.stack([drawn(seed) for seed in range(8)])
    torch.testing.assert_close(many.mean((0, 2, 3)), SMALL(image).mean((1, 2)), atol=0.05, rtol=0)


def test_half_of_the_augmented_images_are_mirrored() -> None:
    from PIL import Image

    ramp = Image.fromarray(np.tile(np.arange(0, 200, 2, dtype=np.uint8), (100, 1))).convert("RGB")
    torch.manual_seed(0)
    rising = [bool((t := Augment(SMALL)(ramp))[0, 0, -1] > t[0, 0, 0]) for _ in range(200)]
    assert 70 < sum(rising) < 130


def test_training_on_images_needs_images(dataset: ImageDataset) -> None:
    backbone = torchvision_backbone("resnet18", weights=None)
    with pytest.raises(InputError, match=r"are missing: give data\.root=FOLDER"):
        image_inputs(replace(dataset, images=None), backbone)
