"""Briefs: the model, the parser for both formats, documents, and the canonical writer.

Knows segment names only as labels that map to keys; knows no members and no HTML.
"""

from newsletter.briefs.dates import (
    NamedDate,
    due_date,
    impossible_dates,
    is_deadline,
    named_dates,
)
from newsletter.briefs.files import TakenBrief, read_brief, read_text, take_brief
from newsletter.briefs.inline import (
    LONGEST,
    Image,
    image_in,
    inline_markdown,
    inline_tokens,
    quote_in,
    sources_in,
)
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
    "LONGEST",
    "Action",
    "Audiences",
    "Brief",
    "Image",
    "NamedDate",
    "ParsedBrief",
    "Section",
    "Source",
    "TakenBrief",
    "Vocabulary",
    "action_id",
    "due_date",
    "format_brief",
    "image_in",
    "impossible_dates",
    "inline_markdown",
    "inline_tokens",
    "is_deadline",
    "named_dates",
    "parse_brief",
    "quote_in",
    "read_brief",
    "read_text",
    "sources_in",
    "take_brief",
]
