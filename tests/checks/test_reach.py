"""Links asked for at a real web server on loopback: what answers, what does not, and what is not asked."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from newsletter.checks import reach
from newsletter.checks.reach import PRODUCT, Reach, reachable
from tests.checks.webserver import Authority, Handler, Page, Server, page, serving, to
from tests.delivery.smtp_server import free_port

_NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
_QUICK = 0.4  # seconds until a server that keeps silent is given up


def look(*urls: str, cache: Path | None = None, **options: Any) -> dict[str, Reach]:
    options = {"allow_private": True, "gap": 0, "timeout": 10, "now": _NOW} | options
    return reachable(urls, cache=cache, **options)


def one(server: Server, path: str = "/", **options: Any) -> Reach:
    return look(server.url(path), **options)[server.url(path)]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | int]:
    """Where names lead: an address, or the number of an error of getaddrinfo."""
    known: dict[str, str | int] = {"a.root-servers.net": "198.41.0.4"}
    real = socket.getaddrinfo

    def asked(host: Any, *args: Any, **kwargs: Any) -> Any:
        found = known.get(host, host)
        if isinstance(found, int):
            raise socket.gaierror(found, "as a test wants")
        return real(found, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    return known


def answer(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def hang_up(handler: Handler) -> None:
    handler.close_connection = True


def keep_silent(handler: Handler) -> None:
    handler.server.stopping.wait(30)
    handler.close_connection = True


def drip(handler: Handler) -> None:
    """A head that never ends, a byte at a time."""
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.server.stopping.wait(0.05):
        handler.wfile.write(b"x")


def test_a_page_that_is_there() -> None:
    with serving({"/page": page(body=b"x" * 100_000)}) as server:
        found = one(server, "/page")
        assert found == Reach(
            *(server.url("/page"), "ok", 200, "", server.url("/page")), checked_at=_NOW
        )
        assert server.requests("/page") == ["HEAD"]
        assert server.asked[-1].headers["User-Agent"].startswith(f"{PRODUCT}/")


class Endless:
    """A page that ignores what range is wanted, and sends until nobody listens, or 131 MB."""

    def __init__(self) -> None:
        self.sent = 0

    def __call__(self, handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(2_000):
            handler.wfile.write(b"x" * 65_536)
            self.sent += 65_536


@pytest.mark.parametrize("status", [403, 404, 405, 500, 501])
def test_a_head_that_fails_is_followed_by_a_get_of_little(status: int) -> None:
    endless = Endless()
    with serving({"HEAD /": page(status, b""), "GET /": endless}) as server:
        assert one(server).status == "ok"
        assert server.requests("/") == ["HEAD", "GET"]
        assert server.asked[-1].headers["Range"] == "bytes=0-2047"
    assert endless.sent < 12_000_000, "more than buffers of the system hold"


def test_robots_without_an_end_are_read_to_the_limit() -> None:
    endless = Endless()
    with serving({"/robots.txt": endless, "/": page()}) as server:
        assert one(server).status == "ok"
    assert endless.sent < 12_000_000, "more than buffers of the system hold"


def test_a_head_without_an_answer_is_followed_by_a_get() -> None:
    with serving({"HEAD /": hang_up, "GET /": page(206)}) as server:
        assert one(server).status == "ok"
    with serving({"/": hang_up}) as server:
        found = one(server)
    assert (found.status, found.code) == ("unclear", None)
    assert found.reason == "the server ends the connection without an answer"


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        (204, "ok", ""),
        (304, "unclear", "answers (304)"),
        (400, "unclear", "answers (400)"),
        (401, "unclear", "wants a login (401)"),
        (403, "unclear", "does not show the page to programs (403)"),
        (404, "dead", "the page does not exist (404)"),
        (410, "dead", "the page was taken away (410)"),
        (416, "ok", ""),
        (429, "unclear", "asked too often (429)"),
        (500, "unclear", "an error of its own (500)"),
        (503, "unclear", "not available at the moment (503)"),
    ],
)
def test_what_an_answer_means(code: int, status: str, words: str) -> None:
    with serving({"/": page(code, b"")}) as server:
        found = one(server)
        methods = server.requests("/")
    assert (found.status, found.code) == (status, code)
    assert words in found.reason
    final = code < 400 or code in {401, 410, 429, 503}
    assert methods == (["HEAD"] if final else ["HEAD", "GET"])


def test_redirects_are_followed_to_their_end() -> None:
    pages: dict[str, Page] = {"/8": page(), "/gone": to("/missing", 301), "/other": to("app://x/")}
    pages |= {f"/{n}": to(f"{n + 1}?q=1#part") for n in range(8)}
    with serving(pages) as server:
        found = one(server, "/0")
        assert (found.status, found.final_url) == ("ok", server.url("/8?q=1"))
        assert server.requests("/8?q=1") == ["HEAD"]
        found = one(server, "/gone")
        assert (found.status, found.code, found.final_url) == (
            *("dead", 404),
            server.url("/missing"),
        )
        found = one(server, "/other")
        assert (found.status, found.code) == ("unclear", 302)
        assert found.reason == "it leads to an address of another kind (app:)"
        server.pages["/8"] = to("/9")
        server.pages["/9"] = page()
        found = one(server, "/0")
        assert (found.status, found.reason) == ("dead", "it redirects more than 8 times")
        assert not server.requests("/9")


def test_redirects_in_a_circle_are_dead_unless_a_cookie_ends_them() -> None:
    def wall(handler: Handler) -> None:
        passed = "seen=1" in handler.headers.get("Cookie", "")
        handler.send_response(200 if passed else 302)
        if not passed:
            handler.send_header("Location", "/wall")
            handler.send_header("Set-Cookie", "seen=1")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serving({"/a": to("/b"), "/b": to("/a"), "/wall": wall}) as server:
        found = one(server, "/a")
        assert (found.status, found.reason) == ("dead", "its redirects go round in a circle")
        assert len(server.requests("/a")) == 1
        assert one(server, "/wall").status == "ok"


def test_robots_are_obeyed() -> None:
    robots = f"User-agent: {PRODUCT}\nDisallow: /private/\n\nUser-agent: *\nDisallow: /\n"
    pages = {
        "/robots.txt": page(body=b"\xef\xbb\xbf" + robots.encode()),
        "/private/page": page(),
        "/public": page(),
        "/door": to("/private/page"),
    }
    with serving(pages) as server:
        urls = [server.url(path) for path in ("/private/page", "/public", "/door")]
        found = look(*urls)
        assert [found[url].status for url in urls] == ["refused", "ok", "refused"]
        assert found[urls[0]].reason == "the site asks programs to stay away from it (robots.txt)"
        assert found[urls[2]].final_url == urls[0]
        assert server.requests("/private/page") == []
        assert server.requests("/robots.txt") == ["GET"]


@pytest.mark.parametrize(
    ("robots", "status"),
    [
        (page(404, b"Disallow: /"), "ok"),
        (page(403, b""), "ok"),
        (page(500, b""), "unclear"),
        (page(429, b""), "unclear"),
        (to("/robots.txt"), "ok"),
        (to("/elsewhere.txt"), "refused"),
        (page(body=b"\xff\xfe\x00"), "ok"),
        (page(body=b"#" * 600_000 + b"\nUser-agent: *\nDisallow: /\n"), "ok"),
    ],
)
def test_robots_that_are_missing_broken_or_elsewhere(robots: Page, status: str) -> None:
    pages = {
        "/robots.txt": robots,
        "/elsewhere.txt": page(body=b"User-agent: *\nDisallow: /"),
        "/": page(),
    }
    with serving(pages) as server:
        found = one(server)
        assert found.status == status
        assert bool(server.requests("/")) == (status == "ok")


def test_two_at_a_time_at_one_host_and_more_at_many(names: dict[str, str | int]) -> None:
    watched, here, most = threading.Lock(), 0, 0
    crowd = threading.Event()

    def linger(handler: Handler) -> None:
        """Long enough for a third to come in, if it may."""
        nonlocal here, most
        with watched:
            here += 1
            most = max(most, here)
            if here > 2:
                crowd.set()
        crowd.wait(0.15)
        with watched:
            here -= 1  # before the answer, which lets the next one come
        answer(handler)

    with serving({f"/{n}": linger for n in range(6)}) as server:
        found = look(*(server.url(f"/{n}") for n in range(6)))
    assert {each.status for each in found.values()} == {"ok"}
    assert most == 2
    together = threading.Barrier(6)  # opens when all six are there

    def meet(handler: Handler) -> None:
        together.wait(10)
        answer(handler)

    hosts = [f"site{n}.example" for n in range(6)]
    names.update(dict.fromkeys(hosts, "127.0.0.1"))
    with serving({"/0": meet}) as server:
        found = look(*(server.url("/0", host) for host in hosts))
        assert {each.status for each in found.values()} == {"ok"}


def test_a_gap_lies_between_two_requests_to_a_host_as_its_robots_want(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told by the time that all of them take at least: a busy machine only makes it longer."""
    with serving({f"/own/{n}": page() for n in range(3)}) as server:
        begun = time.monotonic()
        look(*(server.url(f"/own/{n}") for n in range(3)), gap=0.1)
        assert time.monotonic() - begun > 0.2
    monkeypatch.setattr(reach, "_MOST_DELAY", 0.2)
    robots = page(body=b"User-agent: *\nCrawl-delay: 600\n")
    with serving({"/robots.txt": robots, "/theirs/0": page(), "/theirs/1": page()}) as server:
        begun = time.monotonic()
        look(*(server.url(f"/theirs/{n}") for n in range(2)))
        assert time.monotonic() - begun > 0.2


@pytest.mark.parametrize("silence", [keep_silent, drip])
def test_a_slow_server_is_given_up(silence: Any) -> None:
    with serving({"/": silence, "/robots.txt": page(404)}) as server:
        began = time.monotonic()
        found = one(server, timeout=_QUICK)
        took = time.monotonic() - began
    assert (found.status, found.code) == ("unclear", None)
    assert found.reason == f"127.0.0.1 did not answer within {_QUICK} seconds"
    assert took < 10 * _QUICK


def test_everything_together_takes_a_bounded_time() -> None:
    with serving({f"/{n}": keep_silent for n in range(10)}) as server:
        began = time.monotonic()
        found = look(*(server.url(f"/{n}") for n in range(10)), timeout=_QUICK, total=2 * _QUICK)
        took = time.monotonic() - began
    assert took < 8 * _QUICK
    reasons = {each.reason for each in found.values()}
    assert {each.status for each in found.values()} == {"unclear"}
    assert "there was no time left to ask" in reasons
    with serving({"/0": page(), "/1": page()}) as server:
        began = time.monotonic()
        found = look(server.url("/0"), server.url("/1"), gap=60, total=_QUICK)
        assert time.monotonic() - began < 8 * _QUICK
    assert {each.reason for each in found.values()} == {"there was no time left to ask"}


def test_hosts_that_are_not_there(names: dict[str, str | int]) -> None:
    names["nosuch.example"] = socket.EAI_NONAME
    names["asleep.example"] = socket.EAI_AGAIN
    closed = f"http://127.0.0.1:{free_port()}/"
    gone, asleep = "https://nosuch.example/a", "http://asleep.example/"
    found = look(closed, gone, asleep)
    assert {url: (each.status, each.reason) for url, each in found.items()} == {
        closed: ("dead", "nothing answers at 127.0.0.1: it refuses the connection"),
        gone: ("dead", "there is no host of the name nosuch.example"),
        asleep: ("unclear", "nobody could say where asleep.example is (DNS)"),
    }
    # Closed networks know no name of the outside.
    names["a.root-servers.net"] = socket.EAI_NONAME
    assert look(gone)[gone].status == "unclear"


def test_certificates_that_browsers_warn_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: dict[str, str | int]
) -> None:
    authority = Authority(tmp_path / "ca.pem")
    stranger = Authority(tmp_path / "stranger.pem")
    names["site.example"] = "127.0.0.1"
    made = {
        "good": authority.certificate(tmp_path / "1", name="site.example"),
        "old": authority.certificate(tmp_path / "2", name="site.example", days=0),
        "own": authority.certificate(tmp_path / "3", name="site.example", own=True),
        "other": authority.certificate(tmp_path / "4", name="other.example"),
        "unknown": stranger.certificate(tmp_path / "5", name="site.example"),
    }
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    found = {}
    for name, certificate in made.items():
        with serving({"/": page()}, certificate=certificate) as server:
            url = server.url("/", "site.example")
            found[name] = look(url)[url]
    assert {name: (each.status, each.reason) for name, each in found.items()} == {
        "good": ("ok", ""),
        "old": ("dead", "the certificate of site.example has expired: browsers warn of it"),
        "own": (
            "dead",
            "the certificate of site.example is signed by nobody but itself: browsers warn of it",
        ),
        "other": (
            "dead",
            "the certificate of site.example is made for another name: browsers warn of it",
        ),
        "unknown": ("unclear", "the certificate of site.example can't be verified from here"),
    }
    with serving({"/": page()}) as server:
        url = server.url("/").replace("http:", "https:")
        assert look(url)[url].reason == "no secure connection with 127.0.0.1 comes about (TLS)"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1", "0.0.0.0"),
        *("10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1"),
        *("[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fd00::1]"),
    ],
)
def test_private_networks_are_left_alone(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "create_connection", refuse)
    url = f"http://{host}:8080/admin"
    found = look(url, allow_private=False)[url]
    assert found.status == "refused", found
    assert found.reason.endswith("leads into a private network")


def test_a_name_or_a_redirect_into_a_private_network_is_left_alone(
    names: dict[str, str | int], monkeypatch: pytest.MonkeyPatch
) -> None:
    names["intranet.example"] = "10.1.2.3"
    names["site.example"] = "127.0.0.1"
    url = "http://intranet.example/"
    assert look(url, allow_private=False)[url].reason == (
        "intranet.example leads into a private network"
    )
    # 127.0.0.1 plays the internet; 127.0.0.2 is the same machine, and stays private.
    real = reach._public
    monkeypatch.setattr(reach, "_public", lambda one: one == "127.0.0.1" or real(one))
    with serving({}) as server:
        inside = server.url("/secret", "127.0.0.2")
        server.pages["/door"] = to(inside)
        url = server.url("/door", "site.example")
        found = look(url, allow_private=False)[url]
        assert (found.status, found.final_url) == ("refused", inside)
        assert found.checked_at == _NOW
        assert [one.path for one in server.asked] == ["/robots.txt", "/door"]


def test_a_name_is_looked_up_once_for_a_connection(
    names: dict[str, str | int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that leads elsewhere the second time must not get us inside (DNS rebinding)."""
    connected = []
    real = socket.create_connection

    def watched(address: Any, *args: Any, **kwargs: Any) -> Any:
        connected.append(address[0])
        return real(address, *args, **kwargs)

    names["site.example"] = "127.0.0.1"
    monkeypatch.setattr(socket, "create_connection", watched)
    with serving({"/": page()}) as server:
        url = server.url("/", "site.example")
        assert look(url)[url].status == "ok"
        assert server.asked[-1].headers["Host"] == f"site.example:{server.port}"
    assert set(connected) == {"127.0.0.1"}


def test_what_is_not_asked_for() -> None:
    with serving({"/": page()}) as server:
        with_name = f"http://me:secret@127.0.0.1:{server.port}/"
        with_name_only = f"http://me@127.0.0.1:{server.port}/"
        broken = ["http://", "http://[::1", "http://a b/", "http://x:99999/", "https:///path"]
        long = server.url("/" + "x" * 3_000)
        others = ["mailto:a@example.com", "tel:+41", "#part", "/path", "javascript:x", ""]
        found = look(with_name, with_name_only, long, *broken, *others)
        assert server.asked == []
    assert set(found) == {with_name, with_name_only, long, *broken}
    for url in (with_name, with_name_only):
        assert found[url].status == "refused"
        assert "name or a password" in found[url].reason
        assert found[url].checked_at is None
    for url in (long, *broken):
        assert found[url].status == "dead", url
        assert found[url].reason == "it is no address that a browser could open"


def test_an_address_is_asked_for_once_whatever_follows_the_hash() -> None:
    with serving({"/": page()}) as server:
        urls = [server.url("/"), server.url("/#a"), server.url("/#b")]
        found = look(*urls, urls[0])
        assert [found[url].url for url in urls] == urls
        assert {each.status for each in found.values()} == {"ok"}
        assert server.requests("/") == ["HEAD"]


def test_answers_are_kept_as_long_as_they_hold(tmp_path: Path) -> None:
    cache = tmp_path / "var" / "links.json"
    pages = {"/ok": page(), "/unclear": page(500, b""), "/to": to("/ok")}
    with serving(pages) as server:
        paths = ("/ok", "/dead", "/unclear", "/to")
        urls = [server.url(path) for path in paths]

        def asked_after(time: timedelta) -> list[str]:
            server.asked.clear()
            found = look(*urls, cache=cache, now=_NOW + time)
            assert [found[url].status for url in urls] == ["ok", "dead", "unclear", "ok"]
            asked = {path for path, url in zip(paths, urls, strict=True) if server.requests(path)}
            return sorted(asked)

        assert asked_after(timedelta(0)) == sorted(paths)
        first = look(*urls, cache=cache, now=_NOW + timedelta(minutes=59))
        assert first[urls[3]] == Reach(
            *(urls[3], "ok", 200, "", urls[0]), checked_at=_NOW, from_cache=True
        )
        assert asked_after(timedelta(minutes=59)) == ["/unclear"]
        assert asked_after(timedelta(minutes=61)) == ["/dead", "/unclear"]
        assert asked_after(timedelta(hours=25)) == ["/dead", "/ok", "/to", "/unclear"]
        assert asked_after(timedelta(hours=-1)) == ["/dead", "/ok", "/to", "/unclear"]
        assert [one.name for one in cache.parent.iterdir()] == ["links.json"]


@pytest.mark.parametrize(
    ("after", "minutes"),
    [
        ("600", 10),
        (format_datetime(_NOW + timedelta(minutes=10), usegmt=True), 10),
        ("9" * 30, 24 * 60),
        ("soon", 0),
        ("-5", 0),
        ("", 0),
    ],
)
def test_a_server_that_wants_to_be_left_alone_is(tmp_path: Path, after: str, minutes: int) -> None:
    cache = tmp_path / "links.json"
    with serving({"/": page(503, b"", Retry_After=after)}) as server:
        assert one(server, cache=cache).status == "unclear"
        if minutes:
            just = _NOW + timedelta(minutes=minutes) - timedelta(seconds=1)
            again = one(server, cache=cache, now=just)
            assert (again.status, again.from_cache) == ("unclear", True)
        later = _NOW + timedelta(minutes=minutes)
        assert not one(server, cache=cache, now=later).from_cache
        assert server.requests("/") == ["HEAD", "HEAD"]


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", '{"links": []}', '{"links": {"x": 1}}', "\x00"),
        json.dumps({"links": {"x": {"status": "refused", "until": "now"}}}),
    ],
)
def test_a_broken_cache_counts_as_empty(tmp_path: Path, content: str) -> None:
    cache = tmp_path / "links.json"
    cache.write_text(content)
    with serving({"/": page()}) as server:
        assert one(server, cache=cache).status == "ok"
        assert one(server, cache=cache).from_cache


def test_a_cache_that_cannot_be_written_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with serving({"/": page()}) as server:
        assert one(server, cache=tmp_path / "file" / "links.json").status == "ok"


def test_somebody_else_may_fetch() -> None:
    def other(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(404 if request.url.path == "/robots.txt" else 200)

    url = "https://www.example.com/page"
    found = look(url, allow_private=False, transport=httpx2.MockTransport(other))
    assert found[url].status == "ok"


def test_letters_beyond_ascii(names: dict[str, str | int]) -> None:
    names["xn--mller-kva.example"] = "127.0.0.1"
    with serving({"/b%C3%BCcher": page()}) as server:
        url = server.url("/bücher", "müller.example")
        assert look(url)[url].status == "ok"
        assert server.asked[-1].headers["Host"].startswith("xn--mller-kva.example")


def test_nothing_to_ask_costs_nothing(tmp_path: Path) -> None:
    assert look(cache=tmp_path / "links.json") == {}
    assert not list(tmp_path.iterdir())
    code = (
        "import sys; from newsletter.checks.reach import reachable; "
        "reachable(['mailto:a@example.com'], cache=None); "
        "print([one for one in ('httpx2', 'httpcore2') if one in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ran.stdout.strip() == "[]"
