"""The fence: a restored backup or a copied workspace must not send (design §5.8).

Every start raises an epoch, in the database first and then in `var/instance`. A start that was cut
between the two leaves the file one behind, which is well. Whatever else differs is not the pair that
sent last, and somebody has to say that it may.
"""

from __future__ import annotations

import json
import platform
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

import sqlalchemy as sa

from newsletter.db.schema import installation
from newsletter.files import replace_file

_MACHINE_ID = Path("/etc/machine-id")


@dataclass(frozen=True, slots=True)
class _Instance:
    """What `var/instance` holds."""

    id: str  #: of this folder: one database may have several, on several machines
    identity: str  #: of the database
    machine: str
    folder: int  #: inode of var/: a copy has another one
    epoch: int


class Fence:
    """Keeps `<root>/var/instance` and the database's epoch of it together."""

    def __init__(self, root: Path) -> None:
        self.path = root / "var" / "instance"

    def breach(self, connection: sa.Connection) -> str | None:
        """Why this place may not send with this database, as a clause, or None when it may."""
        try:
            here = _Instance(**json.loads(self.path.read_text("utf-8")))
        except FileNotFoundError:
            if _epochs(connection):
                return "this folder has not sent with this database before"
            return None
        except (ValueError, TypeError):
            return f"{self.path} is damaged"
        if here.identity != _identity(connection):
            return "this folder belongs to another database"
        if here.machine != _machine():
            return "this folder has sent from another machine"
        if here.folder != self._folder():
            return "this folder is a copy of one that has sent"
        epochs = _epochs(connection)
        if here.epoch == 0 and not epochs:
            return None  # prepared, and never started
        epoch = epochs.get(here.id)
        if epoch is None or epoch < here.epoch:
            return "the database is older than the last send from here, as a restored backup is"
        if epoch > here.epoch + 1:
            return f"{self.path} is older than the last send from here, as a restored backup is"
        return None

    def lift(self, connection: sa.Connection) -> None:
        """Take this folder and this database for a pair from now on."""
        here = self._prepare(connection)
        _set_epoch(connection, here.id, here.epoch)

    def _prepare(self, connection: sa.Connection) -> _Instance:
        here = _Instance(
            id=secrets.token_hex(8),
            identity=_identity(connection),
            machine=_machine(),
            folder=self._folder(),
            epoch=0,
        )
        self._write(here)
        return here

    def raise_epoch(self, connection: sa.Connection) -> int:
        """Raise the epoch in the database, for a start; commit, then call `follow`. Only without a
        breach. Returns the new epoch."""
        if self.path.exists():
            here = _Instance(**json.loads(self.path.read_text("utf-8")))
        else:
            here = self._prepare(connection)
        epoch = _epochs(connection).get(here.id, 0) + 1
        _set_epoch(connection, here.id, epoch)
        return epoch

    def follow(self, epoch: int) -> None:
        """Write the epoch into the file, after the database's commit and before anything leaves."""
        here = json.loads(self.path.read_text("utf-8"))
        self._write(_Instance(**(here | {"epoch": epoch})))

    def _write(self, here: _Instance) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(self.path, json.dumps(asdict(here), indent=1) + "\n")
        self.path.chmod(0o600)

    def _folder(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.path.parent.stat().st_ino


def _machine() -> str:
    try:
        return _MACHINE_ID.read_text("ascii").strip() or platform.node()
    except (OSError, ValueError):
        return platform.node()


def _identity(connection: sa.Connection) -> str:
    found: str | None = connection.scalar(
        sa.select(installation.c.value).where(installation.c.key == "identity")
    )
    return found or ""


def _epochs(connection: sa.Connection) -> dict[str, int]:
    """The epoch of every folder that has sent with this database."""
    return {
        key.removeprefix("epoch:"): int(value)
        for key, value in connection.execute(
            sa.select(installation.c.key, installation.c.value).where(
                installation.c.key.startswith("epoch:")
            )
        )
    }


def _set_epoch(connection: sa.Connection, instance: str, epoch: int) -> None:
    key = f"epoch:{instance}"
    connection.execute(installation.delete().where(installation.c.key == key))
    connection.execute(installation.insert(), {"key": key, "value": str(epoch)})
