"""Writing files so that nothing is ever half there, and looking at zips before anybody unpacks them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from newsletter.errors import InputError, RefusedError

_MOST_PARTS = 10_000
_MOST_SQUEEZED = 200  # how many times its size a large part may unpack to
_SMALL = 1 << 20  # bytes; what unpacks to less may be squeezed as it likes


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


def refuse_zip_bomb(
    file: IO[bytes], name: str, *, kind: str, most: Callable[[str], int], in_all: int, remedy: str
) -> None:
    """Look at a document that is a zip before its reader unpacks it, since a zip can be small and unpack
    to whatever its maker liked.

    `kind` is what the document calls itself ("workbook"), `most` gives the bytes that a part of a name may
    unpack to, `in_all` those of all parts, and `remedy` ends the refusal ("Save it as CSV"). Raises
    InputError: no zip, too many parts, too large, squeezed beyond measure, defining entities.
    """
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if len(parts) > _MOST_PARTS:
                raise InputError(f"has {len(parts):,} parts, as no {kind} has", file=name)
            heads = [archive.open(part).read(1_000) for part in parts]
    except (
        zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, NotImplementedError, EOFError,
    ) as error:  # fmt: skip
        raise InputError(
            f"is no {kind}: its zip can't be read ({error}); was it cut off on its way?", file=name
        ) from None
    if any(b"<!DOCTYPE" in head.replace(b"\0", b"") for head in heads):
        raise InputError(
            f"is a {kind} that defines entities, as no office program makes them; it was not opened",
            file=name,
        )
    for part in parts:
        squeezed = part.file_size / max(1, part.compress_size)
        if part.file_size > most(part.filename) or (
            part.file_size > _SMALL and squeezed > _MOST_SQUEEZED
        ):
            raise InputError(
                f"unpacks to {part.file_size:,} bytes ({part.filename}), {squeezed:,.0f} times its "
                f"size; it was not opened. {remedy}",
                file=name,
            )
    if sum(part.file_size for part in parts) > in_all:
        raise InputError(
            f"unpacks to more than {in_all >> 20:,} MB; it was not opened. {remedy}", file=name
        )
