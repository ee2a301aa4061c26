"""What a template may cost: time, memory, output. Knows Jinja2 and nothing of mails.

Jinja2's sandbox keeps templates from Python's insides and lets them run for ever and fill the memory.
Here every loop, macro, block and file pays for its nodes, every text and list that is made pays for
its size, and what could make something huge in one step (`"a" * 10**9`) is measured before it runs. So
a render ends in any thread, without signals and without another process. It costs about 1 % of an edition
(`python -m bench compose`).
"""

from __future__ import annotations

import hashlib
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as time_of_day
from functools import cache, lru_cache, wraps
from pathlib import Path
from string import Formatter
from types import GeneratorType, NoneType
from typing import Any

import jinja2
import jinja2.sandbox
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, optimizeconst
from jinja2.runtime import Context, Macro
from jinja2.utils import Namespace
from markupsafe import Markup

TEXT = 250_000  #: characters of one text that an operator, a filter or a method may take or make
ITEMS = 10_000  #: of one range, or of one list that a template makes
SOURCE = 200_000  #: bytes of one template file; compiling them takes about two seconds
_WEIGHT = 4_000_000  # characters, with 16 for each thing, of a list and all that is in it
_DEEP = 40  # lists in lists
_BITS = 512  # of a whole number
_WIDTH = 999  # columns of a padded text
_LOOK = 1000  # steps between two looks at the clock
_SHORT = 64  # characters; shorter texts are paid with the step that makes them


class OutOfBoundsError(jinja2.TemplateRuntimeError):
    """A template wants more than a render may have."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one render may have."""

    seconds: float = 5.0
    steps: int = 2_000_000  #: nodes of templates that are evaluated; an edition has about 20,000
    made: int = 16_000_000  #: characters that come into being on the way
    output: int = 2_000_000  #: characters


class _Budget:
    """What is left of a render's bounds. Hot: about 1,000 payments an edition, 0.1 µs each."""

    __slots__ = ("deadline", "look", "made", "seconds", "steps")

    def __init__(self, bounds: Bounds | None) -> None:
        endless = float("inf")
        self.seconds = bounds.seconds if bounds else endless
        self.deadline = time.monotonic() + self.seconds
        self.steps: float = bounds.steps if bounds else endless
        self.made: float = bounds.made if bounds else endless
        self.look = self.steps  # at so many steps left, look at the clock

    def spend(self, steps: int, made: int) -> None:
        """Long texts take time, too: a step for each 256 characters."""
        self.steps -= steps + (made >> 8)
        self.made -= made
        if self.steps < self.look or self.made < 0:
            self.check()

    def check(self) -> None:
        if self.steps < 0:
            raise OutOfBoundsError("it runs too long: too many turns of its loops and macros")
        if self.made < 0:
            raise OutOfBoundsError("it makes too much text on the way")
        if time.monotonic() > self.deadline:
            raise OutOfBoundsError(f"it takes longer than {self.seconds:g} seconds")
        self.look = self.steps - _LOOK


_budget: ContextVar[_Budget] = ContextVar("budget", default=_Budget(None))  # noqa: B039  (endless)


@contextmanager
def bounded(bounds: Bounds) -> Iterator[None]:
    """Templates that are compiled and rendered inside have these bounds, counted from now."""
    token = _budget.set(_Budget(bounds))
    try:
        yield
    finally:
        _budget.reset(token)


# -- sizes -------------------------------------------------------------------------------------------


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_PLAIN = frozenset((float, bool, NoneType, date, datetime))
_LIGHT = frozenset((*_PLAIN, int, str, Markup))  # as arguments: they were paid for
_COLLECTIONS = (list, tuple, set, frozenset)


def _too_big(what: str = "a text") -> OutOfBoundsError:
    most = f"{ITEMS:,} items" if what == "a list" else f"{TEXT:,} characters"
    return OutOfBoundsError(f"{what} would be longer than {most}")


def _weight(value: Any, *, printed: bool = False) -> int:
    """Characters of everything in a value, counted as often as it would be printed or compared:
    a list that holds another twice counts it twice. `printed`: refuses what can't be.

    Raises OutOfBoundsError for what is too heavy, too deep, or no text.
    """
    total, things, waiting = 0, 0, [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        things += 1
        if isinstance(one, str):
            total += len(one)
        elif isinstance(one, _COLLECTIONS):
            waiting.extend((inner, depth + 1) for inner in one)
        elif isinstance(one, dict):
            waiting.extend((inner, depth + 1) for pair in one.items() for inner in pair)
        elif isinstance(one, int) and one.bit_length() > _BITS:
            raise OutOfBoundsError("a number has too many digits")
        elif printed and not _printable(one):
            raise OutOfBoundsError(f"{type(one).__name__} is no text; print one of its fields")
        total += 16
        if total > _WEIGHT:
            raise OutOfBoundsError("a list would hold too much")
        if depth > _DEEP:
            raise OutOfBoundsError("lists are nested too deeply")
    _budget.get().spend(things, 0)
    return total


def _printable(value: Any) -> bool:
    kind = type(value)
    if kind in _PLAIN or isinstance(value, (int, time_of_day, jinja2.Undefined)):
        return True
    return hasattr(kind, "__html__") or vars(object)["__str__"] is not kind.__str__


def _fits(value: Any) -> None:
    """Refuse a value that is too big to work with."""
    kind = type(value)
    if kind is str or kind is Markup:
        if len(value) > _SHORT:
            _budget.get().spend(len(value) >> 8, 0)
            _at_most(len(value))
    elif kind is not int and kind not in _PLAIN:
        _weight(value)


def _paid(value: Any, most: int = TEXT) -> Any:
    """The value, which was just made, when it is not too big and there is room for it."""
    kind = type(value)
    if kind is str or kind is Markup:
        if len(value) > _SHORT:
            _at_most(len(value), most)
            _budget.get().spend(1, len(value))
    elif kind is int:
        if value.bit_length() > _BITS:
            raise OutOfBoundsError("a number has too many digits")
    elif isinstance(value, (*_COLLECTIONS, dict)):
        if len(value) > ITEMS:
            raise _too_big("a list")
        _budget.get().spend(len(value), _weight(value) // 4)
    return value


def _printed(value: Any) -> Any:
    """The value, which is about to be printed."""
    if isinstance(value, str):
        if len(value) > _SHORT:
            _budget.get().spend(1, len(value))
    elif type(value) is not int and type(value) not in _PLAIN:
        _budget.get().spend(1, _weight(value, printed=True))
    return value


def _at_most(size: float, most: int = TEXT) -> None:
    if size > most:
        raise _too_big()


def _number(value: Any, most: int) -> None:
    """Refuse a width, a count or a precision beyond reason; other types refuse themselves."""
    if isinstance(value, (int, float)) and abs(value) > most:
        raise OutOfBoundsError(f"{value:.3g} is too much here; at most {most}")


def _held(items: Any) -> Any:
    """A lazy sequence made whole, so that it can be measured."""
    if not isinstance(items, (GeneratorType, map, filter, zip, Iterator)):
        return items
    held: list[Any] = []
    for item in items:
        if len(held) == ITEMS:
            raise _too_big("a list")
        held.append(item)
    return held


# -- texts that are filled in ----------------------------------------------------------------------


@lru_cache(maxsize=1024)  # the same few sentences of the mail
def _fields_of_percent(text: str) -> int:
    """How many places a `%` format has. Refuses widths beyond reason, and widths from arguments."""
    count = at = 0
    while (at := text.find("%", at)) >= 0:
        at += 1
        count += 1
        if text[at : at + 1] == "(":  # Python counts brackets in a name, too
            depth = 0
            while at < len(text):
                depth += {"(": 1, ")": -1}.get(text[at], 0)
                at += 1
                if not depth:
                    break
        spec = _PERCENT_SPEC.match(text, at)
        for digits in spec.groups() if spec else ():
            if digits == "*" or len(digits or "") > 3:
                raise OutOfBoundsError(f"a width of {digits[:20]} in a text to fill in")
        at = spec.end() + 1 if spec else at
    return count


_PERCENT_SPEC = re.compile(r"[#0\-+ ]*(\d+|\*)?(?:\.(\d+|\*))?[hlL]?")


def _fill_percent(text: Any, values: Any) -> None:
    """Refuse `text % values` that would be too long."""
    if places := _fields_of_percent(str(text)):
        parts = values if isinstance(values, tuple) else (values,)
        if isinstance(values, dict) and "%(" in text:
            parts = tuple(values.values())
        _at_most(len(text) + places * (max(map(_printed_size, parts), default=0) + _WIDTH))


def _printed_size(value: Any) -> int:
    if type(value) is int:
        return value.bit_length()
    return len(value) if isinstance(value, str) else _weight(value, printed=True)


def _fill_braces(text: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse `text.format(…)` that would be too long."""
    places = 0
    for _, name, spec, _ in Formatter().parse(text):
        places += name is not None
        if spec and ("{" in spec or re.search(r"\d{4}", spec)):
            raise OutOfBoundsError(f"a width of {spec[:20]} in a text to fill in")
    values = (*args, *kwargs.values())
    sizes = (0 if _is_record(one) else _printed_size(one) for one in values)
    _at_most(len(text) + places * (max(sizes, default=0) + _WIDTH))


def _is_record(value: Any) -> bool:
    return not _printable(value) and not isinstance(value, (str, dict, *_COLLECTIONS))


# -- filters and methods that can make much of little --------------------------------------------


def _replace(text: Any, old: Any = "", new: Any = "", *_: Any, **__: Any) -> None:
    text, old, new = str(text), str(old), str(new)
    _at_most(len(text) + text.count(old) * max(0, len(new) - len(old)))


def _join(items: Any, between: Any = "", *_: Any, **__: Any) -> None:
    sizes = [_printed_size(item) if not _is_record(item) else 16 for item in items]
    _at_most(sum(sizes) + len(sizes) * len(str(between)))


def _pad(_text: Any, /, width: Any = 80, *_: Any, **__: Any) -> None:
    _number(width, _WIDTH)


def _indent(text: Any, width: Any = 4, *_: Any, **__: Any) -> None:
    by = len(width) if isinstance(width, str) else width
    _number(by, _WIDTH)
    if isinstance(by, int):
        _at_most(len(str(text)) + (str(text).count("\n") + 1) * max(by, 0))


def _wordwrap(_text: Any, /, *args: Any, **kwargs: Any) -> None:
    between = args[2] if len(args) > 2 else kwargs.get("wrapstring")
    _at_most(len(str(between or "")), 20)


def _urlize(text: Any, *args: Any, **kwargs: Any) -> None:
    _at_most(len(str(text)), 20_000)
    for option in (*args, *kwargs.values()):
        _at_most(len(str(option)), 200)


def _para(_text: Any, /, width: Any = 72, indent: Any = 0, first: Any = None) -> None:
    for number in (width, indent):
        _number(number, _WIDTH)
    _at_most(len(first or ""), 200)


def _rounded(_value: Any, /, precision: Any = 0, *_: Any, **__: Any) -> None:
    _number(precision, 20)


def _summed(_items: Any, /, _attribute: Any = None, start: Any = 0, **_: Any) -> None:
    if not isinstance(start, (int, float)):
        raise OutOfBoundsError("sum adds numbers; join makes texts of parts")


def _counted(_items: Any, /, *args: Any, **kwargs: Any) -> None:
    for number in (*args[:1], kwargs.get("linecount"), kwargs.get("slices")):
        _number(number, ITEMS)


def _in_json(value: Any, indent: Any = None) -> None:
    _number(indent, 8)
    _weight(value)


def _searched(_text: Any, /, chars: Any = "", *_: Any, **__: Any) -> None:
    """Searching backwards and for sets of characters takes the product of both lengths."""
    _at_most(len(chars or ""), 1000)


_PRICES: dict[str, Callable[..., None]] = {
    "batch": _counted,
    "center": _pad,
    "format": lambda text, *args, **kwargs: _fill_percent(text, kwargs or args),
    "indent": _indent,
    "join": _join,
    "para": _para,
    "replace": _replace,
    "round": _rounded,
    "slice": _counted,
    "sum": _summed,
    "tojson": _in_json,
    "trim": _searched,
    "urlize": _urlize,
    "wordwrap": _wordwrap,
}
# Filters that make a text of whatever they get.
_OF_TEXT = frozenset(
    _words(
        "capitalize center e escape forceescape format indent inline lower para plain replace safe"
        " string striptags title trim truncate upper urlencode urlize wordcount wordwrap"
    )
)
#: Left out: chance, filler and Python's own notation have no place in a mail that must come out the
#: same each time.
_NO_FILTERS = ("pprint", "random")

_METHODS: dict[str, Callable[..., None]] = {
    "center": _pad,
    "expandtabs": lambda text, size=8: _replace(text, "\t", " " * min(max(size, 0), _WIDTH + 1)),
    "join": lambda between, items=(): _join(items, between),
    "ljust": _pad,
    "lstrip": _searched,
    "replace": _replace,
    "rfind": _searched,
    "rindex": _searched,
    "rjust": _pad,
    "rpartition": _searched,
    "rsplit": _searched,
    "rstrip": _searched,
    "strip": _searched,
    "zfill": _pad,
}
#: What templates may use of Python's own types. Of bytes nothing, of numbers next to nothing:
#: `(1).to_bytes(10**9, "big")`.
_ATTRIBUTES: tuple[tuple[tuple[type, ...], frozenset[str]], ...] = (
    (
        (str,),
        frozenset(_METHODS).union(
            _words(
                "capitalize casefold count endswith find format format_map index isalnum isalpha"
                " isascii isdecimal isdigit islower isnumeric isspace istitle isupper lower"
                " partition removeprefix removesuffix split splitlines startswith swapcase title"
                " upper"
            )
        ),
    ),
    ((list, tuple, range), frozenset(("copy", "count", "index"))),
    ((dict,), frozenset(("copy", "get", "items", "keys", "values"))),
    ((set, frozenset), frozenset(("copy", "isdisjoint", "issubset", "issuperset"))),
    ((int, float), frozenset(("is_integer",))),
    ((bytes, bytearray, memoryview, complex, type, GeneratorType), frozenset()),
)


def _bounded_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    price, of_text = _PRICES.get(name), name in _OF_TEXT
    first = 1 if hasattr(function, "jinja_pass_arg") else 0  # behind a context or an environment

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = args[first:]
        for one in (*given, *kwargs.values()) if kwargs else given:
            kind = type(one)
            if not (((kind is str or kind is Markup) and len(one) <= _SHORT) or kind in _PLAIN):
                _fits(one)
        if given:
            if of_text and not isinstance(given[0], str):
                _weight(given[0], printed=True)
            if name == "join":
                args = (*args[:first], _held(given[0]), *given[1:])
                given = args[first:]
            if price is not None:
                price(*given, **kwargs)
        return _paid(function(*args, **kwargs), 6 * TEXT)  # escaping makes six characters of one

    return call


def _range(*args: int) -> range:
    made = range(*args)
    if made and (abs(made[-1] - made[0]) // abs(made.step)) >= ITEMS:
        raise OutOfBoundsError(f"range gives at most {ITEMS:,} numbers")
    return made


# -- the environment -----------------------------------------------------------------------------


def _ticking(tree: nodes.Template, environment: jinja2.Environment) -> None:
    """Let everything that can run more than once pay first, by its number of nodes and the
    characters that it prints."""

    def size(node: nodes.Node) -> tuple[int, int]:
        count, characters = 1, len(node.data) if isinstance(node, nodes.TemplateData) else 0
        characters += _SHORT if isinstance(node, (nodes.Call, nodes.Filter, nodes.Output)) else 0
        own = node.body if isinstance(node, _BODIES) else []
        apart = set(map(id, own))
        for child in node.iter_child_nodes():
            if id(child) in apart:
                continue
            more = size(child)
            count, characters = count + more[0], characters + more[1]
        if isinstance(node, _BODIES):
            inner = [size(child) for child in own]
            pay = tick(3 + sum(n for n, _ in inner), sum(n for _, n in inner))
            line = own[0].lineno if own else node.lineno
            node.body = [nodes.ExprStmt(pay, lineno=line), *own]
        return count, characters

    def tick(steps: int, made: int) -> nodes.EnvironmentAttribute:
        return nodes.EnvironmentAttribute(f"tick({steps}, {made})")  # as code, it is a call

    size(tree)
    tree.set_environment(environment)


_BODIES = (nodes.Template, nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block)


class _Generator(CodeGenerator):
    """Jinja2's compiler; what it writes as plain Python and can grow, goes through the environment.
    The names are Jinja2's."""

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self.write("environment.built(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self.write("environment.built(")
        super().visit_Dict(node, frame)
        self.write(")")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        if node.ctx != "load":
            super().visit_Tuple(node, frame)
            return
        self.write("environment.built(")
        super().visit_Tuple(node, frame)
        self.write(")")

    @optimizeconst
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        how = str(frame.eval_ctx.autoescape)
        self.write(f"), {'context.eval_ctx.autoescape' if frame.eval_ctx.volatile else how})")

    @optimizeconst
    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802
        if not isinstance(node.arg, nodes.Slice):
            self.write("environment.getitem(")
            self.visit(node.node, frame)
            self.write(", ")
            self.visit(node.arg, frame)
            self.write(")")
            return
        self.write("environment.sliced(")
        self.visit(node.node, frame)
        for part in (node.arg.start, node.arg.stop, node.arg.step):
            self.write(", ")
            if part is None:
                self.write("None")
            else:
                self.visit(part, frame)
        self.write(")")


class BoundedEnvironment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """A sandbox in which a render costs at most what `bounded` allows."""

    code_generator_class = _Generator
    intercepted_binops = frozenset(("+", "*", "**", "%"))
    #: Types whose public fields may be read unjudged, and which are never printed or taken apart.
    records: frozenset[type] = frozenset()
    #: Functions of texts that are translated: they take the context, and pay for what they make.
    speaking: tuple[Callable[..., str], ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.finalize = _printed
        self.globals["range"] = _range
        del self.globals["lipsum"]
        for name in _NO_FILTERS:
            del self.filters[name]
        self.add_filters(self.filters)

    def add_filters(self, filters: Mapping[str, Callable[..., Any]]) -> None:
        """Filters whose arguments and results are measured."""
        self.filters.update({name: _bounded_filter(name, f) for name, f in filters.items()})

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        _ticking(source, self)
        return super()._generate(source, *args, **kwargs)

    # What compiled templates call. ----------------------------------------------------------------

    def tick(self, steps: int, made: int) -> bool:
        """Pay for one turn; always true."""
        budget = _budget.get()
        budget.steps -= steps
        budget.made -= made
        if budget.steps < budget.look or budget.made < 0:
            budget.check()
        return True

    def built(self, value: Any) -> Any:
        """A list, tuple or dict that was written down."""
        return _paid(value)

    def joined(self, parts: tuple[Any, ...], escaped: bool) -> str:
        """`a ~ b`."""
        size = 0
        for part in parts:
            size += _printed_size(part)
        if size > _SHORT:
            _at_most(size)
            _budget.get().spend(1, size)
        if escaped and any(hasattr(part, "__html__") for part in parts):
            return Markup("").join(parts)
        return "".join(map(str, parts))

    def sliced(self, value: Any, start: Any, stop: Any, step: Any) -> Any:
        """`value[start:stop:step]`."""
        part = value[start:stop:step]
        if len(part) > _SHORT:
            _budget.get().spend(1, len(part))
        return part

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field; records need not be judged each time, which took half of a template's time."""
        if type(obj) not in self.records or attribute.startswith("_"):
            return super().getattr(obj, attribute)
        try:
            return getattr(obj, attribute)
        except AttributeError:
            return self.undefined(obj=obj, name=attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Of Python's own types, what is known to be harmless; of others, what Jinja2 allows."""
        for kinds, allowed in _ATTRIBUTES:
            for kind in kinds:
                if isinstance(obj, kind) and hasattr(kind, attr) and attr not in allowed:
                    return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`str.format`, measured and with the sandbox's eye on the fields it reaches for."""
        fill = super().wrap_str_format(value)
        if fill is None:
            return None

        @wraps(value)
        def format(*args: Any, **kwargs: Any) -> str:  # noqa: A001
            mapping = args[0] if value.__name__ == "format_map" and args else {}
            _fill_braces(value.__self__, args, {**mapping, **kwargs})
            filled: str = _paid(fill(*args, **kwargs))
            return filled

        return format

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """`+ * ** %`, measured before they are done."""
        sequences = (str, list, tuple)
        if operator == "%" and isinstance(left, str):
            _fill_percent(left, right)
        elif operator == "*" and isinstance(left, (*sequences, int)):
            for one, times in ((left, right), (right, left)):
                if isinstance(one, sequences) and isinstance(times, int):
                    _at_most(len(one) * times, TEXT if isinstance(one, str) else ITEMS)
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            _at_most(max(left.bit_length(), 1) * right, 2 * _BITS)
        elif operator == "+" and isinstance(left, sequences) and isinstance(right, sequences):
            _at_most(len(left) + len(right), TEXT if isinstance(left, str) else ITEMS)
        return _paid(super().call_binop(context, operator, left, right))

    # The names of the first two can't be a template's keywords.
    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Call a macro, a method or a function."""
        # Jinja2's own, which only functions that take the context see.
        variables = {name: kwargs.pop(name, None) for name in ("_block_vars", "_loop_vars")}
        heavy = 0
        for one in (*args, *kwargs.values()) if kwargs else args:
            kind = type(one)
            if kind not in __self.records and kind not in _LIGHT:
                heavy += _weight(one)
        if heavy > _WEIGHT:
            raise OutOfBoundsError("a list would hold too much")
        if type(__obj) is Macro:
            made = __obj(__context.eval_ctx, *args, **kwargs)
            _budget.get().spend(20, len(made))
            return made
        _budget.get().spend(20, 0)
        if __obj in __self.speaking:
            return __obj(__context, *args, **kwargs)
        own = getattr(__obj, "__self__", None)
        if isinstance(own, str) and __obj.__name__ not in ("format", "format_map"):
            args = tuple(map(_held, args))
            for one in (own, *args):
                _fits(one)
            if price := _METHODS.get(__obj.__name__):
                price(own, *args, **kwargs)
        kwargs |= {name: value for name, value in variables.items() if value is not None}
        made = super().call(__context, __obj, *args, **kwargs)
        return made if type(made) is Namespace else _paid(made)


def filled(context: Context, text: str, values: Mapping[str, Any]) -> str:
    """A translated text with its values, escaped where the template escapes."""
    made = Markup(text) if context.eval_ctx.autoescape else text  # noqa: S704
    if "%" in text:
        _fill_percent(text, values)
        made = made % values
    _paid(made)
    return made


@cache
def form() -> str:
    """A name for what this module makes of templates: compiled ones of another are of no use."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


OUTSIDE = "lies outside of the folder of the templates"


class ClosedLoader(jinja2.FileSystemLoader):
    """Reads templates of one folder. What leads out of it, by `..` or by a symbolic link, is not there."""

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        """As Jinja2's, with a limit to a file's size. Raises TemplateNotFound, OutOfBoundsError."""
        _budget.get().spend(100, 0)
        if not isinstance(template, str):
            raise jinja2.TemplateNotFound(repr(template), "a template's name is a text")
        folder = Path(self.searchpath[0])
        path = folder / template
        try:
            state = path.stat()
            inside = path.resolve().is_relative_to(folder.resolve())
        except (OSError, ValueError, RuntimeError):  # missing; a zero byte; a circle of links
            raise jinja2.TemplateNotFound(template) from None
        if not inside:
            raise jinja2.TemplateNotFound(template, OUTSIDE)
        if stat.S_ISREG(state.st_mode) and state.st_size > SOURCE:
            raise OutOfBoundsError(f"{template} is larger than {SOURCE // 1000} kB")
        return super().get_source(environment, template)
