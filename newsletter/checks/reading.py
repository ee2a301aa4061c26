"""What reading a brief finds by itself: the parser tells it, these classes explain it."""

from __future__ import annotations

from typing import ClassVar

from newsletter.checks.rule import ReadRule
from newsletter.findings import Severity


class NoHeadline(ReadRule):
    """A brief is found, listed and linked by its headline; without one nothing in a mail can name it."""

    code = "BR101"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "no headline"
    remedy = 'Add a short line without a full stop above the text, a `#` heading, or "Headline: …".'
    example = "Our Take: A fair price.\nWhy it matters: Budgets close in December.\n"


class LabelTwice(ReadRule):
    """The same label stands twice. Both texts are kept, one after the other, which is rarely meant."""

    code = "BR105"
    title = "a label stands twice"
    remedy = "Join the two texts under one label."
    example = (
        "Our Take: A fair price.\nOur Take: A poor habit.\nTollgate cuts its prices\nIt does.\n"
    )


class EmptyLabel(ReadRule):
    """The label of take or reason is there and nothing follows it."""

    code = "BR106"
    title = "a label without text"
    remedy = "Write the text, or take the label away."
    example = "Our Take\nWhy it matters: Budgets close.\nTollgate cuts its prices\nIt does.\n"


class NearlyALabel(ReadRule):
    """A heading that differs from a label by a letter or two is more often a slip of the pen than a
    headline; read as a heading, its text lands in the body."""

    code = "BR109"
    title = "a heading that is nearly a label"
    remedy = 'Correct the label; if it is the headline, write "Headline: …".'
    example = "Tollgate cuts its prices\nIt does.\nWhy it matter\nBudgets close in December.\n"


class UnknownAudience(ReadRule):
    """Words before a colon, in front matter or in a section's limit name no segment. The action is
    neither dropped in silence nor sent to everybody: the brief can't be used until it is clear."""

    code = "BR201"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "unknown audience"
    remedy = (
        "Correct the name; or add an alias to the segment; or the word to `[briefs] not_audiences`."
    )
    example = "Do this week\nProcurment: ask for the exit clause.\nTollgate cuts prices\nIt does.\n"


class TwoActions(ReadRule):
    """One action per audience and brief: a reader who gets two would have to choose."""

    code = "BR202"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "two actions for one audience"
    remedy = "Join them into one step, or choose."
    example = (
        "Do this week\n- Execs: sign it.\n- Execs: file it.\n\nTollgate cuts prices\nIt does.\n"
    )


class EmptyAction(ReadRule):
    """An audience is named and nothing says what it should do."""

    code = "BR203"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "an action without text"
    remedy = "Write what to do, or take the audience away."
    example = "Tollgate cuts prices\nIt does.\nDo this week\nExecs:\n"


class NobodyNamed(ReadRule):
    """A further line of the action block names no audience, so everybody without an action of their own
    gets it. That is sometimes meant, and then it should say so."""

    code = "BR205"
    title = "a further line without an audience"
    remedy = (
        'Name its audience, begin it with "Everyone:", or indent it below the action that it '
        "belongs to."
    )
    example = "Do this week\nExecs: sign it.\nFile the copy.\nTollgate cuts prices\nIt does.\n"


class BrokenFrontMatter(ReadRule):
    """The front matter is no valid YAML, or is never closed. Nothing of it is used."""

    code = "BR401"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "front matter that can't be read"
    remedy = "Mend the line named; close the front matter with a line `---`."
    example = "---\ntags: [pricing\n---\n\n# Tollgate cuts prices\n\nIt does.\n"


class UnknownKey(ReadRule):
    """A key of the front matter that nothing reads, most often misspelt."""

    code = "BR402"
    title = "unknown key in the front matter"
    remedy = "Correct it, or take it out."
    example = "---\nsluk: tollgate\n---\n\n# Tollgate cuts prices\n\nIt does.\n"


class WrongValue(ReadRule):
    """A value of the front matter is of the wrong kind, a key stands twice, or a pin names an action
    that is not there."""

    code = "BR403"
    severity: ClassVar[Severity] = "error"
    waivable = False
    title = "wrong value in the front matter"
    remedy = "Correct it as the message says."
    example = "---\ndate: 31/11/2026\n---\n\n# Tollgate cuts prices\n\nIt does.\n"
