"""Issues: manifest, assembling, the coverage matrix, and which reader gets which action.

Knows no transports and no HTML.
"""

from newsletter.issues.assemble import Candidate, Choice, assemble
from newsletter.issues.coverage import NOBODY, Cell, Coverage, Row, coverage
from newsletter.issues.inbox import form, inbox, put_into_inbox
from newsletter.issues.issue import FOLDER, INBOX, Issue, brief_files, issue_ids, load_issue
from newsletter.issues.manifest import PLACES, Block, Manifest, Override, Waiver, require_id
from newsletter.issues.resolve import Rejection, Resolved, resolve

__all__ = [
    "FOLDER",
    "INBOX",
    "NOBODY",
    "PLACES",
    "Block",
    "Candidate",
    "Cell",
    "Choice",
    "Coverage",
    "Issue",
    "Manifest",
    "Override",
    "Rejection",
    "Resolved",
    "Row",
    "Waiver",
    "assemble",
    "brief_files",
    "coverage",
    "form",
    "inbox",
    "issue_ids",
    "load_issue",
    "put_into_inbox",
    "require_id",
    "resolve",
]
