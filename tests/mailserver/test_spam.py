"""What a spam filter thinks of the sample issue: SpamAssassin with its rules alone, no network.

Bayes and reputation are off, since what they learn from one mail would change the next one's score.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.mailserver.postfix import Mail
from tests.mailserver.publication import Delivered

MOST = 1.0  #: points; filters commonly act from 5 on, and theirs know more than these rules
_PATIENCE = 120  # seconds
_PREFERENCES = """
use_bayes 0
use_auto_welcomelist 0
add_header all Scores _SCORE_ _TESTSSCORES(,)_
"""
# A mail from this machine earns a point for it (ALL_TRUSTED). 198.18.0.0/15 is kept for tests as well
# as the documentation's networks are, but counts as an address that can be (RCVD_ILLEGAL_IP).
_HERE = re.compile(rb"(?m)^Received: from \S+ \(localhost \[127\.0\.0\.1\]\)")
_OUTSIDE = b"Received: from mail.signal-brief.example (mail.signal-brief.example [198.18.7.25])"


@pytest.fixture(scope="module")
def spamassassin() -> str:
    found = shutil.which("spamassassin")
    if not found:
        pytest.skip("there is no SpamAssassin here (Debian: apt install spamassassin)")
    return found


def scores(command: str, folder: Path, mails: Mapping[str, bytes]) -> dict[str, tuple[float, str]]:
    """Points and rules of each mail. One process for all of them: its start costs a second."""
    home = folder / "home"
    home.mkdir()
    preferences = folder / "preferences"
    preferences.write_text(_PREFERENCES)
    for name, mail in mails.items():
        (folder / name).write_bytes(mail)
    ran = subprocess.run(
        [command, "-L", "-t", "-p", preferences, *(folder / name for name in mails)],
        capture_output=True,
        timeout=_PATIENCE,
        check=True,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        cwd=home,
    )
    unfolded = re.sub(rb"\n[ \t]+", b" ", ran.stdout).decode("utf-8", "replace")
    found = re.findall(r"(?m)^X-Spam-Scores: (-?[\d.]+) (.*)$", unfolded)
    assert len(found) == len(mails), ran.stderr.decode("utf-8", "replace")
    return {
        name: (float(points), rules) for name, (points, rules) in zip(mails, found, strict=True)
    }


def from_outside(mail: Mail) -> bytes:
    """The delivered mail, as if its last hop had not been this machine."""
    changed, places = _HERE.subn(_OUTSIDE, mail.whole, count=1)
    assert places == 1
    return changed


def test_every_edition_passes_and_a_bad_mail_would_not(
    delivered: Delivered, spamassassin: str, tmp_path: Path
) -> None:
    editions = {name: from_outside(mail) for name, mail in delivered.one_of_each_edition().items()}
    assert len(editions) >= 16
    some = next(iter(editions.values()))
    # Without it, a machine that has the program but no rules would find everything fine.
    empty_text = re.sub(
        rb"(?s)(text/plain.*?\n\n).*?(\n--=_)", rb"\1Buy something else altogether.\n\2", some
    )
    found = scores(spamassassin, tmp_path, editions | {"control": empty_text})
    points, rules = found.pop("control")
    assert points >= MOST, f"the control has only {points}: {rules}"
    assert "MPART_ALT_DIFF" in rules
    too_many = {name: score for name, score in found.items() if score[0] >= MOST}
    assert not too_many, "\n".join(
        f"edition {name}: {points} ({rules})" for name, (points, rules) in too_many.items()
    )
    # The list headers are recognised for what they are.
    assert all("MAILING_LIST_MULTI=-1" in rules for _, rules in found.values()), found
