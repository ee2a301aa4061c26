"""What readers decide: to sign up, to confirm, what they get and how often, to leave, to come back.

A GET never changes anything; a POST acts, and what it did can be undone. Nobody learns from these
pages who is subscribed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from limits import parse as parse_rate
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from newsletter.audience import FREQUENCIES, Choices, masked
from newsletter.editions import fill
from newsletter.errors import InputError, NewsletterError
from newsletter.tracking import Reader, Ref
from newsletter.web.pages import (
    MAIL,
    NEVER_CACHED,
    PASSED_ON,
    Pages,
    _,
    body,
    form,
    one_click,
    raw_form,
)
from newsletter.workspace import Workspace

_log = logging.getLogger(__name__)
_REASONS = ("too-much", "not-for-me", "never-asked", "other")
Record = Callable[[Request, Ref, str, int | None], Awaitable[None]]


class Readers:
    """The pages that change something for one person."""

    def __init__(
        self, workspace: Workspace, pages: Pages, record: Record, poke: Callable[[], None]
    ) -> None:
        """`record` makes an event durable; `poke` has what waits be looked at soon."""
        self.workspace = workspace
        self.pages = pages
        self.keyring = workspace.keyring
        self.lookup = workspace.lookup
        self.record = record
        self.poke = poke
        signup = workspace.settings.signup
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._per_client = parse_rate(_rate(signup.client_limit))
        self._in_all = parse_rate(_rate(signup.total_limit))
        self._salt = secrets.token_bytes(16)  # nobody's address is kept, not even as a plain hash

    @property
    def routes(self) -> list[Route]:
        found = [
            Route("/u/{token}", self.unsubscribe_page, methods=["GET"]),
            Route("/u/{token}", self.unsubscribe, methods=["POST"]),
            Route("/p/{token}", self.preferences, methods=["GET"]),
            Route("/p/{token}", self.prefer, methods=["POST"]),
            Route("/p/{token}/{lens}", self.lens, methods=["GET"]),
            Route("/confirm/{token}", self.confirm_page, methods=["GET"]),
            Route("/confirm/{token}", self.confirm, methods=["POST"]),
        ]
        if self.workspace.settings.signup.enabled:
            found += [
                Route("/subscribe", self.subscribe_page, methods=["GET"]),
                Route("/subscribe", self.subscribe, methods=["POST"]),
                Route("/api/v1/subscribe", self.subscribe_json, methods=["POST"]),
            ]
        return found

    @property
    def subscribe_url(self) -> str | None:
        return "/subscribe" if self.workspace.settings.signup.enabled else None

    # -- signing up ------------------------------------------------------------------------------

    async def subscribe_page(self, request: Request) -> Response:
        return self._subscribe_form(request)

    def _subscribe_form(
        self,
        request: Request,
        *,
        problem: str = "",
        email: str = "",
        lens: str = "",
        status: int = 200,
    ) -> Response:
        code = self.pages.language(request).code
        return self.pages.page(
            "web/subscribe.html.j2",
            request,
            status=status,
            problem=problem,
            invalid=status == 400,
            email=email[:254],
            lens=lens,
            lenses=[(one.key, one.name) for one in self.workspace.segments if one.choosable],
            consent=self.workspace.joining.consent_text(code),
        )

    async def subscribe(self, request: Request) -> Response:
        given = await form(request)
        email, lens = given.get("email", ""), given.get("lens", "")
        if given.get("website"):  # a robot; it is thanked like everybody
            return self._check_your_mail(request)
        if (refusal := self._refusal(request, email)) is not None:
            status, words = refusal
            say = self.pages.language(request).gettext
            answer = self._subscribe_form(
                request, problem=say(words), email=email, lens=lens, status=status
            )
            return self._later(request, answer)
        host = urlsplit(self.workspace.settings.publication.base_url).netloc
        await self._sign_up(
            request, email, method="form", source=f"{host}{request.url.path}", lens=lens
        )
        return self._check_your_mail(request)

    def _check_your_mail(self, request: Request) -> Response:
        """The same for everybody: known, unknown, blocked or a robot."""
        return self.pages.message(
            request,
            _("Please look into your mail"),
            _(
                "If the address is right, a mail is on its way to it. One press there, and it is done."
            ),
        )

    async def subscribe_json(self, request: Request) -> Response:
        """`{"email", "language"?, "name"?, "lens"?, "topics"?, "source"?}`; answers 202 whoever it is."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":  # no page of another site can send that unasked
            return _json({"error": "send it as application/json"}, 415)
        try:
            given = json.loads(await body(request))
        except (ValueError, RecursionError):
            return _json({"error": "this is no JSON"}, 400)
        if not isinstance(given, dict) or not isinstance(given.get("email"), str):
            return _json({"error": 'an object with "email" is wanted'}, 400)
        if (refusal := self._refusal(request, given["email"])) is not None:
            status, words = refusal
            return self._later(request, _json({"error": words}, status))
        topics = given.get("topics")
        await self._sign_up(
            request,
            given["email"],
            method="json",
            lens=str(given.get("lens", "")),
            name=str(given.get("name", "")),
            source=str(given.get("source", "")) or request.url.path,
            language=str(given.get("language", "")),
            topics=[str(one) for one in topics[:100]] if isinstance(topics, list) else None,
        )
        return _json({"ok": True}, 202)

    async def _sign_up(
        self, request: Request, email: str, *, method: str, source: str, **more: Any
    ) -> None:
        wanted = more.pop("language", "")
        await run_in_threadpool(
            self.workspace.joining.sign_up,
            email,
            language=self.pages.language(request, wanted).code,
            method=method,
            source=source,
            **more,
        )
        self.poke()

    def _refusal(self, request: Request, email: str) -> tuple[int, str] | None:
        """Why nobody writes to this address now, as a status and a message; None when it is all right.
        What one client may not do uses up nothing of what all of them may."""
        if not self._limiter.hit(self._per_client, "client", self._client(request)):
            return 429, _TOO_MANY
        try:
            self.workspace.joining.checked(email)
        except InputError:
            return 400, _NO_ADDRESS
        return None if self._limiter.hit(self._in_all, "all") else (429, _TOO_MANY)

    def _client(self, request: Request) -> str:
        """Who asks, as a hash that means nothing tomorrow. A network of IPv6 addresses is one client: it
        is what one connection gets."""
        host = request.client.host if request.client else ""
        with suppress(ValueError):
            if (address := ip_address(host)).version == 6:
                host = str(ip_network(f"{address}/64", strict=False))
        return hashlib.sha256(self._salt + host.encode()).hexdigest()

    def _later(self, request: Request, answer: Response) -> Response:
        """Say when to come back, to who came too often."""
        if answer.status_code == 429:
            stats = self._limiter.get_window_stats
            windows = [
                stats(self._per_client, "client", self._client(request)),
                stats(self._in_all, "all"),
            ]
            full = [one.reset_time for one in windows if not one.remaining]
            until = max(full, default=time.time())
            answer.headers["Retry-After"] = str(max(1, round(until - time.time())))
        return answer

    # -- confirming ------------------------------------------------------------------------------

    async def confirm_page(self, request: Request) -> Response:
        ref = self._token(request, "confirm")
        if not isinstance(ref, Ref):
            return ref
        asked = await run_in_threadpool(self.workspace.joining.asked, ref.mailing, ref.n)
        if asked is None:
            return self._outdated(request)
        return self._confirm_answer(
            request, asked.kind, "done" if asked.done else "ask", asked.address, asked.language
        )

    async def confirm(self, request: Request) -> Response:
        ref = self._token(request, "confirm")
        if not isinstance(ref, Ref):
            return ref
        asked = await run_in_threadpool(self.workspace.joining.asked, ref.mailing, ref.n)
        if asked is None:
            return self._outdated(request)
        done = await run_in_threadpool(self.workspace.joining.confirm, ref.mailing, ref.n)
        if done is None:
            return self._outdated(request)
        self.poke()
        return self._confirm_answer(
            request,
            done.kind,
            "refused" if done.refused else "done",
            asked.address,
            asked.language,
            manage=self.keyring.token(ref.mailing, ref.n, "manage")
            if done.kind == "sign-up"
            else None,
        )

    def _confirm_answer(
        self,
        request: Request,
        kind: str,
        state: str,
        address: str,
        language: str,
        *,
        manage: str | None = None,
    ) -> Response:
        return self.pages.page(
            "web/confirm.html.j2",
            request,
            speaks=language,
            kind=kind,
            state=state,
            address_masked=masked(address),
            post_url=request.url.path,
            preferences_url=f"/p/{manage}" if manage else None,
        )

    def _outdated(self, request: Request) -> Response:
        return self.pages.message(
            request,
            _("This can't be confirmed any more"),
            _("It was asked too long ago, or taken back. Please ask once more."),
            status=410,
        )

    # -- leaving ---------------------------------------------------------------------------------

    def _token(self, request: Request, purpose: Any = "manage") -> Ref | Response:
        """The delivery whose person may be changed, or the page that says why not."""
        token = request.path_params["token"]
        if token == PASSED_ON:
            return self.pages.passed_on(request)
        ref = self.keyring.verify(token, purpose)
        if ref is None:
            return self.pages.unknown(request)
        return self.pages.preview(request) if ref.test else ref

    async def unsubscribe_page(self, request: Request) -> Response:
        ref = self._token(request)
        if not isinstance(ref, Ref):
            return ref
        reader = await run_in_threadpool(self.lookup.reader, ref)
        if reader is None:
            return self.pages.unknown(request)
        undo = await run_in_threadpool(self.lookup.may_undo, ref)
        return self._unsubscribe_answer(request, reader, reader.status, undo=undo)

    async def unsubscribe(self, request: Request) -> Response:
        """RFC 8058 one-click, and the form's button; `?undo=1` brings the person back, `?reason=1` takes
        down why they left.

        The wish is on the disk before anything is looked up: it holds while the database is down.
        """
        ref = self._token(request)
        if not isinstance(ref, Ref):
            return ref
        if "undo" in request.query_params:
            return await self._undo(request, ref)
        if "reason" in request.query_params:
            return await self._reason(request, ref, await form(request))
        by_program = await one_click(request)
        await self.record(request, ref, "unsubscribe", None)
        self.poke()
        if by_program:
            return PlainTextResponse("unsubscribed\n", headers=NEVER_CACHED)
        reader = None
        with suppress(NewsletterError):
            reader = await run_in_threadpool(self.lookup.reader, ref)
        return self._unsubscribe_answer(request, reader, "unsubscribed", done=True, undo=True)

    async def _undo(self, request: Request, ref: Ref) -> Response:
        """Back again, for a day and by the same mail: later it takes a new sign-up."""
        with suppress(NewsletterError):  # what has been said just now counts
            await run_in_threadpool(self.workspace.load_events)
        reader = await run_in_threadpool(self.lookup.reader, ref)
        if reader is None:
            return self.pages.unknown(request)
        if reader.status == "subscribed":
            return self._unsubscribe_answer(request, reader, "subscribed", done=True)
        if not await run_in_threadpool(self.lookup.may_undo, ref):
            return self.pages.message(
                request,
                _("That can't be undone here"),
                _(
                    "An undo works for a day, from the mail that ended the subscription. "
                    "To come back, please sign up again."
                ),
            )
        await self.record(request, ref, "resubscribe", None)
        state = "subscribed"
        with suppress(NewsletterError):
            await run_in_threadpool(self.workspace.load_events)
            now = await run_in_threadpool(self.lookup.reader, ref)
            state = now.status if now else state  # who never confirmed still has not
        self.poke()
        return self._unsubscribe_answer(request, reader, state, done=True)

    async def _reason(self, request: Request, ref: Ref, given: dict[str, str]) -> Response:
        """Why somebody left, in their words; only for who did."""
        await run_in_threadpool(self.workspace.load_events)
        reader = await run_in_threadpool(self.lookup.reader, ref)
        if reader is None or reader.status != "unsubscribed":
            return self.pages.unknown(request)
        chosen = given.get("reason", "")
        words = [chosen if chosen in _REASONS else "", given.get("words", "")]
        await run_in_threadpool(
            self.workspace.audience.left_because, reader.id, ": ".join(filter(None, words))
        )
        return self._unsubscribe_answer(
            request, reader, "unsubscribed", done=True, undo=True, thanked=True
        )

    def _unsubscribe_answer(
        self,
        request: Request,
        reader: Reader | None,
        state: str,
        *,
        done: bool = False,
        undo: bool = False,
        thanked: bool = False,
    ) -> Response:
        """`done` says that a button was pressed just now, `undo` that there is a way back."""
        path = request.url.path
        speaks = reader.language if reader else ""
        left = state == "unsubscribed"
        return self.pages.page(
            "web/unsubscribe.html.j2",
            request,
            speaks=speaks,
            address_masked=reader.masked
            if reader
            else self.pages.language(request, speaks).gettext(_("This address")),
            post_url=path,
            undo_url=f"{path}?undo=1" if left and undo else None,
            reason_url=f"{path}?reason=1" if left and done and reader and not thanked else None,
            thanked=thanked,
            done=done,
            state=state,
            subscribe_url=self.subscribe_url,
        )

    # -- choosing --------------------------------------------------------------------------------

    async def preferences(self, request: Request) -> Response:
        ref = self._token(request)
        if not isinstance(ref, Ref):
            return ref
        return await self._preferences(request, ref)

    async def prefer(self, request: Request) -> Response:
        ref = self._token(request)
        if not isinstance(ref, Ref):
            return ref
        given = await raw_form(request)
        reader = await run_in_threadpool(self.lookup.reader, ref)
        if reader is None:
            return self.pages.unknown(request)
        which = (given.get("form") or [""])[0]
        if which not in ("choices", "address"):
            return self.pages.message(
                request, _NOT_DONE, _("Go back and choose again."), status=400
            )
        if reader.status != "subscribed":
            return await self._preferences(request, ref)
        if which == "address":
            return await self._move(request, ref, reader, (given.get("email") or [""])[0])
        say = self.pages.language(request, reader.language).gettext
        choices, audience = self._choices(given), self.workspace.audience
        try:
            audience.pause_until(choices.paused_until)
        except InputError:
            return await self._preferences(request, ref, problem=say(_NO_DAY), status=400)
        try:
            before = await run_in_threadpool(audience.choose, reader.id, choices)
        except InputError:
            return await self._preferences(request, ref, problem=say(_NOT_THERE), status=400)
        say = self.pages.language(request, choices.language or reader.language).gettext
        return await self._preferences(
            request, ref, said=say(_SAVED), before=before if before != choices else None
        )

    async def _move(self, request: Request, ref: Ref, reader: Reader, email: str) -> Response:
        say = self.pages.language(request, reader.language).gettext
        if (refusal := self._refusal(request, email)) is not None:
            status, words = refusal
            answer = await self._preferences(
                request, ref, email=email, wrong_email=say(words), status=status
            )
            return self._later(request, answer)
        await run_in_threadpool(
            self.workspace.joining.move, reader.id, email, language=reader.language
        )
        self.poke()
        return await self._preferences(request, ref, said=say(_MAIL_THERE))

    def _choices(self, given: dict[str, list[str]]) -> Choices:
        """What a form says. Raises InputError for what nobody could have chosen."""

        def one(name: str) -> str:
            return (given.get(name) or [""])[0]

        known = self.workspace.settings.audience.topics
        chosen = [topic for topic in given.get("topic", []) if topic in known]
        return Choices(
            lens=one("lens"),
            topics=None if not known or set(chosen) == set(known) else tuple(chosen),
            frequency=one("frequency") if one("frequency") in FREQUENCIES else "",
            paused_until=one("paused_until"),
            language=one("language"),
        )

    async def _preferences(
        self,
        request: Request,
        ref: Ref,
        *,
        said: str = "",
        problem: str = "",
        before: Choices | None = None,
        email: str = "",
        wrong_email: str = "",
        status: int = 200,
    ) -> Response:
        """`problem` is one of the choices, `wrong_email` one of the address that was typed in."""
        reader = await run_in_threadpool(self.lookup.reader, ref)
        if reader is None:
            return self.pages.unknown(request)
        workspace = self.workspace
        keys = await run_in_threadpool(workspace.segments_of_person, reader.id)
        chosen = await run_in_threadpool(workspace.audience.choices, reader.id)
        path = request.url.path
        zone = workspace.settings.publication.zone
        published = await run_in_threadpool(
            self.lookup.issues, workspace.settings.publication.base_url
        )
        names = workspace.names
        return self.pages.page(
            "web/preferences.html.j2",
            request,
            status=status,
            speaks=reader.language,
            state=reader.status,
            chosen=chosen,
            email=email[:254],
            wrong_email=wrong_email,
            address_masked=reader.masked,
            segments=[names[key] for key in keys],
            lenses=[
                (one.key, one.name, f"{path}/{one.key}" if published else None)
                for one in workspace.segments
                if one.choosable
            ],
            topics=list(workspace.settings.audience.topics.items()),
            languages=[
                (code, workspace.templates.language(code).name)
                for code in workspace.settings.publication.all_languages
            ],
            paused_until=reader.paused_until.astimezone(zone).date()
            if reader.paused_until and reader.paused_until > datetime.now(UTC)
            else None,
            tomorrow=(datetime.now(zone) + timedelta(days=1)).date().isoformat(),
            said=said,
            problem=problem,
            before=_as_fields(before, workspace.settings.audience.topics) if before else None,
            post_url=path,
            unsubscribe_url=path.replace("/p/", "/u/", 1),
            subscribe_url=self.subscribe_url,
        )

    async def lens(self, request: Request) -> Response:
        """The latest issue as readers of another segment got it; it can change nothing."""
        ref = self._token(request)
        if not isinstance(ref, Ref):
            return ref
        key = request.path_params["lens"]
        if key not in [one.key for one in self.workspace.segments if one.choosable]:
            return self.pages.unknown(request)
        reader = await run_in_threadpool(self.lookup.reader, ref)
        speaks = self.pages.language(request, reader.language if reader else "")
        edition = await run_in_threadpool(self.workspace.latest_edition, key, speaks.code)
        if edition is None:
            return self.pages.unknown(request)
        tokens = self.keyring.test_tokens(edition.id)
        values = {**dict.fromkeys(tokens, PASSED_ON), "click": tokens["click"]}
        values["reason"] = speaks.gettext(SENT_TO_SOMEBODY)
        html = fill(edition.html, edition.nonce, values, "html")
        return HTMLResponse(html, headers=MAIL)


SENT_TO_SOMEBODY = _("it was sent to a subscriber")
_NOT_DONE = _("That did not work")
_TOO_MANY = _("Too many requests came from here. Please try again in an hour.")
_NO_ADDRESS = _("That is no e-mail address that mail can reach. Please look at it once more.")
_NO_DAY = _("A pause ends tomorrow or later, and within a year. Nothing was changed.")
_NOT_THERE = _("That can't be chosen any more. Nothing was changed.")
_MAIL_THERE = _("A mail is on its way to the new address. One press there, and it is changed.")
_SAVED = _("Saved.")


def _rate(limit: str) -> str:
    number, _slash, unit = limit.partition("/")
    return f"{number.strip()} per {unit.strip().removesuffix('s')}"


def _json(document: dict[str, Any], status: int) -> Response:
    return JSONResponse(document, status_code=status, headers=NEVER_CACHED)


def _as_fields(choices: Choices, topics: Mapping[str, str]) -> list[tuple[str, str]]:
    """Choices as the fields of a form, for taking back what replaced them."""
    fields = [("form", "choices"), ("lens", choices.lens), ("frequency", choices.frequency)]
    fields += [("paused_until", choices.paused_until), ("language", choices.language)]
    return fields + [
        ("topic", one) for one in (topics if choices.topics is None else choices.topics)
    ]
