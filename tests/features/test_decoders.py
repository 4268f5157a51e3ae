"""Decoders ahead of the network: order, memory, and what ends in the middle."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.banks import FORK, ROW_BYTES, Watched, bank_of, left_in, opened, small_backbone
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset
from devise_exp.features import decoders
from devise_exp.features.decoders import Batches, decoded_batches
from devise_exp.features.pixels import PixelDataset, checked_pixels

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="decoders are threads")


class Ending(Sequence[Image.Image]):
    """Images of which one ends its process, or raises what cannot be a reason."""

    def __init__(self, images: Sequence[Image.Image], at: int, end: Callable[[], Any]) -> None:
        self.images, self.at, self.end = images, at, end

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        if index == self.at:
            self.end()
        return self.images[index]


def ending(dataset: ImageDataset, at: int, end: Callable[[], Any]) -> ImageDataset:
    assert dataset.images is not None
    return dataclasses.replace(dataset, images=Ending(dataset.images, at, end))


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    os._exit(3)


def out_of_memory() -> None:
    raise MemoryError("no more")


def running_in(group: int) -> list[int]:
    """Processes of a group, without those that have ended and that nobody has asked after."""
    running = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_group) == group and state != "Z":
            running.append(int(path.parent.name))
    return running


def test_batches_are_dealt_in_turn_and_in_chunks() -> None:
    batches = Batches(rows=100, size=40, first=20, step=1)
    assert [*map(list, (batches[i] for i in range(len(batches))))] == [
        [*range(20, 60)],
        [*range(60, 100)],
    ]
    assert [batches.chunk(i) for i in range(4)] == [
        (0, range(0, 16)),
        (0, range(16, 32)),
        (0, range(32, 40)),
        (1, range(0, 16)),
    ]
    short = Batches(rows=50, size=40)
    assert [len(short.chunk(i)[1]) for i in range(6)] == [16, 16, 8, 10, 0, 0]
    assert [*(Batches(rows=50, size=8, first=16, step=3)[1])] == [40, 41, 42, 43, 44, 45, 46, 47]
    assert len(Batches(rows=50, size=8, first=50)) == 0


@pytest.mark.parametrize("by_threads", [False, True])
@pytest.mark.parametrize("ahead", [1, 1 << 28])
@pytest.mark.parametrize(("size", "step"), [(8, 1), (33, 1), (20, 2), (100, 1)])
def test_rows_come_in_order_with_little_memory_or_much(
    size: int,
    step: int,
    ahead: int,
    by_threads: bool,
    dataset: ImageDataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoders, "READ_AHEAD_BYTES", ahead)
    if by_threads:
        monkeypatch.setattr(sys, "platform", "elsewhere")
    pixels = PixelDataset(dataset, small_backbone(), fast=False)
    batches = Batches(rows=80, size=size, first=size * (step - 1), step=step)
    with decoded_batches(pixels, batches, 3, yielding=True) as decoded:
        seen = [checked_pixels(batch).numpy().copy() for batch in decoded]
    expected = [
        np.stack([checked_pixels(pixels[row]).numpy() for row in batches[i]])
        for i in range(len(batches))
    ]
    assert len(seen) == len(expected)
    assert all(map(np.array_equal, seen, expected))


@linux
def test_no_more_is_decoded_than_has_room(
    watched: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "READ_AHEAD_BYTES", 3 * 8 * 24 * 24 * 3)
    monkeypatch.setattr(decoders, "CHUNK", 4)
    pixels = PixelDataset(watched, small_backbone(), fast=False)
    with decoded_batches(pixels, Batches(rows=80, size=8), 2, yielding=False) as decoded:
        for consumed in range(1, 4):
            next(decoded)
            room = [*range(8 * (consumed + 2))]  # the batch at hand and two ahead
            until = time.monotonic() + 60
            while opened(watched) != room:
                assert time.monotonic() < until
                time.sleep(0.02)
        time.sleep(0.2)
        assert opened(watched) == room


@linux
@pytest.mark.parametrize(("end", "reason"), [(kill_itself, "SIGKILL"), (leave, "with exit code 3")])
def test_a_killed_decoder_is_one_line_and_the_bank_goes_on(
    end: Callable[[], Any], reason: str, dataset: ImageDataset, cache: Path
) -> None:
    expected = np.array(bank_of(dataset).features)
    [key] = left_in(cache)
    (cache / key / "meta.json").unlink()
    with pytest.raises(InputError, match=rf"decodes images was ended \({reason}\).*start again"):
        bank_of(ending(dataset, 43, end), num_workers=2)
    assert np.array_equal(bank_of(dataset, num_workers=2).features, expected)


@linux
def test_what_a_decoder_raises_is_raised(dataset: ImageDataset, cache: Path) -> None:
    with pytest.raises(MemoryError, match="no more"):
        bank_of(ending(dataset, 43, out_of_memory), num_workers=2)
    [unfinished] = left_in(cache)
    assert (cache / unfinished).stat().st_size == 40 * ROW_BYTES


@linux
def test_ctrl_c_leaves_rows_that_are_gone_on_with_and_no_process(
    dataset: ImageDataset, cache: Path, tmp_path: Path
) -> None:
    expected = np.array(bank_of(dataset).features)
    [key] = left_in(cache)
    (cache / key / "meta.json").unlink()
    assert dataset.images is not None
    stuck = dataclasses.replace(dataset, images=Watched(dataset.images, tmp_path / "log", 43))

    def extract() -> None:
        os.setpgid(0, 0)  # Ctrl-C reaches a group, decoders too
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            bank_of(stuck, num_workers=2)
        except KeyboardInterrupt:
            os._exit(7)

    process = FORK.Process(target=extract)
    process.start()
    assert process.pid is not None
    unfinished, until = cache / f"{key}.unfinished", time.monotonic() + 60
    while not unfinished.exists() or unfinished.stat().st_size < 40 * ROW_BYTES:
        assert process.is_alive()
        assert time.monotonic() < until
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 7
    assert running_in(process.pid) == []
    assert unfinished.stat().st_size == 40 * ROW_BYTES
    assert np.array_equal(bank_of(dataset, num_workers=2).features, expected)


@linux
def test_decoders_end_when_their_parent_is_killed(
    dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "PATIENCE", 0.1)
    monkeypatch.setattr(decoders, "READ_AHEAD_BYTES", 1)
    pixels = PixelDataset(dataset, small_backbone(), fast=False)
    received, sent = FORK.Pipe(duplex=False)

    def start() -> None:
        os.setpgid(0, 0)
        batches = Batches(rows=80, size=8)
        with decoded_batches(pixels, batches, 2, yielding=False) as decoded:
            next(decoded)
            sent.send(os.getpid())
            signal.pause()

    process = FORK.Process(target=start)
    process.start()
    group = received.recv()
    os.kill(group, signal.SIGKILL)
    process.join(60)
    until = time.monotonic() + 60
    while running_in(group):
        assert time.monotonic() < until
        time.sleep(0.05)
