"""What tests share: the two databases, a workspace to work in, and no skipping unseen in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from newsletter.config import ENV_PREFIX
from newsletter.db import Database
from tests import postgres

ROOT = Path(__file__).parent.parent  #: the repository, which is the sample publication
#: SendGrid's OpenAPI document; nothing of ours needs it, and where it lies it is one more judge.
OPENAPI = Path(
    os.environ.get("SENDGRID_OPENAPI", ROOT.parent / "shared/specs/sendgrid/mail_v3.json")
)
collect_ignore = [] if OPENAPI.exists() else ["delivery/test_sendgrid_prism.py"]
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false", "no")

settings.register_profile(
    "here", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if IN_CI else "here")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI a test that is skipped has failed: what is missing there is missing by mistake."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {reason}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not asked, and why."""
    if not OPENAPI.exists():
        terminalreporter.write_line(
            "note: SendGrid's OpenAPI document is not here (SENDGRID_OPENAPI); Prism was not asked"
        )


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests reaches into them."""
    for name in list(os.environ):
        if name.startswith(ENV_PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgres.Server]:
    """A running PostgreSQL, one for each test process."""
    folder = postgres.binaries()
    if folder is None:
        pytest.skip("there are no PostgreSQL binaries here (Debian: apt install postgresql)")
    server = postgres.Server(folder)
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table, once on each system."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: postgres.Server = request.getfixturevalue("postgresql_server")
    url = server.new_database()
    yield url
    server.drop(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with the newest schema and nobody in it, once on each system."""
    if request.param == "sqlite":
        copy = tmp_path / "newsletter.db"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), copy)
        yield f"sqlite:///{copy}"
        return
    server: postgres.Server = request.getfixturevalue("postgresql_server")
    url = server.new_migrated_database()
    yield url
    server.drop(url)


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    """A database that is ready, once on each system."""
    opened = Database(database_url, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def sqlite(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """A ready database on SQLite only, for what can't differ between the two."""
    copy = tmp_path / "sqlite.db"
    shutil.copyfile(migrated_sqlite, copy)
    opened = Database(f"sqlite:///{copy}", tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the newest schema, to be copied."""
    folder = tmp_path_factory.mktemp("migrated")
    database = Database("sqlite:///newsletter.db", folder)
    database.upgrade()
    database.close()
    return folder / "newsletter.db"


@pytest.fixture
def workspace_dir(tmp_path: Path) -> Path:
    """A copy of the sample publication, without a database."""
    return copy_sample(tmp_path / "publication")


@pytest.fixture
def make_workspace(tmp_path: Path) -> Callable[[str], Path]:
    """Copies of the sample publication under names of the test's choosing."""
    return lambda name: copy_sample(tmp_path / name)


def copy_sample(folder: Path) -> Path:
    """The sample publication in a new folder, without a database; returns the folder."""
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "newsletter.toml", folder)
    for name in ("templates", "images", "issues", "subscribers"):
        shutil.copytree(ROOT / name, folder / name)
    return folder
