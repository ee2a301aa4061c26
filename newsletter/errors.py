"""What can go wrong because of a user, an input or the world outside, in one place.

Every message names the place and the remedy; the command line prints it and exits with 1. Anything
else that is raised is a mistake of ours and keeps its traceback.
"""

from __future__ import annotations


class NewsletterError(Exception):
    """A refusal that a person can act on. `str(error)` is complete and ready to print."""

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None) -> None:
        self.message = message
        self.file = file
        self.line = line
        place = "" if file is None else file if line is None else f"{file}:{line}"
        super().__init__(f"{place}: {message}" if place else message)


class ConfigError(NewsletterError):
    """newsletter.toml, an environment variable or segments.toml is missing a key or holds a wrong one."""


class InputError(NewsletterError):
    """A file that was handed in can't be read: not UTF-8, binary, empty, without a needed column."""


class RuleError(NewsletterError):
    """A segment rule can't be parsed, or reaches for something that rules may not touch."""


class TemplateError(NewsletterError):
    """A template does not compile or render; file and line are the template's."""


class NotFoundError(NewsletterError):
    """No such issue, segment, subscriber or mailing."""


class RefusedError(NewsletterError):
    """The request is understood and would do harm: doubled issue, unapproved plan, changed files."""


class TransportError(NewsletterError):
    """The way out can't be used at all: outbox not writable, server unknown, credentials wrong."""
