"""Writing files so that nothing is ever half there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from newsletter.errors import RefusedError


@contextmanager
def new_private_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that its owner alone can read, and that is there once the context has ended well: an older
    one of that name stays until then."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def make_once(path: Path, content: str) -> None:
    """A file that its owner alone can read, unless there is one already: of several processes that make
    it at the same time, the first one's stays. Raises RefusedError when others can read it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)  # fails when another process was quicker
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        raise RefusedError(f"the secret {path} can be read by others; run: chmod 600 {path}")


def make_private(path: Path) -> None:
    """An empty file that its owner alone can read, unless there is one. One that is there is not opened:
    closing any descriptor of a file drops every lock that this process has on it (POSIX, fcntl), and
    whoever writes to a database in it would go on without."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return


def replace_file(path: Path, content: str | bytes) -> None:
    """Write a file so that it is either the old one or the new one, whatever happens. Text becomes
    UTF-8 with its line ends as they are."""
    draft = path.with_name(f".{path.name}.new")
    with draft.open("wb") as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)  # the new name is as durable as the content
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
