"""Findings for machines: SARIF 2.1.0 for code scanning, and annotations for GitHub's workflows."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from newsletter.checks.engine import all_rules
from newsletter.checks.rule import Rule
from newsletter.findings import Finding

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: Iterable[Finding]) -> dict[str, Any]:
    """A SARIF log (OASIS, version 2.1.0) with one run. Waived findings are suppressed results."""
    found = list(findings)
    rules = [one for one in all_rules() if one.code in {finding.code for finding in found}]
    index = {one.code: n for n, one in enumerate(rules)}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "newsletter",
                        "semanticVersion": version("newsletter"),
                        "rules": [_described(one) for one in rules],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(one, index) for one in found],
            }
        ],
    }


def _described(one: type[Rule]) -> dict[str, Any]:
    return {
        "id": one.code,
        "name": one.__name__,
        "shortDescription": {"text": one.title},
        "fullDescription": {"text": " ".join(one.explanation().split())},
        "help": {"text": one.remedy},
        "defaultConfiguration": {"level": _LEVELS[one.severity]},
    }


def _result(one: Finding, index: dict[str, int]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": one.code,
        "level": _LEVELS[one.severity],
        "message": {"text": one.message},
    }
    if one.code in index:
        result["ruleIndex"] = index[one.code]
    if one.file is not None:
        place: dict[str, Any] = {"artifactLocation": {"uri": quote(one.file.replace("\\", "/"))}}
        if one.line is not None:
            place["region"] = {"startLine": one.line, "startColumn": one.column or 1}
        result["locations"] = [{"physicalLocation": place}]
    # all results of a run have them or none has (SARIF 2.1.0, §3.27.23)
    waived = one.waived is not None
    result["suppressions"] = [{"kind": "external", "justification": one.waived}] if waived else []
    return result


def github(findings: Iterable[Finding]) -> str:
    """Workflow commands, one a line; GitHub shows them beside the lines of a pull request."""
    return "".join(_command(one) for one in findings if one.waived is None)


def _command(one: Finding) -> str:
    fields = {"file": one.file, "line": one.line, "col": one.column, "title": one.code}
    said = ",".join(f"{name}={_field(str(value))}" for name, value in fields.items() if value)
    return f"::{_COMMANDS[one.severity]} {said}::{_data(one.message)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _field(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
