"""Reports: what an issue brought, from the database's rows. Knows not how events came in."""

from newsletter.reports.figures import issue_report, keep_report

__all__ = ["issue_report", "keep_report"]
