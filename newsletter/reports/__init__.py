"""Reports: what an issue brought, from the database's rows. Knows not how events came in."""

from newsletter.reports.figures import is_kept, issue_report, keep_report

__all__ = ["is_kept", "issue_report", "keep_report"]
