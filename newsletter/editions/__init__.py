"""Editions: what a segment's readers get, rendered once per signature, with slots left open.

Knows neither recipients nor transports.
"""

from newsletter.editions.bounds import Bounds
from newsletter.editions.compose import (
    Composer,
    Signature,
    labels_view,
    pictures_of,
    publication_view,
    what_multiplies,
)
from newsletter.editions.images import Pictures, media_file
from newsletter.editions.mime import Envelope, mailbox, one_click_allowed, skeleton
from newsletter.editions.parallel import render_all
from newsletter.editions.proofread import TemplateProblem, mail_problems
from newsletter.editions.render import Edition, EditionAction, Link, Renderer, signature_dict
from newsletter.editions.service import SERVICE_KINDS, ServiceKind, service_edition
from newsletter.editions.slots import (
    MOST_CHARACTERS,
    Skeleton,
    encode,
    fill,
    marker,
    normalise,
)
from newsletter.editions.templates import Templates
from newsletter.editions.theme import Contrast, contrasts
from newsletter.editions.view import EditionView
from newsletter.editions.words import plain

__all__ = [
    "MOST_CHARACTERS",
    "SERVICE_KINDS",
    "Bounds",
    "Composer",
    "Contrast",
    "Edition",
    "EditionAction",
    "EditionView",
    "Envelope",
    "Link",
    "Pictures",
    "Renderer",
    "ServiceKind",
    "Signature",
    "Skeleton",
    "TemplateProblem",
    "Templates",
    "contrasts",
    "encode",
    "fill",
    "labels_view",
    "mail_problems",
    "mailbox",
    "marker",
    "media_file",
    "normalise",
    "one_click_allowed",
    "pictures_of",
    "plain",
    "publication_view",
    "render_all",
    "service_edition",
    "signature_dict",
    "skeleton",
    "what_multiplies",
]
