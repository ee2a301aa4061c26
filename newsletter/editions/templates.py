"""The workspace's templates: sandboxed Jinja2, the theme, and errors that name the template's line."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from newsletter.editions import words
from newsletter.editions.view import VIEWS
from newsletter.errors import ConfigError, TemplateError
from newsletter.languages import SOURCE, Language, language
from newsletter.text import tidy

FOLDER = "templates"
_BEGINS = re.compile(r"{%-?\s*(macro|block)\s+(\w+)")


#: What makes tracked addresses of the links in plain text, while a template renders.
_track: ContextVar[Callable[[str], str]] = ContextVar("track", default=str)
#: The language in which it renders.
_language: ContextVar[Language] = ContextVar("language")


def _paragraph(text: str, width: int = 72, indent: int = 0, first: str | None = None) -> str:
    return words.paragraph(text, width, indent, first, track=_track.get())


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox; the public fields of our own frozen views need not be judged each time,
    which took half of a template's time."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if type(obj) in VIEWS and not attr.startswith("_"):
            return True
        return super().is_safe_attribute(obj, attr, value)


def _compiled(folder: Path) -> jinja2.BytecodeCache | None:
    """Compiled templates from one process to the next, checked against their text: 45 ms a process.
    Without it where the folder can't be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    return jinja2.FileSystemBytecodeCache(str(folder)) if os.access(folder, os.W_OK) else None


class Templates:
    """All templates of a workspace, compiled on first use."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / FOLDER
        self.environment = _Sandbox(
            loader=jinja2.FileSystemLoader(self.folder),
            bytecode_cache=_compiled(root / "var" / "cache" / "templates"),
            autoescape=lambda name: name is None or not name.endswith(".txt.j2"),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        self.environment.policies["ext.i18n.trimmed"] = True
        self.environment.install_gettext_callables(  # type: ignore[attr-defined]
            lambda message: _language.get().gettext(message),
            lambda one, many, number: _language.get().ngettext(one, many, number),
            newstyle=True,
        )
        self.environment.filters.update(
            inline=words.inline_html,
            plain=words.plain,
            para=_paragraph,
            day=lambda value: _language.get().day(value),
            longdate=lambda value: _language.get().long_date(value),
            colon=lambda text: text + _language.get().gettext(":"),
            stop=lambda text: text if text.endswith((".", "!", "?")) else text + ".",
            spelled=lambda number: _language.get().spelled(number),
        )

    @cached_property
    def theme(self) -> Mapping[str, Any]:
        """theme.toml. Raises ConfigError with its line."""
        path = self.folder / "theme.toml"
        try:
            return tomllib.loads(path.read_text("utf-8-sig"))
        except FileNotFoundError:
            raise ConfigError("is missing; newsletter init DIR makes one", file=str(path)) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"is not valid TOML: {error}", file=str(path)) from None

    @cached_property
    def fingerprint(self) -> str:
        """A hash over every file of the folder: what was approved is what is sent."""
        digest = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                digest.update(path.relative_to(self.folder).as_posix().encode() + b"\0")
                digest.update(hashlib.sha256(path.read_bytes()).digest())
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
        **values: Any,
    ) -> str:
        """One template's output, its own words in `language`, which it sees by that name. `track` turns
        the addresses of links in plain text into tracked ones.

        Raises TemplateError with the template's file and line.
        """
        tracking, speaking = _track.set(track), _language.set(self.language(language))
        direction = _language.get().direction
        try:
            return self.environment.get_template(name).render(
                theme=self.theme, language=language, direction=direction, **values
            )
        except jinja2.TemplateSyntaxError as error:
            raise self._error(error.name or name, error.lineno, str(error.message)) from error
        except jinja2.TemplateNotFound as error:
            raise TemplateError(
                f"there is no such template (needed by {name})", file=f"{FOLDER}/{error.name}"
            ) from error
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise self._located(name, error) from error
        except (AttributeError, RecursionError) as error:
            raise self._located(name, error) from error
        finally:
            _track.reset(tracking)
            _language.reset(speaking)

    def _located(self, name: str, error: Exception) -> TemplateError:
        """Jinja2 rewrites tracebacks so that a template's frames bear its own file and lines."""
        file, line = name, None
        step = error.__traceback__
        while step is not None:
            path = Path(step.tb_frame.f_code.co_filename)
            if path.is_relative_to(self.folder):
                file, line = path.relative_to(self.folder).as_posix(), step.tb_lineno
            step = step.tb_next
        return self._error(file, line, tidy(str(error)) or type(error).__name__)

    def _error(self, name: str, line: int | None, message: str) -> TemplateError:
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
