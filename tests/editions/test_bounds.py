"""Templates that want time, memory, files or Python's insides get none of it, and are told where."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path
from shutil import copytree

import pytest

from newsletter.editions import Templates
from newsletter.editions.bounds import Bounds
from newsletter.editions.view import PublicationView
from newsletter.errors import TemplateError
from tests.conftest import ROOT

FILE = "attack.txt.j2"
LIMITS = Bounds(seconds=1)
PATIENCE = 4.0  #: seconds; a step may be under way when the second is over, and machines are busy
VALUES = {
    "e": PublicationView("Name", "", "https://letter.example.com", "x" * 1000),
    "day": date(2026, 11, 24),
}

#: What is tried, and what the refusal says. `X` is 100,000 characters.
ATTACKS: dict[str, tuple[str, str]] = {
    # in one step
    "a text times a billion": ("{{ 'a' * 10**9 }}", "longer than"),
    "a billion times a text": ("{{ 10**9 * 'a' }}", "longer than"),
    "a list times a billion": ("{{ ([1] * 10**9) | length }}", "longer than"),
    "a tower of powers": ("{{ 9**(9**9) }}", "longer than"),
    "a big number squared": (
        "{% set n = namespace(x=3) %}{% for i in range(40) %}{% set n.x = n.x * n.x %}{% endfor %}",
        "too many digits",
    ),
    "a width in a percent format": ("{{ '%1000000000d' % 1 }}", "width"),
    "a precision in a percent format": ("{{ '%.1000000000f' % 1.5 }}", "width"),
    "a width from an argument": ("{{ '%*d' % (10**9, 1) }}", "width"),
    "a width behind a name with brackets": ("{{ '%((a)b)1000000000d' % {'(a)b': 1} }}", "width"),
    "a width in the format filter": ("{{ '%1000000000d' | format(1) }}", "width"),
    "a width in str.format": ("{{ '{:1000000000}'.format(1) }}", "width"),
    "a width within a width": ("{{ '{:{w}}'.format(1, w=10**9) }}", "width"),
    "a width in format_map": ("{{ '{a:1000000000}'.format_map({'a': 1}) }}", "width"),
    "a width in a translated text": ("{{ _('%(n)1000000000d', n=1) }}", "width"),
    "a width in a trans block": (
        "{% trans n=1 %}{{ n }}{% endtrans %}{{ gettext('%(n)999999d', n=1) }}",
        "width",
    ),
    "many places for a long text": (
        "{{ ('%(x)s' * 30000) % {'x': X} }}",
        "longer than",
    ),
    "many braces for a long text": ("{{ ('{0}' * 30000).format(X) }}", "longer than"),
    "center": ("{{ 'a' | center(10**9) }}", "at most"),
    "the method center": ("{{ 'a'.center(10**9) }}", "at most"),
    "ljust": ("{{ 'a'.ljust(10**9) }}", "at most"),
    "zfill": ("{{ 'a'.zfill(10**9) }}", "at most"),
    "expandtabs": ("{{ ('\t' * 100000).expandtabs(10**9) }}", "longer than"),
    "indent": ("{{ ('a\n' * 1000) | indent(10**9) }}", "at most"),
    "indent with a long text": ("{{ ('a\n' * 1000) | indent('b' * 900) }}", "longer than"),
    "join": ("{{ range(10000) | join(X) }}", "longer than"),
    "the method join": ("{{ X.join(['a'] * 10000) }}", "longer than"),
    "replace": ("{{ X | replace('a', X) }}", "longer than"),
    "the method replace": ("{{ X.replace('', X) }}", "longer than"),
    "translate": ("{{ X.translate({97: X}) }}", "unsafe"),
    "wordwrap": ("{{ X | wordwrap(1, wrapstring=X) }}", "longer than"),
    "round": ("{{ 1.5 | round(10**9, 'ceil') }}", "at most"),
    "batch": ("{{ [1] | batch(10**9, 'x') | list }}", "at most"),
    "slice": ("{{ [1] | slice(10**9) | list }}", "at most"),
    "an indent in JSON": ("{{ [[1]] | tojson(indent=10**9) }}", "at most"),
    "a sum of lists": ("{{ ([[1]] * 9000) | sum(start=[]) }}", "adds numbers"),
    "bytes of a number": ("{{ (1).to_bytes(10**9, 'big') }}", "unsafe"),
    "encode": ("{{ X.encode('punycode') }}", "unsafe"),
    "a number of a long text": ("{{ X | replace('a', '1') | int(base=16) }}", "too many digits"),
    "strip with a long set": ("{{ X.strip(X) }}", "longer than"),
    "a search backwards": ("{{ X.rfind(X) }}", "longer than"),
    "a width of a paragraph": ("{{ 'a' | para(indent=10**9) }}", "at most"),
    "all links of a long text": ("{{ X | urlize }}", "longer than"),
    "a range of a billion": ("{{ range(10**9) | list }}", "range gives"),
    "filler": ("{{ lipsum(n=10**9) }}", "lipsum"),
    "chance": ("{{ [1, 2] | random }}", "random"),
    # in many steps
    "a loop of a billion": ("{% for i in range(10**9) %}{% endfor %}", "range gives"),
    "loops in loops": (
        "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
        "too long|seconds",
    ),
    "loops whose condition never holds": (
        "{% for i in range(9999) %}{% for j in range(9999) if false %}{% endfor %}{% endfor %}",
        "too long|seconds",
    ),
    "a slow filter in a loop": (
        "{% for i in range(9999) %}{{ range(9999) | sort | list | length }}{% endfor %}",
        "too long|seconds|too much",
    ),
    "a text that doubles": (
        "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "longer than",
    ),
    "a text that doubles by plus": (
        "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "longer than",
    ),
    "a list that doubles": (
        "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "longer than",
    ),
    "a list that holds itself twice": (
        (
            "{% set n = namespace(x=[1]) %}"
            "{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}"
        ),
        "too much|too deeply|too long|seconds",
    ),
    "a dict that holds itself twice": (
        (
            "{% set n = namespace(x=[1]) %}"
            "{% for i in range(99) %}{% set n.x = dict(a=n.x, b=n.x) %}{% endfor %}{{ n.x }}"
        ),
        "too much|too deeply|too long|seconds",
    ),
    "a key that holds itself twice": (
        (
            "{% set n = namespace(x=(1,)) %}"
            "{% for i in range(99) %}{% set n.x = (n.x, n.x) %}{% endfor %}{{ {n.x: 1} }}"
        ),
        "too much|too deeply|too long|seconds",
    ),
    "arguments that double": (
        (
            "{% set n = namespace(x=(1,)) %}{% macro m() %}{% set n.x = varargs %}{% endmacro %}"
            "{% for i in range(99) %}{{ m(n.x, n.x) }}{% endfor %}"
        ),
        "too much|too deeply|too long|seconds",
    ),
    "namespaces that hold each other twice": (
        (
            "{% set n = namespace(x=namespace()) %}{% for i in range(50) %}"
            "{% set n.x = namespace(a=n.x, b=n.x) %}{% endfor %}{{ n.x }}"
        ),
        "no text",
    ),
    "many copies kept": (
        (
            "{% set n = namespace(l=[]) %}{% for i in range(9999) %}"
            "{% set n.l = n.l + [X[:-1]] %}{% endfor %}"
        ),
        "too much",
    ),
    "many long texts of few": (
        "{{ range(9999) | map('center', 999) | list | length }}",
        "too much",
    ),
    "much output": ("{% for i in range(999) %}{{ X }}{% endfor %}", "too much"),
    "much output of the template's own": (
        "{% for i in range(9999) %}" + "words " * 1000 + "{% endfor %}",
        "too much",
    ),
    "much output in a block that is kept": (
        "{% set all %}{% for i in range(999) %}{{ X }}{% endfor %}{% endset %}",
        "too much",
    ),
    "more output than a mail": ("{% for i in range(30) %}{{ X }}{% endfor %}", "prints 3,000,000"),
    "macros that call the next twice": (
        "{% macro m0() %}x{% endmacro %}"
        + "".join(
            f"{{% macro m{i}() %}}{{{{ m{i - 1}() }}}}{{{{ m{i - 1}() }}}}{{% endmacro %}}"
            for i in range(1, 40)
        )
        + "{{ m39() }}",
        "too long|seconds|too much",
    ),
    # in circles
    "a macro that calls itself": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "in circles"),
    "a caller that calls itself": (
        (
            "{% macro m() %}{{ caller() }}{% endmacro %}"
            "{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}"
        ),
        "in circles",
    ),
    "a block that prints itself": ("{% block b %}{{ self.b() }}{% endblock %}", "in circles"),
    "a loop that goes deeper for ever": (
        "{% for i in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
        "in circles",
    ),
    "a file that includes itself": (f"{{% include '{FILE}' %}}", "in circles"),
    "a file that extends itself": (f"{{% extends '{FILE}' %}}", "in circles"),
    "a file that imports itself": (f"{{% import '{FILE}' as x %}}", "in circles"),
    "two files that include each other": ("{% include 'other.txt.j2' %}", "in circles"),
    "brackets without end": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "in circles"),
    "loops nested too deeply for Python": (
        "{% for i in [1] %}" * 30 + "{% endfor %}" * 30,
        "nested",
    ),
    "a huge file": ("{# " + "x" * 300_000 + " #}", "larger than"),
    # Python's insides
    "the class of a text": ("{{ ''.__class__.__mro__ }}", "unsafe"),
    "the class by the filter attr": ("{{ '' | attr('__class__') }}", "unsafe"),
    "the class by subscript": ("{{ ''['__class__'] }}", "unsafe"),
    "the class by map": ("{{ [''] | map(attribute='__class__') | join }}", "unsafe"),
    "the class by sort": ("{{ ['', ''] | sort(attribute='__class__') }}", "unsafe"),
    "the class by str.format": ("{{ '{0.__class__.__mro__}'.format('') }}", "unsafe"),
    "the class by format_map": ("{{ '{a.__class__}'.format_map({'a': ''}) }}", "unsafe"),
    "a view's init": ("{{ e.__init__.__globals__ }}", "unsafe"),
    "a view's dataclass": ("{{ e.__dataclass_fields__ }}", "unsafe"),
    "globals of gettext": ("{{ gettext.__globals__ }}", "unsafe"),
    "globals of a macro": ("{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}", "unsafe"),
    "globals of range": ("{{ range.__globals__ }}", "unsafe"),
    "the init of cycler": ("{{ cycler.__init__.__globals__ }}", "unsafe"),
    "the init of joiner": ("{{ joiner.__init__.__globals__ }}", "unsafe"),
    "the class of a namespace": ("{{ namespace().__class__.__init__ }}", "unsafe"),
    "the context of self": ("{{ self._TemplateReference__context }}", "unsafe"),
    "the frame of a generator": ("{{ ([1] | map('string')).gi_frame }}", "unsafe"),
    "a changed list": ("{{ [1].append(2) }}", "unsafe"),
    "the debug tag": ("{% debug %}", "unknown tag"),
    "the do tag": ("{% do [1].append(2) %}", "unknown tag"),
    "a view as text": ("{{ e }}", "no text"),
    "a view in a list as text": ("{{ [e] | string }}", "no text"),
    "url_for": ("{{ url_for.__globals__ }}", "undefined"),
    "config": ("{{ config }}", "undefined"),
    # files
    "a file above": ("{% include '../newsletter.toml' %}", "lies outside"),
    "a file further above": ("{% include '../../newsletter.toml' %}", "lies outside"),
    "a file from the root": ("{% include '/etc/passwd' %}", "lies outside"),
    "a link out of the folder": ("{% include 'link.txt.j2' %}", "lies outside"),
    "a linked folder": ("{% include 'linked/secret.txt' %}", "lies outside"),
    "a circle of links": ("{% include 'circle.txt.j2' %}", "no such template"),
    "a pipe": ("{% include 'pipe.txt.j2' %}", "no such template"),
    "a name with a zero byte": ("{% include 'a\\u0000b' %}", "no such template"),
    "a name that is no text": ("{% include 5 %}", "template"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return prepared(tmp_path)


def prepared(root: Path) -> Path:
    """A workspace of nothing but templates, and things around it that they must not reach."""
    folder, secret = root / "ws" / "templates", root / "secret"
    folder.mkdir(parents=True)
    secret.mkdir()
    (folder / "theme.toml").write_text("")
    copytree(ROOT / "templates" / "looks", folder / "looks")
    (folder / "other.txt.j2").write_text(f"{{% include '{FILE}' %}}")
    for path in (root / "newsletter.toml", root / "ws" / "newsletter.toml", secret / "secret.txt"):
        path.write_text("SECRET")
    (folder / "link.txt.j2").symlink_to(secret / "secret.txt")
    (folder / "linked").symlink_to(secret)
    (folder / "circle.txt.j2").symlink_to(folder / "circle.txt.j2")
    os.mkfifo(folder / "pipe.txt.j2")
    return root / "ws"


def render(root: Path, source: str, limits: Bounds = LIMITS, name: str = FILE) -> str:
    (root / "templates" / name).write_text(source, "utf-8")
    return Templates(root, limits=limits).render(name, X="a" * 100_000, **VALUES)


@pytest.mark.parametrize("attack", ATTACKS)
def test_is_refused_in_time_with_its_place(root: Path, attack: str) -> None:
    source, says = ATTACKS[attack]
    begun = time.monotonic()
    with pytest.raises(TemplateError, match=says) as refusal:
        render(root, source)
    assert time.monotonic() - begun < PATIENCE
    assert "SECRET" not in str(refusal.value)
    assert len(str(refusal.value)) < 700
    assert str(refusal.value).startswith("templates/")


def main() -> None:
    """Every attack in one process that may take 200 MB more than it begins with."""
    import resource
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        root = prepared(Path(folder))
        render(root, "{{ e.name }}")
        most = 1000 * int(Path("/proc/self/statm").read_text("ascii").split()[0]) * 4 + 200_000_000
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        for attack, (source, _) in ATTACKS.items():
            try:
                render(root, source, Bounds(seconds=2))
            except TemplateError as error:
                if "memory" in str(error):
                    sys.stdout.write(f"{attack}\n")
            except MemoryError:
                sys.stdout.write(f"{attack}\n")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_no_attack_takes_200_mb() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from tests.editions.test_bounds import main; main()"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_time_is_bounded_in_any_thread(root: Path) -> None:
    said: list[str] = []

    def run() -> None:
        try:
            render(root, "{% for i in range(9999) %}{{ range(9999) | sort | length }}{% endfor %}")
        except TemplateError as error:
            said.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE)
    assert said
    assert said[0].startswith(f"templates/{FILE}:1: ")


def test_the_place_is_the_line_of_the_loop_in_the_file_that_has_it(root: Path) -> None:
    (root / "templates" / "block.txt.j2").write_text(
        "{% macro m() %}\n\n{% for i in range(9999) %}\n{% for j in range(9999) %}\n"
        "x\n{% endfor %}\n{% endfor %}\n{% endmacro %}"
    )
    with pytest.raises(
        TemplateError, match=r"^templates/block\.txt\.j2:[45]: .*in macro m"
    ) as told:
        render(root, "{% from 'block.txt.j2' import m %}\n\n{{ m() }}")
    assert told.value.file == "templates/block.txt.j2"


def test_what_templates_honestly_do_still_works(root: Path) -> None:
    source = """
{%- set n = namespace(total=0) -%}
{%- for i in range(3) if i %}{% set n.total = n.total + i %}{{ loop.index }}{% endfor %} {{ n.total }}
{{ "a" ~ 1 ~ none }} {{ "ab"[:1] | upper }}{{ "abc"[1:] }} {{ "-" * 5 }} {{ 2 ** 10 }}
{{ "%s of %d%%" % ("a", 5) }} {{ "{:,}".format(12345) }} {{ "%05.1f" | format(2.25) }}
{{ ["b", "a"] | sort | join(", ") }} {{ {"a": 1}.get("a") }} {{ dict(a=1) }} {{ (1, 2) }}
{{ "a,b".split(",") | map("upper") | list }} {{ "x" | center(5) }}| {{ [1, 2] | sum }}
{{ [{"n": 1}, {"n": 2}] | sum(attribute="n") }} {{ 2.567 | round(1) }} {{ "a b" | replace(" ", "-") }}
{{ _("%(name)s is 100%% here", name=e.name) }} {{ ngettext("%(num)s day", "%(num)s days", 2) }}
{% macro m() %}{{ caller("in") }}{% endmacro -%}
{% call(x) m() %}<{{ x }}>{% endcall %} {{ day.isoformat() }} {{ day.strftime("%d") }}
"""
    assert render(root, source).split("\n") == [
        "12 3",
        "a1None Abc ----- 1024",
        "a of 5% 12,345 002.2",
        "a, b 1 {'a': 1} (1, 2)",
        "['A', 'B']   x  | 3",
        "3 2.6 a-b",
        "Name is 100% here 2 days",
        "<in> 2026-11-24 24",
    ]


@pytest.mark.parametrize(
    ("source", "line"), [("\n{# open", 2), ("{% raw %}x", 1), ("\n\n{{ 1 + }}", 3), ("{% x %}", 1)]
)
def test_a_slip_in_the_syntax_has_its_file_and_line(root: Path, source: str, line: int) -> None:
    with pytest.raises(TemplateError) as told:
        render(root, source)
    assert (told.value.file, told.value.line) == (f"templates/{FILE}", line)


def test_a_bound_ends_with_its_render(root: Path) -> None:
    with pytest.raises(TemplateError):
        render(root, "{% for i in range(9999) %}{{ X }}{% endfor %}")
    assert render(root, "{{ X | length }}") == "100000"


def test_what_was_compiled_without_bounds_is_not_used(root: Path) -> None:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    (root / "templates" / FILE).write_text("{{ ('a' * 300000) | length }}")
    cache = root / "var" / "cache" / "templates"
    cache.mkdir(parents=True)
    before = ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(root / "templates"),
        bytecode_cache=jinja2.FileSystemBytecodeCache(str(cache)),
    )
    assert before.get_template(FILE).render() == "300000"
    with pytest.raises(TemplateError, match="longer than"):
        Templates(root).render(FILE)
