"""Writing files so that nothing is ever half there."""

from __future__ import annotations

import os
from pathlib import Path


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
