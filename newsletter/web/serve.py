"""Running the public app: one process, one port, an honest word when it is ready. Beside it, on a port of
their own for this machine alone, the previews."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack

import uvicorn

from newsletter.errors import RefusedError
from newsletter.web.clock import Clock
from newsletter.web.listen import bound
from newsletter.web.preview import previews
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
    preview_port: int | None = None,
    note: Callable[[str], None] = lambda _said: None,
) -> None:
    """Serve until SIGINT or SIGTERM. `ready` is told the address; port 0 takes a free one. With
    `clock`, scheduled mailings are sent when their time has come. With `preview_port`, previews are
    served there, to this machine alone; `note` is told where, or why not.

    Raises RefusedError when the port can't be had.
    """
    workspace.patience = _PATIENCE
    workspace.database.check()
    app = public_app(workspace)
    listener = bound(host, port, "--port")
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
    notes: list[str] = []

    def begun() -> None:
        ready(address)
        for said in notes:
            note(said)

    try:
        with ExitStack() as stack:
            if clock:
                stack.enter_context(Clock(workspace))
            if preview_port is not None:
                try:
                    at = stack.enter_context(
                        previews(workspace.root, preview_port, patience=_PATIENCE)
                    )
                    notes.append(f"previews on {at}")
                except RefusedError as error:
                    notes.append(f"no previews: {error}")
            _Server(config, begun).run(sockets=[listener])
    finally:
        listener.close()
        workspace.close()
