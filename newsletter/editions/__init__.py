"""Editions: what a segment's readers get, rendered once per signature, with slots left open.

Knows neither recipients nor transports.
"""

from newsletter.editions.compose import Composer, Signature
from newsletter.editions.mime import Envelope, mailbox, one_click_allowed
from newsletter.editions.render import Edition, EditionAction, Link, Renderer, signature_dict
from newsletter.editions.slots import Skeleton, encode, fill, normalise
from newsletter.editions.templates import Templates
from newsletter.editions.view import EditionView, Labels, PublicationView

__all__ = [
    "Composer",
    "Edition",
    "EditionAction",
    "EditionView",
    "Envelope",
    "Labels",
    "Link",
    "PublicationView",
    "Renderer",
    "Signature",
    "Skeleton",
    "Templates",
    "encode",
    "fill",
    "mailbox",
    "normalise",
    "one_click_allowed",
    "signature_dict",
]
