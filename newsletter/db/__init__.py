"""Schema, migrations and connections; underneath everything, knows nothing above."""

from newsletter.db import schema
from newsletter.db.engine import HEAD, Database, insert_new

__all__ = ["HEAD", "Database", "insert_new", "schema"]
