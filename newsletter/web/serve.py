"""Running the public app: one process, one port, an honest word when it is ready."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import nullcontext

import uvicorn

from newsletter.errors import RefusedError
from newsletter.web.clock import Clock
from newsletter.web.public import public_app
from newsletter.workspace import Workspace

_PATIENCE = 5.0  # seconds until a page says that something is out of order, rather than nothing


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def serve(
    workspace: Workspace,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
    clock: bool = True,
) -> None:
    """Serve until SIGINT or SIGTERM. `ready` is told the address; port 0 takes a free one. With
    `clock`, scheduled mailings are sent when their time has come.

    Raises RefusedError when the port can't be had.
    """
    workspace.patience = _PATIENCE
    workspace.database.check()
    app = public_app(workspace)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise RefusedError(
            f"port {port} on {host} can't be used: {reason}. Choose another with --port"
        ) from error
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # addresses of requests hold tokens
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=5,
    )
    try:
        with Clock(workspace) if clock else nullcontext():
            _Server(config, lambda: ready(address)).run(sockets=[listener])
    finally:
        listener.close()
        workspace.close()
