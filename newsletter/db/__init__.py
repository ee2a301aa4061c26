"""Schema, migrations and connections; underneath everything, knows nothing above."""

from newsletter.db import schema
from newsletter.db.engine import HEAD, Database

__all__ = ["HEAD", "Database", "schema"]
