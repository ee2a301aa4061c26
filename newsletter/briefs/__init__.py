"""Briefs: the model, the parser for both formats, the canonical writer and the brief lint.

Knows segment names only as labels that map to keys; knows no members and no HTML.
"""

from newsletter.briefs.dates import NamedDate, due_date, named_dates
from newsletter.briefs.files import read_brief, read_text
from newsletter.briefs.inline import (
    Image,
    image_in,
    inline_markdown,
    inline_tokens,
    quote_in,
    sources_in,
)
from newsletter.briefs.lint import lint_brief
from newsletter.briefs.model import (
    EVERYBODY,
    Action,
    Brief,
    ParsedBrief,
    Section,
    Source,
    action_id,
)
from newsletter.briefs.parse import parse_brief
from newsletter.briefs.vocabulary import Audiences, Vocabulary
from newsletter.briefs.write import format_brief

__all__ = [
    "EVERYBODY",
    "Action",
    "Audiences",
    "Brief",
    "Image",
    "NamedDate",
    "ParsedBrief",
    "Section",
    "Source",
    "Vocabulary",
    "action_id",
    "due_date",
    "format_brief",
    "image_in",
    "inline_markdown",
    "inline_tokens",
    "lint_brief",
    "named_dates",
    "parse_brief",
    "quote_in",
    "read_brief",
    "read_text",
    "sources_in",
]
