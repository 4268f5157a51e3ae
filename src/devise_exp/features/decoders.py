"""Decoders: processes that write pixels into shared memory, some batches ahead of the network."""

from __future__ import annotations

import math
import mmap
import multiprocessing
import os
import signal
import sys
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import numpy as np
import torch
from torch import Tensor

from devise_exp.core.errors import InputError
from devise_exp.features.pixels import PixelDataset, collate_pixels

READ_AHEAD_BYTES = 1 << 28  # of pixels: 1,783 images of 224 x 224
CHUNK = 16  # images that a decoder takes at a time: many decoders share a batch
PATIENCE = 1.0  # seconds after which an idle decoder looks whether its parent is still there
# Niceness of decoders beside a network on the same cores: a third of its share while both want one.
# Much more would starve them, and so the network, if other programs keep the cores busy.
YIELDING = 5


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Which rows are a batch of this process.

    Attributes:
        rows: Rows in all.
        size: Rows of a batch; the last one may have fewer.
        first: First row of the first batch.
        step: Every so-many-th batch from there on.
    """

    rows: int
    size: int
    first: int = 0
    step: int = 1

    def __len__(self) -> int:
        return len(self._starts())

    def __getitem__(self, number: int) -> range:
        """Rows of a batch."""
        start = self._starts()[number]
        return range(start, min(start + self.size, self.rows))

    def _starts(self) -> range:
        return range(self.first, self.rows, self.step * self.size)

    @property
    def chunks(self) -> int:
        """Chunks of a whole batch."""
        return math.ceil(self.size / CHUNK)

    def chunk(self, number: int) -> tuple[int, range]:
        """Find a chunk.

        Args:
            number: Counted over all batches.

        Returns:
            Its batch, and its positions there: none past the end of a short batch.
        """
        batch, part = divmod(number, self.chunks)
        start = part * CHUNK
        return batch, range(start, min(start + CHUNK, len(self[batch])))


@contextmanager
def decoded_batches(
    pixels: PixelDataset, batches: Batches, decoders: int, yielding: bool
) -> Iterator[Iterator[Tensor | str]]:
    """Decode batches ahead, in other processes, or in threads if the system cannot fork.

    Decoders stop where READ_AHEAD_BYTES are full, or two batches if these are more. They start at
    once, before the first batch is asked for, and end with the context.

    Args:
        pixels: The images.
        batches: The rows to decode, in order.
        decoders: Processes; 0: this process decodes a batch when it is asked for.
        yielding: Let decoders have less of a core than the network that shares it.

    Yields:
        An iterator of batches (B, crop, crop, 3) uint8, each of which stands until the next is
        asked for; in place of one with an unreadable image, the reason.
    """
    side = pixels.preprocess.crop
    ahead = max(2, READ_AHEAD_BYTES // (batches.size * side * side * 3))
    ahead = min(ahead, len(batches))
    if decoders == 0 or ahead == 0:
        yield (_decoded(pixels, batches[i]) for i in range(len(batches)))
    elif not sys.platform.startswith("linux"):
        with ThreadPoolExecutor(decoders) as pool:
            yield _by_threads(pool, pixels, batches, ahead)
    else:
        processes = _DecoderProcesses(pixels, batches, ahead, yielding)
        try:
            processes.start(min(decoders, len(batches) * batches.chunks))
            yield iter(processes)
        finally:
            processes.close()


def _decoded(pixels: PixelDataset, rows: range) -> Tensor | str:
    return collate_pixels([pixels[row] for row in rows])


def _by_threads(
    pool: ThreadPoolExecutor, pixels: PixelDataset, batches: Batches, ahead: int
) -> Iterator[Tensor | str]:
    """Batches by threads, of which some are ahead; Pillow lets them run at once."""
    waiting: deque[Future[Tensor | str]] = deque()
    for i in range(len(batches)):
        waiting.append(pool.submit(_decoded, pixels, batches[i]))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


class _DecoderProcesses:
    """Forked processes, and the memory that they fill: batch i stands in slot i modulo `ahead`.

    A decoder first waits for room, then takes the next chunk, so chunks are taken in order and a
    slot is never written before its last batch has been released. That a chunk is done, or why not,
    comes by a pipe of each decoder, which no other one can leave locked when it is killed.
    """

    def __init__(self, pixels: PixelDataset, batches: Batches, ahead: int, yielding: bool) -> None:
        self.pixels, self.batches, self.ahead, self.yielding = pixels, batches, ahead, yielding
        side = pixels.preprocess.crop
        shape = (ahead, batches.size, side, side, 3)
        # Anonymous, for /dev/shm may be small; pages are taken when they are written.
        self.memory = mmap.mmap(-1, math.prod(shape))
        self.slots = np.frombuffer(self.memory, np.uint8).reshape(shape)
        self.context = multiprocessing.get_context("fork")
        self.room = self.context.Semaphore(ahead * batches.chunks)
        self.next_chunk = self.context.Value("q", 0)
        self.decoders: dict[Connection, BaseProcess] = {}
        self.done: Counter[int] = Counter()  # chunks of a batch
        self.failures: dict[int, str | Exception] = {}  # by chunk

    def start(self, n: int) -> None:
        """Fork n decoders."""
        for _ in range(n):
            receiver, sender = self.context.Pipe(duplex=False)
            arguments = (sender, os.getpid())
            process = self.context.Process(target=self._decode, args=arguments, daemon=True)
            process.start()
            sender.close()
            self.decoders[receiver] = process

    def close(self) -> None:
        """End the decoders, which hold nothing that would need an orderly end."""
        for receiver, process in self.decoders.items():
            process.kill()
            receiver.close()
        for process in self.decoders.values():
            process.join()

    def __iter__(self) -> Iterator[Tensor | str]:
        for number in range(len(self.batches)):
            while self.done[number] < self.batches.chunks:
                self._receive()
            yield self._batch(number)
            for _ in range(self.batches.chunks):
                self.room.release()

    def _batch(self, number: int) -> Tensor | str:
        """A batch whose chunks are all done; the first failure counts."""
        first = number * self.batches.chunks
        for chunk in range(first, first + self.batches.chunks):
            failure = self.failures.get(chunk)
            if isinstance(failure, Exception):
                raise failure
            if failure is not None:
                return failure
        slot = self.slots[number % self.ahead]
        return torch.from_numpy(slot[: len(self.batches[number])])

    def _receive(self) -> None:
        """Wait for decoders, and note what they have done."""
        for receiver in wait([*self.decoders]):
            assert isinstance(receiver, Connection)
            try:
                chunk, failure = receiver.recv()
            except EOFError:  # it has no more to do, or was killed
                self._check_ended(self.decoders.pop(receiver))
                receiver.close()
                continue
            self.done[chunk // self.batches.chunks] += 1
            if failure is not None:
                self.failures[chunk] = failure

    def _check_ended(self, process: BaseProcess) -> None:
        """InputError if a decoder has not ended of itself."""
        process.join()
        code = process.exitcode or 0
        if code:
            reason = signal.Signals(-code).name if code < 0 else f"with exit code {code}"
            raise InputError(
                f"a process that decodes images was ended ({reason}), perhaps because memory ran "
                "out: start again to go on, with a lower features.num_workers if it happens again"
            )

    def _decode(self, sender: Connection, parent: int) -> None:
        """Decode chunks until none is left, or the parent has ended (in a forked process)."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        torch.set_num_threads(1)
        if self.yielding:
            os.nice(YIELDING)
        end = len(self.batches) * self.batches.chunks
        with suppress(BrokenPipeError):
            while self._has_room(parent):
                with self.next_chunk.get_lock():
                    chunk = self.next_chunk.value
                    self.next_chunk.value += 1
                if chunk >= end:
                    return
                sender.send((chunk, self._fill(chunk)))

    def _has_room(self, parent: int) -> bool:
        """Wait for room for a chunk; False if the parent has ended."""
        while not self.room.acquire(timeout=PATIENCE):
            if os.getppid() != parent:
                return False
        return True

    def _fill(self, chunk: int) -> str | Exception | None:
        """Write the pixels of a chunk to its slot; returns why one cannot be had."""
        batch, positions = self.batches.chunk(chunk)
        rows, slot = self.batches[batch], self.slots[batch % self.ahead]
        try:
            for position in positions:
                pixels = self.pixels[rows[position]]
                if isinstance(pixels, str):
                    return pixels
                slot[position] = pixels.numpy()
        except (MemoryError, InputError) as error:  # raised by the parent
            return error
        except Exception as error:  # which may not be one that can be handed over
            return RuntimeError(f"{type(error).__name__}: {error}")
        return None
