"""The sample publication, and new workspaces made from it. One copy lies in the tree."""

from __future__ import annotations

import shutil
from pathlib import Path

from newsletter.config import FILE
from newsletter.errors import RefusedError

_PARTS = (FILE, "templates", "images", "issues", "subscribers")


def sample() -> Path:
    """Where it lies: package data in an installation, the repository's root in a clone."""
    package = Path(__file__).parent
    carried = package / "_sample"
    return carried if carried.is_dir() else package.parent


def init(folder: Path) -> Path:
    """Make a new workspace from the sample publication; returns its absolute path.

    Raises RefusedError when the folder holds any of a workspace's parts already.
    """
    folder = folder.resolve()
    if (folder / FILE).exists():
        raise RefusedError(f"{folder} is a workspace already")
    clash = [part for part in _PARTS if (folder / part).exists()]
    if clash:
        raise RefusedError(f"{folder} holds {', '.join(clash)} already; choose an empty folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in _PARTS:
            source = sample() / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns(".*"))
            else:
                shutil.copy2(source, folder / part)
        (folder / ".gitignore").write_text("/var/\n", "utf-8")
    except OSError as error:
        raise RefusedError(f"{folder} can't be written: {error.strerror}") from error
    return folder
