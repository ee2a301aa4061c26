"""The checks: a linter for newsletters. Each rule is a small class with a code; see docs/checks.md.

Looks at briefs, issues, rendered editions and the way out; knows no recipients and sends nothing.
"""

from newsletter.checks.engine import PLUGINS, Linter, all_rules, rule, waived
from newsletter.checks.output import github, sarif
from newsletter.checks.rule import (
    BriefRule,
    EditionRule,
    IssueRule,
    ReadRule,
    Rule,
    SendingRule,
)
from newsletter.checks.subjects import (
    BriefSubject,
    EditionSubject,
    IssueSubject,
    Passage,
    SendingSubject,
)

__all__ = [
    "PLUGINS",
    "BriefRule",
    "BriefSubject",
    "EditionRule",
    "EditionSubject",
    "IssueRule",
    "IssueSubject",
    "Linter",
    "Passage",
    "ReadRule",
    "Rule",
    "SendingRule",
    "SendingSubject",
    "all_rules",
    "github",
    "rule",
    "sarif",
    "waived",
]
