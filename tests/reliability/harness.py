"""Runs a send as a process, does it harm, starts it again until it is done, and counts.

A scenario says what harm is done. What is counted is what the sink took, not what the sender says;
each copy names the start it came from, so that each duplicate is charged to one kill.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from newsletter.workspace import Workspace
from tests.reliability.sink import MISDIRECTED, UNANSWERED, refused

ROOT = Path(__file__).parents[2]
ISSUE = "2026-W48"
CONNECTIONS = 10
WINDOW = 2 * CONNECTIONS  #: messages on their way at most: what one kill can double
_LONGEST = 120  # seconds for a send; more is a hang


@dataclass(frozen=True)
class Scenario:
    """What is done to a send."""

    name: str
    what: str
    transport: str = "smtp"
    kills: int = 0  #: how many starts are killed, at most
    signal: int = signal.SIGKILL
    faults: dict[str, float] = field(default_factory=dict)  #: of the sink, by share
    settings: dict[str, str] = field(default_factory=dict)
    harm: str = ""  #: restart | lock | full | unsubscribe
    runs: int = 10


@dataclass
class Count:
    """What came of the runs of a scenario."""

    runs: int = 0
    kills: int = 0
    recipients: int = 0
    lost: int = 0
    doubled: int = 0
    worst: int = 0  #: the most that one kill doubled
    unbalanced: int = 0
    broken: list[str] = field(default_factory=list)  #: promises, as sentences

    def add(self, other: Count) -> None:
        for name in ("runs", "kills", "recipients", "lost", "doubled", "unbalanced"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.worst = max(self.worst, other.worst)
        self.broken += other.broken


class Template:
    """A workspace with a plan that is approved and was never started, to be copied for each run."""

    def __init__(self, folder: Path, recipients: int) -> None:
        self.folder = folder
        self.addresses = [f"reader{n:05d}@people.example" for n in range(recipients)]
        self.seconds: dict[str, float] = {}  # that an undisturbed send takes, by way out
        self._made: set[str] = set()

    def prepare(self, transport: str) -> Path:
        """Plan and approve by this way out, once."""
        source = self.folder / transport
        if transport not in self._made:
            self._make(source, transport)
            self._made.add(transport)
            begun = time.monotonic()
            calibration = run(Scenario("calibration", "", transport), self, 0)
            assert not calibration.broken, calibration.broken
            self.seconds[transport] = time.monotonic() - begun
        return source

    def copy(self, transport: str, target: Path) -> Path:
        shutil.copytree(self.prepare(transport), target)
        return target

    def _make(self, folder: Path, transport: str) -> None:
        folder.mkdir(parents=True)
        shutil.copy(ROOT / "newsletter.toml", folder)
        for name in ("templates", "images", "issues", "subscribers"):
            shutil.copytree(ROOT / name, folder / name)
        people = folder / "people.csv"
        roles = ("ml engineer", "cto", "data engineer", "buyer", "ciso")
        lines = [f"{address},{roles[n % 5]}" for n, address in enumerate(self.addresses)]
        people.write_text("email,role\n" + "\n".join(lines) + "\n", "utf-8")
        with Workspace(folder, actor="harness") as workspace:
            workspace.import_people(people)
            workspace.plan(ISSUE, transport=transport)
            workspace.approve(ISSUE)


class SinkProcess:
    """The sink, which can be killed and started again on its port."""

    def __init__(self, record: Path, seed: int, faults: dict[str, float]) -> None:
        self.record = record
        self.seed = seed
        self.faults = faults
        self.port = 0
        record.touch()
        self.start()

    def start(self) -> None:
        options = [f"--{name}={share}" for name, share in self.faults.items()]
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.reliability.sink", str(self.record)),
                *(f"--port={self.port}", f"--seed={self.seed}", *options),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def run(scenario: Scenario, template: Template, seed: int) -> Count:
    """One run of a scenario from the first start to the last count."""
    chance = random.Random(f"{scenario.name} {seed}")
    folder = Path(tempfile.mkdtemp(prefix="reliability-"))
    try:
        workspace = template.copy(scenario.transport, folder / "workspace")
        sink = SinkProcess(folder / "record", seed, scenario.faults)
        try:
            return _Send(scenario, template, workspace, sink, chance).count()
        finally:
            sink.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Send:
    def __init__(
        self,
        scenario: Scenario,
        template: Template,
        workspace: Path,
        sink: SinkProcess,
        chance: random.Random,
    ) -> None:
        self.scenario = scenario
        self.template = template
        self.workspace = workspace
        self.sink = sink
        self.chance = chance
        self.left: dict[str, float] = {}  # address → when its unsubscription was answered
        self.broken: list[str] = []
        self.starts = 0
        self.charged: set[str] = set()  # starts that ended with messages on their way
        self.restarts = 0  # of the sink
        self.locks = 0

    @property
    def environment(self) -> dict[str, str]:
        settings = {
            "TRANSPORTS__SMTP__URL": f"smtp://127.0.0.1:{self.sink.port}",
            "TRANSPORTS__SMTP__CONNECTIONS": str(CONNECTIONS),
            "TRANSPORTS__SMTP__HELO": f"start{self.starts}.example",
            "SENDING__RETRY_FIRST": "0.1",
            "SENDING__RETRY_MOST": "0.5",
            "SENDING__PAUSE_AT": "1",
        } | self.scenario.settings
        return {**os.environ, **{f"NEWSLETTER_{name}": value for name, value in settings.items()}}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "newsletter", "--workspace", str(self.workspace), *arguments]

    def count(self) -> Count:
        if self.scenario.harm == "unsubscribe":
            self._watch_the_claims()
        kills = 0
        for _ in range(self.scenario.kills):
            kills += self._killed(self._start(), self._moment())
        if self.scenario.harm == "full":
            self._disk_full()
        with self._harm():
            self._to_the_end()
        return self._counted(kills)

    def _watch_the_claims(self) -> None:
        """Let the database itself note whoever is handed out after their leaving was committed: in
        one transaction with the hand-out, so no clock has a say."""
        with sqlite3.connect(self._database) as connection:
            connection.execute("CREATE TABLE handed_after_leaving (n INTEGER)")
            connection.execute(
                "CREATE TRIGGER watch AFTER UPDATE OF state ON delivery WHEN NEW.state = 'handed' "
                "AND EXISTS (SELECT 1 FROM subscriber WHERE id = NEW.subscriber_id AND status = "
                "'unsubscribed') BEGIN INSERT INTO handed_after_leaving VALUES (NEW.n); END"
            )
        connection.close()

    def _moment(self) -> Callable[[], bool]:
        """A random moment: after so many seconds from the start of the process, uniform over what a
        send takes; or, every other time, after so many messages, as most of a send is starting."""
        if self.scenario.transport != "smtp" or self.chance.random() < 0.5:
            whole = self.template.seconds[self.scenario.transport]
            at = time.monotonic() + self.chance.uniform(0, whole)
            return lambda: time.monotonic() >= at
        left = len(self.template.addresses) - self._taken()
        goal = self._taken() + self.chance.randrange(max(1, left))
        return lambda: self._taken() >= goal

    def _killed(self, process: subprocess.Popen[str], moment: Callable[[], bool]) -> bool:
        """Kill at that moment; whether the process was still at work."""
        while process.poll() is None and not moment():
            time.sleep(0.001)
        killed = process.poll() is None
        if killed:
            process.send_signal(self.scenario.signal)
        output = process.communicate(timeout=_LONGEST)[0]
        self._refuse_traceback(process, output)
        if self.scenario.signal == signal.SIGKILL and process.returncode == -signal.SIGKILL:
            self.charged.add(f"start{self.starts}.example")
        self._balanced()
        if killed and self.scenario.signal == signal.SIGTERM:
            states = self._status()["states"]
            if states["uncertain"] or states["handed"] or states["claimed"]:
                self.broken.append(f"after SIGTERM there are {states}")
        return killed

    def _disk_full(self) -> None:
        """A send whose files may not grow: what can't be committed must not leave."""
        # The write-ahead log begins empty, and grows by some kilobytes with each message.
        room = 100_000 + self.chance.randrange(1000 * len(self.template.addresses))

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

        process = self._start(before=limit)
        still = time.monotonic()
        before = -1
        while process.poll() is None and time.monotonic() - still < 2:
            if (taken := self._taken()) != before:
                before, still = taken, time.monotonic()
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=_LONGEST)[0]
        self._refuse_traceback(process, output)
        self.charged.add(f"start{self.starts}.example")
        self._balanced()
        if before >= len(self.template.addresses):
            self.broken.append("the disk was not full after all")

    def _balanced(self) -> None:
        """Between two starts: the books are right, and no copy left without a committed hand-out."""
        with Workspace(self.workspace, actor="harness") as workspace:
            books = workspace.audit(ISSUE)
        (one,) = books["mailings"]
        # Whom a kill left in doubt is tried again by the next start; until then the audit says so.
        sums = one["candidates"] == one["deliveries"] + sum(one["excluded"].values())
        sums = sums and one["deliveries"] == sum(one["states"].values())
        waits = one["state"] == "running" and one["states"]["uncertain"] and sums
        if not (books["ok"] or waits):
            self.broken.append(f"the books do not balance after a start that was ended: {one}")
        self._claimed_before_it_left()

    def _claimed_before_it_left(self) -> None:
        """A row counts its hand-outs in the transaction that must be committed before the first byte
        leaves; so it can never have fewer than there are copies. Copies are read first."""
        if self.scenario.transport != "smtp":
            return
        copies = Counter(copy.recipient for copy in self._records())
        connection = sqlite3.connect(self._database)
        attempts = dict(
            connection.execute(
                "SELECT s.address, d.attempts FROM delivery d "
                "JOIN subscriber s ON s.id = d.subscriber_id"
            ).fetchall()
        )
        connection.close()
        early = [one for one, number in copies.items() if number > attempts.get(one, 0)]
        if early:
            self.broken.append(f"{len(early)} left without a committed claim")

    def _start(self, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        self.starts += 1
        return subprocess.Popen(
            self.command("send", "start", ISSUE, "--yes"),
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=before,  # noqa: PLW1509  (a limit of this one process)
        )

    def _to_the_end(self) -> None:
        begun = time.monotonic()
        while True:
            process = self._start()
            try:
                output = process.communicate(timeout=_LONGEST)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                output = process.communicate()[0]
                self.broken.append("a send did not come to its end")
            self._refuse_traceback(process, output)
            if self._status()["state"] == "done":
                return
            if time.monotonic() - begun > _LONGEST:
                self.broken.append(f"never done: {output[-300:]}")
                return

    def _refuse_traceback(self, process: subprocess.Popen[str], output: str) -> None:
        if "Traceback" in output:
            self.broken.append(f"a traceback (exit code {process.returncode}): {output[-600:]}")

    def _status(self) -> dict[str, Any]:
        return self._json("send", "status", ISSUE, "--json")

    def _json(self, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    # -- harm ------------------------------------------------------------------------------------

    @contextmanager
    def _harm(self) -> Iterator[None]:
        """Do what the scenario says beside the send, in a thread."""
        harms: dict[str, Callable[[threading.Event], None]] = {
            "restart": self._restart,
            "lock": self._lock,
            "unsubscribe": self._unsubscribe,
        }
        if self.scenario.harm not in harms:
            yield
            return
        stop = threading.Event()
        thread = threading.Thread(target=harms[self.scenario.harm], args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _restart(self, stop: threading.Event) -> None:
        for _ in range(2):
            goal = self._taken() + self.chance.randrange(1, len(self.template.addresses) // 3)
            while self._taken() < goal:
                if stop.wait(0.001):
                    return
            self.sink.kill()
            self.restarts += 1
            stop.wait(self.chance.uniform(0, 0.5))
            self.sink.start()

    def _lock(self, stop: threading.Event) -> None:
        """Hold the database's write lock; nothing may leave meanwhile but what is on its way."""
        while self._taken() < 20 and not stop.wait(0.001):
            pass
        while not stop.wait(self.chance.uniform(0, 0.2)):
            connection = sqlite3.connect(self._database, timeout=10, isolation_level=None)
            try:
                connection.execute("BEGIN EXCLUSIVE")
                before = self._taken()
                self.locks += before < len(self.template.addresses)
                stop.wait(0.7)
                after = self._taken()
                if after - before > WINDOW:
                    self.broken.append(f"{after - before} messages left while nothing could commit")
                connection.execute("ROLLBACK")
            except sqlite3.OperationalError:
                pass
            finally:
                connection.close()

    def _unsubscribe(self, stop: threading.Event) -> None:
        """People leave, one after the other; each time the answer is the commit."""
        leaving = self.chance.sample(self.template.addresses, len(self.template.addresses) // 4)
        connection = sqlite3.connect(self._database, timeout=30, isolation_level=None)
        while self._taken() < 20 and not stop.wait(0.001):
            pass
        for address in leaving:
            if stop.wait(0.0005):
                break
            connection.execute(
                "UPDATE subscriber SET status = 'unsubscribed' WHERE address_key = ?", (address,)
            )
            self.left[address] = time.time()
        connection.close()

    @property
    def _database(self) -> Path:
        return self.workspace / "var" / "newsletter.db"

    # -- counting --------------------------------------------------------------------------------

    def _taken(self) -> int:
        return self.sink.record.read_bytes().count(b"\n")

    def _records(self) -> list[Copy]:
        if self.scenario.transport in ("outbox", "faulty"):
            folder = self.workspace / "var" / self.scenario.transport / "new"
            found = []
            for path in sorted(folder.glob("*.eml")):
                head = path.read_bytes().split(b"\r\n\r\n", 1)[0].decode()
                fields = dict(
                    line.split(": ", 1) for line in head.split("\r\n") if ": " in line[:30]
                )
                found.append(Copy(fields["To"].strip("<>"), fields["Message-ID"]))
            return found
        whole = self.sink.record.read_text("utf-8").rpartition("\n")[0]
        return [Copy(*line.split("\t")) for line in whole.splitlines()]

    def _counted(self, kills: int) -> Count:
        books = self._json("send", "audit", ISSUE, "--json")
        states = books["states"]
        everybody = self.template.addresses
        found = check(
            self._records(), expected=everybody, excused=self._excused(), charged=self.charged
        )
        problems = [*found.problems, *self._late()]
        self._claimed_before_it_left()
        if not books["ok"]:
            problems.append(f"the books do not balance: {states}")
        if states["accepted"] + states["skipped"] + states["rejected"] != len(everybody):
            problems.append(f"not everybody is accounted for: {states}")
        if found.worst > WINDOW:
            problems.append(f"one kill doubled {found.worst}; {WINDOW} is the bound")
        if found.unexplained > WINDOW * self.restarts:
            problems.append(f"{found.unexplained} doubled without a kill or a lost answer")
        if found.lost:
            problems.append(f"{found.lost} lost")
        if self.scenario.harm == "lock" and not self.locks:
            problems.append("the database was never locked while there was something to send")
        if self.scenario.harm == "restart" and self.restarts < 2:
            problems.append("the server was not restarted twice")
        if self.scenario.harm == "unsubscribe" and not states["skipped"]:
            problems.append("nobody left in time to be skipped")
        return Count(
            runs=1,
            kills=kills,
            recipients=len(everybody),
            lost=found.lost,
            doubled=found.doubled,
            worst=found.worst,
            unbalanced=not books["ok"],
            broken=[*self.broken, *problems],
        )

    def _excused(self) -> set[str]:
        """Who need not have got it, by what was done to them; that the ledger wrote somebody off is
        no excuse by itself."""
        share = self.scenario.faults.get("refuse", 0)
        gone = {one for one in self.template.addresses if refused(one, share)} | set(self.left)
        if self.scenario.transport != "faulty":
            return gone
        connection = sqlite3.connect(self._database)  # what it refuses is its own secret
        rows = connection.execute(
            "SELECT s.address FROM delivery d JOIN subscriber s ON s.id = d.subscriber_id "
            "WHERE d.state = 'rejected' AND d.reason = 'refused' AND d.code = '550 5.1.1'"
        ).fetchall()
        connection.close()
        return gone | {row[0] for row in rows}

    def _late(self) -> list[str]:
        """Who was handed out after their unsubscription was answered."""
        if not self.left:
            return []
        connection = sqlite3.connect(self._database)
        watched = connection.execute("SELECT count(*) FROM handed_after_leaving").fetchone()[0]
        rows = connection.execute(
            "SELECT s.address, (julianday(d.handed_at) - 2440587.5) * 86400.0 FROM delivery d "
            "JOIN subscriber s ON s.id = d.subscriber_id WHERE d.handed_at IS NOT NULL"
        ).fetchall()
        connection.close()
        late = [address for address, at in rows if at > self.left.get(address, 1e18) + 0.002]
        number = max(len(late), watched)
        return [f"{number} handed out after they had left"] if number else []


class Copy(NamedTuple):
    """A message that the sink took."""

    recipient: str
    message_id: str
    start: str = ""  #: of the sender that it came from, by the name in its EHLO
    remark: str = ""


@dataclass(frozen=True)
class Found:
    """What the copies say."""

    lost: int
    doubled: int
    worst: int  #: the most that is charged to one start that was ended
    unexplained: int  #: doubled although their first copy was answered and its sender lived on
    problems: list[str]


def check(
    copies: Sequence[Copy],
    *,
    expected: Sequence[str],
    excused: set[str],
    charged: set[str],
) -> Found:
    """Compare what was taken with what was to be sent. A second copy is owed to a lost answer, or to
    the end of the start in `charged` that sent the copy before it."""
    of: dict[str, list[Copy]] = {}
    for copy in copies:
        of.setdefault(copy.recipient, []).append(copy)
    lost = sum(1 for address in expected if address not in of and address not in excused)
    by_start: Counter[str] = Counter()
    unexplained = 0
    for found in of.values():
        for before, after in itertools.pairwise(found):
            if before.remark == UNANSWERED:
                continue
            if before.start in charged and after.start != before.start:
                by_start[before.start] += 1
            else:
                unexplained += 1
    problems = []
    if strangers := set(of) - set(expected):
        problems.append(f"{len(strangers)} who were never planned got a mail")
    if different := [one for one, found in of.items() if len({c.message_id for c in found}) > 1]:
        problems.append(f"{len(different)} got two mails with different Message-IDs")
    people: dict[str, set[str]] = {}
    for copy in copies:
        people.setdefault(copy.message_id, set()).add(copy.recipient)
    if "" in people or any(len(found) > 1 for found in people.values()):
        problems.append("a Message-ID is missing, or belongs to two people")
    if misdirected := sum(copy.remark == MISDIRECTED for copy in copies):
        problems.append(f"{misdirected} got somebody else's mail")
    doubled = sum(len(found) - 1 for found in of.values())
    return Found(lost, doubled, max(by_start.values(), default=0), unexplained, problems)
