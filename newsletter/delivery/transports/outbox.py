"""The local outbox: one valid .eml per recipient in a Maildir, durable and idempotent.

The default way out, and the honest fake for everything above it: what is here was sent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from newsletter.delivery.transports.base import Envelope, InDoubt, Outcome
from newsletter.errors import TransportError


class OutboxTransport:
    """Writes to `<path>/tmp`, syncs, renames into `<path>/new`: a file is whole or not there."""

    name = "outbox"
    lanes = 4  # a write waits for the disk, not for Python
    batch = 8  # the folder is synced once for so many
    one_edition = False
    utf8 = True
    in_doubt: InDoubt = "resend"  # never needed: the outbox can always tell

    def __init__(self, path: Path) -> None:
        self.path = path

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

    def lane(self) -> OutboxLane:
        return OutboxLane(self.path)

    def took(self, mailing: int, n: int) -> bool | None:
        return taken(self.path, file_name(mailing, n))

    def close(self) -> None:
        pass


class OutboxLane:
    """One writer."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def send(self, batch: Sequence[Envelope]) -> Iterator[Outcome]:
        """Everything is durable before the first outcome is told."""
        written = []
        try:
            for envelope in batch:
                self._write(envelope)
                written.append(envelope.n)
            self._sync_folder()
        except OSError as error:
            yield from self._taken(batch)
            raise TransportError(
                f"the outbox {self.path} can't be written: {error.strerror}. Nothing is lost: free "
                "it, and start again"
            ) from error
        for n in written:
            yield Outcome(n, "accepted")

    def _taken(self, batch: Sequence[Envelope]) -> Iterator[Outcome]:
        """After a failure: what lies there was taken, whoever put it there."""
        for envelope in batch:
            if taken(self.path, f"{envelope.name}.eml"):
                yield Outcome(envelope.n, "accepted")

    def _write(self, envelope: Envelope) -> None:
        message = envelope.message()
        # A name of its own for each writer: two processes never write one draft.
        mine = f"{envelope.name}.{os.getpid()}-{threading.get_ident()}"
        draft = self.path / "tmp" / mine
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:  # writes all of it, or raises
                file.write(message)
                file.flush()
                os.fdatasync(file.fileno())
            draft.rename(self.path / "new" / f"{envelope.name}.eml")
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def _sync_folder(self) -> None:
        """The renames are durable when the folder is; once a batch is enough, before its outcome."""
        descriptor = os.open(self.path / "new", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        pass


def forget(path: Path, deliveries: Iterable[tuple[int, int]], email: str) -> int:
    """Remove what these deliveries (mailing, n) left in a Maildir, read or not, and test mails to an
    address; returns how many files."""
    removed = 0
    tests = file_name(0, 0).partition("-")[0]  # the number of no mailing
    for folder in ("new", "cur"):
        for test in (path / folder).glob(f"{tests}-*"):
            if email.lower().encode() in test.read_bytes().lower():
                test.unlink()
                removed += 1
    read = {one.name.partition(":")[0]: one for one in (path / "cur").glob("*.eml*")}
    for mailing, n in deliveries:
        name = file_name(mailing, n)
        for one in (path / "new" / name, read.get(name)):
            if one is not None and one.exists():
                one.unlink()
                removed += 1
        for draft in (path / "tmp").glob(f"{name.removesuffix('.eml')}.*"):
            draft.unlink(missing_ok=True)
            removed += 1
    return removed


def file_name(mailing: int, n: int) -> str:
    """The name of a delivery's file."""
    return f"m{mailing:06d}-n{n:08d}.eml"


def taken(path: Path, name: str) -> bool:
    """Whether a message lies in a Maildir, read or not."""
    if (path / "new" / name).exists():
        return True
    # a mail reader moves what was read to cur/ and adds flags: `….eml:2,S`
    return any((path / "cur").glob(f"{name}*"))
