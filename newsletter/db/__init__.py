"""Schema, migrations and connections; underneath everything, knows nothing above."""

from newsletter.db import schema
from newsletter.db.engine import HEAD, Database, Writer, insert_new

__all__ = ["HEAD", "Database", "Writer", "insert_new", "schema"]
