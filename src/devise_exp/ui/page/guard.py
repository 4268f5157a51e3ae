"""What the page's server may do: answer its own machine, keep files apart, fetch nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from devise_exp.core.console import notify, printable
from devise_exp.core.errors import InputError
from devise_exp.ui.page.question import ASKING, OTHERS

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# The browser may ask no other server, whatever the page or its framework holds.
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; form-action 'self'; frame-ancestors 'self'"
)
# Routes by which gradio's server would fetch from other hosts.
FETCHING = ("/gradio_api/file=http", "/gradio_api/proxy=")
MAX_QUESTION = 2**20  # bytes; images are uploaded apart


class Guard:
    """ASGI middleware: a policy for the browser, and no fetching from other hosts.

    Starlette's TrustedHostMiddleware checks the Host header alone and against names, not addresses;
    a page of another site sends a good Host header with its own Origin.

    Args:
        app: The application behind it.
        local: Whether to answer only requests that name this machine (another site's name may point
            to 127.0.0.1) and that no other site's page has sent.
        check: Looks at what is asked; an InputError of it is the answer, with status 400.
    """

    def __init__(
        self, app: Callable[..., Awaitable[None]], local: bool, check: Callable[[bytes], None]
    ) -> None:
        self.app, self.local, self.check = app, local, check

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request with 400 or 403, or pass it to the app."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = self._refused(scope)
        if not refused and scope["method"] == "POST" and not scope["path"].endswith("/upload"):
            body = await _body(receive)
            refused = len(body) > MAX_QUESTION or _names_address(body)
            if not refused and (line := self._wrong(scope, body)):
                notify(f"refused: {line}")
                answer = json.dumps({"error": line, "detail": line}).encode()
                await _answer(send, 400, answer, b"application/json")
                return
            receive = _again(body, receive)
        if refused:
            await _answer(send, 403, b"refused")
            return

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", POLICY.encode())
                message["headers"] = [*message.get("headers", ()), policy]
            await send(message)

        await self.app(scope, receive, with_policy)

    def _wrong(self, scope: Message, body: bytes) -> str | None:
        """The line of a post that is no question of the page."""
        route = scope["path"].rstrip("/").removeprefix("/gradio_api/")
        if route in OTHERS:
            return None
        if route not in ASKING:
            return "nothing is posted there: ask at /gradio_api/call/search"
        try:
            self.check(body)
        except InputError as error:
            return printable(error)
        return None

    def _refused(self, scope: Message) -> bool:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        named = [urlsplit(f"//{headers.get(b'host', '')}").hostname]
        if b"origin" in headers:
            named.append(urlsplit(headers[b"origin"]).hostname)
        return scope["path"].lower().startswith(FETCHING) or (
            self.local and not all(is_loopback(name or "") for name in named)
        )


async def _answer(send: Send, status: int, body: bytes, kind: bytes = b"text/plain") -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive) -> bytes:
    """The body of a question; reading stops once it is too large."""
    body = b""
    while len(body) <= MAX_QUESTION:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """A receiver that returns the body, which was read already, and then what comes after it."""
    waiting = [body]

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed


def _names_address(body: bytes) -> bool:
    """Whether a question names an image by an address, which gradio would fetch."""

    def holds(value: Any) -> bool:
        if isinstance(value, dict):
            path = value.get("path")
            return (isinstance(path, str) and "://" in path) or any(map(holds, value.values()))
        return isinstance(value, list) and any(map(holds, value))

    try:
        return holds(json.loads(body)) if body else False
    except (ValueError, RecursionError):
        return False  # which is said to whoever asks


def is_loopback(host: str) -> bool:
    """Check that only this machine can reach a server.

    Args:
        host: Name or address that the server listens on.

    Returns:
        Whether it is localhost or a loopback address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@contextmanager
def gradio_environment() -> Iterator[Path]:
    """Set environment variables for a gradio server, and restore them at the end.

    The server gets a temporary folder for the files that it is sent and shows, and no proxy between
    itself and this machine.

    Yields:
        The temporary folder.
    """
    around = [os.environ.get(name) for name in ("no_proxy", "NO_PROXY")]
    direct = ",".join([*filter(None, dict.fromkeys(around)), "localhost", "127.0.0.1", "::1"])
    with TemporaryDirectory(prefix="devise-exp-", ignore_cleanup_errors=True) as folder:
        wanted = {"GRADIO_TEMP_DIR": folder, "no_proxy": direct, "NO_PROXY": direct}
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield Path(folder)
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
