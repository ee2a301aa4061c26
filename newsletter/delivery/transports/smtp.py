"""Mail by SMTP: many connections on one event loop, a message at a time on each.

One loop and not a thread for each connection: the ledger is busy in another thread, and among ten
busy threads handing on the interpreter's lock costs more than sending (measured: 270 of 385 µs).
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from newsletter.config import SmtpSettings
from newsletter.delivery.dkim import Signer, sign_all
from newsletter.delivery.lanes import Job, Results, Trouble, longest_wait
from newsletter.delivery.transports.base import (
    Envelope,
    InDoubt,
    Outcome,
    UnmakeableError,
    Unreachable,
)
from newsletter.delivery.transports.smtp_session import (
    DownError,
    LostError,
    Reply,
    Server,
    Session,
    Wire,
    tls_context,
)
from newsletter.errors import NewsletterError, TransportError
from newsletter.text import masked

log = logging.getLogger(__name__)

_MAILBOX = re.compile(r"[^\s<>\x00-\x20\x7f]+@[^\s<>\x00-\x20\x7f@]+")
_LARGE = 200_000  # bytes; the kernel takes a smaller message in one go
_TICK = 0.2  # seconds between two looks at the deadlines
_FIRST_AGAIN = 60.0  # seconds after which the first server is tried again


class SmtpTransport:
    """A mail server, with others to fall back on."""

    name = "smtp"
    batch = 1
    one_edition = False
    utf8 = True

    def __init__(self, settings: SmtpSettings, root: Path) -> None:
        """`root` is what relative file names count from. Raises ConfigError for a DKIM key."""
        self.settings = settings
        self.root = root
        self.lanes = settings.connections
        self.in_doubt: InDoubt = settings.in_doubt
        self.servers = [
            Server.of(url, settings.security) for url in (settings.url, *settings.fallbacks)
        ]
        self.signers = [Signer.load(one, root) for one in settings.dkim]
        self._best = 0  # which server worked last
        self._best_until = 0.0  # monotonic
        self._tls: ssl.SSLContext | None = None

    def check(self) -> None:
        try:
            asyncio.run(self._check())
        except DownError as error:
            raise TransportError(f"{error} (transports.smtp.url)") from error

    async def _check(self) -> None:
        wires: set[Wire] = set()
        session = await self.connect(wires)
        await session.quit(wires)

    async def connect(self, wires: set[Wire]) -> Session:
        """A session with the first server that can be used, the one that worked last before others.

        Raises DownError when none can, TransportError when the first that answers refuses us all.
        """
        best = self._best if time.monotonic() < self._best_until else 0
        order = [best, *(n for n in range(len(self.servers)) if n != best)]
        problems = []
        for n in order:
            server = self.servers[n]
            try:
                session = await Session.open(self.settings, server, self._context(server), wires)
            except DownError as error:
                problems.append(str(error))
                continue
            if n != self._best:
                log.info("mail goes by %s", server)
                self._best = n
            if n and time.monotonic() >= self._best_until:
                self._best_until = time.monotonic() + _FIRST_AGAIN
            return session
        raise DownError("; ".join(problems))

    def _context(self, server: Server) -> ssl.SSLContext | None:
        """Made once: reading the system's certificates takes 20 ms."""
        if self._tls is None and (server.tls or server.starttls):
            ca_file = self.settings.ca_file
            self._tls = tls_context(self.settings, str(self.root / ca_file) if ca_file else None)
        return self._tls

    def lane(self) -> SmtpLane:
        return SmtpLane(self)

    def courier(self, make: Callable[[Job], Envelope]) -> SmtpCourier:
        """All connections at once, in place of a thread for each lane."""
        return SmtpCourier(self, make)

    def took(self, mailing: int, n: int) -> bool | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        pass

    def message(self, envelope: Envelope) -> bytes:
        """The finished message with its signatures, before dot-stuffing.

        Raises UnmakeableError."""
        message = envelope.message()
        if not self.signers:
            return message
        try:
            return sign_all(message, self.signers) + message
        except Exception as error:
            raise UnmakeableError(envelope.n, error) from error


class Connection:
    """One of the connections: opened when needed, renewed when worn out."""

    def __init__(self, transport: SmtpTransport, wires: set[Wire]) -> None:
        self.transport = transport
        self.settings = transport.settings
        self.wires = wires
        self.session: Session | None = None

    async def send(self, envelope: Envelope) -> Outcome:
        """Send one message.

        Raises DownError when no server can be used, TransportError when nobody's messages could go
        this way; nothing of the message was begun then.
        """
        for address in (envelope.sender, envelope.recipient):
            if not _MAILBOX.fullmatch(address):
                return Outcome(envelope.n, "rejected", "553 5.1.3", "this is no address")
        message = self.transport.message(envelope)
        while True:
            session, fresh = await self._ready()
            attempt = _Attempt(session, envelope, message)
            try:
                outcome = await attempt.run()
            except LostError as error:
                self.drop()
                if not fresh and not attempt.heard:
                    continue  # it was closed while idle: nothing of the message was begun
                return attempt.lost(error)
            except BaseException:
                self.drop()
                raise
            session.sent += 1
            if attempt.closing:
                self.drop()
            return outcome

    async def _ready(self) -> tuple[Session, bool]:
        """A session that may carry a message, and whether it carries its first."""
        if self.session and not self.session.usable:
            await self.quit()
        if self.session is None:
            self.session = await self.transport.connect(self.wires)
        return self.session, self.session.sent == 0

    async def quit(self) -> None:
        if self.session:
            session, self.session = self.session, None
            await session.quit(self.wires)

    def drop(self) -> None:
        if self.session:
            self.session.drop(self.wires)
            self.session = None


class _Attempt:
    """One message on one session."""

    def __init__(self, session: Session, envelope: Envelope, message: bytes) -> None:
        self.session = session
        self.envelope = envelope
        self.body = message
        self.heard = False  # whether the server said anything about this message
        self.dotted = False  # whether everything up to the final dot was written
        self.closing = False  # whether the session is over after this

    async def run(self) -> Outcome:
        """Raises LostError, TransportError."""
        refusal = self._refused_beforehand()
        if refusal:
            return refusal
        session, wire = self.session, self.session.wire
        seconds = session.settings.command_timeout
        commands = self._commands()
        if session.pipelining:
            wire.write(b"".join(commands))
            mail = await self._reply(seconds)
            rcpt = await self._reply(seconds)
            data = await self._reply(seconds)
        else:
            wire.write(commands[0])
            mail = await self._reply(seconds)
            rcpt = data = mail
            if mail.code < 300:
                wire.write(commands[1])
                rcpt = data = await self._reply(seconds)
            if rcpt.code < 300:
                wire.write(commands[2])
                data = await self._reply(seconds)
        if data.code == 354 and mail.code < 300 and rcpt.code < 300:
            return await self._body()
        if data.code == 354:  # RFC 2920 §3.1: DATA was taken although nobody is left
            wire.write(b".\r\n")
            await self._reply(seconds)
        elif not self.closing:
            wire.write(b"RSET\r\n")
            await self._reply(seconds)
        return self._refusal(mail, rcpt, data)

    def _refused_beforehand(self) -> Outcome | None:
        session, envelope = self.session, self.envelope
        if not envelope.recipient.isascii() and "SMTPUTF8" not in session.extensions:
            answer = "the address needs SMTPUTF8, which the server does not offer"
            return Outcome(envelope.n, "rejected", "553 5.6.7", answer)
        if session.most_bytes and len(self.body) > session.most_bytes:
            raise TransportError(
                f"edition {envelope.letter.edition} is {len(self.body):,} bytes as a mail, and "
                f"{session.server} takes {session.most_bytes:,} at most. Make it smaller, or have the "
                "limit raised"
            )
        return None

    def _commands(self) -> tuple[bytes, bytes, bytes]:
        envelope, extensions = self.envelope, self.session.extensions
        options = ""
        if "SIZE" in extensions:
            options += f" SIZE={len(self.body)}"
        if not envelope.recipient.isascii():
            options += " SMTPUTF8" + (" BODY=8BITMIME" if "8BITMIME" in extensions else "")
        return (
            f"MAIL FROM:<{envelope.sender}>{options}\r\n".encode(),
            f"RCPT TO:<{envelope.recipient}>\r\n".encode(),
            b"DATA\r\n",
        )

    async def _reply(self, seconds: float) -> Reply:
        reply = await self.session.wire.reply(seconds)
        if reply.code == 421:
            self.closing = True
            if not self.heard and self.session.sent:
                raise LostError("the server closed the connection")
        self.heard = True
        return reply

    async def _body(self) -> Outcome:
        settings, wire = self.session.settings, self.session.wire
        body = self.body
        if self.envelope.letter.skeleton.dotted:
            body = body.replace(b"\r\n.", b"\r\n..")
            body = b"." + body if body.startswith(b".") else body
        wire.after_flush = settings.final_timeout
        if len(body) > _LARGE:
            wire.watch()
        try:
            wire.write(body + (b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n"))
            seconds = settings.final_timeout if wire.flushed else settings.command_timeout
            reply = await self._reply(seconds)
        finally:
            wire.after_flush = 0.0
            self.dotted = wire.flushed
        n = self.envelope.n
        if reply.code < 300:
            return Outcome(n, "accepted", *reply.parts)
        if reply.code == 552 or "5.3.4" in reply.parts[0]:
            raise TransportError(
                f"edition {self.envelope.letter.edition} is {len(self.body):,} bytes as a mail, too "
                f"many for {self.session.server}: {reply}"
            )
        return Outcome(n, "deferred" if reply.code < 500 else "rejected", *reply.parts)

    def _refusal(self, mail: Reply, rcpt: Reply, data: Reply) -> Outcome:
        n = self.envelope.n
        if mail.code >= 500:
            raise TransportError(
                f"{self.session.server} refuses mail from {self.envelope.sender.partition('+')[0]}…@"
                f"{self.envelope.sender.rpartition('@')[2]}: {mail}. Check sender.email, "
                "sender.bounces, and whether you must log in"
            )
        reply = next((reply for reply in (mail, rcpt, data) if reply.code >= 400), data)
        if 300 <= reply.code < 400 or reply.code < 300:  # it answers DATA with something else
            return Outcome(n, "deferred", reply.parts[0], f"unexpected: {reply.parts[1]}")
        if reply is data and data.code >= 500 and not (data is rcpt or data is mail):
            raise TransportError(f"{self.session.server} refuses DATA for everybody: {data}")
        return Outcome(n, "deferred" if reply.code < 500 else "rejected", *reply.parts)

    def lost(self, error: LostError) -> Outcome:
        """What a connection that ended means for the message."""
        return Outcome(self.envelope.n, "uncertain" if self.dotted else "deferred", "", str(error))


class SmtpCourier:
    """The connections at work: what `lanes.Lanes` is for transports with a thread for each lane."""

    def __init__(self, transport: SmtpTransport, make: Callable[[Job], Envelope]) -> None:
        self.transport = transport
        self.make = make
        self.results = Results()
        self._work: deque[Job] = deque()  # appended to by the ledger's thread, popped by the loop's
        self._idle: deque[asyncio.Future[None]] = deque()
        self._wires: set[Wire] = set()
        self._stopping = False
        self._woken = False  # whether the loop was told already that there is work
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._resting: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="smtp", daemon=True)

    # -- called by the ledger's thread -----------------------------------------------------------

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def put(self, batch: Sequence[Job]) -> None:
        """Hand over messages; the next idle connection takes each."""
        self._work.extend(batch)
        if not self._woken:
            self._woken = True
            self._call(self._wake)

    def backlog(self) -> int:
        return len(self._work)

    def take_back(self) -> int:
        count = 0
        while True:
            try:
                job = self._work.pop()
            except IndexError:
                return count
            self.results.put(Outcome(job.n, "unsent"))
            count += 1

    def stop(self) -> None:
        self._stopping = True
        self._call(self._end)

    def abort(self) -> None:
        self._stopping = True
        self._call(self._cut)

    def join(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _call(self, function: Callable[[], Any]) -> None:
        try:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop has ended
            pass

    # -- on the loop -----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._main())
        except BaseException as error:  # noqa: BLE001  (whatever it is, the ledger must hear of it)
            cause = error if isinstance(error, Exception) else RuntimeError(repr(error))
            self.results.put(Trouble(cause, fatal=True))
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._resting = asyncio.Event()
        self._ready.set()
        ticking = asyncio.create_task(self._tick())
        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(self.transport.lanes):
                    lanes.create_task(self._lane())
        finally:
            ticking.cancel()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            now = asyncio.get_running_loop().time()
            for wire in list(self._wires):
                wire.expire(now)

    def _wake(self) -> None:
        self._woken = False
        for _ in range(min(len(self._work), len(self._idle))):
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _end(self) -> None:
        assert self._resting is not None
        self._resting.set()
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _cut(self) -> None:
        for wire in list(self._wires):
            wire.fail(LostError("the connection was cut"))
        self._end()

    async def _job(self) -> Job | None:
        """The next message to send, None when there will be no more."""
        while True:
            if self._stopping:
                return None
            try:
                return self._work.popleft()
            except IndexError:
                waiter = asyncio.get_running_loop().create_future()
                self._idle.append(waiter)
                if self._work:  # came in between
                    continue
                await waiter

    async def _lane(self) -> None:
        connection = Connection(self.transport, self._wires)
        failures = 0
        try:
            while (job := await self._job()) is not None:
                if await self._send(connection, job):
                    failures = 0
                    continue
                failures += 1
                await self._rest(longest_wait(failures))
        finally:
            await connection.quit()

    async def _rest(self, seconds: float) -> None:
        assert self._resting is not None
        try:
            async with asyncio.timeout(seconds):
                await self._resting.wait()
        except TimeoutError:
            pass

    async def _send(self, connection: Connection, job: Job) -> bool:
        """Send and report; False when the lane should rest before it tries again."""
        put = self.results.put
        try:
            outcome = await connection.send(self.make(job))
        except DownError as error:
            put(Trouble(Unreachable(str(error)), fatal=False))
            put(Outcome(job.n, "unsent"))
            return False
        except NewsletterError as error:
            put(Trouble(error, fatal=True))
            put(Outcome(job.n, "unsent"))
            return False
        except UnmakeableError as error:
            outcome = Outcome(job.n, "rejected", "", str(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  (a mistake of ours: stop, say so)
            put(Trouble(error, fatal=True))
            put(Outcome(job.n, "uncertain"))
            return False
        put(outcome)
        return True


class SmtpLane:
    """One connection for those who wait for each message: test mails, and whoever needs few."""

    def __init__(self, transport: SmtpTransport) -> None:
        self._runner = asyncio.Runner(loop_factory=_loop_factory())
        self._wires: set[Wire] = set()
        self._connection = Connection(transport, self._wires)

    def send(self, batch: Sequence[Envelope]) -> Iterator[Outcome]:
        for envelope in batch:
            try:
                outcome = self._runner.run(self._send(envelope))
            except DownError as error:
                raise Unreachable(str(error)) from error
            log.debug("%s for %s", outcome.state, masked(envelope.recipient))
            yield outcome

    async def _send(self, envelope: Envelope) -> Outcome:
        async def expire() -> None:
            while True:
                await asyncio.sleep(_TICK)
                for wire in list(self._wires):
                    wire.expire(asyncio.get_running_loop().time())

        ticking = asyncio.create_task(expire())
        try:
            return await self._connection.send(envelope)
        finally:
            ticking.cancel()

    def close(self) -> None:
        self._runner.run(self._connection.quit())
        self._runner.close()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where there is one: half the time for each message."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
