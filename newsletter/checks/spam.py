"""What SpamAssassin thinks of a message, through its client `spamc` and a running `spamd`.

Owns the question and the reading of its answer; must not know editions or findings. A daemon that isn't
there is an answer, not an error: nobody needs one to write a newsletter.

Filters commonly act from 5 points on, and big receivers know more than these rules: a mail of more than 1
point already deserves a look. Sources: spamc(1), and the report of SpamAssassin 4.0 (`report` in
Mail::SpamAssassin::Conf), whose points are rounded to one decimal.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

_MOST = 200_000_000  # bytes; spamc refuses to be told more than 256 MiB
_TOTAL = re.compile(r"(-?\d+(?:\.\d+)?)/(-?\d+(?:\.\d+)?)\s*")
# The table's head: dashes, whatever the language of the words above them is.
_TABLE = re.compile(r"(?m)^-{3,5} -{10,} -{20,}[ \t]*$")
_RULE = re.compile(r"\s*(-?\d+(?:\.\d+)?) ([A-Z][A-Z0-9_]+)\s*(.*)")
_MORE = re.compile(r"\s{20,}(\S.*)")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that the message met."""

    points: float
    name: str  #: e.g. `MPART_ALT_DIFF`
    description: str  #: in the language of the daemon


@dataclass(frozen=True, slots=True)
class SpamScore:
    """Points of a message."""

    score: float
    threshold: float  #: points from which on this daemon calls it spam
    rules: tuple[Rule, ...]  #: the most expensive first; also those of 0 points

    @property
    def spam(self) -> bool:
        return self.score >= self.threshold


@dataclass(frozen=True, slots=True)
class Missing:
    """Nobody could be asked."""

    reason: str  #: in words for a person, with the remedy where there is one


def score(
    message: bytes,
    *,
    command: str = "spamc",
    arguments: Sequence[str] = (),
    timeout: float = 30,
) -> SpamScore | Missing:
    """Points of a complete message (header and body, CRLF or LF), by the daemon that `spamc` finds.

    `arguments` are further ones of spamc, e.g. `-d mx.example.com -p 783` or `-U /run/spamd.sock`.
    `timeout`: seconds for everything. Nothing is learnt from the message, and nothing of it is kept.
    """
    if len(message) > _MOST:
        return Missing(f"a message of {len(message)} bytes is more than spamc takes")
    seconds = str(max(1, int(timeout)))
    called = [
        *(command, "-R", "-x", "-l", "-s", str(len(message) + 1)),
        *("-t", seconds, "-n", seconds, "--connect-retries", "1", "--filter-retries", "1"),
        *arguments,
    ]
    try:
        ran = subprocess.run(  # noqa: S603  (no shell; the program is the operator's)
            called, input=message, capture_output=True, timeout=timeout, check=False
        )
    except FileNotFoundError:
        return Missing(f"there is no {command} here (Debian: apt install spamc spamd)")
    except subprocess.TimeoutExpired:
        return Missing(f"{command} had no answer after {timeout:g} seconds")
    except OSError as error:
        return Missing(f"{command} can't be run: {error.strerror}")
    said = ran.stderr.decode("utf-8", "replace").strip().splitlines()
    if ran.returncode:
        why = said[0].removeprefix("spamc: ") if said else f"it ended with {ran.returncode}"
        return Missing(f"no spamd answers {command}: {why[:200]}")
    found = _read(ran.stdout.decode("utf-8", "replace"))
    # A message that was not looked at comes back as 0/0, as if nothing were wrong with it.
    if found is None or found.threshold == 0:
        return Missing(f"{command} did not say how many points the message has")
    return found


def _read(report: str) -> SpamScore | None:
    """The output of `spamc -R`: the points, then a report that ends in a table of rules."""
    total = _TOTAL.match(report)
    if not total:
        return None
    rules: list[Rule] = []
    # The report quotes the message, whose words might look like a table: the last one is the daemon's.
    *before, table = _TABLE.split(report)
    for line in table.splitlines() if before else ():
        if rule := _RULE.fullmatch(line):
            rules.append(Rule(float(rule[1]), rule[2], rule[3].strip()))
        elif rules and (more := _MORE.fullmatch(line)):
            last = rules[-1]
            rules[-1] = Rule(last.points, last.name, f"{last.description} {more[1].strip()}")
    rules.sort(key=lambda one: -one.points)
    return SpamScore(float(total[1]), float(total[2]), tuple(rules))
