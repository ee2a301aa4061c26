"""What all public pages share: rendering in the reader's language, plain answers, forms."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from newsletter.languages import Language, accepted
from newsletter.workspace import Workspace

NEVER_CACHED = {"Cache-Control": "no-store"}
#: Of pages that show a mail, whose styles stand in attributes; see `SecurityHeaders`.
MAIL = {**NEVER_CACHED, "X-Mail": "1"}
#: In the place of tokens on pages that can be passed on.
PASSED_ON = "in-your-mail"
_BODY = 10_000  # bytes of a form; ours have fewer than a thousand


class Pages:
    """Pages of one publication."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.publication = workspace.settings.publication

    def language(self, request: Request, chosen: str = "") -> Language:
        """The reader's own, else what their browser asks for, else the publication's."""
        available = self.publication.all_languages
        wanted = self.workspace.joining.language(chosen) if chosen else None
        found = wanted or accepted(request.headers.get("accept-language", ""), available)
        return self.workspace.templates.language(found or self.publication.language)

    def page(
        self, name: str, request: Request, *, status: int = 200, speaks: str = "", **values: Any
    ) -> Response:
        """A page; `speaks` is the language that its reader chose."""
        if "address_masked" in values:  # its direction is its own, whatever stands around it
            values["address_masked"] = Markup("<bdi>{}</bdi>").format(values["address_masked"])
        html = self.workspace.page(name, language=self.language(request, speaks).code, **values)
        return HTMLResponse(html, status_code=status, headers=NEVER_CACHED)

    def message(self, request: Request, title: str, text: str, *, status: int = 200) -> Response:
        """One sentence and a way on. Title and text are messages of the catalogs."""
        say = self.language(request).gettext
        return self.page(
            "web/message.html.j2",
            request,
            status=status,
            title=say(title),
            text=say(text),
            link_url=f"{self.publication.base_url}/issues/",
            link_text=say("All issues"),
        )

    def passed_on(self, request: Request) -> Response:
        return self.message(
            request,
            _("Only from the mail itself"),
            _(
                "The page that you came from can be passed on to others, so it can't change "
                "anything. Please use the link in the mail that you got."
            ),
        )

    def preview(self, request: Request) -> Response:
        return self.message(
            request, _("This is a preview"), _("Links work here, and nothing is changed.")
        )

    def unknown(self, request: Request) -> Response:
        """The same page for forged, cut, foreign and outdated addresses: it tells nothing."""
        return self.message(
            request,
            _("There is nothing here"),
            _(
                "This address is not complete or no longer in use. Mail programs sometimes cut long "
                "addresses; try the link in the mail once more."
            ),
            status=404,
        )


def _(message: str) -> str:
    """Marks a message for the catalogs; it is translated where it is shown."""
    return message


async def body(request: Request) -> bytes:
    """What was posted. Raises HTTPException when it is more than any form of ours has."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > _BODY:
            raise HTTPException(413)
    return raw


async def raw_form(request: Request) -> dict[str, list[str]]:
    """Every field of a url-encoded form. Raises HTTPException for anything else: what can't be read
    is not taken for a form that says nothing."""
    raw = await body(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", ""):
        raise HTTPException(415)
    try:
        return parse_qs(raw.decode("utf-8"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise HTTPException(400) from error


async def form(request: Request) -> dict[str, str]:
    """The first value of every field."""
    return {name: values[0] for name, values in (await raw_form(request)).items()}


async def one_click(request: Request) -> bool:
    """Whether a mail program unsubscribes by itself (RFC 8058 §3.2, which allows both encodings).
    Whatever else was posted is a press of the button."""
    try:
        return b"One-Click" in await body(request)
    except HTTPException:
        return False
