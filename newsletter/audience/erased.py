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

    def among(self, known: Mapping[str, datetime], keys: Sequence[str]) -> dict[str, datetime]:
        """Which of these addresses are of people who were erased, and when."""
        if not known:
            return {}
        return {key: known[found] for key in keys if (found := self.hashed(key)) in known}

    def remember(self, digest: str, at: datetime) -> None:
        """Add one to the list, durably, before anything is erased: a backup that is restored later does
        not bring the person back."""
        self._list.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._list, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, f"{at.astimezone(UTC).isoformat()} {digest}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def listed(self) -> dict[str, datetime]:
        """The list: hash to the time of its last entry."""
        found: dict[str, datetime] = {}
        if self._list.exists():
            for line in self._list.read_text("ascii").splitlines():
                at, _, digest = line.partition(" ")
                if digest.startswith(PREFIX):
                    found[digest] = datetime.fromisoformat(at)
        return found
