"""What `from newsletter import …` offers, as the documentation shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import newsletter


def test_every_name_is_there() -> None:
    for name in newsletter.__all__:
        assert getattr(newsletter, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = newsletter.nothing


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import newsletter, sys; print([m for m in ('sqlalchemy', 'jinja2') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_weekly_round_from_python(workspace_dir: Path) -> None:
    with newsletter.Workspace(workspace_dir, actor="a script") as workspace:
        workspace.import_people(workspace_dir / "subscribers" / "people.csv")
        plan = workspace.plan("2026-W48")
        workspace.approve("2026-W48", plan=plan.hash)
        assert workspace.start("2026-W48")["states"]["accepted"] == plan.deliveries
        assert workspace.report("2026-W48")["recipients"] == plan.deliveries
