"""From an issue and a reader's segments to a signature, and from that to what templates see.

A signature is everything that changes rendered bytes. Readers in different segments share an edition
when they get the same words, so editions stay few however the audience is cut.
"""

from __future__ import annotations

import hashlib
import json
import math
from base64 import b32encode
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any, Literal

from newsletter.briefs import Action, image_in, quote_in
from newsletter.config import Settings
from newsletter.editions.slots import Context, marker
from newsletter.editions.templates import Templates
from newsletter.editions.view import (
    ActionView,
    BlockView,
    BriefView,
    EditionView,
    Labels,
    PartView,
    PublicationView,
    SectionView,
    SourceView,
)
from newsletter.errors import InputError
from newsletter.issues import PLACES, Issue, Resolved
from newsletter.languages import Language, language
from newsletter.text import listed

WORDS_A_MINUTE = 230


@dataclass(frozen=True)
class Signature:
    """What one edition says, before it is rendered. Equal signatures give equal bytes."""

    issue: str
    language: str
    tracking: Literal["person", "none"]
    title: str
    day: str  #: ISO date of sending
    subject: str
    preheader: str
    intro: str
    lens: str  #: names of the segments through which the actions came
    full_text: bool
    digest: int
    #: (brief, which of its actions, which of its sections), in order
    blocks: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    content: str  #: hash of the briefs' texts and of the publication's own words
    templates: str  #: hash of the templates
    arm: str = ""  #: of a split test
    #: (action id, sentence) that this arm says instead
    sentences: tuple[tuple[str, str], ...] = ()
    look: str = ""  #: the issue's own; "" for the publication's
    extra: tuple[int, ...] = ()  #: which of the manifest's blocks, by number

    @cached_property
    def nonce(self) -> str:
        """Ten characters that mark this edition's slots; nobody can write them into a brief
        beforehand, since they depend on the brief."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return b32encode(hashlib.sha256(text.encode()).digest())[:10].decode().lower()


class Composer:
    """Composes the editions of one issue. Pure but for reading the issue it was given."""

    def __init__(
        self,
        issue: Issue,
        settings: Settings,
        names: Mapping[str, str],
        templates: Templates,
    ) -> None:
        """`names` maps segment keys to names."""
        self.issue = issue
        self.settings = settings
        self.names = names
        self.templates = templates
        self.day = issue.day or date.today()  # noqa: DTZ011  (a special issue without a date)
        self._source = "\n".join(map(repr, (*issue.briefs, *issue.manifest.block)))
        self._content = self._hash_content()
        self._known: dict[tuple[str, str], PartView] = {}

    def _hash_content(self) -> str:
        publication, labels = self.settings.publication, self.settings.labels
        parts: list[Any] = [
            publication.model_dump(),
            labels.model_dump(),
            self.settings.sender.model_dump(),
            self._source,
            sorted(self.names.items()),
            [self.templates.pictures.digest(path) for path in pictures_of(self.issue)],
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    # -- signatures --------------------------------------------------------------------------

    def signature(
        self,
        reader: Sequence[str],
        *,
        tracking: Literal["person", "none"] | None = None,
        arm: str = "",
        language: str = "",
        muted: Collection[str] = (),
    ) -> Signature:
        """The signature for readers in these segments (keys in order of priority) who did not choose the
        topics `muted`, in an arm of the issue's split test."""
        resolved = self.resolved(tuple(reader), muted)
        manifest = self.issue.manifest
        says = next((one for one in manifest.split.arm if one.name == arm), None)
        shown = {action.id for one in resolved for action in one.actions}
        briefs = {one.brief.slug for one in resolved if one.shown}
        return Signature(
            issue=self.issue.id,
            language=language or self.settings.publication.language,
            tracking=tracking or self.settings.tracking.level,
            title=self.issue.title,
            day=self.day.isoformat(),
            subject=(says and says.subject) or self._own(reader, "subject"),
            preheader=self._own(reader, "preheader"),
            intro=self._own(reader, "intro"),
            lens=self._lens(resolved, reader),
            full_text=(manifest.text or self.settings.issues.text) == "full",
            digest=manifest.policy.digest,
            blocks=tuple(
                (
                    one.brief.slug,
                    _places(one.actions, one.brief.actions),
                    _places(one.sections, one.brief.body),
                )
                for one in resolved
                if one.shown
            ),
            content=self._content,
            templates=self.templates.fingerprint,
            arm=arm,
            sentences=tuple(
                (action, text)
                for action, text in sorted((says.actions if says else {}).items())
                if action in shown
            ),
            look=manifest.look,
            extra=tuple(
                n
                for n, block in enumerate(manifest.block)
                if (not block.segments or set(block.segments) & set(reader))
                and (block.after in PLACES or block.after in briefs)
            ),
        )

    def resolved(
        self, reader: tuple[str, ...], muted: Collection[str] = ()
    ) -> tuple[Resolved, ...]:
        topics = self.settings.audience.topics
        return self.issue.resolve(reader, self.names, muted=muted, topics=topics)

    def _own(self, reader: Sequence[str], key: str) -> str:
        """What the reader's highest-priority segment that overrides this says, else the issue."""
        for segment in reader:
            override = self.issue.manifest.segments.get(segment)
            value: str | None = getattr(override, key) if override else None
            if value is not None:
                return value
        default: str = getattr(self.issue.manifest, key)
        return default

    def _lens(self, resolved: Sequence[Resolved], reader: Sequence[str]) -> str:
        used = {key for one in resolved for key in one.lens}
        return listed(self.names.get(key, key) for key in reader if key in used)

    # -- views -------------------------------------------------------------------------------

    def view(
        self,
        signature: Signature,
        reader: Sequence[str],
        context: Context | None,
        track: Callable[[str], str] = str,
    ) -> EditionView:
        """What the templates see. `context` None is the public page: nobody's own, no slots."""
        speaks = language(signature.language, self.templates.own_words)
        addresses = _Addresses(self.settings.publication.base_url, signature, context)
        full = signature.full_text or context is None
        sentences = dict(signature.sentences)
        briefs: list[BriefView] = []
        actions: list[ActionView] = []
        shown = {slug for slug, _, _ in signature.blocks}
        for one in self.resolved(tuple(reader)):
            if one.brief.slug not in shown:
                continue
            own = []
            for action in one.actions:
                said = replace(action, text=sentences.get(action.id, action.text))
                view = self._action(said, one, len(actions) + 1, addresses, track)
                actions.append(view)
                own.append(view)
            briefs.append(
                self._brief(
                    one,
                    len(briefs) + 1,
                    tuple(own),
                    addresses,
                    track,
                    full=full,
                    look=signature.look,
                )
            )
        digest = tuple(actions[: signature.digest or None])
        archive = self._archive()
        return EditionView(
            publication=publication_view(self.settings),
            labels=labels_view(self.settings, speaks),
            language=signature.language,
            direction=speaks.direction,
            issue_id=signature.issue,
            title=signature.title,
            date=date.fromisoformat(signature.day),
            subject=signature.subject,
            preheader=signature.preheader,
            intro=signature.intro,
            lens=signature.lens,
            minutes=_minutes(sum(_words(brief) for brief in briefs)),
            full_text=full,
            digest=digest,
            more_actions=len(actions) - len(digest),
            briefs=tuple(briefs),
            blocks=tuple(self._block(n, signature.look, track) for n in signature.extra),
            view_url=addresses.own("v", "view"),
            unsubscribe_url=addresses.own("u", "manage"),
            preferences_url=addresses.own("p", "manage"),
            open_url=addresses.own("o", "open", ".gif") if signature.tracking == "person" else None,
            reason=addresses.slot("reason"),
            archive_url=track(archive),
        )

    def _archive(self) -> str:
        return f"{self.settings.publication.base_url}/issues/{self.issue.id}"

    def _brief(
        self,
        one: Resolved,
        n: int,
        actions: tuple[ActionView, ...],
        addresses: _Addresses,
        track: Callable[[str], str],
        *,
        full: bool,
        look: str,
    ) -> BriefView:
        brief = one.brief
        body = tuple(
            SectionView(s.heading, s.role, self._parts(s.paragraphs, look), s.paragraphs)
            for s in one.sections
        )
        leads = [part for section in body if not section.heading for part in section.parts]
        return BriefView(
            n=n,
            slug=brief.slug,
            kicker=brief.tags[0] if brief.tags else "",
            headline=brief.headline,
            take=self._parts(brief.take.split("\n\n"), look),
            why=self._parts(brief.why.split("\n\n"), look),
            lead=next((part.text for part in leads if part.kind in ("text", "item")), ""),
            image=next((part for part in leads if part.kind == "image"), None),
            body=body,
            sources=tuple(
                SourceView(source.name, track(source.url) if source.url else None)
                for source in brief.sources
            ),
            actions=actions,
            minutes=_minutes(brief.words),
            whole=full or _limited(one),
            url=self._url(one, addresses, track),
        )

    def _parts(self, paragraphs: Iterable[str], look: str) -> tuple[PartView, ...]:
        """Every edition has the same paragraphs: each is looked at once, and so is its picture's file."""
        parts = []
        for text in filter(None, paragraphs):
            part = self._known.get((text, look))
            if part is None:
                part = self._known[text, look] = self._part(text, look)
            parts.append(part)
        return tuple(parts)

    def _part(self, text: str, look: str) -> PartView:
        if image := image_in(text):
            picture = self.templates.picture(image.path, image.alt, look)
            return PartView("image", image.caption, picture)
        if quoted := quote_in(text):
            return PartView("quote", quoted, None)
        if text.startswith("- "):
            return PartView("item", text[2:], None)
        return PartView("text", text, None)

    def _block(self, n: int, look: str, track: Callable[[str], str]) -> BlockView:
        block = self.issue.manifest.block[n]
        return BlockView(
            n=n,
            kind=block.kind,
            after=block.after,
            title=block.title,
            text=block.text,
            by=block.by,
            url=track(block.url) if block.url else None,
            button=block.button,
            picture=self.templates.picture(block.image, block.alt, look) if block.image else None,
        )

    def _url(self, one: Resolved, addresses: _Addresses, track: Callable[[str], str]) -> str:
        """Where the whole brief can be read: what is limited to some is not on the public page."""
        own = addresses.own("v", "view") if _limited(one) else None
        return own or track(f"{self._archive()}#{one.brief.slug}")

    def _action(
        self,
        action: Action,
        one: Resolved,
        n: int,
        addresses: _Addresses,
        track: Callable[[str], str],
    ) -> ActionView:
        page = addresses.own(f"a/{n}", "act") if addresses.tracked else None
        return ActionView(
            n=n,
            id=action.id,
            segments=action.segments,
            label=listed(self.names.get(key, key) for key in action.segments),
            text=action.text,
            due=action.due,
            brief_slug=one.brief.slug,
            brief_headline=one.brief.headline,
            brief_url=self._url(one, addresses, track),
            done_url=page,
            not_for_me_url=f"{page}?verb=not_for_me" if page else None,
        )

    def refuse_nonce(self, nonce: str) -> None:
        """No source text may hold a slot's marker. Raises InputError."""
        if f"@@{nonce}" in self._source:
            raise InputError(f"a brief of {self.issue.id} holds the marker @@{nonce}; remove it")


def what_multiplies(signatures: Sequence[Signature]) -> str:
    """The dimension in which these signatures differ most: `the brief "x" (12 variants)`."""
    variants: dict[str, int] = {
        name: len({getattr(one, name) for one in signatures})
        for name in ("subject", "preheader", "intro", "arm", "language")
    }
    variants["the blocks of issue.toml"] = len({one.extra for one in signatures})
    blocks: dict[str, set[object]] = {}
    for one in signatures:
        for slug, actions, sections in one.blocks:
            blocks.setdefault(f'the brief "{slug}"', set()).add((actions, sections))
    variants |= {name: len(found) for name, found in blocks.items()}
    worst = max(variants, key=lambda name: variants[name])
    return f"{worst} ({variants[worst]} variants)"


def pictures_of(issue: Issue) -> tuple[str, ...]:
    """The paths of all pictures that an issue names, each once."""
    texts = [
        text
        for brief in issue.briefs
        for text in (
            *brief.take.split("\n\n"),
            *brief.why.split("\n\n"),
            *(text for section in brief.body for text in section.paragraphs),
        )
    ]
    named = [image.path for text in texts if (image := image_in(text))]
    named += [block.image for block in issue.manifest.block if block.image]
    return tuple(dict.fromkeys(named))


def publication_view(settings: Settings) -> PublicationView:
    """What templates see of the publication."""
    publication = settings.publication
    return PublicationView(
        publication.name, publication.tagline, publication.base_url, publication.postal_address
    )


def labels_view(settings: Settings, speaks: Language) -> Labels:
    """The printed labels, as templates see them: ours are translated, a publication's own stay."""
    labels = settings.labels
    return Labels(*map(speaks.gettext, (labels.take, labels.why, labels.action)))


@dataclass(frozen=True, slots=True)
class _Addresses:
    """The addresses that belong to one recipient, with slots in them."""

    base: str
    signature: Signature
    context: Context | None

    @property
    def tracked(self) -> bool:
        return self.context is not None and self.signature.tracking == "person"

    def slot(self, name: str) -> str | None:
        return marker(self.signature.nonce, name, self.context) if self.context else None

    def own(self, path: str, name: str, suffix: str = "") -> str | None:
        slot = self.slot(name)
        return f"{self.base}/{path}/{slot}{suffix}" if slot else None


def _limited(one: Resolved) -> bool:
    """Whether the reader sees something here that not everybody may see."""
    return bool(one.brief.segments) or any(section.segments for section in one.sections)


def _places(chosen: Sequence[Hashable], among: Sequence[Hashable]) -> tuple[int, ...]:
    """Where each stands; `index` a time for each took seconds for a brief of 10,000 sections."""
    places = {one: n for n, one in reversed(list(enumerate(among)))}
    return tuple(places[one] for one in chosen)


def _words(brief: BriefView) -> int:
    """Words of a brief as far as the mail or page carries it."""
    texts = [brief.headline, *(action.text for action in brief.actions)]
    texts += [part.text for part in (*brief.take, *brief.why)]
    if brief.whole:
        texts += [part.text for section in brief.body for part in section.parts]
    else:
        texts.append(brief.lead)
    return sum(len(text.split()) for text in texts)


def _minutes(words: int) -> int:
    return max(1, math.ceil(words / WORDS_A_MINUTE))
