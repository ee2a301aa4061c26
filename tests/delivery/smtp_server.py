"""A real SMTP server for tests, with every fault that a server can have, on a free port.

One thread, one conversation at a time for each connection; what it was told to do wrong stands in a
`Script`. It records each message at the moment at which it becomes its own.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Script:
    """What the server offers and does wrong. Points of a conversation: connect, ehlo, mail, rcpt,
    data, body, dot."""

    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
    replies: dict[str, bytes] = field(default_factory=dict)  # by point, instead of the usual one
    recipients: dict[str, bytes] = field(default_factory=dict)  # by address, at RCPT
    closes: set[str] = field(default_factory=set)  # cut the connection at these points
    keeps: bool = False  # record the message before a cut at `dot`
    stalls: set[str] = field(default_factory=set)  # never answer at these points
    slow: bool = False  # one byte at a time, for ever
    flood: int = 0  # bytes of greeting
    always_354: bool = False  # take DATA although every recipient was refused
    after: int | None = None  # answer 421 to the message after so many
    idle_close: bool = False  # close the connection after each message, without a word
    tls: ssl.SSLContext | None = None  # STARTTLS, or TLS from the first byte with `implicit`
    implicit: bool = False
    login: tuple[str, str] | None = None
    mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN")
    read_slowly: bool = False  # stop reading in the middle of a message
    times: int | None = None  # faults happen so many times, then never again


@dataclass(frozen=True)
class Taken:
    """A message that the server took."""

    sender: str
    recipient: str
    message: bytes


class Server:
    """`with Server(Script()) as server:` listens at `server.port`."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.taken: list[Taken] = []
        self.commands: list[str] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with outer._lock:
                    outer.connections += 1
                    outer._sockets.add(self.request)
                with contextlib.suppress(OSError, _End):
                    _Conversation(outer, self.request).run()
                with outer._lock:
                    outer._sockets.discard(self.request)

        class Threads(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = True
            request_queue_size = 64

        self._server = Threads(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        with self._lock:
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def faulty(self) -> bool:
        """Whether a fault happens now; counts down `times`."""
        with self._lock:
            if self.script.times is None:
                return True
            self.script.times -= 1
            return self.script.times >= 0


class _End(Exception):  # noqa: N818
    """The conversation is over."""


class _Conversation:
    def __init__(self, server: Server, connection: socket.socket) -> None:
        self.server = server
        self.script = server.script
        self.connection = connection
        self.buffer = b""
        self.sent = 0
        self.inner: ssl.SSLSocket | None = None
        if self.script.tls and self.script.implicit:
            self._secure()

    def _secure(self) -> None:
        assert self.script.tls
        self.inner = self.script.tls.wrap_socket(self.connection, server_side=True)
        self.buffer = b""

    @property
    def wire(self) -> socket.socket:
        return self.inner or self.connection

    def run(self) -> None:
        try:
            self._talk()
        finally:
            if self.inner:
                self.inner.close()

    # -- bytes -----------------------------------------------------------------------------------

    def lines(self) -> Iterator[bytes]:
        while True:
            while b"\r\n" not in self.buffer:
                self._more()
            line, self.buffer = self.buffer.split(b"\r\n", 1)
            yield line

    def _more(self) -> None:
        data = self.wire.recv(65536)
        if not data:
            raise _End
        self.buffer += data

    def say(self, reply: bytes) -> None:
        if self.script.slow:
            for byte in reply:
                self.wire.sendall(bytes((byte,)))
                if self.server.stopping.wait(0.05):
                    raise _End
            while not self.server.stopping.wait(0.05):
                self.wire.sendall(b"x")
            raise _End
        self.wire.sendall(reply + b"\r\n")

    def at(self, point: str, usual: bytes) -> bytes:
        """Do at this point what the script says; returns what was said."""
        script = self.script
        special = point in script.closes | script.stalls or point in script.replies
        if special and self.server.faulty():
            if point in script.closes:
                raise _End
            if point in script.stalls:
                self.server.stopping.wait(60)
                raise _End
            usual = script.replies[point]
        self.say(usual)
        return usual

    # -- the conversation ------------------------------------------------------------------------

    def _talk(self) -> None:
        if self.script.flood:
            self.wire.sendall(b"220-" + b"x" * self.script.flood)
        if not self.at("connect", b"220 ready").startswith(b"220"):
            raise _End
        sender = recipient = ""
        lines = self.lines()
        for line in lines:
            verb = line.split(b" ", 1)[0].upper()
            self.server.commands.append(line.decode("utf-8"))
            if verb in (b"EHLO", b"HELO"):
                self._hello(verb)
            elif verb == b"STARTTLS":
                self.say(b"220 go on")
                self._secure()
                lines = self.lines()
            elif verb == b"AUTH":
                self._login(line, lines)
            elif verb == b"MAIL":
                if self.script.after is not None and self.sent >= self.script.after:
                    self.say(b"421 4.3.2 enough")
                    raise _End
                sender = self._address(line) if self.at("mail", b"250 ok")[:1] == b"2" else ""
            elif verb == b"RCPT":
                address = self._address(line)
                said = self.at("rcpt", self.script.recipients.get(address, b"250 ok"))
                recipient = address if sender and said[:1] == b"2" else ""
            elif verb == b"DATA":
                self._data(sender, recipient)
            elif verb == b"RSET":
                sender = recipient = ""
                self.say(b"250 ok")
            elif verb == b"QUIT":
                self.say(b"221 bye")
                raise _End
            else:
                self.say(b"502 what?")

    def _hello(self, verb: bytes) -> None:
        script = self.script
        words = ["here", *script.extensions]
        if script.tls and not self.inner:
            words.append("STARTTLS")
        if script.login:
            words.append("AUTH " + " ".join(script.mechanisms))
        if verb == b"HELO":
            words = words[:1]
        last = len(words) - 1
        reply = "\r\n".join(f"250{' ' if n == last else '-'}{w}" for n, w in enumerate(words))
        self.at("ehlo", reply.encode())

    def _login(self, line: bytes, lines: Iterator[bytes]) -> None:
        parts = line.split(b" ")
        if parts[1] == b"PLAIN":
            given = base64.b64decode(parts[2]).split(b"\0")[1:]
        else:
            given = []
            for question in (b"User", b"Pass"):
                self.say(b"334 " + base64.b64encode(question))
                given.append(base64.b64decode(next(lines)))
        good = self.script.login and tuple(part.decode() for part in given) == self.script.login
        self.say(b"235 welcome" if good else b"535 5.7.8 wrong name or password")

    @staticmethod
    def _address(line: bytes) -> str:
        return line.split(b"<", 1)[1].split(b">", 1)[0].decode("utf-8")

    def _data(self, sender: str, recipient: str) -> None:
        if not recipient and not self.script.always_354:
            self.say(b"503 5.5.1 nobody to send to")
            return
        if not self.at("data", b"354 go on").startswith(b"354"):
            return
        message = self._body()
        if not recipient:
            self.say(b"554 5.5.1 nobody to send to")
            return
        taken = Taken(sender, recipient, message)
        cut = "dot" in self.script.closes | self.script.stalls | set(self.script.replies)
        if not cut or (self.script.keeps and self.script.times != 0) or self.script.times == 0:
            self.server.taken.append(taken)
        self.at("dot", b"250 2.0.0 taken")
        self.sent += 1
        if self.script.idle_close:
            raise _End

    def _body(self) -> bytes:
        script = self.script
        if "body" in script.closes and self.server.faulty():
            self._more()
            self.connection.setsockopt(  # so that the client hears of it at once
                socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
            )
            raise _End
        if script.read_slowly:
            self.server.stopping.wait(60)
            raise _End
        end = b"\r\n.\r\n"
        if self.buffer.startswith(b".\r\n"):
            self.buffer = self.buffer[3:]
            return b""
        while end not in self.buffer:
            self._more()
            if self.buffer.startswith(b".\r\n"):
                self.buffer = self.buffer[3:]
                return b""
        body, self.buffer = self.buffer.split(end, 1)
        body += b"\r\n"
        return (
            body.replace(b"\r\n..", b"\r\n.").removeprefix(b".")
            if body[:2] == b".."
            else (body.replace(b"\r\n..", b"\r\n."))
        )


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
