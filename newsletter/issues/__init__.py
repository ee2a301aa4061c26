"""Issues: manifest, assembling, checks, the coverage matrix, and which reader gets which action.

Knows no transports and no HTML.
"""

from newsletter.issues.assemble import Candidate, Choice, assemble, inbox, replace_file
from newsletter.issues.checks import check_issue
from newsletter.issues.coverage import NOBODY, Cell, Coverage, Row, coverage
from newsletter.issues.issue import FOLDER, INBOX, Issue, brief_files, issue_ids, load_issue
from newsletter.issues.manifest import Manifest, Override, Waiver, require_id
from newsletter.issues.resolve import Rejection, Resolved, resolve

__all__ = [
    "FOLDER",
    "INBOX",
    "NOBODY",
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
    "check_issue",
    "coverage",
    "inbox",
    "issue_ids",
    "load_issue",
    "replace_file",
    "require_id",
    "resolve",
]
