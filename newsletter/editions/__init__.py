"""Editions: what a segment's readers get, rendered once per signature, with slots left open.

Knows neither recipients nor transports.
"""

from newsletter.editions.bounds import Bounds
from newsletter.editions.compose import (
    Composer,
    Signature,
    labels_view,
    publication_view,
    what_multiplies,
)
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
from newsletter.editions.view import EditionView
from newsletter.editions.words import plain

__all__ = [
    "MOST_CHARACTERS",
    "SERVICE_KINDS",
    "Bounds",
    "Composer",
    "Edition",
    "EditionAction",
    "EditionView",
    "Envelope",
    "Link",
    "Renderer",
    "ServiceKind",
    "Signature",
    "Skeleton",
    "TemplateProblem",
    "Templates",
    "encode",
    "fill",
    "labels_view",
    "mail_problems",
    "mailbox",
    "marker",
    "normalise",
    "one_click_allowed",
    "plain",
    "publication_view",
    "render_all",
    "service_edition",
    "signature_dict",
    "skeleton",
    "what_multiplies",
]
