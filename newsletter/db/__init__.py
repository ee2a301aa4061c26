"""Schema, migrations and connections; underneath everything, knows nothing above."""

from newsletter.db import schema
from newsletter.db.backup import backup, check_backup, numbers, problems, raise_numbers, restore
from newsletter.db.engine import HEAD, PATIENCE, Database, Writer, compact_json, insert_new

__all__ = [
    "HEAD",
    "PATIENCE",
    "Database",
    "Writer",
    "backup",
    "check_backup",
    "compact_json",
    "insert_new",
    "numbers",
    "problems",
    "raise_numbers",
    "restore",
    "schema",
]
