"""Every word of templates and pages is in every catalog that is shipped, and keeps its placeholders."""

from __future__ import annotations

import re

import pytest
from babel.messages.pofile import read_po

from docs import messages
from newsletter.languages import language


def test_catalogs_are_what_the_templates_are_and_nothing_is_untranslated() -> None:
    assert {path: path.read_text("utf-8") for path in messages.catalogs()} == messages.catalogs()
    assert messages.missing() == []


@pytest.mark.parametrize("code", ["de", "fr"])
def test_translations_keep_their_placeholders_and_tags(code: str) -> None:
    with (messages.LOCALE / f"{code}.po").open("rb") as file:
        catalog = read_po(file, locale=code)
    places = re.compile(r"%\(\w+\)s|</?\w+>|\*\*")
    for message in catalog:
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        said = message.string if isinstance(message.string, tuple) else (message.string,)
        for text in said:
            assert sorted(places.findall(text)) == sorted(places.findall(ids[-1])), ids


def test_languages_say_dates_their_way() -> None:
    from datetime import date

    day = date(2026, 11, 27)
    assert [language(code).day(day) for code in ("en", "de", "fr", "xx", "de-AT")] == [
        "Fri 27 Nov", "Fr., 27. Nov.", "ven. 27 nov.", "Fri 27 Nov", "Fr., 27. Nov.",
    ]  # fmt: skip
    assert [language(code).long_date(day) for code in ("en", "de", "fr")] == [
        "27 November 2026", "27. November 2026", "27 novembre 2026",
    ]  # fmt: skip
    assert [language(code).direction for code in ("en", "ar", "he")] == ["ltr", "rtl", "rtl"]
