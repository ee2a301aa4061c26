"""Previews that follow the files: an app of its own, for the editor at this machine alone.

What is not published must not be reachable from elsewhere, so it listens on the loopback interface
only, and answers only requests that name it so: a page of somebody else's whose name is pointed here
gets nothing. It writes nothing, but for a mail that somebody opens: its links are to lead somewhere.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import uvicorn
import watchfiles
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from newsletter.audience import Group
from newsletter.editions import media_file
from newsletter.errors import NewsletterError
from newsletter.issues import FOLDER, issue_ids
from newsletter.proofs import SCRIPT, Drafts, page_data
from newsletter.web.listen import bound
from newsletter.web.pages import NEVER_CACHED
from newsletter.workspace import Workspace

HOST = "127.0.0.1"
_NAMES = [HOST, "localhost"]
_CONTENT = (FOLDER, "templates", "images")  # watched with all that is in them
_DEFINITIONS = (("newsletter.toml",), ("subscribers", "segments.toml"))
_STEP, _LONGEST = (
    15,
    60,
)  # milliseconds: a save is over when nothing came for so long, or at the latest
_GOODBYE = 5.0  # seconds that the thread has to end
_BREATH = 15.0  # seconds between two signs of life to a page that waits
_log = logging.getLogger(__name__)
T = TypeVar("T")

# Styles stand in attributes of mails, whose frames inherit this; scripts are our own file alone. A frame
# has an origin of its own, so the page fetches a mail's pictures and hands them in as `data:`.
_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_MAIL = (
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation; "
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: http: https:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@contextmanager
def previews(root: Path, port: int, *, patience: float) -> Iterator[str]:
    """Serve the previews of a workspace inside the context, in a thread of its own; yields the
    address. Port 0 takes a free one. Raises RefusedError when the port can't be had."""
    listener = bound(HOST, port, "--preview-port, or leave them out with --no-preview")
    app, end = preview_app(root, patience=patience)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="previews", daemon=True
    )
    thread.start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        end()
        server.should_exit = True
        thread.join(_GOODBYE)
        listener.close()


class _Desk:
    """The issues as their files are now. Any thread may ask; one thing is done at a time."""

    def __init__(self, root: Path, patience: float) -> None:
        self.root = root
        self._patience = patience
        self._lock = threading.Lock()
        self._boot = secrets.token_hex(4)
        self._changes = 0
        self._seen = -1  # the changes that `_workspace` has read
        self._workspace: Workspace | None = None
        self._drafts: dict[tuple[str, str], Drafts] = {}  # by issue and look
        # Who may be mailed, by issue: a million people take a second to ask for, and a brief that is
        # saved changes nobody.
        self._groups: dict[tuple[str, ...], list[Group]] = {}

    @property
    def version(self) -> str:
        """Another one after each change, and after each start."""
        return f"{self._boot}-{self._changes}"

    def changed(self, paths: Iterable[str]) -> None:
        """Files were saved: what was read of them is out of date."""
        self._changes += 1
        definitions = {str(self.root.joinpath(*one)) for one in _DEFINITIONS}
        if definitions.intersection(paths):
            self._groups = {}

    def close(self) -> None:
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self._drafts = {}
        if self._workspace:
            self._workspace.close()
            self._workspace = None

    def _now(self) -> Workspace:
        """A workspace that has read nothing before the last change."""
        changes = self._changes
        if self._workspace is None or self._seen != changes:
            self._forget()
            self._workspace = Workspace(self.root)
            self._workspace.patience = self._patience
            self._seen = changes
        return self._workspace

    def ask(self, work: Callable[[Workspace], T], *, again: bool = False) -> T:
        """Do this with the files as they are; with `again` also with the people as they are."""
        with self._lock:
            if again:
                self._groups = {}
                self._seen = -1
            return work(self._now())

    def drafts(
        self, workspace: Workspace, issue: str, look: str = ""
    ) -> tuple[Drafts, list[dict[str, Any]]]:
        """The editions, and what forbids to send them. `look` tries another look than the issue's. To be
        called within `ask`."""
        loaded = workspace.issue(issue)
        if (issue, look) not in self._drafts:
            topics = loaded.topics(workspace.settings.audience.topics)
            if topics not in self._groups:
                self._groups[topics] = workspace.groups(topics, loaded=False)
            drafts = workspace.drafts(loaded, self._groups[topics], look=look)
            for entry in drafts.entries if look else ():
                for name in ("html_file", "text_file"):
                    entry[name] += f"?look={quote(look)}"
            self._drafts[issue, look] = drafts
        findings = [
            {"place": found.place, "code": found.code, "message": found.message}
            for parsed in loaded.parsed
            for found in parsed.findings
            if found.blocks
        ]
        return self._drafts[issue, look], findings


class _Preview:
    def __init__(self, root: Path, patience: float) -> None:
        self.root = root
        self.desk = _Desk(root, patience)
        self.over = False
        self._news = asyncio.Condition()
        self.loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self.loop = asyncio.get_running_loop()
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await run_in_threadpool(self.desk.close)

    async def end(self) -> None:
        """Let pages that wait go, so that the server need not wait for them."""
        self.over = True
        async with self._news:
            self._news.notify_all()

    # -- what changes ----------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            folders = [self.root / name for name in _CONTENT if (self.root / name).is_dir()]
            tops = [self.root, self.root / "subscribers"]
            stop = asyncio.Event()  # another folder has come, or one has gone
            watches = [
                asyncio.create_task(self._follow(folders, stop, deep=True)),
                asyncio.create_task(self._follow(tops, stop, deep=False)),
            ]
            try:
                await asyncio.gather(*watches)
            except Exception:  # noqa: BLE001  (out of watches, a folder that has gone: look again)
                _log.exception("files can't be watched; trying again")
                await asyncio.sleep(1)
            finally:
                for one in watches:
                    one.cancel()
                await asyncio.gather(*watches, return_exceptions=True)

    async def _follow(self, folders: Sequence[Path], stop: asyncio.Event, *, deep: bool) -> None:
        definitions = {str(self.root.joinpath(*one)) for one in _DEFINITIONS}
        content = {str(self.root / name) for name in _CONTENT}
        only = watchfiles.DefaultFilter()

        def wanted(change: watchfiles.Change, path: str) -> bool:
            if not deep:
                return path in definitions or path in content
            return only(change, path) and not Path(path).name.startswith(".")

        there = [one for one in folders if one.is_dir()]
        if not there:
            await stop.wait()
            return
        async for changes in watchfiles.awatch(
            *there,
            watch_filter=wanted,
            step=_STEP,
            debounce=_LONGEST,
            stop_event=stop,
            recursive=deep,
        ):
            paths = {path for _, path in changes}
            if not deep and paths & content:
                stop.set()
            self.desk.changed(paths)
            async with self._news:
                self._news.notify_all()

    async def events(self, request: Request) -> Response:
        """A server-sent event for each version that the page does not have."""
        since = request.query_params.get("since", "")

        async def news(had: str) -> AsyncIterator[str]:
            yield "retry: 500\n\n"
            while not self.over:
                if had != self.desk.version:
                    had = self.desk.version
                    yield f"event: changed\ndata: {had}\n\n"
                try:
                    await asyncio.wait_for(self._newer_than(had), _BREATH)
                except TimeoutError:
                    yield ": still here\n\n"

        return StreamingResponse(
            news(since), media_type="text/event-stream", headers=_headers(_PAGE)
        )

    async def _newer_than(self, version: str) -> None:
        async with self._news:
            await self._news.wait_for(lambda: self.over or version != self.desk.version)

    # -- pages -----------------------------------------------------------------------------------

    def _listing(self, issue: str, tried: str = "", *, again: bool = False) -> dict[str, Any]:
        """What the page's script works with. What is wrong stands in it, with its place."""
        version = self.desk.version

        def look(workspace: Workspace) -> dict[str, Any]:
            drafts, findings = self.desk.drafts(workspace, issue, tried)
            if drafts.entries:  # a template that can't be used is to be known at once
                drafts.edition(drafts.entries[0]["key"])
            return page_data(
                drafts.entries, findings=findings, look=tried, live=True, version=version
            )

        try:
            return self.desk.ask(look, again=again)
        except NewsletterError as error:
            empty = page_data([], look=tried, live=True, version=version)
            return empty | {"error": self._said(error)}

    def _said(self, error: NewsletterError) -> dict[str, Any]:
        return {"message": error.message, "file": self._file(error), "line": error.line}

    def _file(self, error: NewsletterError) -> str | None:
        """As it is called in the workspace."""
        if error.file and Path(error.file).is_relative_to(self.root):
            return str(Path(error.file).relative_to(self.root))
        return error.file

    def _alone(self, error: NewsletterError, version: str, title: str = "Preview") -> str:
        """The error as a page, of the files at that version."""
        said = type(error)(error.message, file=self._file(error), line=error.line)
        return _plain(str(said), version, title)

    async def index(self, _request: Request) -> Response:
        def look(workspace: Workspace) -> str:
            issues: list[tuple[str, str, str, str | None]] = []
            for issue in reversed(issue_ids(self.root)):
                try:
                    loaded = workspace.issue(issue)
                    issues.append((issue, loaded.title, loaded.manifest.subject, None))
                except NewsletterError as error:
                    issues.append((issue, issue, "", str(error)))
            return workspace.page("preview_issues.html.j2", issues=issues)

        return _page(await run_in_threadpool(self._shown, look))

    def _shown(self, look: Callable[[Workspace], str]) -> str:
        """A page, or the error that is in its way: in plain words, since templates may be broken."""
        version = self.desk.version
        try:
            return self.desk.ask(look, again=True)
        except NewsletterError as error:
            return self._alone(error, version)

    async def page(self, request: Request) -> Response:
        issue = request.path_params["issue"]
        if issue not in await run_in_threadpool(issue_ids, self.root):
            raise HTTPException(404)
        data = await run_in_threadpool(self._listing, issue, again=True)

        def look(workspace: Workspace) -> str:
            shown = data | {"looks": workspace.looks}
            return workspace.preview_page(issue, shown, script=f"/{SCRIPT}")

        try:
            return _page(await run_in_threadpool(self.desk.ask, look))
        except NewsletterError as error:
            return _page(self._alone(error, data["version"], f"Preview of {issue}"))

    async def data(self, request: Request) -> Response:
        issue, tried = request.path_params["issue"], request.query_params.get("look", "")
        found = await run_in_threadpool(self._listing, issue, tried)
        return _json(found)

    async def contents(self, request: Request) -> Response:
        issue, key = request.path_params["issue"], request.path_params["key"]
        tried = request.query_params.get("look", "")

        def look(workspace: Workspace) -> dict[str, Any] | None:
            edition = self.desk.drafts(workspace, issue, tried)[0].edition(key)
            return workspace.proofs.contents(edition) if edition else None

        try:
            found = await run_in_threadpool(self.desk.ask, look)
        except NewsletterError as error:
            return _json(self._said(error), 422)
        if found is None:
            return _json({"message": "there is no such edition any more"}, 404)
        return _json(found)

    async def mail(self, request: Request) -> Response:
        """The mail alone, with links that work: that is why it is put into the database."""
        issue, key, kind = (request.path_params[name] for name in ("issue", "key", "kind"))
        if kind not in ("html", "txt"):
            raise HTTPException(404)
        version = self.desk.version
        tried = request.query_params.get("look", "")

        def look(workspace: Workspace) -> dict[str, Any] | None:
            edition = self.desk.drafts(workspace, issue, tried)[0].edition(key)
            if edition is None:
                return None
            with suppress(NewsletterError):  # busy: then its links lead nowhere yet
                workspace.keep_editions([edition])
            said = workspace.proofs.contents(edition)
            return said | {"html": workspace.proofs.media.inlined(said["html"])}

        try:
            found = await run_in_threadpool(self.desk.ask, look)
        except NewsletterError as error:
            return _page(self._alone(error, version))
        if found is None:
            raise HTTPException(404)
        if kind == "txt":
            return Response(
                found["text"], media_type="text/plain; charset=utf-8", headers=_headers(_MAIL)
            )
        return HTMLResponse(found["html"], headers=_headers(_MAIL))

    async def media(self, request: Request) -> Response:
        """A picture of a mail, as the public pages will show it."""

        def look() -> tuple[bytes, str] | None:
            found = media_file(self.root, request.path_params["name"])
            return (found[0].read_bytes(), found[1]) if found else None

        found = await run_in_threadpool(look)
        if found is None:
            raise HTTPException(404)
        return Response(found[0], media_type=found[1], headers=_headers(_PAGE))

    async def script(self, _request: Request) -> Response:
        def look(workspace: Workspace) -> bytes:
            return workspace.preview_script()

        try:
            text = await run_in_threadpool(self.desk.ask, look)
        except NewsletterError as error:
            _log.warning("%s", error)  # the page can't say it
            raise HTTPException(404) from error
        return Response(text, media_type="text/javascript", headers=_headers(_PAGE))

    async def wait(self, _request: Request) -> Response:
        return Response(_WAIT, media_type="text/javascript", headers=_headers(_PAGE))

    async def no_icon(self, _request: Request) -> Response:
        return Response(status_code=204)

    async def to_page(self, request: Request) -> Response:
        return RedirectResponse(f"/{quote(request.path_params['issue'])}/")

    async def refused(self, _request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        text = HTTPStatus(status).phrase
        return Response(text, status, media_type="text/plain", headers=_headers(_PAGE))


def _headers(policy: str) -> dict[str, str]:
    return {
        **NEVER_CACHED,
        "Content-Security-Policy": policy,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _page(html: str, status: int = 200) -> Response:
    return HTMLResponse(html, status, headers=_headers(_PAGE))


def _json(document: Any, status: int = 200) -> Response:
    return JSONResponse(document, status, headers=_headers(_PAGE))


#: Of a page that waits until something is saved.
_WAIT = (
    'new EventSource("/events?since=" + document.currentScript.dataset.since)'
    '.addEventListener("changed", () => location.reload());\n'
)


def _plain(message: str, version: str, title: str) -> str:
    """A page that needs no template, since one of them may be what is broken. It looks again after the
    next save."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title>"
        "<style>body { font: 17px/1.5 sans-serif; margin: 32px auto; max-width: 70ch; padding: 0 24px; "
        "overflow-wrap: anywhere; }</style>"
        f"<h1>{escape(title)}</h1><p>{escape(message)}</p>"
        f'<script src="/wait.js" data-since="{escape(version)}"></script></html>'
    )


def preview_app(root: Path, *, patience: float) -> tuple[Starlette, Callable[[], None]]:
    """The ASGI application, and what lets its waiting pages go, which any thread may call.
    `patience` is how many seconds a busy database is waited for."""
    preview = _Preview(root, patience)

    def end() -> None:
        if preview.loop and not preview.loop.is_closed():
            with suppress(RuntimeError):  # it has ended meanwhile
                asyncio.run_coroutine_threadsafe(preview.end(), preview.loop)

    app = Starlette(
        routes=[
            Route("/", preview.index),
            Route(f"/{SCRIPT}", preview.script),
            Route("/wait.js", preview.wait),
            Route("/events", preview.events),
            Route("/favicon.ico", preview.no_icon),
            Route("/media/{name}", preview.media),
            Route("/{issue}", preview.to_page),
            Route("/{issue}/", preview.page),
            Route("/{issue}/data", preview.data),
            Route("/{issue}/contents/{key}", preview.contents),
            Route("/{issue}/{key}.{kind}", preview.mail),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=_NAMES, www_redirect=False)],
        exception_handlers={HTTPException: preview.refused},
        lifespan=preview.lifespan,
    )
    return app, end
