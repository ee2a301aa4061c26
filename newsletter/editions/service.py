"""Service mails: please confirm, you are subscribed already, welcome. One edition for each kind and
language, rendered like an issue's, so that delivery knows no difference.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b32encode
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal, get_args

from newsletter.config import Settings
from newsletter.editions.compose import publication_view
from newsletter.editions.mime import skeleton
from newsletter.editions.proofread import mail_html
from newsletter.editions.render import (
    Edition,
    Renderer,
    clean_text,
    edition_id,
    inlined,
    serialised,
)
from newsletter.editions.slots import Context, marker
from newsletter.editions.view import ServiceView

ServiceKind = Literal["opt-in", "known", "address", "moved", "welcome"]
SERVICE_KINDS: tuple[ServiceKind, ...] = get_args(ServiceKind)
MAIL = "service.mjml.j2"
TEXT = "service.txt.j2"
SUBJECT = "service.subject.txt.j2"
#: Where each kind's button leads: a path and the slot behind it; an empty slot for everybody's page.
_BUTTONS: dict[str, tuple[str, str]] = {
    "opt-in": ("confirm", "confirm"),
    "address": ("confirm", "confirm"),
    "moved": ("confirm", "confirm"),
    "known": ("p", "manage"),
    "welcome": ("issues", ""),
}


@dataclass(frozen=True)
class ServiceSignature:
    """What one service mail says, before it is rendered."""

    kind: ServiceKind
    language: str
    days: int  #: after which an unconfirmed address is forgotten
    content: str  #: hash of the publication's own words
    templates: str  #: hash of the templates
    arm: str = ""

    @cached_property
    def nonce(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return b32encode(hashlib.sha256(text.encode()).digest())[:10].decode().lower()


def service_edition(
    renderer: Renderer, settings: Settings, kind: ServiceKind, language: str, *, days: int
) -> Edition:
    """Render one. Raises TemplateError with the template's file and line."""
    words = json.dumps(
        [settings.publication.model_dump(), settings.sender.model_dump()], sort_keys=True
    )
    templates = renderer.templates
    signature = ServiceSignature(
        kind,
        language,
        days,
        hashlib.sha256(words.encode()).hexdigest(),
        templates.fingerprint,
    )
    base, nonce = settings.publication.base_url, signature.nonce

    def view(context: Context) -> ServiceView:
        path, slot = _BUTTONS[kind]
        url = f"{base}/{path}/" + (marker(nonce, slot, context) if slot else "")
        known = kind in ("known", "welcome")
        own = marker(nonce, "manage", context) if known else None
        return ServiceView(
            kind,
            publication_view(settings),
            url,
            days,
            f"{base}/p/{own}" if own else None,
            f"{base}/u/{own}" if own else None,
        )

    html = serialised(inlined(mail_html(templates, MAIL, language=language, s=view("html"))))
    text = clean_text(templates.render(TEXT, language=language, s=view("text")))
    subject = templates.render(SUBJECT, language=language, s=view("text")).strip()
    message = skeleton(
        renderer.envelope,
        nonce=nonce,
        subject=subject,
        language=language,
        html=html,
        text=text,
        campaign=kind,
    )
    return Edition(
        id=edition_id(message),
        nonce=nonce,
        signature=signature,
        subject=subject,
        lens="",
        html=html,
        text=text,
        message=message,
        links=(),
        actions=(),
    )
