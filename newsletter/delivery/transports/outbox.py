"""The local outbox: one valid .eml per recipient in a Maildir, durable and idempotent.

The default way out, and the honest fake for everything above it: what is here was sent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from newsletter.delivery.transports.base import Envelope, Outcome
from newsletter.errors import TransportError

_WRITERS = 4  # threads; a write waits for the disk, not for Python


class OutboxTransport:
    """Writes to `<path>/tmp`, syncs, renames into `<path>/new`: a file is whole or not there."""

    name = "outbox"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pool = ThreadPoolExecutor(_WRITERS, thread_name_prefix="outbox")

    def check(self) -> None:
        try:
            for folder in ("tmp", "new", "cur"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
            probe = self.path / "tmp" / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise TransportError(
                f"the outbox {self.path} can't be written: {error.strerror}. "
                "Free it, or set transports.outbox.path in newsletter.toml"
            ) from error

    def send(self, batch: Sequence[Envelope]) -> Sequence[Outcome]:
        try:
            written = [self._pool.submit(self._write, envelope) for envelope in batch]
            wait(written)  # all of them, so that `took` is asked of a quiet folder
            outcomes = [one.result() for one in written]
            self._sync_folder()
        except OSError as error:
            raise TransportError(
                f"the outbox {self.path} can't be written: {error.strerror}"
            ) from error
        return outcomes

    def _write(self, envelope: Envelope) -> Outcome:
        # A name of its own for each writer: two processes never write one draft.
        mine = f"{envelope.name}.{os.getpid()}-{threading.get_ident()}"
        draft = self.path / "tmp" / mine
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:  # writes all of it, or raises
                file.write(envelope.message)
                file.flush()
                os.fdatasync(file.fileno())
            draft.rename(self.path / "new" / f"{envelope.name}.eml")
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        return Outcome(envelope.n, "accepted")

    def _sync_folder(self) -> None:
        """The renames are durable when the folder is; once a batch is enough, before its outcome."""
        descriptor = os.open(self.path / "new", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def took(self, envelope: Envelope) -> bool | None:
        name = f"{envelope.name}.eml"
        if (self.path / "new" / name).exists():
            return True
        # a mail reader moves what was read to cur/ and adds flags: `….eml:2,S`
        return any((self.path / "cur").glob(f"{name}*"))

    def close(self) -> None:
        self._pool.shutdown()
