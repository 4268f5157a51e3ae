"""What the page's server may do: answer its own machine, keep files apart, fetch nothing."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from ipaddress import ip_address
from tempfile import TemporaryDirectory
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
# The browser is to ask nobody but this server, whatever the page or its framework come to hold.
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; form-action 'self'; frame-ancestors 'self'"
)
# Routes of gradio's by which its server would fetch from other hosts.
FETCHING = ("/gradio_api/file=http", "/gradio_api/proxy=")


class Guard:
    """ASGI middleware: a policy for the browser, no fetching from other hosts, and with `local`
    only requests that name this machine (another site's name may come to point to 127.0.0.1).
    """

    def __init__(self, app: Callable[..., Awaitable[None]], local: bool) -> None:
        self.app, self.local = app, local

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif self._refused(scope):
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"refused"})
        else:

            async def with_policy(message: Message) -> None:
                if message["type"] == "http.response.start":
                    policy = (b"content-security-policy", POLICY.encode())
                    message["headers"] = [*message.get("headers", ()), policy]
                await send(message)

            await self.app(scope, receive, with_policy)

    def _refused(self, scope: Message) -> bool:
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        name = host[: host.find("]") + 1] if host.startswith("[") else host.split(":")[0]
        path = scope["path"].lower()
        return path.startswith(FETCHING) or (
            self.local and name not in LOCAL_NAMES and not is_loopback(name)
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on `host`."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@contextmanager
def own_environment() -> Iterator[None]:
    """Environment variables for a gradio server: a folder of its own for what it is sent and shows,
    removed at the end, and no proxy between it and this machine.
    """
    around = [os.environ.get(name) for name in ("no_proxy", "NO_PROXY")]
    direct = ",".join([*filter(None, dict.fromkeys(around)), "localhost", "127.0.0.1", "::1"])
    with TemporaryDirectory(prefix="devise-exp-", ignore_cleanup_errors=True) as place:
        wanted = {"GRADIO_TEMP_DIR": place, "no_proxy": direct, "NO_PROXY": direct}
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
