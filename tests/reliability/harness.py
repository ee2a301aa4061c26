"""Runs a send as a process, does it harm, starts it again until it is done, and counts.

A scenario says what harm is done. What is counted is what the sink took, not what the sender says.
"""

from __future__ import annotations

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
from typing import Any

from newsletter.workspace import Workspace

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
    cuts: bool = False  #: whether lost answers may double messages, one a cut
    runs: int = 10


@dataclass
class Count:
    """What came of the runs of a scenario."""

    runs: int = 0
    kills: int = 0
    recipients: int = 0
    lost: int = 0
    doubled: int = 0
    worst: int = 0  #: doubled, the most in one kill of a run
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
        self._made: set[str] = set()

    def prepare(self, transport: str) -> Path:
        """Plan and approve by this way out, once."""
        source = self.folder / transport
        if transport not in self._made:
            self._make(source, transport)
            self._made.add(transport)
        return source

    def copy(self, transport: str, target: Path) -> Path:
        shutil.copytree(self.prepare(transport), target)
        return target

    def _make(self, folder: Path, transport: str) -> None:
        folder.mkdir(parents=True)
        shutil.copy(ROOT / "newsletter.toml", folder)
        for name in ("templates", "issues", "subscribers"):
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

    @property
    def environment(self) -> dict[str, str]:
        settings = {
            "TRANSPORTS__SMTP__URL": f"smtp://127.0.0.1:{self.sink.port}",
            "TRANSPORTS__SMTP__CONNECTIONS": str(CONNECTIONS),
            "SENDING__RETRY_FIRST": "0.1",
            "SENDING__RETRY_MOST": "0.5",
            "SENDING__PAUSE_AT": "1",
        } | self.scenario.settings
        return {**os.environ, **{f"NEWSLETTER_{name}": value for name, value in settings.items()}}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "newsletter", "--workspace", str(self.workspace), *arguments]

    def count(self) -> Count:
        kills = 0
        for _ in range(self.scenario.kills):
            kills += self._killed(self._start(), self._moment())
        if self.scenario.harm == "full":
            self._disk_full()
        with self._harm():
            self._to_the_end()
        return self._counted(kills)

    def _moment(self) -> Callable[[], bool]:
        """A random moment: mostly after so many messages, else after so many seconds."""
        if self.scenario.transport != "smtp" or self.chance.random() < 0.2:
            at = time.monotonic() + self.chance.uniform(0.1, 2.5)
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
        if before >= len(self.template.addresses):
            self.broken.append("the disk was not full after all")

    def _start(self, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
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
            stop.wait(self.chance.uniform(0, 0.5))
            self.sink.start()

    def _lock(self, stop: threading.Event) -> None:
        """Hold the database's write lock; nothing may leave meanwhile but what is on its way."""
        while not stop.wait(self.chance.uniform(0.5, 1)):
            connection = sqlite3.connect(self._database, timeout=10, isolation_level=None)
            try:
                connection.execute("BEGIN IMMEDIATE")
                before = self._taken()
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

    def _records(self) -> list[tuple[str, str]]:
        if self.scenario.transport in ("outbox", "faulty"):
            folder = self.workspace / "var" / self.scenario.transport / "new"
            found = []
            for path in sorted(folder.glob("*.eml")):
                head = path.read_bytes().split(b"\r\n\r\n", 1)[0].decode()
                fields = dict(
                    line.split(": ", 1) for line in head.split("\r\n") if ": " in line[:30]
                )
                found.append((fields["To"].strip("<>"), fields["Message-ID"]))
            return found
        lines = self.sink.record.read_text("utf-8").splitlines()
        return [tuple(line.split("\t")) for line in lines]  # type: ignore[misc]

    def _counted(self, kills: int) -> Count:
        books = self._json("send", "audit", ISSUE, "--json")
        states = books["states"]
        records = self._records()
        lost, extra, problems = check(
            records, expected=self.template.addresses, excused=self._excused()
        )
        problems += self._late()
        if not books["ok"]:
            problems.append(f"the books do not balance: {states}")
        if states["accepted"] + states["skipped"] + states["rejected"] != len(
            self.template.addresses
        ):
            problems.append(f"not everybody is accounted for: {states}")
        bound = WINDOW * kills if self.scenario.signal == signal.SIGKILL else 0
        bound += WINDOW if self.scenario.harm == "full" else 0
        if not self.scenario.cuts and self.scenario.harm != "restart" and extra > bound:
            problems.append(f"{extra} doubled by {kills} kills; {bound} is the bound")
        if lost:
            problems.append(f"{lost} lost")
        return Count(
            runs=1,
            kills=kills,
            recipients=len(self.template.addresses),
            lost=lost,
            doubled=extra,
            worst=-(-extra // kills) if kills else extra,
            unbalanced=not books["ok"],
            broken=[*self.broken, *problems],
        )

    def _excused(self) -> set[str]:
        """Who need not have got it: those who left, and those who were refused for good."""
        connection = sqlite3.connect(self._database)
        rows = connection.execute(
            "SELECT s.address FROM delivery d JOIN subscriber s ON s.id = d.subscriber_id "
            "WHERE d.state IN ('skipped', 'rejected')"
        ).fetchall()
        connection.close()
        return {row[0] for row in rows}

    def _late(self) -> list[str]:
        """Who was handed out after their unsubscription was answered."""
        if not self.left:
            return []
        connection = sqlite3.connect(self._database)
        rows = connection.execute(
            "SELECT s.address, (julianday(d.handed_at) - 2440587.5) * 86400.0 FROM delivery d "
            "JOIN subscriber s ON s.id = d.subscriber_id WHERE d.handed_at IS NOT NULL"
        ).fetchall()
        connection.close()
        late = [address for address, at in rows if at > self.left.get(address, 1e18) + 0.002]
        return [f"{len(late)} handed out after they had left"] if late else []


def check(
    records: Sequence[tuple[str, str]], *, expected: Sequence[str], excused: set[str]
) -> tuple[int, int, list[str]]:
    """How many were lost and how many messages too many there are, and what else is wrong."""
    times = Counter(recipient for recipient, _ in records)
    lost = sum(1 for address in expected if address not in times and address not in excused)
    extra = sum(number - 1 for number in times.values())
    problems = []
    if strangers := set(times) - set(expected):
        problems.append(f"{len(strangers)} who were never planned got a mail")
    ids: dict[str, set[str]] = {}
    for recipient, message_id in records:
        ids.setdefault(recipient, set()).add(message_id)
    if different := [recipient for recipient, found in ids.items() if len(found) > 1]:
        problems.append(f"{len(different)} got two mails with different Message-IDs")
    return lost, extra, problems
