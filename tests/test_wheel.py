"""The wheel carries what a new workspace is made from: one copy lies in the tree."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_carries_the_sample_publication(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        carried = {
            name.removeprefix("newsletter/_sample/"): archive.read(name)
            for name in archive.namelist()
            if name.startswith("newsletter/_sample/")
        }
        assert "newsletter/py.typed" in archive.namelist()
        assert "newsletter/db/migrations/versions/0001_first.py" in archive.namelist()
    listed = subprocess.run(
        ["git", "ls-files", "newsletter.toml", "templates", "images", "issues", "subscribers"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert carried == {name: (ROOT / name).read_bytes() for name in listed}
