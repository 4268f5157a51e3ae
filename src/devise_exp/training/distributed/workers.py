"""Workers as rank 0 sees them: starting one, and exchanging messages with it."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from devise_exp.core.errors import InputError
from devise_exp.training.distributed.serving import CONNECTION, FAILED


class RemoteWorker:
    """Another rank, as rank 0 sees it.

    Args:
        connection: The connection to the worker.
        node: Number of the worker's node.
        local_rank: Number of the worker on its node.
        process: The worker's process, if rank 0 started it.
    """

    def __init__(
        self,
        connection: Connection,
        node: int,
        local_rank: int,
        process: subprocess.Popen | None = None,
    ) -> None:
        self.node, self.local_rank, self.process = node, local_rank, process
        self.failure: bytes | None = None
        self._connection = connection
        self._messages: queue.Queue[bytes] = queue.Queue(2)  # rows wait with it, not with us
        threading.Thread(target=self._listen, daemon=True).start()

    def __str__(self) -> str:
        return f"process {self.local_rank} of node {self.node}"

    def send(self, message: bytes) -> None:
        """Send the worker a message.

        Args:
            message: The bytes to send; a dead worker's are dropped, `receive` reports its death.
        """
        with suppress(OSError):
            self._connection.send_bytes(message)

    def receive(self, kind: bytes, timeout: float | None = None) -> bytes:
        """Wait for the worker's next message.

        Args:
            kind: The first byte of the expected message.
            timeout: Seconds to wait; None: without end.

        Returns:
            The message without its first byte.

        Raises:
            InputError: The worker has failed, or has sent nothing in time.
        """
        try:
            message = self._messages.get(timeout=timeout)
        except queue.Empty:
            raise InputError(f"{self} no longer answers: see what it is doing") from None
        if message[:1] != kind:
            raise self.error()
        return message[1:]

    def error(self) -> InputError:
        """Describe the worker's failure; a traceback is printed to stderr.

        Returns:
            The failure in one line.
        """
        text = (self.failure or b"").decode()
        if not text:
            return InputError(f"{self} has died: was it killed, or is it out of memory?")
        if "\n" not in text:
            return InputError(f"{self}: {text}")
        print(f"{self}:\n{text}", file=sys.stderr, flush=True)
        return InputError(f"{self} ended with an error: see its message above")

    def _listen(self) -> None:
        """Queue the worker's messages until it fails."""
        while self.failure is None:
            try:
                message = self._connection.recv_bytes()
            except (EOFError, OSError):
                message = FAILED
            if message[:1] == FAILED:
                self.failure = message[1:]
            self._messages.put(message)


def start_worker(command: Sequence[str], local_rank: int) -> RemoteWorker:
    """Start a worker on this node.

    Args:
        command: Arguments of the Python interpreter; the program must call `serve_stages`.
        local_rank: Number of the worker on this node.

    Returns:
        The worker, connected.
    """
    ours, theirs = Pipe()
    environment = {**os.environ, CONNECTION: str(theirs.fileno())}
    process = subprocess.Popen(
        [sys.executable, *command], env=environment, pass_fds=[theirs.fileno()]
    )
    theirs.close()
    return RemoteWorker(ours, 0, local_rank, process)
