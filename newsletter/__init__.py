"""Briefs become a weekly issue; every audience gets its own "Do this week".

What the command line does is a call from here. Names are imported when they are used, so that
`import newsletter` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from newsletter.briefs import Audiences as Audiences
    from newsletter.briefs import Brief as Brief
    from newsletter.briefs import ParsedBrief as ParsedBrief
    from newsletter.briefs import Vocabulary as Vocabulary
    from newsletter.briefs import format_brief as format_brief
    from newsletter.briefs import parse_brief as parse_brief
    from newsletter.errors import NewsletterError as NewsletterError
    from newsletter.findings import Finding as Finding
    from newsletter.issues import Choice as Choice
    from newsletter.sample import init as init
    from newsletter.web import public_app as public_app
    from newsletter.workspace import Workspace as Workspace

_HOMES = {
    "Audiences": "briefs",
    "Brief": "briefs",
    "Choice": "issues",
    "Finding": "findings",
    "NewsletterError": "errors",
    "ParsedBrief": "briefs",
    "Vocabulary": "briefs",
    "Workspace": "workspace",
    "format_brief": "briefs",
    "init": "sample",
    "parse_brief": "briefs",
    "public_app": "web",
}

__all__ = [*sorted(_HOMES)]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"newsletter.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'newsletter' has no attribute {name!r}")
