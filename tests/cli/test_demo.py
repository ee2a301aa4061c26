"""The demo is the README's first command: it must end well and tell what it did."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def test_the_demo_runs_the_whole_pipeline(tmp_path: Path) -> None:
    folder = tmp_path / "shown"
    ran = subprocess.run(
        [sys.executable, "-m", "newsletter", "demo", "--keep", str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "NEWSLETTER_TRACKING__LEVEL": "none"},  # must not reach the demo
    )
    assert ran.returncode == 0, ran.stderr
    told = " ".join(ran.stdout.split())
    assert "500 added, 0 rejected" in told
    assert "Audit: the books balance" in told
    assert re.search(r"486 mails checked: text and HTML part, no unfilled slot", told)
    assert re.search(r"\d+ links followed; each led to the exact original", told)
    for path in ("var/preview/2026-W48/index.html", "report.html"):
        assert (folder / path).exists()
        assert path in told
