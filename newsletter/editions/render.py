"""From a view to a finished edition: Jinja2 → MJML → premailer → link table → MIME skeleton.

Milliseconds an edition, none of it per recipient. Opens no socket: no web fonts, no style sheets
from elsewhere, and the CSS parser has a fetcher that refuses.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from typing import Any, Never

import cssutils
import lxml.etree
import premailer
import premailer.premailer

from newsletter.editions.compose import Composer, Signature
from newsletter.editions.mime import Envelope, skeleton
from newsletter.editions.proofread import TemplateProblem, mail_html, mail_problems
from newsletter.editions.slots import marker
from newsletter.editions.templates import FOLDER, Templates
from newsletter.errors import TemplateError

MAIL = "issue.mjml.j2"
TEXT = "issue.txt.j2"
PAGE = "web/issue.html.j2"
# Style sheets that hold under a condition can't stand in attributes: media queries, and what only
# Outlook.com's dark mode selects.
_CONDITIONAL = ("@media", "[data-ogs")
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class Link:
    """A link of an edition. `url` is exactly what the editor wrote."""

    n: int
    url: str
    brief: str | None
    action: str | None


@dataclass(frozen=True, slots=True)
class EditionAction:
    """An action of an edition, as its page shows it."""

    n: int
    id: str
    segments: tuple[str, ...]
    label: str
    text: str
    due: str | None
    brief: str
    headline: str


@dataclass(frozen=True, slots=True)
class Edition:
    """An issue rendered for one signature. Content-addressed: equal bytes have equal ids."""

    id: str
    nonce: str
    signature: Any  #: a `Signature`, or a `ServiceSignature`
    subject: str
    lens: str
    html: str  #: inlined, links rewritten, slots open
    text: str
    message: bytes  #: MIME skeleton, CRLF, slots open
    links: tuple[Link, ...]
    actions: tuple[EditionAction, ...]

    @property
    def html_bytes(self) -> int:
        """Size of the HTML in UTF-8; Gmail clips at about 102 kB."""
        return len(self.html.encode())


class _Links:
    """The link table while it grows: one number per distinct address."""

    def __init__(self, base_url: str, nonce: str, *, tracked: bool) -> None:
        self.base_url = base_url
        self.nonce = nonce
        self.tracked = tracked
        self.table: dict[str, Link] = {}

    def tracked_url(
        self, url: str, context: Any, brief: str | None = None, action: str | None = None
    ) -> str:
        """The address that goes through us, for any http(s) link that is not a recipient's own."""
        own = f"@@{self.nonce}." in url
        if not self.tracked or own or not url.lower().startswith(("http://", "https://")):
            return url
        link = self.table.get(url)
        if link is None:
            link = self.table[url] = Link(len(self.table) + 1, url, brief, action)
        return f"{self.base_url}/c/{link.n}/{marker(self.nonce, 'click', context)}"


class Renderer:
    """Renders editions with a workspace's templates."""

    def __init__(self, templates: Templates, envelope: Envelope) -> None:
        self.templates = templates
        self.envelope = envelope

    def edition(self, composer: Composer, reader: Sequence[str], signature: Signature) -> Edition:
        """Render one signature. `reader` is any set of segments that has it.

        Raises TemplateError with the template's file and line.
        """
        nonce = signature.nonce
        composer.refuse_nonce(nonce)
        tracked = signature.tracking == "person"
        links = _Links(self.envelope.base_url, nonce, tracked=tracked)
        view = composer.view(signature, reader, "html")
        html_source = mail_html(
            self.templates, MAIL, language=signature.language, look=signature.look, e=view
        )
        document = inlined(html_source)
        _rewrite_links(document, links)
        html = serialised(document)

        def track(url: str) -> str:
            return links.tracked_url(url, "text")

        text_view = composer.view(signature, reader, "text", track)
        text = clean_text(
            self.templates.render(TEXT, track=track, language=signature.language, e=text_view)
        )
        message = skeleton(
            self.envelope,
            nonce=nonce,
            subject=signature.subject,
            language=signature.language,
            html=html,
            text=text,
            campaign=signature.issue,
        )
        actions = tuple(
            EditionAction(
                n=action.n,
                id=action.id,
                segments=action.segments,
                label=action.label,
                text=action.text,
                due=action.due.isoformat() if action.due else None,
                brief=action.brief_slug,
                headline=action.brief_headline,
            )
            for brief in view.briefs
            for action in brief.actions
        )
        return Edition(
            id=edition_id(message),
            nonce=nonce,
            signature=signature,
            subject=signature.subject,
            lens=signature.lens,
            html=html,
            text=text,
            message=message,
            links=tuple(links.table.values()),
            actions=actions,
        )

    def problems(
        self, composer: Composer, reader: Sequence[str], signature: Signature
    ) -> list[TemplateProblem]:
        """What is wrong with the templates, as far as this edition shows it: what Jinja2 refuses, and
        what MJML would take in silence. Empty when all is well; raises nothing for a template's sake."""
        found: list[TemplateProblem] = []
        for name in (MAIL, TEXT):
            view = composer.view(signature, reader, "html" if name == MAIL else "text")
            try:
                if name == MAIL:
                    found += mail_problems(
                        self.templates,
                        name,
                        language=signature.language,
                        look=signature.look,
                        e=view,
                    )
                else:
                    self.templates.render(name, language=signature.language, e=view)
            except TemplateError as error:
                file = error.file or f"{FOLDER}/{name}"
                found.append(TemplateProblem(file, error.line, error.message, "template", True))
        return found

    def page(self, composer: Composer, index_url: str) -> str:
        """The public page of the issue: everybody's edition in full, nothing personal in it."""
        signature = composer.signature((), tracking="none")
        view = composer.view(signature, (), None)
        return self.templates.render(
            PAGE,
            look=signature.look,
            e=view,
            nav={"index_url": index_url},
            publication=view.publication,
            labels=view.labels,
            language=view.language,
        )


def edition_id(message: bytes) -> str:
    """16 hex digits of the content's hash."""
    return hashlib.sha256(message).hexdigest()[:16]


def signature_dict(signature: Any) -> dict[str, Any]:
    """The signature as plain values, as the database keeps it."""
    return asdict(signature)


class _Inliner(premailer.Premailer):  # type: ignore[misc]
    """premailer with a CSS parser that never fetches anything, and that reads a style sheet once:
    all editions of an issue have the same one, and reading it took more than half of the time."""

    def __init__(self, html: lxml.etree._Element | None = None) -> None:
        _css_parser()
        super().__init__(
            html,
            keep_style_tags=True,
            strip_important=False,
            disable_validation=True,
            allow_network=False,
            remove_classes=False,
            include_star_selectors=False,
            align_floating_images=False,
            cssutils_logging_level=logging.CRITICAL,
        )

    def _parse_css_string(self, css_body: str, validate: bool = True) -> Any:
        return _css_parser().parseString(css_body, validate=validate)

    def _parse_style_rules(self, css_body: str, ruleset_index: int) -> tuple[list[Any], list[Any]]:
        return _style_rules(css_body, ruleset_index)

    def _style_to_basic_html_attributes(
        self, element: lxml.etree._Element, style_content: str, force: bool = False
    ) -> None:
        # A picture keeps its own width and height: Outlook goes by them, and "100%" and "auto" say less.
        own = set(element.attrib) if element.tag == "img" else set()
        for name, value in _attributes_of(style_content):
            if name not in own and (force or name not in element.attrib):
                element.set(name, value)


_merge_styles = premailer.premailer.merge_styles
_merged: dict[Any, tuple[str, Any]] = {}
_MOST_MERGED = 20_000  # a look has some hundred


def _merge_once(
    inline_style: str, new_styles: list[Any], classes: list[str], **options: Any
) -> str:
    """premailer's merging of what rules say of an element, done once for elements of which the same rules
    say it: half of its time. It keeps what a rule says as one list, which is known by its identity."""
    key = (inline_style, *map(id, new_styles), *classes, *options.values())
    found = _merged.get(key)
    if found is None:
        if len(_merged) >= _MOST_MERGED:
            _merged.clear()
        # the lists stay with it, so that none of these identities is given to another
        found = _merge_styles(inline_style, new_styles, classes, **options), tuple(new_styles)
        _merged[key] = found
    return found[0]


premailer.premailer.merge_styles = _merge_once


@lru_cache(maxsize=4096)
def _attributes_of(style: str) -> tuple[tuple[str, str], ...]:
    """The HTML attributes that premailer makes of a style; few styles, many elements."""
    probe = lxml.etree.Element("probe")
    premailer.Premailer._style_to_basic_html_attributes(_Inliner(), probe, style, force=True)
    return tuple((str(name), str(value)) for name, value in probe.attrib.items())


@lru_cache(maxsize=64)
def _style_rules(css_body: str, ruleset_index: int) -> tuple[list[Any], list[Any]]:
    rules: tuple[list[Any], list[Any]] = premailer.Premailer._parse_style_rules(
        _Inliner(), css_body, ruleset_index
    )
    return rules


def _refuse_to_fetch(url: str) -> Never:
    raise TemplateError(f"a style sheet wants to load {url}; put its rules into mj-style")


@cache
def _css_parser() -> Any:
    cssutils.log.setLevel(logging.CRITICAL)  # it warns of every property it does not know
    # premailer has inline styles validated whatever it is told; without profiles there is nothing
    # to validate against, which saves 130 ms of compiling patterns in every process.
    cssutils.profile.removeProfile(all=True)
    # What cssutils would shorten, some mail clients then misread: "#FFF", "0" without a unit.
    cssutils.ser.prefs.minimizeColorHash = False
    cssutils.ser.prefs.omitLastSemicolon = True
    return cssutils.CSSParser(fetcher=_refuse_to_fetch, validate=False)


def inlined(html: str) -> lxml.etree._ElementTree:
    """Styles into style attributes; the style tags stay for media queries."""
    # not lxml.html: its own class for every element is looked up in Python, and nothing here needs it
    tree = lxml.etree.fromstring(html, lxml.etree.HTMLParser()).getroottree()
    for style in tree.iter("style"):
        if (style.text or "").lstrip().startswith(_CONDITIONAL):
            style.set("data-premailer", "ignore")  # premailer takes the mark off again
    _Inliner(tree.getroot()).transform()
    return tree


def _rewrite_links(document: lxml.etree._ElementTree, links: _Links) -> None:
    """Every http(s) link goes through us. Also notes in which brief and action a link stands."""
    for anchor in document.iter("a"):
        url = anchor.get("href")
        if not url:
            continue
        brief = action = None
        for element in (anchor, *anchor.iterancestors()):
            action = action or element.get("data-action")
            brief = brief or element.get("data-brief")
        if action and not brief:
            brief = action.partition("/")[0]
        anchor.set("href", links.tracked_url(url, "html", brief, action))


def serialised(document: lxml.etree._ElementTree) -> str:
    """HTML with the doctype that premailer drops; without it mails shift in quirks mode."""
    body = lxml.etree.tostring(
        document.getroot(), method="html", encoding="unicode", pretty_print=False
    )
    return f"<!doctype html>\n{body}"


def clean_text(text: str) -> str:
    """No blanks at line ends, at most one blank line in a row, one line break at the end."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return _BLANK_LINES.sub("\n\n", lines).strip("\n") + "\n"
