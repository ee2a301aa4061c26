"""Whether the addresses behind links answer.

Owns questions to other people's servers: few, slow enough, no more bytes than the answer's head, never to a
private network, and only where robots.txt (RFC 9309) allows it. Must not know briefs or findings.

`dead` is said only where a reader would see nothing either: a page that isn't there, a host without a name, a
refused connection, a certificate that no browser accepts. Whatever may be the machine's own doing or pass by
(403, 429, 5xx, time-outs) is `unclear`.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from newsletter.files import new_private_file

# Importing httpx2 and what Python has for the network takes 150 ms: whoever asks pays, not every start.
if TYPE_CHECKING:
    import ssl
    from urllib.robotparser import RobotFileParser

    import httpcore2
    import httpx2

#: `refused`: we did not ask, and `reason` says why.
Status = Literal["ok", "dead", "unclear", "refused"]

PRODUCT = "newsletter-link-check"  #: the name under which robots.txt may speak to us
USER_AGENT = f"{PRODUCT}/1.0"
_HOPS = 8  # redirects
_ROBOTS_HOPS = 5  # RFC 9309 §2.3.1.2
_ROBOTS_MOST = 512 * 1024  # bytes; RFC 9309 §2.5 wants at least 500 KiB
_LONGEST = 2_000  # characters of an address that every server takes
_AT_ONCE = 2  # requests to one host
_MOST_DELAY = 5.0  # seconds that a robots.txt may ask for between two requests
_KEPT: Mapping[str, timedelta] = {"ok": timedelta(days=1), "dead": timedelta(hours=1)}
_MOST_KEPT = timedelta(days=1)  # however long a server asks to be left alone
_ROOT_SERVER = "a.root-servers.net"  # a name that is there as long as names are
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What a HEAD is answered with is final only here; servers answer it wrongly in every other way.
_SAME_FOR_HEAD = frozenset({401, 407, 410, 429, 503})


@dataclass(frozen=True, slots=True)
class Reach:
    """What became of one address."""

    url: str  #: as it was given
    status: Status
    code: int | None = None  #: of the last answer (HTTP); None if there was none
    reason: str = ""  #: in words for an editor, a part of a sentence; empty if `ok`
    final_url: str = ""  #: where redirects led, also when that was in vain
    checked_at: datetime | None = None  #: UTC; None if `refused` without a question to anybody
    from_cache: bool = False


def reachable(
    urls: Iterable[str],
    *,
    cache: Path | None,
    now: datetime | None = None,
    workers: int = 8,
    timeout: float = 10,
    total: float = 120,
    gap: float = 0.2,
    user_agent: str = USER_AGENT,
    allow_private: bool = False,
    transport: httpx2.BaseTransport | None = None,
) -> dict[str, Reach]:
    """Asks for every http and https address once; others (`mailto:`) are left out of what comes back.

    A HEAD first, a GET without its body where that fails. `cache`: a JSON file that is read and written, a
    broken one counts as empty: `ok` holds for a day, `dead` for an hour, `unclear` not at all, unless the
    server said when to come back. `now`: aware, for the cache alone. `workers`: questions under way at a
    time, at most two of them to one host, `gap` seconds apart (or as its robots.txt asks, up to 5).
    `timeout`: seconds for one request. `total`: seconds for everything; what was not reached is then
    `unclear`. A look-up of a name that hangs is the one thing that may take longer: it is the system's.

    Names that lead to loopback, private or link-local addresses are `refused` unless `allow_private`,
    since a link in a brief must not make this machine speak with its own network; the address that was
    looked at is the one that is connected to. `transport`: who fetches instead, and then answers for that.
    Proxies of the environment are not used. Raises nothing for whatever the world answers.
    """
    now = now or datetime.now(UTC)
    given = [url for url in dict.fromkeys(urls) if _scheme(url) in {"http", "https"}]
    known = _remembered(cache, now) if cache else {}
    asked = dict.fromkeys(_whole(url) for url in given)
    wanted = [url for url in asked if url not in known]
    found = dict(known)
    if wanted:
        from concurrent.futures import ThreadPoolExecutor

        run = _Run(
            now=now,
            timeout=timeout,
            total=total,
            gap=gap,
            user_agent=user_agent,
            transport=transport or _transport(allow_private),
        )
        pool = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="links")
        try:
            for kept in pool.map(run.look, _by_turns(wanted)):
                found[kept.reach.url] = kept
        finally:
            pool.shutdown(cancel_futures=True)
            if transport is None:
                run.transport.close()
        if cache:
            _remember(cache, found, now)
    return {url: replace(found[_whole(url)].reach, url=url) for url in given}


def _scheme(url: str) -> str:
    return url.partition(":")[0].strip().lower()


def _whole(url: str) -> str:
    """What is asked for: the address without its fragment."""
    return url.partition("#")[0].strip()


def _by_turns(urls: Iterable[str]) -> Iterator[str]:
    """One of each host, then the next of each: no host's queue holds up the others."""
    hosts: defaultdict[str, list[str]] = defaultdict(list)
    for url in urls:
        hosts[url.split("/", 3)[2] if url.count("/") > 1 else ""].append(url)
    for turn in zip_longest(*hosts.values()):
        yield from (url for url in turn if url)


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer, and until when it holds; None: not beyond this run."""

    reach: Reach
    until: datetime | None


class _Verdict(Exception):  # noqa: N818  (an answer, wherever it is found)
    """The last word on an address."""

    def __init__(
        self,
        status: Status,
        reason: str,
        code: int | None = None,
        wait: timedelta | None = None,
    ) -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason
        self.code = code
        self.wait = wait


class _Closed(Exception):  # noqa: N818  (by the other side, without an answer)
    """Worth a GET if it was a HEAD."""


@dataclass(slots=True)
class _Answer:
    """The head of a response, and as much of its body as was asked for."""

    code: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def location(self) -> str:
        """Where it redirects to; empty when it doesn't."""
        return self.headers.get("location", "") if self.code in _REDIRECTS else ""


class _Host:
    """Whose turn it is at one host."""

    def __init__(self, gap: float) -> None:
        self.gap = gap
        self._places = threading.Semaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._next = 0.0

    @contextlib.contextmanager
    def turn(self, until: float) -> Iterator[None]:
        if not self._places.acquire(timeout=max(0.0, until - time.monotonic())):
            raise _out_of_time()
        try:
            with self._lock:
                now = time.monotonic()
                start = max(now, self._next)
                if start >= until:
                    raise _out_of_time()
                self._next = start + self.gap
            time.sleep(start - now)
            yield
        finally:
            self._places.release()


class _Robots:
    """What one site's robots.txt says, asked for once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rules: RobotFileParser | None = None
        self.verdict: _Verdict | None = None  #: of every address of the site


def _out_of_time() -> _Verdict:
    return _Verdict("unclear", "there was no time left to ask")


class _Run:
    """One call of `reachable`."""

    def __init__(
        self,
        *,
        now: datetime,
        timeout: float,
        total: float,
        gap: float,
        user_agent: str,
        transport: httpx2.BaseTransport,
    ) -> None:
        self.transport = transport
        self._now = now
        self._timeout = timeout
        self._until = time.monotonic() + total
        self._user_agent = user_agent
        self._lock = threading.Lock()
        self._hosts: defaultdict[str, _Host] = defaultdict(lambda: _Host(gap))
        self._robots: defaultdict[str, _Robots] = defaultdict(_Robots)

    def look(self, url: str) -> _Kept:
        """The answer for one address. Raises nothing that the world could cause."""
        import httpx2

        here = [url]
        verdict: _Verdict
        # Cookies live as long as the chain: some sites redirect to themselves until theirs comes back.
        with httpx2.Client(
            transport=_borrowed(self.transport),
            trust_env=False,
            headers={
                "User-Agent": self._user_agent,
                "Accept": "*/*",
                "Accept-Encoding": "identity",
            },
        ) as client:
            try:
                verdict = self._follow(client, here)
            except _Verdict as found:
                verdict = found
            except (httpx2.InvalidURL, ValueError):  # httpx2's, and what idna and urllib say
                verdict = _Verdict("dead", "it is no address that a browser could open")
        until = self._now + _KEPT[verdict.status] if verdict.status in _KEPT else None
        if verdict.wait:
            until = self._now + min(verdict.wait, _MOST_KEPT)
        asked_nobody = verdict.status == "refused" and verdict.code is None and len(here) == 1
        reach = Reach(
            url,
            verdict.status,
            verdict.code,
            verdict.reason,
            here[-1],
            None if asked_nobody else self._now,
        )
        return _Kept(reach, until)

    def _follow(self, client: httpx2.Client, here: list[str]) -> _Verdict:
        """Asks, and follows redirects; `here` gets every address on the way."""
        method, code = "HEAD", None
        seen: set[tuple[str, str]] = set()
        while len(here) <= _HOPS + 1:
            url = here[-1]
            state = url, repr(sorted((one.name, one.value) for one in client.cookies.jar))
            if state in seen:
                return _Verdict("dead", "its redirects go round in a circle", code)
            seen.add(state)
            target = _checked(url, code)
            self._allowed(client, target)
            answer: _Answer | None
            try:
                answer = self._ask(client, method, target)
            except _Closed:
                answer = None
            if method == "HEAD" and (
                answer is None or (answer.code >= 400 and answer.code not in _SAME_FOR_HEAD)
            ):
                method = "GET"
                try:
                    answer = self._ask(client, method, target)
                except _Closed:
                    answer = None
            if answer is None:
                return _Verdict("unclear", "the server ends the connection without an answer")
            code = answer.code
            if not answer.location:
                return self._meaning(answer, method)
            here.append(_joined(url, answer.location, code))
        here.pop()
        return _Verdict("dead", f"it redirects more than {_HOPS} times", code)

    def _ask(self, client: httpx2.Client, method: str, url: httpx2.URL, most: int = 0) -> _Answer:
        """One request, with at most `most` bytes of its body. Raises _Verdict, _Closed."""
        import httpx2

        host = url.host
        with self._lock:
            place = self._hosts[host]
        headers = {"Range": "bytes=0-2047"} if method == "GET" and not most else {}
        with place.turn(self._until):
            left = min(self._timeout, self._until - time.monotonic())
            if left <= 0:
                raise _out_of_time()
            until = time.monotonic() + left
            body = b""
            try:
                with (
                    _deadline(until),
                    client.stream(method, url, headers=headers, timeout=left) as response,
                ):
                    for chunk in response.iter_bytes(16_384) if most else ():
                        body += chunk
                        if len(body) >= most or time.monotonic() > until:
                            break
                    return _Answer(response.status_code, response.headers, body[:most])
            except httpx2.HTTPError as error:
                raise self._problem(error, host) from error

    def _problem(self, error: httpx2.HTTPError, host: str) -> _Verdict | _Closed:
        """What an editor is told of a request without an answer."""
        import httpx2

        if isinstance(error, httpx2.TimeoutException):
            seconds = f"{self._timeout:g} seconds"
            if time.monotonic() >= self._until:
                return _out_of_time()
            return _Verdict("unclear", f"{host} did not answer within {seconds}")
        if isinstance(error, httpx2.ConnectError):
            return _no_connection(error, host)
        if isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError):
            return _Closed()
        if isinstance(error, httpx2.LocalProtocolError | httpx2.UnsupportedProtocol):
            return _Verdict("dead", "it is no address that a browser could open")
        return _Verdict("unclear", f"the answer of {host} can't be read")

    def _meaning(self, answer: _Answer, method: str) -> _Verdict:
        """What the last answer says (RFC 9110 §15)."""
        code = answer.code
        if 200 <= code < 300 or (code == 416 and method == "GET"):  # 416: there, and empty
            return _Verdict("ok", "", code)
        if code in {404, 410}:
            word = "does not exist" if code == 404 else "was taken away"
            return _Verdict("dead", f"the page {word} ({code})", code)
        wait = None
        if code in {429, 503}:
            wait = _pause(answer.headers.get("retry-after", ""), self._now)
        reason = {
            401: "the page wants a login",
            403: "the site does not show the page to programs",
            407: "a proxy wants a login",
            429: "the site was asked too often",
            451: "the page is withheld for legal reasons",
            503: "the site is not available at the moment",
        }.get(code) or ("the site has an error of its own" if code >= 500 else "the site answers")
        return _Verdict("unclear", f"{reason} ({code})", code, wait)

    def _allowed(self, client: httpx2.Client, url: httpx2.URL) -> None:
        """Raises _Verdict where robots.txt forbids the address, or nobody can tell."""
        with self._lock:
            robots = self._robots[f"{url.scheme}://{url.netloc.decode('ascii')}"]
        with robots.lock:
            if robots.rules is None and robots.verdict is None:
                try:
                    robots.rules = self._read_robots(client, url)
                except _Verdict as found:
                    robots.verdict = found
                except _Closed:
                    # Perhaps only this file is answered so; the page itself will tell.
                    robots.rules = _rules("")
                if robots.rules and (delay := robots.rules.crawl_delay(PRODUCT)):
                    with self._lock:
                        host = self._hosts[url.host]
                    host.gap = max(host.gap, min(float(delay), _MOST_DELAY))
        if known := robots.verdict:  # not itself: a raised exception belongs to one thread
            raise _Verdict(known.status, known.reason, known.code, known.wait)
        if robots.rules and not robots.rules.can_fetch(PRODUCT, str(url)):
            raise _Verdict("refused", "the site asks programs to stay away from it (robots.txt)")

    def _read_robots(self, client: httpx2.Client, site: httpx2.URL) -> RobotFileParser:
        """RFC 9309 §2.3.1: none, or one that leads in circles, allows everything; a site that can't
        say allows nothing for now."""
        url = site.copy_with(raw_path=b"/robots.txt")
        for _ in range(_ROBOTS_HOPS + 1):
            answer = self._ask(client, "GET", url, most=_ROBOTS_MOST)
            if answer.location:
                url = _checked(_joined(str(url), answer.location, None), None)
                continue
            if answer.code == 429 or answer.code >= 500:
                wait = _pause(answer.headers.get("retry-after", ""), self._now)
                reason = (
                    f"the site can't say whether programs may ask ({answer.code} for robots.txt)"
                )
                raise _Verdict("unclear", reason, None, wait)
            text = answer.body.decode("utf-8-sig", "replace") if answer.code == 200 else ""
            return _rules(text)
        return _rules("")


def _rules(text: str) -> RobotFileParser:
    from urllib.robotparser import RobotFileParser

    rules = RobotFileParser()
    rules.parse(text.splitlines())
    return rules


def _checked(url: str, code: int | None) -> httpx2.URL:
    """The address as it is asked for. Raises _Verdict for what never is, ValueError or InvalidURL for
    what is no address."""
    import httpx2

    if len(url) > _LONGEST:
        raise ValueError
    found = httpx2.URL(url)
    if found.scheme not in {"http", "https"}:
        raise _Verdict("unclear", f"it leads to an address of another kind ({found.scheme}:)", code)
    if found.userinfo:
        raise _Verdict("refused", "it has a name or a password in it, which every reader would get")
    if not found.host or "%" in found.host or not 0 < (found.port or 80) < 65536:
        raise ValueError
    return found


def _joined(url: str, location: str, code: int | None) -> str:
    """The target of a redirect, without its fragment."""
    import httpx2

    try:
        return _whole(str(httpx2.URL(url).join(location)))
    except (httpx2.InvalidURL, ValueError) as error:
        raise _Verdict("dead", "it redirects to something that is no address", code) from error


def _pause(value: str, now: datetime) -> timedelta | None:
    """A Retry-After (RFC 9110 §10.2.3): seconds, or a date."""
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:9]), 86_400))
    from email.utils import parsedate_to_datetime

    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(at.replace(tzinfo=at.tzinfo or UTC) - now, timedelta(0)) or None


#: OpenSSL's numbers for what a browser would warn of as well (X509_V_ERR_…)
_CERTIFICATES = {
    10: "has expired",
    18: "is signed by nobody but itself",
    62: "is made for another name",
    64: "is made for another address",
}


def _no_connection(error: Exception, host: str) -> _Verdict:
    import ssl

    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        if said := _CERTIFICATES.get(cause.verify_code):
            return _Verdict("dead", f"the certificate of {host} {said}: browsers warn of it")
        # Browsers fetch a certificate that is missing in the middle of the chain; we don't.
        return _Verdict("unclear", f"the certificate of {host} can't be verified from here")
    if isinstance(cause, ssl.SSLError):
        return _Verdict("unclear", f"no secure connection with {host} comes about (TLS)")
    if isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED:
        return _Verdict("dead", f"nothing answers at {host}: it refuses the connection")
    if isinstance(cause, ConnectionError):
        return _Verdict("unclear", f"{host} ends the connection without an answer")
    return _Verdict("unclear", f"{host} can't be reached from here")


# The network ---------------------------------------------------------------------------------------

_time = threading.local()  # .until: when the request of this thread must be over (monotonic)


@contextlib.contextmanager
def _deadline(until: float) -> Iterator[None]:
    """Reading and writing end then, however slowly a server sends its bytes."""
    _time.until = until
    try:
        yield
    finally:
        _time.until = None


def _left(timeout: float | None) -> float | None:
    """Seconds for the next step. Raises httpcore2's ReadTimeout when there are none."""
    until: float | None = getattr(_time, "until", None)
    if until is None:
        return timeout
    left = until - time.monotonic()
    if left <= 0:
        import httpcore2

        raise httpcore2.ReadTimeout
    return left if timeout is None else min(timeout, left)


def _public(address: str) -> bool:
    """Whether an address is one of the internet's, also of the IPv4 address inside an IPv6 one."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in ipaddress.ip_network("64:ff9b::/96"):  # RFC 6052
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return _public(str(inner))
    return found.is_global and not found.is_multicast


class _Stream:
    """A connection (httpcore2.NetworkStream) that ends when the request must be over."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner
        self.write, self.close = inner.write, inner.close
        self.get_extra_info = inner.get_extra_info

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout))

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> _Stream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))


class _Network:
    """Connections (httpcore2.NetworkBackend) to addresses that were looked at, and to no other: a name
    that is asked for twice may lead elsewhere the second time."""

    def __init__(self, allow_private: bool) -> None:
        import httpcore2

        self._allow_private = allow_private
        self._inner = httpcore2.SyncBackend()
        self._lock = threading.Lock()
        self._knows: bool | None = None  #: whether names of the internet are known here at all

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> _Stream:
        import httpcore2

        problem: Exception | None = None
        for address in self._addresses(host, port):
            try:
                return _Stream(
                    self._inner.connect_tcp(
                        address, port, _left(timeout), local_address, socket_options
                    )
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                problem = problem or error  # the first is what a browser would tell
        raise problem or httpcore2.ConnectTimeout

    def _addresses(self, host: str, port: int) -> list[str]:
        """Where a name leads. Raises _Verdict."""
        import socket

        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            missing = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
            if error.errno in missing and self._knows_names():
                raise _Verdict("dead", f"there is no host of the name {host}") from error
            raise _Verdict("unclear", f"nobody could say where {host} is (DNS)") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        allowed = [one for one in addresses if self._allow_private or _public(one)]
        if not allowed:
            raise _Verdict("refused", f"{host} leads into a private network")
        return allowed

    def _knows_names(self) -> bool:
        """Whether «no such host» may be believed: name servers of closed networks, and of those that go
        out through a proxy, say it of every name of the outside."""
        import socket

        with self._lock:
            if self._knows is None:
                try:
                    self._knows = bool(socket.getaddrinfo(_ROOT_SERVER, 53))
                except socket.gaierror:
                    self._knows = False
            return self._knows


def _transport(allow_private: bool) -> httpx2.BaseTransport:
    """HTTP/1.1 over such connections, one for each request: a kept one may be closed any moment, and is
    seldom of use twice."""
    import httpcore2
    import httpx2

    network = cast("httpcore2.NetworkBackend", _Network(allow_private))

    class Transport(httpx2.HTTPTransport):
        def __init__(self) -> None:
            # httpx2 has no other way to say where connections come from.
            self._pool = httpcore2.ConnectionPool(
                ssl_context=httpx2.create_ssl_context(),
                max_connections=None,
                max_keepalive_connections=0,
                network_backend=network,
            )

    return Transport()


def _borrowed(transport: httpx2.BaseTransport) -> httpx2.BaseTransport:
    """The same for one of several clients, none of which closes it."""
    import httpx2

    class Borrowed(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            return transport.handle_request(request)

    return Borrowed()


# The cache -----------------------------------------------------------------------------------------


def _remembered(cache: Path, now: datetime) -> dict[str, _Kept]:
    """What still holds, by address without fragment."""
    try:
        entries = json.loads(cache.read_bytes())["links"]
        found = {url: _kept(url, entry) for url, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {
        url: kept
        for url, kept in found.items()
        # A clock that was put back must not keep an answer for ever.
        if kept.until and kept.reach.checked_at and kept.reach.checked_at <= now < kept.until
    }


def _kept(url: str, entry: Mapping[str, Any]) -> _Kept:
    if entry["status"] not in {"ok", "dead", "unclear"}:
        raise ValueError
    reach = Reach(
        url,
        entry["status"],
        entry["code"],
        str(entry["reason"]),
        str(entry["final_url"]),
        datetime.fromisoformat(entry["checked_at"]).astimezone(UTC),
        from_cache=True,
    )
    return _Kept(reach, datetime.fromisoformat(entry["until"]).astimezone(UTC))


def _remember(cache: Path, found: Mapping[str, _Kept], now: datetime) -> None:
    entries: dict[str, dict[str, Any]] = {}
    for url, kept in found.items():
        if kept.until and kept.until > now and kept.reach.checked_at:
            entry = asdict(kept.reach)
            for needless in ("url", "from_cache"):
                del entry[needless]
            entry["checked_at"] = kept.reach.checked_at.isoformat()
            entries[url] = entry | {"until": kept.until.isoformat()}
    # Without it the next look takes longer, and is as right.
    with contextlib.suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with new_private_file(cache) as file:
            file.write(json.dumps({"links": entries}, ensure_ascii=False, indent=1).encode())
