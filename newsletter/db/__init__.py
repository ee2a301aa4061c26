"""Schema, migrations and connections; underneath everything, knows nothing above."""

from newsletter.db import schema
from newsletter.db.backup import backup, problems, restore
from newsletter.db.engine import HEAD, PATIENCE, Database, Writer, compact_json, insert_new

__all__ = [
    "HEAD",
    "PATIENCE",
    "Database",
    "Writer",
    "backup",
    "compact_json",
    "insert_new",
    "problems",
    "restore",
    "schema",
]
