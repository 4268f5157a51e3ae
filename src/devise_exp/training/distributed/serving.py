"""The workers' side: wait for the requests of rank 0 and run their stages."""

from __future__ import annotations

import json
import os
import queue
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

import torch

from devise_exp.core.command import INTERRUPTED
from devise_exp.core.errors import user_message
from devise_exp.training.distributed.ranks import RankInfo, StageRequest

CONNECTION = "DEVISE_RANK_0"  # in a worker that rank 0 started: descriptor of their connection
READY, ROWS, DONE, FAILED = b"r", b"b", b"d", b"f"  # first byte of a worker's message
END = b""  # rank 0's last message

RunStage = Callable[[StageRequest, RankInfo], None]

_rank_0: Connection | None = None


def rank_0_connection() -> Connection:
    """Open the connection to the rank 0 that started this process.

    Returns:
        The connection whose descriptor the environment names.
    """
    return Connection(int(os.environ.pop(CONNECTION)))


def serve_stages(connection: Connection, run_stage: RunStage) -> None:
    """Run the stages that rank 0 asks for, until it sends its last message.

    If rank 0 ends without a last message, this process ends too, with exit code 1 and no message:
    rank 0 has reported the reason.

    Args:
        connection: The connection to rank 0.
        run_stage: Runs one stage as the rank that it is handed.
    """
    global _rank_0
    _rank_0 = connection
    messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while message := connection.recv_bytes():
                messages.put(message)
            messages.put(END)
        except (EOFError, OSError):
            os._exit(1)  # whatever this process waits for will not come

    threading.Thread(target=listen, daemon=True).start()
    try:
        while message := messages.get():
            request, rank_info = json.loads(message)
            _run(run_stage, StageRequest(**request), RankInfo(**rank_info))
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)


def _run(run_stage: RunStage, request: StageRequest, rank_info: RankInfo) -> None:
    """Run one stage and send rank 0 its outcome."""
    torch.set_num_threads(rank_info.threads)
    with rank_info.lightning_environment():
        try:
            run_stage(request, rank_info)
            answer = DONE
        except Exception as error:
            answer = FAILED + (user_message(error) or traceback.format_exc()).encode()
        _send(answer)


def send_ready() -> None:
    """Tell rank 0 that this worker is about to join the training; does nothing in rank 0."""
    _send(READY)


def send_rows(rows: bytes) -> None:
    """Send rank 0 the next batch of features.

    Args:
        rows: The batch's rows as bytes of the bank's dtype.
    """
    _send(ROWS + rows)


def _send(message: bytes) -> None:
    """Send rank 0 a message, if this process is a worker."""
    if _rank_0 is not None:
        with suppress(OSError):  # rank 0 has ended, and soon so does this process
            _rank_0.send_bytes(message)
