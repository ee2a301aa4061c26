"""A Postfix of a test process's own: loopback only, its queue and its mail in a temporary directory.

It can't send anything on: `master.cf` names no client, and who isn't its user is refused at once.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: Addresses of these names, which RFC 2606 reserves, are mailboxes here …
DOMAINS = r"(\.(example|test)|(^|[.@])example\.(com|net|org))$"
UNKNOWN = "nobody-"  #: … but those that begin so, which are refused as unknown users
SMALL = 20_000  #: bytes that the ports `small` and `surprise` take
_HOST = "mx.newsletter.example"
_PATIENCE = 30  # seconds until a server that does not answer, or does not deliver, is given up
_DAEMONS = Path("/usr/lib/postfix/sbin")
_QUEUES = ("maildrop", "incoming", "active", "deferred")  # in the order in which mail goes through
_FOLDERS = (*_QUEUES, "bounce", "corrupt", "defer", "flush", "hold", "pid", "saved", "trace")

_MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file_prefixes = {home}
maillog_file = {home}/log
import_environment = MAIL_CONFIG={home}/etc TZ LANG=C
myhostname = {host}
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
virtual_mailbox_domains = regexp:{home}/etc/domains
virtual_mailbox_maps = regexp:{home}/etc/mailboxes
virtual_mailbox_base = {home}/mail
virtual_mailbox_limit = 0
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
smtpd_relay_restrictions = reject_unauth_destination
default_transport = error:5.4.4 nothing leaves this machine
smtpd_tls_security_level = may
smtpd_tls_cert_file = {home}/etc/cert.pem
smtpd_tls_key_file = {home}/etc/key.pem
smtpd_client_connection_count_limit = 0
"""
# A queue manager that looks only every 300 s: each message is announced to it when it comes.
_MASTER = """
{main}     inet  n - n - - smtpd
{small}    inet  n - n - - smtpd -o message_size_limit={most}
{surprise} inet  n - n - - smtpd -o message_size_limit={most} -o smtpd_discard_ehlo_keywords=size
{ascii}    inet  n - n - - smtpd -o smtputf8_enable=no
cleanup    unix  n - n - 0 cleanup
qmgr       unix  n - n 300 1 qmgr
tlsmgr     unix  - - n 1000? 1 tlsmgr
rewrite    unix  - - n - - trivial-rewrite
bounce     unix  - - n - 0 bounce
defer      unix  - - n - 0 bounce
trace      unix  - - n - 0 bounce
proxymap   unix  - - n - - proxymap
virtual    unix  - n n - - virtual
error      unix  - - n - - error
anvil      unix  - - n - 1 anvil
postlog    unix-dgram n - n - 1 postlogd
"""


def missing() -> str:
    """Why there can be no Postfix here; empty when there can."""
    if not (_DAEMONS / "master").exists():
        return "there is no Postfix here (Debian: apt install postfix)"
    if os.geteuid() != 0:
        return "Postfix can only be started as root"
    return ""


@dataclass(frozen=True)
class Mail:
    """A file of the Maildir."""

    path: Path
    delivered_to: str
    return_path: str
    queue_id: str  #: two of the same are Postfix's own doing: it crashed after it had delivered
    raw: bytes  #: as it was sent, with CRLF: what the server put in front is cut off
    whole: bytes  #: with what the server put in front, line ends as in the file


class Postfix:
    """One server. `stop` and `start` may be called in turn, `remove` ends it for good."""

    def __init__(self) -> None:
        # Not pytest's folder: that one is closed to other users, and a socket's path must be short.
        self.home = Path(tempfile.mkdtemp(prefix="newsletter-mx-"))
        self.ports: dict[str, int] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.home.chmod(0o755)
        self._lay_out()
        self.ca_file = self.home / "etc" / "ca.pem"
        make_certificate(self.ca_file, self.home / "etc")
        try:
            self._start_somewhere()
        except BaseException:
            self.remove()
            raise

    def url(self, port: str = "main") -> str:
        """`main`; `small` and `surprise` take SMALL bytes and say so, or don't; `ascii` has no
        SMTPUTF8."""
        return f"smtp://127.0.0.1:{self.ports[port]}"

    def start(self) -> None:
        """Returns when every port greets."""
        log = self.home / "errors"
        with log.open("ab") as errors:
            # A session of its own: on SIGTERM `master` ends its whole process group.
            self.process = subprocess.Popen(
                [_DAEMONS / "master", "-c", self.home / "etc"],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env={"PATH": os.defpath, "LANG": "C"},
                cwd=self.home,
                start_new_session=True,
            )
        for port in self.ports.values():
            self._await(lambda port=port: _greets(port), f"an answer at port {port}")

    def stop(self) -> None:
        """What `postfix stop` does: ends `master`, which ends whatever it began."""
        self._end(lambda group: os.kill(group, signal.SIGTERM))

    def crash(self) -> None:
        """Everything at once, in the middle of whatever it does."""
        self._end(lambda group: os.killpg(group, signal.SIGKILL))

    def remove(self) -> None:
        self.crash()
        shutil.rmtree(self.home)

    def empty(self) -> None:
        """Forget what was delivered."""
        self.settled()
        for path in (self.home / "mail" / "all" / "new").iterdir():
            path.unlink()

    def settled(self) -> None:
        """Wait until nothing is queued."""
        self._await(lambda: not self._queued(), "an empty queue")

    def mails(self) -> list[Mail]:
        """Everything that was delivered, when nothing is queued any more."""
        self.settled()
        folder = self.home / "mail" / "all" / "new"
        return [_read(path) for path in sorted(folder.iterdir())]

    def logged(self) -> str:
        """The last of it."""
        parts = [self.home / "errors", self.home / "log"]
        return "\n".join(
            path.read_text("utf-8", "replace")[-3000:] for path in parts if path.exists()
        )

    # -- how it is made --------------------------------------------------------------------------

    def _lay_out(self) -> None:
        home, postfix, nobody = self.home, pwd.getpwnam("postfix"), pwd.getpwnam("nobody")
        for name in ("etc", "queue", "data", "mail", *(f"queue/{name}" for name in _FOLDERS)):
            (home / name).mkdir(mode=0o755)
        for name in (*_FOLDERS, "private", "public"):
            folder = home / "queue" / name
            folder.mkdir(exist_ok=True)
            if name != "pid":
                os.chown(folder, postfix.pw_uid, postfix.pw_gid)
                folder.chmod(0o700)
        (home / "queue" / "public").chmod(0o755)
        os.chown(home / "data", postfix.pw_uid, postfix.pw_gid)
        for name in ("mail", "mail/all", *(f"mail/all/{part}" for part in ("new", "cur", "tmp"))):
            (home / name).mkdir(exist_ok=True)
            os.chown(home / name, nobody.pw_uid, nobody.pw_gid)
        etc = home / "etc"
        (etc / "main.cf").write_text(
            _MAIN.format(home=home, host=_HOST, uid=nobody.pw_uid, gid=nobody.pw_gid)
        )
        (etc / "domains").write_text(f"/{DOMAINS}/ here\n")
        (etc / "mailboxes").write_text(f"if !/^{UNKNOWN}/\n/{DOMAINS}/ all/\nendif\n")

    def _start_somewhere(self) -> None:
        for attempt in range(3):  # another process may take a free port before we do
            self._choose_ports()
            try:
                self.start()
            except RuntimeError:
                if attempt == 2:
                    raise
                self.crash()
            else:
                return

    def _choose_ports(self) -> None:
        with contextlib.ExitStack() as stack:
            for name in ("main", "small", "surprise", "ascii"):
                listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
                self.ports[name] = listener.getsockname()[1]
        text = _MASTER
        for name, port in self.ports.items():
            text = text.replace(f"{{{name}}}", f"127.0.0.1:{port}")
        (self.home / "etc" / "master.cf").write_text(text.replace("{most}", str(SMALL)))

    def _end(self, kill: Callable[[int], None]) -> None:
        if self.process is None:
            return
        process, self.process = self.process, None
        with contextlib.suppress(ProcessLookupError):
            kill(process.pid)
        process.wait(_PATIENCE)
        # Its children hold the ports as long as one of them lives.
        self._await(lambda: not any(map(_greets, self.ports.values())), "closed ports")

    def _queued(self) -> bool:
        """Whether a message waits. One that Postfix took is executable: that is how it tells them
        from those that a crash left half written, which nobody was told had been taken."""
        for name in _QUEUES:
            for path in (self.home / "queue" / name).rglob("*"):
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    if stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IXUSR:
                        return True
        return False

    def _await(self, done: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + _PATIENCE
        while not done():
            ended = self.process is not None and self.process.poll() is not None
            if ended or time.monotonic() > until:
                raise RuntimeError(f"waited for {what}; Postfix logged:\n{self.logged()}")
            time.sleep(0.01)


def make_certificate(ca_file: Path, folder: Path) -> None:
    """An authority at `ca_file`, and a certificate of its for 127.0.0.1 in `folder`."""
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def begun(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(subject_name=subject, issuer_name=authority)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - hour)
            .not_valid_after(now + 24 * hour)
        )

    ca = (
        begun(authority, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    server = (
        begun(x509.Name([]), key.public_key())
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=True,
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    ca_file.write_bytes(ca.public_bytes(pem))
    (folder / "cert.pem").write_bytes(server.public_bytes(pem))
    secret = folder / "key.pem"
    secret.touch(0o600)
    secret.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _read(path: Path) -> Mail:
    """Split what virtual(8), cleanup(8) and smtpd(8) put in front from what was sent."""
    whole = path.read_bytes()
    lines = whole.split(b"\n")
    front: dict[str, str] = {}
    at = 0
    while at < len(lines):
        name, _, value = lines[at].decode().partition(":")
        if name not in ("Return-Path", "X-Original-To", "Delivered-To", "Received"):
            break
        front[name] = value.strip()
        at += 1
        while lines[at][:1] in (b" ", b"\t"):
            at += 1
    raw = b"\r\n".join(lines[at:])
    received = re.search(rb"Received: [^;]* id (\w+)", whole)
    assert received
    return_path = front["Return-Path"].strip("<>")
    return Mail(path, front["Delivered-To"], return_path, received[1].decode(), raw, whole)


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as connection:
            greeting = connection.recv(4)
            connection.sendall(b"QUIT\r\n")
            return greeting == b"220 "
    except OSError:
        return False


@contextlib.contextmanager
def running() -> Iterator[Postfix]:
    server = Postfix()
    try:
        yield server
    finally:
        server.remove()
