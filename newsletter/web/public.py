"""The public pages: redirects, open picture, unsubscribe, actions, view in browser, archive.

A GET never changes what a person is subscribed to or has done. Every event is durable before its
response. Knows no SQL; it asks the workspace's parts.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from newsletter.editions import fill
from newsletter.errors import NewsletterError
from newsletter.tracking import RawEvent, Reader, Ref, SpoolFullError
from newsletter.workspace import Workspace

LOAD_EVERY = 2.0  #: seconds between two moves of events from the spool into the database
_AGENT = 200  # characters of a user agent that are kept
_BODY = 10_000  # bytes of a form; ours have fewer than a hundred
_PIXEL = base64.b64decode(b"R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_VERBS = ("done", "not_for_me", "undo")
#: In the place of tokens on pages that can be passed on.
PASSED_ON = "in-your-mail"
_log = logging.getLogger(__name__)
_NEVER_CACHED = {"Cache-Control": "no-store"}


def public_app(workspace: Workspace) -> SecurityHeaders:
    """The ASGI application of a workspace's public pages."""
    site = _Site(workspace)
    app = Starlette(
        routes=[
            Route("/c/{n}/{token}", site.click, methods=["GET"]),
            Route("/o/{token}.gif", site.open, methods=["GET"]),
            Route("/v/{token}", site.view, methods=["GET"]),
            Route("/u/{token}", site.unsubscribe_page, methods=["GET"]),
            Route("/u/{token}", site.unsubscribe, methods=["POST"]),
            Route("/p/{token}", site.preferences, methods=["GET"]),
            Route("/a/{n}/{token}", site.action_page, methods=["GET"]),
            Route("/a/{n}/{token}", site.act, methods=["POST"]),
            Route("/issues", site.issues, methods=["GET"]),
            Route("/issues/", site.issues, methods=["GET"]),
            Route("/issues/{issue}", site.issue, methods=["GET"]),
            Route("/", site.home, methods=["GET"]),
            Route("/favicon.ico", site.no_icon, methods=["GET"]),
            Route("/health", site.health, methods=["GET"]),
            Route("/ready", site.ready, methods=["GET"]),
        ],
        exception_handlers={HTTPException: site.refused, Exception: site.failed},
        lifespan=site.lifespan,
    )
    app.router.redirect_slashes = False  # it would trust the Host header
    return SecurityHeaders(app)  # outermost, so that error pages have them too


class _Site:
    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.keyring = workspace.keyring
        self.lookup = workspace.lookup
        self.spool = workspace.spool
        self.publication = workspace.settings.publication
        self._poke = asyncio.Event()  # there is something to move that should not wait

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(self._load_for_ever())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await run_in_threadpool(self.workspace.close)

    async def _load_for_ever(self) -> None:
        """One loader, in the background: a busy database makes no reader wait."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._poke.wait(), LOAD_EVERY)
            self._poke.clear()
            try:
                await run_in_threadpool(self.workspace.load_events)
            except Exception:  # noqa: BLE001  (the spool keeps what could not be moved; the next turn tries)
                _log.exception("events could not be moved into the database yet")

    # -- events ----------------------------------------------------------------------------------

    async def _record(self, request: Request, ref: Ref, kind: str, number: int | None) -> None:
        """Durable when this returns. Test tokens record nothing."""
        if ref.test:
            return
        headers = request.headers
        event = RawEvent(
            n=self.spool.next_number(),
            mailing=ref.mailing,
            delivery=ref.n,
            kind=kind,
            ref=number,
            at=time.time(),
            method=request.method,
            agent=headers.get("user-agent", "")[:_AGENT],
            purpose=headers.get("sec-purpose", headers.get("purpose", ""))[:40],
        )
        await asyncio.wrap_future(self.spool.put(event))

    async def click(self, request: Request) -> Response:
        ref = self.keyring.verify(request.path_params["token"], "click")
        number = _number(request)
        url = await run_in_threadpool(self.lookup.link, ref, number) if ref and number else None
        if ref is None or url is None:
            return self._unknown()
        with self._counting():
            await self._record(request, ref, "click", number)
        return Response(status_code=302, headers={"Location": location(url), **_NEVER_CACHED})

    @staticmethod
    @contextmanager
    def _counting() -> Iterator[None]:
        """A reader's way must not depend on whether we can count it."""
        try:
            yield
        except (sqlite3.Error, OSError, SpoolFullError):
            _log.exception("an event could not be written down")

    async def open(self, request: Request) -> Response:
        ref = self.keyring.verify(request.path_params["token"], "open")
        if ref:
            with self._counting():
                await self._record(request, ref, "open", None)
        return Response(_PIXEL, media_type="image/gif", headers=_NEVER_CACHED)

    # -- the mail itself -------------------------------------------------------------------------

    async def view(self, request: Request) -> Response:
        ref = self.keyring.verify(request.path_params["token"], "view")
        html = await run_in_threadpool(self._mail, ref) if ref else None
        return HTMLResponse(html, headers=_NEVER_CACHED) if html else self._unknown()

    def _mail(self, ref: Ref) -> str | None:
        """The mail as a page. People pass such pages on, so it can change nothing and tells nothing
        about whom it was sent to: of the tokens only those for its links and for itself are real."""
        mail = self.lookup.mail(ref)
        if mail is None:
            return None
        real = (
            self.keyring.test_tokens(ref.test_edition)
            if ref.test
            else self.keyring.tokens(ref.mailing, ref.n)
        )
        values = dict.fromkeys(real, PASSED_ON)
        values |= {purpose: real[purpose] for purpose in ("click", "view")}
        values["reason"] = "it was sent to a subscriber"
        return fill(mail.html, mail.nonce, values, "html")

    # -- leaving ---------------------------------------------------------------------------------

    async def unsubscribe_page(self, request: Request) -> Response:
        ref = self._managed(request)
        if not isinstance(ref, Ref):
            return ref
        reader = await run_in_threadpool(self.lookup.reader, ref)
        if reader is None:
            return self._unknown()
        left = reader.status == "unsubscribed"
        return self._unsubscribe_answer(request, reader, reader.status, done=left)

    async def unsubscribe(self, request: Request) -> Response:
        """RFC 8058 one-click, and the form's button; `?undo=1` brings the person back.

        The wish is on the disk before anything is looked up: it holds while the database is down.
        """
        ref = self._managed(request)
        if not isinstance(ref, Ref):
            return ref
        form = await _form(request)
        if "undo" in request.query_params:
            return await self._undo(request, ref)
        await self._record(request, ref, "unsubscribe", None)
        self._poke.set()
        if form.get("List-Unsubscribe") == "One-Click":
            return PlainTextResponse("unsubscribed\n", headers=_NEVER_CACHED)
        reader = None
        with suppress(NewsletterError):
            reader = await run_in_threadpool(self.lookup.reader, ref)
        return self._unsubscribe_answer(request, reader, "unsubscribed", done=True)

    async def _undo(self, request: Request, ref: Ref) -> Response:
        """Back again, for a day and by the same mail: later it takes a new sign-up."""
        with suppress(NewsletterError):  # what has been said just now counts
            await run_in_threadpool(self.workspace.load_events)
        reader = await run_in_threadpool(self.lookup.reader, ref)
        if reader is None:
            return self._unknown()
        if reader.status == "subscribed":
            return self._unsubscribe_answer(request, reader, "subscribed", done=True)
        if not await run_in_threadpool(self.lookup.may_undo, ref):
            return self._message(
                "That can't be undone here",
                "An undo works for a day, from the mail that ended the subscription. "
                "To come back, please sign up again.",
            )
        await self._record(request, ref, "resubscribe", None)
        self._poke.set()
        return self._unsubscribe_answer(request, reader, "subscribed", done=True)

    def _managed(self, request: Request) -> Ref | Response:
        """The delivery whose person may be changed, or the page that says why not."""
        token = request.path_params["token"]
        if token == PASSED_ON:
            return self._passed_on()
        ref = self.keyring.verify(token, "manage")
        if ref is None:
            return self._unknown()
        if ref.test:
            return self._message("This is a preview", "Links work here, and nothing is changed.")
        return ref

    def _unsubscribe_answer(
        self, request: Request, reader: Reader | None, status: str, *, done: bool
    ) -> Response:
        path = request.url.path
        return self._page(
            "web/unsubscribe.html.j2",
            address_masked=reader.masked if reader else "This address",
            post_url=path,
            undo_url=f"{path}?undo=1" if status == "unsubscribed" else None,
            done=done,
            state=status,
        )

    async def preferences(self, request: Request) -> Response:
        ref = self._managed(request)
        if not isinstance(ref, Ref):
            return ref
        reader = await run_in_threadpool(self.lookup.reader, ref)
        if reader is None:
            return self._unknown()
        keys = await run_in_threadpool(self.workspace.segments_of_person, reader.id)
        names = self.workspace.names
        return self._page(
            "web/preferences.html.j2",
            address_masked=reader.masked,
            segments=[names[key] for key in keys],
            unsubscribe_url=request.url.path.replace("/p/", "/u/", 1),
            post_url=None,
        )

    # -- actions ---------------------------------------------------------------------------------

    async def action_page(self, request: Request) -> Response:
        verb = request.query_params.get("verb", "done")
        return await self._action(request, verb if verb in _VERBS else "done", said=None)

    async def act(self, request: Request) -> Response:
        verb = (await _form(request)).get("verb", "")
        if verb not in _VERBS:
            return self._message("That did not work", "Go back and choose again.", status=400)
        return await self._action(request, verb, said=verb)

    async def _action(self, request: Request, verb: str, *, said: str | None) -> Response:
        if request.path_params["token"] == PASSED_ON:
            return self._passed_on()
        ref = self.keyring.verify(request.path_params["token"], "act")
        number = _number(request)
        page = await run_in_threadpool(self.lookup.action, ref, number) if ref and number else None
        if ref is None or page is None:
            return self._unknown()
        state = page.state
        if said:
            await self._record(request, ref, said, number)
            state = None if said == "undo" else said
        return self._page(
            "web/action.html.j2",
            action_text=page.text,
            action_label=page.label,
            brief_headline=page.headline,
            brief_url=f"{self.publication.base_url}/issues/{page.issue}#{page.brief}",
            post_url=request.url.path,
            verb=verb,
            state=state,
        )

    # -- archive ---------------------------------------------------------------------------------

    async def home(self, _request: Request) -> Response:
        return RedirectResponse("/issues/", status_code=302)

    async def no_icon(self, _request: Request) -> Response:
        return Response(status_code=204)

    async def issues(self, _request: Request) -> Response:
        issues = await run_in_threadpool(self.lookup.issues, self.publication.base_url)
        return self._page("web/issues.html.j2", issues=issues)

    async def issue(self, request: Request) -> Response:
        html = await run_in_threadpool(self.lookup.issue_page, request.path_params["issue"])
        return HTMLResponse(html) if html else self._unknown()

    # -- health ----------------------------------------------------------------------------------

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"ok": True}, headers=_NEVER_CACHED)

    async def ready(self, _request: Request) -> Response:
        try:
            ok = await run_in_threadpool(self.lookup.ready)
        except Exception:  # noqa: BLE001  (whatever it is, this process is not ready)
            ok = False
        return JSONResponse({"ok": ok}, status_code=200 if ok else 503, headers=_NEVER_CACHED)

    # -- pages -----------------------------------------------------------------------------------

    def _page(self, name: str, *, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(
            self.workspace.page(name, **values), status_code=status, headers=_NEVER_CACHED
        )

    def _message(self, title: str, text: str, *, status: int = 200) -> Response:
        index = f"{self.publication.base_url}/issues/"
        return self._page(
            "web/message.html.j2",
            status=status,
            title=title,
            text=text,
            link_url=index,
            link_text="All issues",
        )

    def _passed_on(self) -> Response:
        return self._message(
            "Only from the mail itself",
            "The page that you came from can be passed on to others, so it can't change anything. "
            "Please use the link in the mail that you got.",
        )

    def _unknown(self) -> Response:
        """The same page for forged, cut, foreign and outdated addresses: it tells nothing."""
        return self._message(
            "There is nothing here",
            "This address is not complete or no longer in use. Mail programs sometimes cut long "
            "addresses; try the link in the mail once more.",
            status=404,
        )

    async def refused(self, _request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if status == 404:
            return self._unknown()
        return self._message(
            "That does not work here", "This address takes no such request.", status=status
        )

    async def failed(self, _request: Request, error: Exception) -> Response:
        _log.error("a page failed", exc_info=error)
        text = "Something is out of order on our side. Please try again in a minute."
        return self._message("Please try again", text, status=503)


def _number(request: Request) -> int | None:
    """The number of a link or action in the address; None for what can be none."""
    text = request.path_params["n"]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None


async def _form(request: Request) -> dict[str, str]:
    """The first value of every field of an url-encoded form; too big ones count as empty."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _BODY:
            return {}
    kind = request.headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):  # RFC 8058 allows both encodings
        return {"List-Unsubscribe": "One-Click"} if b"One-Click" in raw else {}
    return {name: values[0] for name, values in parse_qs(raw.decode("utf-8", "replace")).items()}


def location(url: str) -> str:
    """An address as a Location header: exactly as it is, but for what HTTP can't carry."""
    return quote(url, safe="!#$%&'()*+,/:;=?@[]~\"<>\\^`{|}")


class SecurityHeaders:
    """Every response says what it may do: no script, no frame, no referrer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None

        async def add(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message  # the policy depends on the body, which comes next
                return
            if start is not None:
                headers = MutableHeaders(scope=start)
                headers["Content-Security-Policy"] = _policy(headers, message.get("body", b""))
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Robots-Tag"] = (
                    "noindex" if not scope["path"].startswith("/issues/") else "all"
                )
                await send(start)
                start = None
            await send(message)

        await self.app(scope, receive, add)


def _policy(headers: MutableHeaders, body: bytes) -> str:
    """Styles by the hash of the page's one style block; mails carry theirs in attributes."""
    rules = [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ]
    if headers.get("content-type", "").startswith("text/html"):
        text = body.decode("utf-8", "replace")
        blocks = _STYLE.findall(text)
        if " style=" in text:
            rules.append("style-src 'unsafe-inline'")
        elif blocks:
            hashes = (base64.b64encode(hashlib.sha256(one.encode()).digest()) for one in blocks)
            rules.append("style-src " + " ".join(f"'sha256-{one.decode()}'" for one in hashes))
        rules.append("img-src 'self' https: data:")
    return "; ".join(rules)
