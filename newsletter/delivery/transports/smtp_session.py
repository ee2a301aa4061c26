"""One SMTP conversation (RFC 5321), on an event loop: connect, TLS, AUTH, and a message at a time.

Knows bytes and replies; knows neither envelopes nor what a failure means for a delivery.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import os
import re
import socket
import ssl
import time
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from newsletter.config import SmtpSettings
from newsletter.errors import TransportError

log = logging.getLogger(__name__)

_LONGEST_LINE = 8_192  # bytes; RFC 5321 §4.5.3.1.5 asks for 512
_MOST_LINES = 200  # of one reply
_MOST_TEXT = 2_000  # characters of one that are kept
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b[ :-]*")


class LostError(Exception):
    """The connection ended, timed out, or spoke no SMTP."""


class DownError(Exception):
    """This server can't be used now; another one, or the same one later, can."""


class Reply(NamedTuple):
    """A reply, its lines joined by line ends."""

    code: int
    text: str

    @property
    def parts(self) -> tuple[str, str]:
        """`550 5.1.1`, or `550` without an enhanced code (RFC 3463); and the rest of the text."""
        return _parts(self)

    def __str__(self) -> str:
        return f"{self.code} {self.text}".replace("\n", " ")


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect, and how safely."""

    host: str
    port: int
    tls: bool  #: from the first byte
    starttls: bool  #: required

    @classmethod
    def of(cls, url: str, security: str) -> Server:
        parts = urlsplit(url)
        host = parts.hostname or ""
        tls = parts.scheme == "smtps" or security == "tls"
        try:
            port = parts.port or (465 if tls else 25)
        except ValueError as error:
            raise TransportError(f"transports.smtp.url: {url} has no valid port") from error
        required = security == "starttls" or (security == "auto" and not is_loopback(host))
        return cls(host, port, tls, required and not tls)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Wire(asyncio.Protocol):
    """A connection: bytes out, replies in. Every wait has a deadline, which `expire` enforces."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.lost: Exception | None = None
        self.flushed = True  # whether the kernel has all that was written
        self.deadline = 0.0  # loop time; 0 while nobody waits
        self.after_flush = 0.0  # seconds that the reply may take once everything is written
        self._buffer = b""
        self._lines: list[str] = []
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    # -- called by the loop ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        begin = 0
        while (end := data.find(b"\n", begin)) >= 0:
            self._line(data[begin:end])
            begin = end + 1
        self._buffer = data[begin:]
        if len(self._buffer) > _LONGEST_LINE:
            self.fail(LostError(f"a line of more than {_LONGEST_LINE} bytes, which is no SMTP"))
        self._wake()

    def _line(self, line: bytes) -> None:
        if len(line) > _LONGEST_LINE or len(self._lines) >= _MOST_LINES:
            self.fail(LostError("an endless reply, which is no SMTP"))
            return
        found = _read_line(line)
        if found is None:
            self.fail(LostError("a reply that is no SMTP"))
            return
        reply, last = found
        if last and not self._lines:
            self._replies.append(reply)
            return
        self._lines.append(reply.text)
        if last:
            self._replies.append(Reply(reply.code, "\n".join(self._lines)[:_MOST_TEXT]))
            self._lines = []

    def pause_writing(self) -> None:
        self.flushed = False

    def resume_writing(self) -> None:
        self.flushed = True
        if self.after_flush:
            self.deadline = self._loop.time() + self.after_flush

    def eof_received(self) -> bool:
        self._end(LostError("the server closed the connection"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(LostError(f"the connection was lost{f' ({exc})' if exc else ''}"))

    # -- called by the session -------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Raises LostError when the connection is gone."""
        if self.lost or self.transport is None:
            raise self.lost or LostError("the connection was lost")
        self.transport.write(data)

    def watch(self) -> None:
        """Know from now on whether the kernel has everything (`flushed`). Costs two calls a write, so
        it is for messages that may take a while; a small one is gone at once."""
        if self.transport is not None:
            self.transport.set_write_buffer_limits(high=0)

    async def reply(self, seconds: float) -> Reply:
        """The next reply. Raises LostError."""
        if not self._replies:
            if self.lost:
                raise self.lost
            self.deadline = self._loop.time() + seconds
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
                self.deadline = 0.0
            if not self._replies:
                raise self.lost or LostError("the connection was lost")
        return self._replies.popleft()

    @property
    def silent(self) -> bool:
        """Whether nothing has come that nobody asked for."""
        return not (self._buffer or self._replies or self._lines)

    def expire(self, now: float) -> None:
        """End the connection when its time is over."""
        if self.deadline and now > self.deadline:
            self.fail(LostError("the server did not answer in time"))

    def fail(self, error: Exception) -> None:
        """Cut the connection and say why."""
        self._end(error)
        if self.transport is not None:
            self.transport.abort()

    def _end(self, error: Exception) -> None:
        self.lost = self.lost or error
        self._wake()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done() and (self._replies or self.lost):
            self._waiter.set_result(None)


class Session:
    """A connection that is ready for messages."""

    def __init__(self, settings: SmtpSettings, server: Server, wire: Wire) -> None:
        self.settings = settings
        self.server = server
        self.wire = wire
        self.extensions: dict[str, str] = {}
        self.sent = 0
        self.opened = time.monotonic()

    @classmethod
    async def open(
        cls,
        settings: SmtpSettings,
        server: Server,
        context: ssl.SSLContext | None,
        wires: set[Wire],
    ) -> Session:
        """Connect, greet, secure, log in. `context` is needed by a server with TLS, `wires` is where
        the connection is put for `expire`.

        Raises DownError when the server can't be used now, TransportError when nobody's messages
        could go this way.
        """
        loop = asyncio.get_running_loop()
        wire: Wire | None = None
        try:
            async with asyncio.timeout(settings.connect_timeout):
                _, wire = await loop.create_connection(
                    Wire,
                    server.host,
                    server.port,
                    ssl=context if server.tls else None,
                    server_hostname=server.host if server.tls else None,
                )
                wires.add(wire)
                session = cls(settings, server, wire)
                await session._greet(context)
        except TransportError:
            _drop(wire, wires)
            raise
        except ssl.SSLCertVerificationError as error:
            _drop(wire, wires)
            raise TransportError(
                f"the certificate of {server} is not valid: {error.verify_message}. Name its "
                "authority in transports.smtp.ca_file"
            ) from error
        except (LostError, DownError) as error:
            _drop(wire, wires)
            raise DownError(f"{server}: {error}") from error
        except TimeoutError as error:
            _drop(wire, wires)
            raise DownError(f"{server} does not answer") from error
        except OSError as error:
            _drop(wire, wires)
            known = error.errno is not None and error.errno > 0
            why = os.strerror(error.errno) if known else error.strerror or str(error)  # type: ignore[arg-type]
            raise DownError(f"{server} can't be reached: {why}") from error
        except BaseException:
            _drop(wire, wires)
            raise
        log.debug("connected to %s", server)
        return session

    async def _greet(self, context: ssl.SSLContext | None) -> None:
        greeting = await self.wire.reply(self.settings.connect_timeout)
        if greeting.code != 220:
            raise DownError(f"it says {greeting}")
        await self._hello()
        if self.server.starttls:
            assert context is not None
            await self._starttls(context)
        secure = self.server.tls or self.server.starttls
        if self.settings.username:
            await self._login(secure=secure)

    async def _hello(self) -> None:
        name = self.settings.helo or socket.gethostname()
        reply = await self.command(f"EHLO {name}")
        if reply.code == 250:
            words = [line.split(" ", 1) for line in reply.text.split("\n")[1:]]
            self.extensions = {word[0].upper(): word[1] if word[1:] else "" for word in words}
            return
        reply = await self.command(f"HELO {name}")
        if reply.code != 250:
            raise DownError(f"it refuses our greeting: {reply}")

    async def _starttls(self, context: ssl.SSLContext) -> None:
        if "STARTTLS" not in self.extensions:
            raise TransportError(
                f"{self.server} does not offer STARTTLS, and mail would go there in the clear. Use "
                'smtps://, or allow it with transports.smtp.security = "none"'
            )
        reply = await self.command("STARTTLS")
        if reply.code != 220:
            raise TransportError(f"{self.server} refuses STARTTLS: {reply}")
        if not self.wire.silent:  # injected before the encryption began (CVE-2011-0411)
            raise TransportError(f"{self.server} sent something in the clear after STARTTLS")
        loop = asyncio.get_running_loop()
        assert self.wire.transport is not None
        secured = await loop.start_tls(
            self.wire.transport, self.wire, context, server_hostname=self.server.host
        )
        assert secured is not None
        self.wire.transport = secured
        await self._hello()

    async def _login(self, *, secure: bool) -> None:
        if not secure and not is_loopback(self.server.host):
            raise TransportError(
                f"name and password would go to {self.server} in the clear; use smtps:// or "
                "STARTTLS"
            )
        offered = self.extensions.get("AUTH", "").upper().split()
        user = self.settings.username.encode()
        secret = self.settings.password.get_secret_value().encode()
        if "PLAIN" in offered:
            token = base64.b64encode(b"\0" + user + b"\0" + secret).decode()
            reply = await self.command(f"AUTH PLAIN {token}")
        elif "LOGIN" in offered:
            reply = await self.command("AUTH LOGIN")
            for part in (user, secret):
                if reply.code == 334:
                    reply = await self.command(base64.b64encode(part).decode())
        else:
            raise TransportError(
                f"{self.server} offers no way to log in that is known here (PLAIN, LOGIN), but "
                f"{', '.join(offered) or 'none'}"
            )
        if reply.code == 235:
            return
        if 400 <= reply.code < 500:
            raise DownError(f"it can't log us in now: {reply}")
        raise TransportError(
            f"{self.server} refuses the name or password of transports.smtp: {reply}"
        )

    async def command(self, line: str) -> Reply:
        """One command, one reply."""
        self.wire.write(line.encode() + b"\r\n")
        return await self.wire.reply(self.settings.command_timeout)

    # -- the life of a session -------------------------------------------------------------------

    @property
    def pipelining(self) -> bool:
        return "PIPELINING" in self.extensions

    @property
    def most_bytes(self) -> int:
        """The largest message that the server takes (RFC 1870), 0 when it names none."""
        size = self.extensions.get("SIZE", "")
        return int(size) if size.isdigit() else 0

    @property
    def usable(self) -> bool:
        """Whether it may carry another message."""
        settings, wire = self.settings, self.wire
        return (
            wire.lost is None
            and wire.silent
            and self.sent < settings.messages_per_connection
            and time.monotonic() - self.opened < settings.seconds_per_connection
        )

    async def quit(self, wires: set[Wire]) -> None:
        """Say goodbye, for at most a second."""
        try:
            async with asyncio.timeout(1):
                await self.command("QUIT")
        except (LostError, TimeoutError):
            pass
        finally:
            self.drop(wires)

    def drop(self, wires: set[Wire]) -> None:
        _drop(self.wire, wires)


def tls_context(settings: SmtpSettings, ca_file: str | None) -> ssl.SSLContext:
    """Certificates are verified unless somebody switched that off. Raises TransportError."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise TransportError(
            f"transports.smtp.ca_file: {ca_file} can't be read: {error}"
        ) from error
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _drop(wire: Wire | None, wires: set[Wire]) -> None:
    if wire is not None:
        wires.discard(wire)
        if wire.transport is not None:
            wire.transport.abort()


# A server says the same few things to every message.
@lru_cache(maxsize=256)
def _read_line(line: bytes) -> tuple[Reply, bool] | None:
    """A line of a reply, and whether it is the last; None when it is no SMTP."""
    line = line.rstrip(b"\r")
    if not line[:3].isdigit() or line[3:4] not in (b" ", b"-", b""):
        return None
    text = line[4:].decode("utf-8", "replace")
    if not text.isprintable():
        text = "".join(char if char.isprintable() else "?" for char in text)
    return Reply(int(line[:3]), text[:_MOST_TEXT]), line[3:4] != b"-"


@lru_cache(maxsize=256)
def _parts(reply: Reply) -> tuple[str, str]:
    text = reply.text
    if found := _ENHANCED.match(text):
        return f"{reply.code} {found[1]}", text[found.end() :].replace("\n", " ")
    return str(reply.code), text.replace("\n", " ")
