"""MJML problems at the place where they are mended: the line of a template, not of what it printed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import mjml

from newsletter.editions.mjml import problems
from newsletter.editions.templates import FOLDER, Templates
from newsletter.errors import TemplateError
from newsletter.text import tidy

_POSITION = re.compile(r"(?: in root template)?(?: at position (\d+):(\d+))?$")


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """Something wrong in a template. What can't be rendered or compiled at all is `broken`."""

    file: str  #: "templates/blocks/brief.mjml.j2"
    line: int | None
    message: str
    kind: str  #: a kind of `MjmlProblem`, or "template" for what Jinja2 says
    broken: bool


class _CompileError(Exception):
    def __init__(self, message: str, offset: int | None) -> None:
        super().__init__(message)
        self.offset = offset


def compiled(source: str) -> str:
    """MJML to HTML. Raises TemplateError without a line."""
    try:
        return _compile(source)
    except _CompileError as error:
        raise _refused(str(error)) from error


def mail_html(templates: Templates, name: str, /, **values: Any) -> str:
    """A mail's HTML from its template, not yet inlined. `values` as for `Templates.render`.

    Raises TemplateError with the file and line of the template that printed what is wrong.
    """
    source = templates.render(name, **values)
    try:
        return _compile(source)
    except _CompileError as error:
        for problem in mail_problems(templates, name, **values):
            if problem.broken:
                raise _refused(problem.message, problem.file, problem.line) from error
        raise _refused(str(error), f"{FOLDER}/{name}") from error


def mail_problems(templates: Templates, name: str, /, **values: Any) -> list[TemplateProblem]:
    """What is wrong with the MJML that a template makes, each thing once, in order of the mail.

    Raises TemplateError when it can't be rendered.
    """
    source, places = templates.traced(name, **values)
    told = [(one.offset, one.message, one.kind) for one in problems(source)]
    if not any(kind == "syntax" for _, _, kind in told):
        try:
            _compile(source)
        except _CompileError as error:
            told.append((error.offset or 0, str(error), "syntax"))
    found: dict[TemplateProblem, None] = {}
    for offset, message, kind in told:
        file, line = places.at(offset) or (name, None)
        found[TemplateProblem(f"{FOLDER}/{file}", line, message, kind, kind == "syntax")] = None
    return list(found)


def _compile(source: str) -> str:
    try:
        html: str = mjml.mjml2html(source, fonts={}, disable_comments=False)
    except ValueError as error:
        message = tidy(str(error))
        place = _POSITION.search(message)
        raw = source.encode()
        if place is None or place[1] is None:
            raise _CompileError(_POSITION.sub("", message), None) from error
        begins = int(place[1])
        near = tidy(raw[begins:][:60].decode("utf-8", "ignore"))
        offset = len(raw[:begins].decode("utf-8", "ignore"))
        raise _CompileError(f'{_POSITION.sub("", message)}, near "{near}"', offset) from error
    return html


def _refused(message: str, file: str | None = None, line: int | None = None) -> TemplateError:
    return TemplateError(
        f"the MJML that it makes can't be compiled: {message}", file=file or FOLDER, line=line
    )
