"""Who has rows of a mailing in hand, and whether that process still lives."""

from __future__ import annotations

import os
import secrets
import socket
from datetime import datetime

at_work: set[str] = set()  #: owners whose engine runs in this process right now


def new_owner() -> str:
    """A name for one run of this process: `host/name space:pid:when it began:random`."""
    return f"{host()}:{os.getpid()}:{_started(os.getpid())}:{secrets.token_hex(4)}"


def host() -> str:
    """This machine, and the name space that process numbers belong to."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116
    except OSError:
        space = 0
    return f"{socket.gethostname()}/{space}"


def _started(pid: int) -> str:
    """When a process began, in ticks since boot: a number that was given again is another one."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def lives(owner: str, until: datetime, now: datetime) -> bool:
    """Whether an owner may still be at work: on this machine its process runs, elsewhere its lease."""
    place, pid, started, _ = (*owner.split(":"), "", "", "")[:4]
    if place != host() or not pid.isdigit():
        return until > now
    if int(pid) == os.getpid():
        return owner in at_work
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not started or _started(int(pid)) in ("", started)
