"""A spamd of a test process's own: on loopback, its home in a temporary directory, rules alone."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.delivery.smtp_server import free_port

_USER = "nobody"  #: whom it runs as when the tests are root, which it refuses to be
_PATIENCE = 60  # seconds until a daemon that does not get ready is given up


def missing() -> str:
    """Why there can be no spamd here; empty when there can."""
    absent = [name for name in ("spamd", "spamc") if not _found(name)]
    return (
        f"there is no {' and no '.join(absent)} here (Debian: apt install spamd spamc)"
        if absent
        else ""
    )


def _found(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")


@contextlib.contextmanager
def running() -> Iterator[tuple[str, ...]]:
    """Arguments with which spamc reaches it."""
    # Not pytest's folder: that one is closed to other users.
    with tempfile.TemporaryDirectory(prefix="newsletter-spamd-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        (home / "log").touch()
        for _ in range(5):
            port = free_port()
            if process := _start(home, port):
                break
        else:
            raise RuntimeError(f"spamd does not start: {(home / 'log').read_text()[-2000:]}")
        try:
            # Without -F, a spamc.conf of this machine would speak first.
            yield ("-F", os.devnull, "-d", "127.0.0.1", "-p", str(port))
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _start(home: Path, port: int) -> subprocess.Popen[bytes] | None:
    """A daemon that listens, or None when it ended, as it does when the port is taken."""
    other: dict[str, object] = {}
    if os.geteuid() == 0:
        entry = pwd.getpwnam(_USER)
        os.chown(home, entry.pw_uid, entry.pw_gid)
        other = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}
    process = subprocess.Popen(  # type: ignore[call-overload]
        [
            *(_found("spamd") or "spamd", "--local", "--nouser-config", "--max-children=1"),
            *(f"--listen=127.0.0.1:{port}", "--syslog=stderr", f"--helper-home-dir={home}"),
            *("--cf=use_bayes 0", "--cf=use_auto_welcomelist 0"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=home,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        **other,
    )
    ready = threading.Event()

    def keep() -> None:
        """Its log, which would otherwise fill the pipe and stop it."""
        with (home / "log").open("ab") as log:
            for line in process.stderr:
                log.write(line)
                log.flush()
                if b"server pid:" in line:
                    ready.set()
        process.stderr.close()
        ready.set()

    threading.Thread(target=keep, daemon=True).start()
    ready.wait(_PATIENCE)
    if b"server pid:" in (home / "log").read_bytes() and process.poll() is None:
        return process
    process.kill()
    process.wait(_PATIENCE)
    return None
