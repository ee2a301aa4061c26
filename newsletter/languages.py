"""The words of pages and mails in the reader's language, by gettext; dates and numbers by CLDR.

Catalogs are text (`newsletter/locale/<language>.po`, and a workspace's own in `templates/locale`), read
once a process. What is not translated stays English, the language of the sources.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po

from newsletter.errors import ConfigError

SOURCE = "en"  #: the language that the messages are written in
OURS = Path(__file__).parent / "locale"
#: Small numbers as words, where a language has words that fit every noun.
_WORDS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve",
)  # fmt: skip


@dataclass(frozen=True)
class Language:
    """One language: `code` as in BCP 47, e.g. "en" or "pt-BR"."""

    code: str
    locale: Locale
    catalog: NullTranslations

    @property
    def direction(self) -> str:
        """ "ltr" or "rtl"."""
        return str(self.locale.text_direction)

    @property
    def name(self) -> str:
        """In the language itself: `Deutsch`."""
        name = str(self.locale.get_display_name(self.locale) or self.code)
        return name[:1].upper() + name[1:]

    def gettext(self, message: str) -> str:
        return self.catalog.gettext(message) if message else ""

    def ngettext(self, one: str, many: str, number: int) -> str:
        return self.catalog.ngettext(one, many, number)

    def day(self, value: date) -> str:
        """A day of these weeks: `Fri 27 Nov`."""
        return self._first(value, format_date(value, self.gettext("EEE d MMM"), self.locale))

    def long_date(self, value: date) -> str:
        """`24 November 2026`"""
        return self._first(value, format_date(value, self.gettext("d MMMM y"), self.locale))

    def _first(self, value: date, text: str) -> str:
        """French says the first of a month as an ordinal, which no pattern of CLDR's can."""
        if value.day == 1 and self.locale.language == "fr":
            return re.sub(r"\b1\b", "1er", text, count=1)
        return text

    def spelled(self, number: int) -> str:
        """A small number as a word in English, as figures elsewhere: one's gender has too many forms."""
        if self.locale.language == SOURCE and 0 <= number < len(_WORDS):
            return _WORDS[number]
        return str(number)


@lru_cache(maxsize=64)
def language(code: str, own: Path | None = None) -> Language:
    """A language by its code; `own` is the workspace's folder of catalogs. An unknown one is English.
    Raises ConfigError for a catalog that can't be read."""
    try:
        locale = Locale.parse(code.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return language(SOURCE, own)
    catalog: NullTranslations = NullTranslations()
    for folder in (OURS, own):
        for name in dict.fromkeys((code.split("-", maxsplit=1)[0].lower(), code)):
            path = folder / f"{name}.po" if folder else None
            if path is not None and path.exists():
                found = _read(path)
                found.add_fallback(catalog)
                catalog = found
    return Language(code, locale, catalog)


def spoken(code: str, own: Path | None = None) -> bool:
    """Whether there are words of this language: English ones, or a catalog."""
    base = code.split("-", maxsplit=1)[0].lower()
    if base == SOURCE:
        return True
    names = (f"{base}.po", f"{code}.po")
    return any((folder / name).exists() for folder in (OURS, own) if folder for name in names)


def _read(path: Path) -> GNUTranslations:
    try:
        with path.open("rb") as file:
            catalog = read_po(file, locale=path.stem.replace("-", "_"), abort_invalid=True)
    except (PoFileError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"can't be read as a catalog: {error}", file=str(path)) from None
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return GNUTranslations(compiled)


def is_language(code: str) -> bool:
    """Whether a code names a language, e.g. "en" or "pt-BR"."""
    try:
        Locale.parse(code.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return False
    return True


def closest(wanted: str, available: Sequence[str]) -> str | None:
    """The available language that is closest to a wanted one (`de-AT` finds `de`), or None."""
    plain = wanted.strip().replace("_", "-").lower()
    folded = {one.lower(): one for one in available}
    if plain in folded:
        return folded[plain]
    base = plain.split("-")[0]
    return next((one for low, one in folded.items() if low.split("-")[0] == base), None)


def accepted(header: str, available: Sequence[str]) -> str | None:
    """The best available language for an Accept-Language header (RFC 9110 §12.5.4)."""
    wishes: list[tuple[float, int, str]] = []
    for at, part in enumerate(header[:500].split(",")):
        name, _, quality = part.partition(";")
        try:
            weight = float(quality.partition("=")[2]) if quality else 1.0
        except ValueError:
            continue
        if name.strip() and weight > 0:
            wishes.append((-weight, at, name))
    for _, _, name in sorted(wishes):
        if (found := closest(name, available)) is not None:
            return found
    return None
