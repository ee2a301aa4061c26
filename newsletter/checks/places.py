"""Where something stands in a mail, in words that help to find it."""

from __future__ import annotations

from typing import cast

import lxml.etree

_TELLING = ("id", "class", "name", "type", "src", "href")
_SILENT = frozenset({"style", "script", "html", "head", "body"})


def line_of(element: lxml.etree._Element) -> int:
    """The line of the HTML where an element begins, from 1; 1 where nobody knows."""
    return cast("int | None", element.sourceline) or 1


def opening(element: lxml.etree._Element) -> str:
    """The element's tag with the attributes that tell it apart, and the beginning of its text."""
    said = "".join(
        f' {name}="{str(element.get(name))[:40]}"' for name in _TELLING if element.get(name)
    )
    return f"<{element.tag}{said}>{text_of(element)[:40]}"


def text_of(element: lxml.etree._Element) -> str:
    """All text in an element, one blank between words; nothing of the mail's frame or its styles."""
    if element.tag in _SILENT:
        return ""
    return " ".join("".join(map(str, element.itertext(lxml.etree.Element))).split())
