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
from http import HTTPStatus
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from newsletter.editions import fill, media_file
from newsletter.errors import NewsletterError
from newsletter.tracking import RawEvent, Ref, SpoolFullError
from newsletter.web.pages import MAIL, NEVER_CACHED, PASSED_ON, Pages, _, form
from newsletter.web.readers import SENT_TO_SOMEBODY, Readers
from newsletter.workspace import Workspace

ANSWER_EVERY = 10.0  #: seconds between two looks at requests, when nobody asks
LOAD_EVERY = 2.0  #: seconds between two moves of events from the spool into the database
_AGENT = 200  # characters of a user agent that are kept
_KEPT_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_PIXEL = base64.b64decode(b"R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_VERBS = ("done", "not_for_me", "undo")
_log = logging.getLogger(__name__)


def public_app(workspace: Workspace) -> SecurityHeaders:
    """The ASGI application of a workspace's public pages."""
    site = _Site(workspace)
    app = Starlette(
        routes=[
            Route("/c/{n}/{token}", site.click, methods=["GET"]),
            Route("/o/{token}.gif", site.open, methods=["GET"]),
            Route("/v/{token}", site.view, methods=["GET"]),
            *site.readers.routes,
            Route("/a/{n}/{token}", site.action_page, methods=["GET"]),
            Route("/a/{n}/{token}", site.act, methods=["POST"]),
            Route("/media/{name}", site.media, methods=["GET"]),
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
        self.pages = Pages(workspace)
        self.readers = Readers(workspace, self.pages, self._record, self._wake)
        self._poke = asyncio.Event()  # there is something to move that should not wait
        self._asked = asyncio.Event()  # somebody waits for an answer by mail

    def _wake(self) -> None:
        self._poke.set()
        self._asked.set()

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self._load_for_ever()),
            asyncio.create_task(self._answer_for_ever()),
        ]
        try:
            yield
        finally:
            for task in tasks:
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

    async def _answer_for_ever(self) -> None:
        """Mails that somebody asked for, in the background: asking takes the same time for everybody."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), ANSWER_EVERY)
            self._asked.clear()
            try:
                await run_in_threadpool(self.workspace.joining.answer)
            except NewsletterError as error:
                _log.warning("requests can't be answered yet: %s", error)
            except Exception:  # noqa: BLE001  (the requests stay; the next turn tries again)
                _log.exception("requests could not be answered yet")

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
            return self.pages.unknown(request)
        with self._counting():
            await self._record(request, ref, "click", number)
        return Response(status_code=302, headers={"Location": location(url), **NEVER_CACHED})

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
        return Response(_PIXEL, media_type="image/gif", headers=NEVER_CACHED)

    # -- the mail itself -------------------------------------------------------------------------

    async def view(self, request: Request) -> Response:
        ref = self.keyring.verify(request.path_params["token"], "view")
        html = await run_in_threadpool(self._mail, ref) if ref else None
        return HTMLResponse(html, headers=MAIL) if html else self.pages.unknown(request)

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
        values["reason"] = self.workspace.templates.language(mail.language).gettext(
            SENT_TO_SOMEBODY
        )
        return fill(mail.html, mail.nonce, values, "html")

    # -- actions ---------------------------------------------------------------------------------

    async def action_page(self, request: Request) -> Response:
        verb = request.query_params.get("verb", "done")
        return await self._action(request, verb if verb in _VERBS else "done", said=None)

    async def act(self, request: Request) -> Response:
        verb = (await form(request)).get("verb", "")
        if verb not in _VERBS:
            return self.pages.message(
                request, _("That did not work"), _("Go back and choose again."), status=400
            )
        return await self._action(request, verb, said=verb)

    async def _action(self, request: Request, verb: str, *, said: str | None) -> Response:
        if request.path_params["token"] == PASSED_ON:
            return self.pages.passed_on(request)
        ref = self.keyring.verify(request.path_params["token"], "act")
        number = _number(request)
        page = await run_in_threadpool(self.lookup.action, ref, number) if ref and number else None
        if ref is None or page is None:
            return self.pages.unknown(request)
        state = page.state
        if said:
            await self._record(request, ref, said, number)
            state = None if said == "undo" else said
        reader = await run_in_threadpool(self.lookup.reader, ref)
        return self.pages.page(
            "web/action.html.j2",
            request,
            speaks=reader.language if reader else "",
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

    async def issues(self, request: Request) -> Response:
        issues = await run_in_threadpool(self.lookup.issues, self.publication.base_url)
        subscribe_url = self.readers.subscribe_url
        return self.pages.page(
            "web/issues.html.j2", request, issues=issues, subscribe_url=subscribe_url
        )

    async def issue(self, request: Request) -> Response:
        html = await run_in_threadpool(self.lookup.issue_page, request.path_params["issue"])
        return HTMLResponse(html) if html else self.pages.unknown(request)

    # -- pictures --------------------------------------------------------------------------------

    async def media(self, request: Request) -> Response:
        """A picture of a mail. Its name is a hash of its bytes, so it may be kept for ever."""
        return await run_in_threadpool(self._media, request)

    def _media(self, request: Request) -> Response:
        found = media_file(self.workspace.root, request.path_params["name"])
        if found is None:
            return self.pages.unknown(request)
        path, media_type = found
        return Response(path.read_bytes(), media_type=media_type, headers=_KEPT_FOR_EVER)

    # -- health ----------------------------------------------------------------------------------

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"ok": True}, headers=NEVER_CACHED)

    async def ready(self, _request: Request) -> Response:
        try:
            ok = await run_in_threadpool(self.lookup.ready)
        except Exception:  # noqa: BLE001  (whatever it is, this process is not ready)
            ok = False
        return JSONResponse({"ok": ok}, status_code=200 if ok else 503, headers=NEVER_CACHED)

    # -- what goes wrong -------------------------------------------------------------------------

    async def refused(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if request.url.path.startswith("/api/"):
            return JSONResponse(
                {"error": HTTPStatus(status).phrase},
                status,
                headers=getattr(error, "headers", None),
            )
        if status == 404:
            return self.pages.unknown(request)
        answer = self.pages.message(
            request,
            _("That does not work here"),
            _("This address takes no such request. Nothing was changed."),
            status=status,
        )
        answer.headers.update(getattr(error, "headers", None) or {})
        return answer

    async def failed(self, request: Request, error: Exception) -> Response:
        _log.error("a page failed", exc_info=error)
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": "please try again"}, 503, headers=NEVER_CACHED)
        text = _("Something is out of order on our side. Please try again in a minute.")
        return self.pages.message(request, _("Please try again"), text, status=503)


def _number(request: Request) -> int | None:
    """The number of a link or action in the address; None for what can be none."""
    text = request.path_params["n"]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None


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
                shown = scope["path"] == "/subscribe" or scope["path"].startswith("/issues/")
                headers["X-Robots-Tag"] = "all" if shown else "noindex"
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
        blocks = _STYLE.findall(body.decode("utf-8", "replace"))
        if "x-mail" in headers:
            del headers["x-mail"]
            rules.append("style-src 'unsafe-inline'")
        elif blocks:
            hashes = (base64.b64encode(hashlib.sha256(one.encode()).digest()) for one in blocks)
            rules.append("style-src " + " ".join(f"'sha256-{one.decode()}'" for one in hashes))
        rules.append("img-src 'self' https: data:")
    return "; ".join(rules)
