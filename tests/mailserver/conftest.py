"""A running Postfix for each test process, keys for DKIM, and one whole issue that went through both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mailserver import postfix as server
from tests.mailserver.publication import Delivered, Keys, deliver


@pytest.fixture(scope="session")
def mail_server() -> Iterator[server.Postfix]:
    """One for each test process."""
    if why := server.missing():
        pytest.skip(why)
    with server.running() as running:
        yield running


@pytest.fixture
def postfix(mail_server: server.Postfix) -> server.Postfix:
    """The server of this process, with nothing in its Maildir."""
    if mail_server.process is None:  # a test that failed left it so
        mail_server.start()
    mail_server.empty()
    return mail_server


@pytest.fixture(scope="session")
def keys() -> Keys:
    """An RSA-2048 and an Ed25519 key."""
    return Keys()


@pytest.fixture(scope="session")
def delivered(
    mail_server: server.Postfix, keys: Keys, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Delivered]:
    """The sample issue as its 486 readers got it, signed with both keys."""
    mail_server.empty()
    folder: Path = tmp_path_factory.mktemp("delivered")
    sent = deliver(folder / "publication", mail_server, keys)
    yield sent
    sent.workspace.close()
