"""What mail, pages and report look like: the defaults of a look, and what theme.toml says instead.

Values end up in style sheets and attributes, so each must be of the kind that the look's own default is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from newsletter.config import find_line, line_of_error
from newsletter.errors import ConfigError
from newsletter.text import did_you_mean, tidy

FILE = "theme.toml"
LOOKS = "looks"
LOOK = "quiet"  #: where theme.toml names none
DENSITIES = ("compact", "normal", "airy")
LOGO_WIDTH = 160  #: pixels
#: What theme.toml may say besides overriding a look's tables.
CHOICES = ("look", "density", "logo", "logo_dark", "logo_alt", "logo_width")
LOOK_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_SCHEMES = ("light", "dark")
_KINDS = {
    "a colour of six digits, e.g. #0b6354": re.compile(r"#[0-9a-fA-F]{6}"),
    "a length in pixels, e.g. 17px": re.compile(r"\d{1,4}(?:\.\d{1,3})?px"),
    "a number, e.g. 1.55": re.compile(r"\d{1,3}(?:\.\d{1,3})?"),
    # Without quotes: in an attribute of a mail they would have to be escaped.
    "words without quotes, e.g. Georgia, serif": re.compile(r"[\w ,.-]{1,300}"),
}

Theme = dict[str, Any]


class Tokens(Theme):
    """A finished theme, as templates see it: handed from macro to macro it costs nothing, being always
    the same."""


def read_theme(folder: Path, shown_as: str, look: str = "") -> Theme:
    """The merged theme: the look's tables with theme.toml's values in them, and the choices.

    `look` takes the place of the one that theme.toml names; overrides that it doesn't know are then left
    out. `space` is the table of the chosen density. Raises ConfigError with file and line.
    """
    text, given = _toml(folder / FILE, f"{shown_as}/{FILE}")
    source = _Source(f"{shown_as}/{FILE}", text)
    chosen = given.get("look", LOOK)
    if not isinstance(chosen, str) or not LOOK_NAME.fullmatch(chosen):
        raise source.error(["look"], "must be the name of a look, e.g. quiet")
    density = given.get("density", "normal")
    if density not in DENSITIES:
        raise source.error(["density"], f"must be one of {', '.join(DENSITIES)}")
    defaults = _look(folder, shown_as, look or chosen, source)
    merged: Theme = {name: dict(table) for name, table in defaults.items() if name != "density"}
    merged["space"] = dict(defaults["density"][density])
    merged |= {"look": look or chosen, "density": density, **_logo(given, source)}
    for name, values in given.items():
        if name not in CHOICES:
            _override(merged, name, values, source, strict=not look)
    return merged


def _override(theme: Theme, name: str, values: Any, source: _Source, *, strict: bool) -> None:
    """Put one table of theme.toml over the look's."""
    table = theme.get(name)
    if not isinstance(table, dict) or not isinstance(values, dict):
        if strict or not isinstance(values, dict):
            options = [*CHOICES, *(key for key in theme if isinstance(theme[key], dict))]
            raise source.error([name], f"is no key of a theme.{did_you_mean(name, options)}")
        return
    for key, value in values.items():
        if key in table:
            table[key] = source.checked([name, key], value, table[key])
        elif strict:
            hint = did_you_mean(key, table)
            raise source.error([name, key], f"is no key of the look {theme['look']}.{hint}")


def _logo(given: Mapping[str, Any], source: _Source) -> Theme:
    width = given.get("logo_width", LOGO_WIDTH)
    if not isinstance(width, int) or isinstance(width, bool) or not 16 <= width <= 600:
        raise source.error(["logo_width"], "must be a whole number of pixels from 16 to 600")
    texts = {name: given.get(name, "") for name in ("logo", "logo_dark", "logo_alt")}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise source.error([name], "must be a text in quotes")
    if texts["logo_dark"] and not texts["logo"]:
        raise source.error(["logo_dark"], "needs a logo beside it, for light screens")
    return {**texts, "logo_alt": tidy(texts["logo_alt"]), "logo_width": width}


class _Source:
    """A TOML text whose mistakes are told with their line."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text

    def error(self, keys: list[str], what: str) -> ConfigError:
        line = find_line(self.text, keys)
        return ConfigError(f'"{tidy(".".join(keys))}" {what}', file=self.file, line=line)

    def checked(self, keys: list[str], value: Any, default: Any) -> Any:
        """The value, if it is of the kind that the default is."""
        if isinstance(default, bool):
            if not isinstance(value, bool):
                raise self.error(keys, "must be true or false")
            return value
        kind = kind_of(default)
        if kind is None:
            raise self.error(keys, f"can be nothing in a theme; write {_all_kinds()}")
        if not isinstance(value, str) or not _KINDS[kind].fullmatch(value):
            raise self.error(keys, f'must be {kind}; "{tidy(str(value))[:40]}" is none')
        return value


def kind_of(value: Any) -> str | None:
    """What a token is, in words: colour, length, number, or words."""
    if not isinstance(value, str):
        return None
    return next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(value)), None)


def _all_kinds() -> str:
    return ", or ".join(["true or false", *_KINDS])


def _look(folder: Path, shown_as: str, name: str, theme: _Source) -> dict[str, Any]:
    """The tables of a look, every value of a known kind."""
    path = folder / LOOKS / f"{name}.toml"
    file = f"{shown_as}/{LOOKS}/{name}.toml"
    if not LOOK_NAME.fullmatch(name) or not path.is_file():
        known = sorted(one.stem for one in (folder / LOOKS).glob("*.toml"))
        hint = did_you_mean(name, known) or (f" There are: {', '.join(known)}." if known else "")
        raise theme.error(["look"], f'there is no look "{tidy(name)}" ({file}).{hint}')
    text, tables = _toml(path, file)
    source = _Source(file, text)
    for table in (*_SCHEMES, "font", "size", "shape", "form", "density"):
        if not isinstance(tables.get(table), dict):
            raise ConfigError(f"the table [{table}] is missing", file=file)
    for density in DENSITIES:
        if not isinstance(tables["density"].get(density), dict):
            raise ConfigError(f"the table [density.{density}] is missing", file=file)
    for keys, value in _leaves(tables):
        source.checked(keys, value, value)
    if set(tables["light"]) != set(tables["dark"]):
        odd = ", ".join(sorted(set(tables["light"]) ^ set(tables["dark"])))
        raise ConfigError(f"[light] and [dark] need the same names: {odd}", file=file)
    return tables


def _leaves(tables: Mapping[str, Any], *above: str) -> Iterator[tuple[list[str], Any]]:
    for key, value in tables.items():
        if isinstance(value, dict):
            yield from _leaves(value, *above, key)
        else:
            yield [*above, key], value


def _toml(path: Path, shown_as: str) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text("utf-8-sig")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError("is missing; newsletter init DIR makes one", file=shown_as) from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8; save it with the encoding UTF-8", file=shown_as) from None
    except tomllib.TOMLDecodeError as error:
        line = line_of_error(error, text)
        raise ConfigError(f"is not valid TOML: {error}", file=shown_as, line=line) from None


# -- contrast ------------------------------------------------------------------------------------


class Contrast(NamedTuple):
    """How one colour stands on another. `needed` is 4.5 for text, 3 for borders (WCAG 2.2 AA)."""

    scheme: str
    name: str
    on: str
    ratio: float
    needed: float

    @property
    def ok(self) -> bool:
        return self.ratio >= self.needed


def contrasts(theme: Mapping[str, Any]) -> Iterator[Contrast]:
    """Every pair of colours that meets somewhere."""
    for scheme in _SCHEMES:
        colours = theme[scheme]
        pairs = [
            (name, on, 4.5)
            for name in ("text", "muted", "accent", "warn", "bad")
            for on in ("paper", "tint", "canvas")
        ]
        pairs += [
            ("warn", "warn_tint", 4.5),
            ("bad", "bad_tint", 4.5),
            ("on_accent", "accent", 4.5),
        ]
        pairs += [("edge", "paper", 3.0), ("on_band", "band", 4.5)]
        for name, on, needed in pairs:
            if name in colours and on in colours:
                yield Contrast(scheme, name, on, contrast(colours[name], colours[on]), needed)


def contrast(one: str, other: str) -> float:
    """The ratio of two colours `#rrggbb`, from 1 to 21 (WCAG 2.2, contrast ratio)."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
