"""What is due by the clock: sends, each a process of its own, so that pages never wait; and once a day
the deletion of what is past its time."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO

from newsletter.errors import NewsletterError
from newsletter.workspace import Workspace

log = logging.getLogger(__name__)

_EVERY = 5.0  # seconds between two looks
_FIRST_AGAIN, _LAST_AGAIN = 60.0, 900.0  # seconds before a send that failed is started again
_GOODBYE = 30.0  # seconds that a send has to finish what is on its way


@dataclass
class _Sending:
    process: subprocess.Popen[bytes]
    output: IO[bytes]


class Clock:
    """A thread that starts scheduled mailings when their time has come, and goes on with those whose
    process died. Several may run at once: only one of their processes gets a mailing. Used as a
    context: it works inside, and has ended behind it."""

    def __init__(self, workspace: Workspace, *, every: float = _EVERY) -> None:
        self.workspace = workspace
        self._every = every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        self._sending: dict[str, _Sending] = {}
        # how many in a row, and not before when (monotonic)
        self._failures: dict[str, tuple[int, float]] = {}

    def __enter__(self) -> Clock:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, and let what is being sent stop gently: what is on its way arrives."""
        self._stopping.set()
        self._thread.join()
        for sending in self._sending.values():
            if sending.process.poll() is None:
                # not SIGTERM: whoever stopped us may have sent that to all of us, and a second one
                # would cut connections
                sending.process.send_signal(signal.SIGUSR1)
        until = time.monotonic() + _GOODBYE
        for issue, sending in self._sending.items():
            try:
                sending.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("the send of %s is still finishing what is on its way", issue)
            sending.output.close()

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            try:
                self._look()
            except NewsletterError as error:  # the database is busy, or away
                log.warning("scheduled sends can't be looked at now: %s", error)
            except Exception:
                log.exception("the clock met a mistake of ours; it goes on")

    def _look(self) -> None:
        for issue in list(self._sending):
            self._reap(issue)
        for issue in self.workspace.due(datetime.now(UTC)):
            _, not_before = self._failures.get(issue, (0, 0.0))
            if issue not in self._sending and time.monotonic() >= not_before:
                self._send(issue)

        if (deleted := self.workspace.delete_old_daily(datetime.now(UTC))) is not None:
            log.info("past its time and deleted: %s", deleted)

    def _send(self, issue: str) -> None:
        output = tempfile.TemporaryFile()  # noqa: SIM115  (closed when the process has ended)
        command = [
            *(sys.executable, "-m", "newsletter", "--workspace", str(self.workspace.root)),
            *("send", "start", issue, "--yes"),
        ]
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        self._sending[issue] = _Sending(process, output)
        log.info("the send of %s is due and was started (process %d)", issue, process.pid)

    def _reap(self, issue: str) -> None:
        """Take note of a process that has ended."""
        sending = self._sending[issue]
        code = sending.process.poll()
        if code is None:
            return
        del self._sending[issue]
        with sending.output as output:
            output.seek(0)
            said = output.read().decode("utf-8", "replace").strip()
        if code == 0:
            self._failures.pop(issue, None)
            log.info("the send of %s has ended: %s", issue, said[-2000:])
            return
        times = self._failures.get(issue, (0, 0.0))[0] + 1
        wait = min(_LAST_AGAIN, _FIRST_AGAIN * 2.0 ** (times - 1))
        self._failures[issue] = (times, time.monotonic() + wait)
        log.warning(
            "the send of %s ended with %d and is tried again in %.0f s: %s",
            *(issue, code, wait, said[-2000:]),
        )
