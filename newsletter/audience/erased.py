"""Erased people stay out without being known: of their addresses a keyed hash is kept, under a key of
its own, in the database and in a file that outlives a restored backup.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa

from newsletter.db.schema import suppression
from newsletter.errors import RefusedError
from newsletter.files import make_once

PREFIX = "hmac:"


class Erased:
    """The hashes of one installation."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds the secret and the list; both are made when first needed."""
        self._key_file = folder / "erased.key"
        self._list = folder / "erased.list"

    @cached_property
    def _key(self) -> bytes:
        make_once(self._key_file, f"{secrets.token_hex(32)}\n")
        try:
            return bytes.fromhex(self._key_file.read_text("ascii").strip())
        except ValueError as error:
            raise RefusedError(
                f"the secret {self._key_file} is damaged; restore it from a backup"
            ) from error

    def hashed(self, address_key: str) -> str:
        """What is kept of an address: good for recognising it, and for nothing else."""
        return PREFIX + hmac.digest(self._key, address_key.encode(), "sha256").hex()

    def known(self, connection: sa.Connection) -> dict[str, datetime]:
        """Every hash in the database, and when."""
        rows = connection.execute(
            sa.select(suppression.c.address_key, suppression.c.created_at).where(
                suppression.c.reason == "erased"
            )
        )
        return {row.address_key: row.created_at for row in rows}

    def remember(self, digest: str, at: datetime, person: int | None) -> None:
        """Add one to the list, durably, before anything is erased: a backup that is restored later does
        not bring the person back, whatever address they have in it."""
        self._list.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._list, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            line = f"{at.astimezone(UTC).isoformat()} {digest} {person or ''}".rstrip()
            os.write(descriptor, f"{line}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def listed(self) -> tuple[dict[str, datetime], dict[int, datetime]]:
        """The list: the time of the last entry of each hash, and of each person's number."""
        hashes: dict[str, datetime] = {}
        numbers: dict[int, datetime] = {}
        if self._list.exists():
            for line in self._list.read_text("ascii").splitlines():
                at, digest, *person = line.split(" ")
                if digest.startswith(PREFIX):
                    hashes[digest] = datetime.fromisoformat(at)
                    if person:
                        numbers[int(person[0])] = hashes[digest]
        return hashes, numbers


class ErasedPeople:
    """Those who were erased before something long began, and those who were since."""

    def __init__(self, erased: Erased, connection: sa.Connection) -> None:
        self._erased = erased
        self._known = erased.known(connection)
        self._new: dict[str, datetime] = {}
        self._since = datetime.now(UTC)

    def among(self, keys: Sequence[str]) -> dict[str, datetime]:
        """Which of these addresses are of people who had been erased, and when."""
        return self._among(self._known, keys)

    def look_again(self, connection: sa.Connection) -> bool:
        """Whether anybody was erased since."""
        later = sa.and_(suppression.c.reason == "erased", suppression.c.created_at >= self._since)
        if connection.scalar(sa.select(sa.exists().where(later))):
            found = self._erased.known(connection)
            self._new = {one: at for one, at in found.items() if one not in self._known}
        return bool(self._new)

    def among_new(self, keys: Sequence[str]) -> dict[str, datetime]:
        """Which of these addresses are of people who were erased since."""
        return self._among(self._new, keys)

    def digests(self, keys: Sequence[str]) -> list[str]:
        """The hashes of addresses."""
        return [self._erased.hashed(key) for key in keys]

    def _among(self, known: Mapping[str, datetime], keys: Sequence[str]) -> dict[str, datetime]:
        if not known:
            return {}
        return {key: known[found] for key in keys if (found := self._erased.hashed(key)) in known}
