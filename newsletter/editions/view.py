"""What a template sees: one edition, resolved, as plain values.

Templates get nothing else, so this file is their contract (`docs/templates.md` explains it to
designers). Strings marked *inline* are inline Markdown source: the filter `inline` makes safe HTML
of them, `para` makes wrapped plain text with the links under their lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class ActionView:
    """One "Do this week" action as this edition's readers get it."""

    n: int  #: number in the edition's action table, from 1; stands in the action's address
    id: str
    segments: tuple[str, ...]  #: keys; empty for everybody
    label: str  #: whom it is for: "AI teams", "Execs and Security"; "" when for everybody
    text: str  #: inline; begins in lower or upper case as the editor wrote it
    due: date | None
    brief_slug: str
    brief_headline: str
    brief_url: str  #: its brief's `url`
    done_url: str | None  #: page to say "done" on; None at tracking level "none"
    not_for_me_url: str | None


@dataclass(frozen=True, slots=True)
class PictureView:
    """A picture of the workspace as mails and pages load it."""

    url: str
    width: int  #: pixels it is shown at; the file has up to twice as many
    height: int
    alt: str  #: what it shows, for whom it can't be shown; "" where that was left out
    transparent: bool  #: it needs something light behind it in dark mode


@dataclass(frozen=True, slots=True)
class PartView:
    """A paragraph, and what it is."""

    kind: str  #: "text", "item", "quote" or "image"
    text: str  #: inline, without the mark; an image's caption, which may be ""
    picture: PictureView | None  #: of an image


@dataclass(frozen=True, slots=True)
class SectionView:
    """A part of a brief's body; the lead has no heading and comes first."""

    heading: str | None  #: inline
    role: str  #: "body", "fact" or "note"
    parts: tuple[PartView, ...]
    paragraphs: tuple[str, ...]  #: the same as they stand in the brief, marks and all


@dataclass(frozen=True, slots=True)
class BlockView:
    """What an issue says beside its briefs: one `[[block]]` of its manifest."""

    n: int  #: number in the manifest, from 0; stands in `data-block`
    kind: str  #: "sponsor", "note", "quote", "fact" or "image"
    after: str  #: "digest", "end", or the slug of the brief below which it stands
    title: str  #: inline, may be ""
    text: str  #: inline, may be ""; an image's caption
    by: str  #: who says or pays it, may be ""
    url: str | None
    button: str  #: words of the link to `url`, may be ""
    picture: PictureView | None


@dataclass(frozen=True, slots=True)
class SourceView:
    name: str
    url: str | None


@dataclass(frozen=True, slots=True)
class BriefView:
    n: int  #: position in the edition, from 1
    slug: str
    kicker: str  #: the brief's first tag, "" without tags
    headline: str  #: inline
    take: tuple[PartView, ...]  #: may be empty
    why: tuple[PartView, ...]  #: may be empty
    lead: str  #: inline; first paragraph of text in the body, "" without one
    image: PartView | None  #: the first image above the first heading, which goes with the lead
    body: tuple[SectionView, ...]
    sources: tuple[SourceView, ...]
    actions: tuple[ActionView, ...]  #: this reader's own, none to a few
    minutes: int  #: reading time of the whole brief, at least 1
    whole: bool  #: whether the mail carries the whole brief; else take, why and lead
    url: str  #: the whole brief on the public page; the mail itself when that page lacks it


@dataclass(frozen=True, slots=True)
class PublicationView:
    name: str
    tagline: str
    url: str  #: base URL, no slash at the end
    postal_address: str  #: one line; parts separated by ", "


@dataclass(frozen=True, slots=True)
class Labels:
    """The mail's own words for the roles, from `[labels]` in newsletter.toml."""

    take: str
    why: str
    action: str


@dataclass(frozen=True, slots=True)
class EditionView:
    """Everything that `issue.mjml.j2`, `issue.txt.j2` and the public page print."""

    publication: PublicationView
    labels: Labels
    language: str  #: BCP 47, e.g. "en"
    direction: str  #: "ltr" or "rtl"
    issue_id: str
    title: str  #: e.g. "Week 48"
    date: date  #: day of sending, in the publication's zone
    subject: str
    preheader: str
    intro: str  #: inline, may be ""
    lens: str  #: whose edition this is: "AI teams", "AI teams and Security", "" for everybody
    minutes: int  #: reading time of what the mail shows, at least 1
    full_text: bool  #: whether the mail carries whole briefs instead of take, why and lead
    digest: tuple[ActionView, ...]  #: the actions at the top, at most as many as the issue allows
    more_actions: int  #: actions of this edition that stand only under their briefs
    briefs: tuple[BriefView, ...]
    blocks: tuple[BlockView, ...]  #: this reader's, in the manifest's order
    # Addresses that belong to one recipient hold slots; they are None on the public page.
    view_url: str | None
    unsubscribe_url: str | None
    preferences_url: str | None
    open_url: str | None  #: address of the 1×1 picture; None unless tracking level is "person"
    reason: str | None  #: slot: "you signed up on 3 May 2026"
    archive_url: str  #: the issue's public page


@dataclass(frozen=True, slots=True)
class ServiceView:
    """What `service.mjml.j2` and `service.txt.j2` print."""

    kind: str  #: "opt-in", "known", "address" or "welcome"
    publication: PublicationView
    button_url: str  #: where the one button leads; holds a slot
    days: int  #: after which an unconfirmed address is forgotten
    preferences_url: str | None  #: slot; None while somebody is only asked to confirm
    unsubscribe_url: str | None  #: as `preferences_url`


#: Everything here: plain frozen values, whose public fields templates may read.
VIEWS = frozenset(
    (
        ActionView,
        BlockView,
        BriefView,
        EditionView,
        Labels,
        PartView,
        PictureView,
        PublicationView,
        SectionView,
        ServiceView,
        SourceView,
    )
)
