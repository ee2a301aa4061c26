"""Bring the catalogs to the messages that templates and pages have: `python docs/messages.py [--check]`.

New messages are added without a translation, those that are gone are taken out. With --check nothing is
written, and it is an error when something would be, or when a translation is missing.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "newsletter" / "locale"
_METHODS = [("**.py", "python"), ("**.j2", "jinja2")]
_OPTIONS = {"**.j2": {"trimmed": "true"}}
#: What no template names: the labels that a publication may leave as they are, and patterns of dates.
_MORE = ("Our take", "Why it matters", "Do this week", "EEE d MMM", "d MMMM y", ":")


def template() -> Catalog:
    """Every message, without translations."""
    catalog = Catalog(project="newsletter", charset="utf-8")
    for message in _MORE:
        catalog.add(message, locations=[("newsletter/languages.py", 1)])
    for folder in ("templates", "newsletter/web", "newsletter/tracking"):
        found = extract_from_dir(
            str(ROOT / folder),
            _METHODS,
            _OPTIONS,
            keywords={"_": None, "gettext": None, "ngettext": (1, 2)},
        )
        for file, line, message, comments, context in found:
            catalog.add(
                message, None, [(f"{folder}/{file}", line)], auto_comments=comments, context=context
            )
    return catalog


def catalogs() -> dict[Path, str]:
    """Each catalog as it should be."""
    made = {}
    for path in sorted(LOCALE.glob("*.po")):
        with path.open("rb") as file:
            catalog = read_po(file, locale=path.stem, ignore_obsolete=True)
        catalog.update(template(), no_fuzzy_matching=True)
        catalog.obsolete.clear()
        made[path] = _text(catalog)
    return made


def missing() -> list[str]:
    """Messages without a translation, as `file: message`."""
    found = []
    for path, text in catalogs().items():
        catalog = read_po(io.BytesIO(text.encode()), locale=path.stem)
        for message in catalog:
            said = message.string if isinstance(message.string, tuple) else (message.string,)
            if message.id and (not all(said) or message.fuzzy):
                found.append(f"{path.name}: {message.id}")
    return found


def _text(catalog: Catalog) -> str:
    """Without dates, lines and programs: a catalog changes when its words do."""
    file = io.BytesIO()
    write_po(file, catalog, width=100, no_location=True, omit_header=True, sort_output=True)
    plural = f'"Plural-Forms: {catalog.plural_forms}\\n"'
    head = f'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n{plural}\n\n'
    return head + file.getvalue().decode().strip() + "\n"


def main() -> None:
    stale = [path for path, text in catalogs().items() if path.read_text("utf-8") != text]
    if sys.argv[1:] == ["--check"]:
        if stale or missing():
            names = ", ".join([path.name for path in stale] + missing())
            sys.exit(f"not as the templates are: {names}. Run: python docs/messages.py")
        return
    for path, text in catalogs().items():
        path.write_text(text, "utf-8")
    for one in missing():
        print(f"without a translation: {one}")


if __name__ == "__main__":
    main()
