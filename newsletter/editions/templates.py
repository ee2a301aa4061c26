"""The workspace's templates: sandboxed Jinja2, the theme, and errors that name the template's line."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
from jinja2.ext import Extension
from jinja2.runtime import Context

from newsletter.config import find_line
from newsletter.editions import words
from newsletter.editions.bounds import (
    OUTSIDE,
    BoundedEnvironment,
    Bounds,
    ClosedLoader,
    bounded,
    filled,
    form,
)
from newsletter.editions.images import Pictures, column_of
from newsletter.editions.theme import FILE as THEME_FILE
from newsletter.editions.theme import Theme, Tokens, read_theme
from newsletter.editions.trace import Marks, SourceMap
from newsletter.editions.view import VIEWS, PictureView
from newsletter.errors import ConfigError, InputError, TemplateError
from newsletter.languages import SOURCE, Language, language
from newsletter.text import tidy

FOLDER = "templates"
_MOST_TOLD = 400  # characters of an error
_BEGINS = re.compile(r"{%-?\s*(macro|block)\s+(\w+)")


#: What makes tracked addresses of the links in plain text, while a template renders.
_track: ContextVar[Callable[[str], str]] = ContextVar("track", default=str)
#: The language in which it renders.
_language: ContextVar[Language] = ContextVar("language")


def _paragraph(text: str, width: int = 72, indent: int = 0, first: str | None = None) -> str:
    return words.paragraph(text, width, indent, first, track=_track.get())


@jinja2.pass_context
def _gettext(context: Context, message: str, /, **variables: Any) -> str:
    return filled(context, _language.get().gettext(message), variables)


@jinja2.pass_context
def _ngettext(context: Context, one: str, many: str, number: int, /, **variables: Any) -> str:
    text = _language.get().ngettext(one, many, number)
    return filled(context, text, {"num": number, **variables})


class _Sandbox(BoundedEnvironment):
    """Bounded; the tokens of the theme, like the fields of our views, need not be judged each time."""

    records = VIEWS | {Tokens}
    speaking = (_gettext, _ngettext)

    def getattr(self, obj: Any, attribute: str) -> Any:
        kind = type(obj)
        if (kind is dict or kind is Tokens) and attribute in obj:
            return obj[attribute]
        if kind is Tokens:
            return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)


def _compiled(folder: Path) -> jinja2.BytecodeCache | None:
    """Compiled templates from one process to the next, checked against their text: 45 ms a process.
    Without it where the folder can't be made. What was compiled without today's bounds has another
    name."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    return jinja2.FileSystemBytecodeCache(str(folder), f"{form()}-%s.cache")


def _environment(
    folder: Path,
    *extensions: type[Extension],
    bytecode_cache: jinja2.BytecodeCache | None = None,
) -> BoundedEnvironment:
    environment = _Sandbox(
        loader=ClosedLoader(folder),
        bytecode_cache=bytecode_cache,
        autoescape=lambda name: name is None or not name.endswith(".txt.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", *extensions],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.globals.update(_=_gettext, gettext=_gettext, ngettext=_ngettext)
    environment.add_filters(
        {
            "inline": words.inline_html,
            "plain": words.plain,
            "para": _paragraph,
            "day": lambda value: _language.get().day(value),
            "longdate": lambda value: _language.get().long_date(value),
            "colon": lambda text: text + _language.get().gettext(":"),
            "stop": lambda text: text if text.endswith((".", "!", "?")) else text + ".",
            "spelled": lambda number: _language.get().spelled(number),
        }
    )
    return environment


class Templates:
    """All templates of a workspace, compiled on first use."""

    def __init__(
        self,
        root: Path,
        base_url: str = "",
        limits: Bounds = Bounds(),  # noqa: B008  (frozen)
    ) -> None:
        """`base_url` is where the public pages, and so the pictures, are reached."""
        self.root = root
        self.folder = root / FOLDER
        self.limits = limits
        self.pictures = Pictures(root, base_url)
        self._themes: dict[str, Theme] = {}
        self.environment = _environment(
            self.folder, bytecode_cache=_compiled(root / "var" / "cache" / "templates")
        )

    @cached_property
    def _traced(self) -> BoundedEnvironment:
        """The same once more, with marks in what it prints; only for finding places."""
        return _environment(self.folder, Marks)

    @property
    def theme(self) -> Mapping[str, Any]:
        """The publication's: its look with theme.toml over it. Raises ConfigError with file and line."""
        return self.theme_of("")

    def theme_of(self, look: str) -> Mapping[str, Any]:
        """The theme of an issue that names a look of its own; "" for the publication's."""
        if look not in self._themes:
            theme = read_theme(self.folder, FOLDER, look)
            for name in ("logo", "logo_dark"):
                theme[name] = self._logo(name, theme) if theme[name] else None
            self._themes[look] = Tokens(theme)
        return self._themes[look]

    def _logo(self, name: str, theme: Theme) -> PictureView:
        try:
            return self.pictures.view(theme[name], theme["logo_alt"], theme["logo_width"])
        except InputError as error:
            line = find_line((self.folder / THEME_FILE).read_text("utf-8-sig"), [name])
            raise ConfigError(error.message, file=f"{FOLDER}/{THEME_FILE}", line=line) from error

    def picture(self, path: str, alt: str, look: str = "") -> PictureView:
        """A picture of the workspace, as wide as a look's column allows. Raises InputError."""
        return self.pictures.view(path, alt, column_of(self.theme_of(look)))

    @cached_property
    def fingerprint(self) -> str:
        """A hash over every file of the folder: what was approved is what is sent."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                digest.update(path.relative_to(self.folder).as_posix().encode() + b"\0")
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        for name in ("logo", "logo_dark"):
            digest.update(self.theme[name].url.encode() if self.theme[name] else b"-")
        return digest.hexdigest()

    def language(self, code: str) -> Language:
        """A language with this workspace's own words in it (`templates/locale`)."""
        return language(code, self.own_words)

    @property
    def own_words(self) -> Path:
        """The folder of this workspace's own catalogs."""
        return self.folder / "locale"

    def render(
        self,
        name: str,
        /,
        *,
        track: Callable[[str], str] = str,
        language: str = SOURCE,
        look: str = "",
        **values: Any,
    ) -> str:
        """One template's output, its own words in `language`, which it sees by that name. `track` turns
        the addresses of links in plain text into tracked ones; `look` is an issue's own.

        Raises TemplateError with the template's file and line, also for one that costs more than
        `limits`.
        """
        return self._render(
            self.environment, name, values, track=track, language=language, look=look
        )

    def traced(
        self,
        name: str,
        /,
        *,
        track: Callable[[str], str] = str,
        language: str = SOURCE,
        look: str = "",
        **values: Any,
    ) -> tuple[str, SourceMap]:
        """As `render`, and which template and line each part of the output comes from. The output may
        differ by a letter where a template takes texts apart; it is for finding places, not for mail."""
        marks: Marks = self._traced.extensions[Marks.identifier]  # type: ignore[assignment]
        return marks.stripped(
            self._render(self._traced, name, values, track=track, language=language, look=look)
        )

    def _render(
        self,
        environment: BoundedEnvironment,
        name: str,
        values: Mapping[str, Any],
        *,
        track: Callable[[str], str],
        language: str,
        look: str,
    ) -> str:
        tracking, speaking = _track.set(track), _language.set(self.language(language))
        direction = _language.get().direction
        try:
            with bounded(self.limits):
                output = environment.get_template(name).render(
                    **{
                        "theme": self.theme_of(look),
                        "language": language,
                        "direction": direction,
                        **values,
                    }
                )
        except jinja2.TemplateSyntaxError as error:
            raise self._error(error.name or name, error.lineno, str(error.message)) from error
        except jinja2.TemplateNotFound as error:
            told = OUTSIDE if error.message == OUTSIDE else "there is no such template"
            raise TemplateError(
                f"{told} (needed by {name})", file=f"{FOLDER}/{tidy(str(error.name))}"
            ) from error
        except RecursionError as error:
            raise self._located(
                name,
                error,
                "it goes round in circles: a macro, block or file that"
                " uses itself, or brackets nested too deeply",
            ) from error
        except MemoryError as error:
            raise self._located(name, error, "it needs more memory than there is") from error
        except (
            jinja2.TemplateError,
            TypeError,
            ValueError,
            ArithmeticError,
            LookupError,
            AttributeError,
            SyntaxError,
        ) as error:
            raise self._located(name, error) from error
        finally:
            _track.reset(tracking)
            _language.reset(speaking)
        if len(output) > self.limits.output:
            raise TemplateError(
                f"the template can't be used: it prints {len(output):,} characters, at most"
                f" {self.limits.output:,} are allowed",
                file=f"{FOLDER}/{name}",
            )
        return output

    def _located(self, name: str, error: Exception, message: str = "") -> TemplateError:
        """Jinja2 rewrites tracebacks so that a template's frames bear its own file and lines."""
        file, line = name, None
        step = error.__traceback__
        while step is not None:
            path = Path(step.tb_frame.f_code.co_filename)
            if path.is_relative_to(self.folder):
                file, line = path.relative_to(self.folder).as_posix(), step.tb_lineno
            step = step.tb_next
        told = message or tidy(str(error)[:_MOST_TOLD]) or type(error).__name__
        return self._error(file, line, told)

    def _error(self, name: str, line: int | None, message: str) -> TemplateError:
        path = Path(name)  # whole where Jinja2's lexer complains
        name = (
            path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else name
        )
        within = self._around(name, line) if line else ""
        return TemplateError(
            f"the template can't be used: {message}{within}", file=f"{FOLDER}/{name}", line=line
        )

    def _around(self, name: str, line: int) -> str:
        """` (in macro digest)`: the last macro or block that begins above a line."""
        try:
            above = (self.folder / name).read_text("utf-8").splitlines()[:line]
        except OSError:
            return ""
        for text in reversed(above):
            if begins := _BEGINS.search(text):
                return f" (in {begins[1]} {begins[2]})"
        return ""
