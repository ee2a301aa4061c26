"""Taking a port, with a sentence when it can't be had."""

from __future__ import annotations

import socket

from newsletter.errors import RefusedError


def bound(host: str, port: int, remedy: str) -> socket.socket:
    """A socket on this address, which nobody listens to yet; port 0 takes a free one. `remedy` ends the
    sentence "Choose another with …" of the RefusedError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise RefusedError(
            f"port {port} on {host} can't be used: {reason}. Choose another with {remedy}"
        ) from error
    return listener
