"""Documentation that fails when it lies: what pages name exists, what they list is complete."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from pathlib import Path
from types import ModuleType

import click
import jinja2
import pytest
from click.testing import CliRunner

import newsletter
from newsletter.audience import REASONS, Rule, load_segments, masked
from newsletter.audience.columns import MEANINGS as COLUMNS
from newsletter.audience.segments import _KEYS as SEGMENT_KEYS
from newsletter.briefs import due_date
from newsletter.briefs.front import KEYS
from newsletter.briefs.vocabulary import DEFAULT_LABELS
from newsletter.checks import ReadRule, all_rules
from newsletter.cli.main import cli, command_tree
from newsletter.config import Settings
from newsletter.delivery import STATES
from newsletter.editions import Templates
from newsletter.editions.theme import CHOICES, read_theme
from newsletter.editions.view import VIEWS
from newsletter.issues.manifest import Arm, Block, Manifest
from newsletter.tracking import verdicts
from newsletter.workspace import Workspace
from tests.docs.pages import ROOT, Page, all_pages, names, page

PAGES = all_pages()
LOOKS = sorted((ROOT / "templates" / "looks").glob("*.toml"))
each_page = pytest.mark.parametrize("one", PAGES, ids=[one.name for one in PAGES])
_CODE = re.compile(r"\b(?:BR|IS|ED|SD)\d{3}\b")
_SHELL = ("sh", "bash", "console")
_OTHERS = {"|", "&&", ";", ">", "||"}


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- generated pages -----------------------------------------------------------------------------


def test_generated_pages_are_current(reference: ModuleType) -> None:
    for path, text in reference.pages().items():
        current = reference.read(path) == text
        assert current, f"{path.name} is not as the code is; run: python docs/reference.py"


def test_the_generator_explains_nothing_that_is_gone(reference: ModuleType) -> None:
    assert set(reference.MEANINGS) <= set(reference.settings())
    assert set(reference.ADDRESSES) == set(reference.routes())
    assert set(reference.REMARKS) <= {name for name, _, _ in reference.tables(Settings)}


# -- commands ------------------------------------------------------------------------------------


@each_page
def test_every_command_line_can_be_typed(one: Page) -> None:
    for line, words in command_lines(one):
        problem = wrong_in(words)
        assert not problem, f"{one.name}: {line!r}: {problem}"


def command_lines(one: Page) -> Iterator[tuple[str, list[str]]]:
    """(as written, the words behind `newsletter`) of every command line of a page."""
    for fence in one.fences:
        for line in fence.text.replace("\\\n", " ").splitlines():
            shell = line.removeprefix("$ ")
            if fence.language in _SHELL or shell != line:
                for command in split_commands(shell):
                    if Path(command[0]).name == "newsletter":
                        yield line, command[1:]
            elif found := re.search(r"(?:^\s*|: )newsletter ((?:-|[a-z]).*)", line):
                yield line, re.split(r"\s{2,}", found[1])[0].split()
    for code in one.code:
        if found := re.match(r"(?:\S*/)?newsletter (.+)", code):
            yield code, split_commands(found[1])[0]


def split_commands(line: str) -> list[list[str]]:
    """The simple commands of a shell line, variables before them taken off."""
    commands: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word in _OTHERS:
            commands.append([])
        elif commands[-1] or not re.match(r"[A-Z_]+=", word):
            commands[-1].append(word)
    return [command for command in commands if command]


def wrong_in(words: list[str]) -> str:
    """What is wrong with the words behind `newsletter`, or an empty string."""
    tree = command_tree()
    command: click.Command = cli
    name = ""
    rest = list(words)
    while rest:
        word = rest.pop(0).strip("[]").partition("=")[0]
        if word.startswith("-") and len(word) > 1:
            options = {opt: param for param in command.params for opt in param.opts}
            if word in ("--help", "-h"):
                continue
            if word not in options:
                return f"there is no option {word} of newsletter {name}".rstrip()
            if command is cli and word == "--workspace":
                rest = rest[1:]
        elif isinstance(command, click.Group):
            if not re.fullmatch(r"[a-z-]+", word):  # a placeholder
                return ""
            name = f"{name} {word}".strip()
            if name not in tree:
                return f"there is no command newsletter {name}"
            command = tree[name]
    return ""


def test_a_wrong_command_line_is_found() -> None:
    assert not wrong_in(["send", "plan", "2026-W48", "--json"])
    assert not wrong_in(["--workspace", "somewhere", "issue", "check", "2026-W48"])
    assert wrong_in(["send", "plam", "2026-W48"])
    assert wrong_in(["send", "plan", "2026-W48", "--jason"])
    assert wrong_in(["--jason", "send", "plan"])


@each_page
def test_every_make_target_exists(one: Page) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shell = [fence.text for fence in one.fences if fence.language in _SHELL]
    for line in (*one.code, *"".join(shell).splitlines()):
        if found := re.match(r"make ([a-z]+)", line):
            assert found[1] in targets, f"{one.name}: {line}"


# -- paths and links -----------------------------------------------------------------------------


@each_page
def test_every_path_exists(one: Page) -> None:
    for code in one.code:
        assert not lost(code), f"{one.name}: there is no {code}"


def lost(code: str) -> bool:
    """Whether inline code looks like a path of the repository and is none."""
    if not re.fullmatch(r"[\w.*/-]+", code):  # a sentence, a command, or with a placeholder <…>
        return False
    if "/" in code:
        first = code.partition("/")[0]
        tracked = (ROOT / first).is_dir() and first not in ("var", ".venv", "")
        return tracked and not any(ROOT.glob(code.rstrip("/")))
    if re.fullmatch(r"[\w-]+\.(?:py|j2|lock|mjml\.j2)|[A-Z]\w*file", code):
        return (
            not any(path for top in tops() for path in top.rglob(code))
            and not (ROOT / code).exists()
        )
    return False


def tops() -> list[Path]:
    return [ROOT / name for name in ("newsletter", "templates", "docs", "tests", "bench")]


def test_a_lost_path_is_found() -> None:
    assert lost("newsletter/briefs/parsing.py")
    assert lost("templates/webb/")
    assert lost("nowhere.py")
    assert not lost("newsletter/briefs/parse.py")
    assert not lost("issues/<id>/")
    assert not lost("var/nowhere")


@each_page
def test_every_link_leads_somewhere(one: Page) -> None:
    for link in one.links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (one.path.parent / path).resolve() if path else one.path
        assert target.exists(), f"{one.name}: {link}"
        if anchor:
            assert anchor in Page(target).anchors, f"{one.name}: {link}"


@each_page
def test_sample_addresses_are_on_reserved_domains(one: Page) -> None:
    for domain in re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", one.text):
        assert re.search(r"(?:^|\.)example\.(?:com|org|net)$|\.(?:example|test)$", domain), domain


# -- settings ------------------------------------------------------------------------------------


@each_page
def test_every_setting_exists(one: Page, reference: ModuleType) -> None:
    tables = known_tables(reference)
    for code in one.code:
        found = re.fullmatch(r"\[{1,2}([a-z_.<>]+)\]{1,2}(?: (\w+))?", code)
        if not found or found[1].startswith("tool."):
            continue
        table = re.sub(r"^(segments|fields)\..+", r"\1.<>", found[1])
        assert table in tables, f"{one.name}: there is no table {code}"
        assert found[2] is None or found[2] in tables[table], f"{one.name}: there is no key {code}"


def known_tables(reference: ModuleType) -> dict[str, set[str]]:
    """Keys by table, of newsletter.toml, issue.toml, segments.toml and theme.toml."""
    known = {
        table.replace("<name>", "<>"): set(keys) for table, _, keys in reference.tables(Settings)
    }
    known["briefs.labels"] = known["briefs.more_labels"] = set(DEFAULT_LABELS)
    for name, field in Manifest.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            known[name] = set(field.annotation.model_fields)  # type: ignore[union-attr]
    known["segments.<>"] = {"subject", "preheader", "intro"}
    known["split.arm"] = set(Arm.model_fields)
    known["transports.mine"] = set()  # the plug-in of the guide
    known["waiver"] = {"code", "brief", "segment", "reason"}
    known["segment"] = set(SEGMENT_KEYS)
    known["block"] = set(Block.model_fields)
    looks = [tomllib.loads(path.read_text("utf-8")) for path in LOOKS]
    for name in {name for look in looks for name in look}:
        known[name] = set().union(*(look.get(name, ()) for look in looks))
    return known | {"space": set(looks[0]["density"]["normal"])}


@each_page
def test_every_environment_variable_sets_something(one: Page, reference: ModuleType) -> None:
    known = {f"NEWSLETTER_{name.replace('.', '__').upper()}" for name in reference.settings()}
    known |= {"NEWSLETTER_WORKSPACE", "NEWSLETTER_<TABLE>__<KEY>"}
    known.add("NEWSLETTER_TRANSPORTS__MINE__KEY")  # the plug-in of the guide
    for variable in re.findall(r"NEWSLETTER_[A-Z_<>]+", one.text):
        assert variable in known, f"{one.name}: {variable}"


@each_page
def test_every_toml_example_is_accepted(one: Page, tmp_path: Path) -> None:
    sample = tomllib.loads((ROOT / "newsletter.toml").read_text("utf-8"))
    for fence in one.fences:
        if fence.language != "toml":
            continue
        values = tomllib.loads(fence.text)
        if "project" in values:  # of a plug-in
            continue
        if {"density", "light", "font"} & set(values):
            folder = shutil.copytree(ROOT / "templates", tmp_path / "templates")
            (folder / "theme.toml").write_text(fence.text, "utf-8")
            assert read_theme(folder, "templates")
            shutil.rmtree(folder)
            continue
        if "segment" in values:
            (tmp_path / "subscribers").mkdir(exist_ok=True)
            (tmp_path / "subscribers" / "segments.toml").write_text(fence.text, "utf-8")
            assert load_segments(tmp_path, Settings(**sample).fields)
        elif set(values) <= set(Settings.model_fields):
            assert Settings(**{**sample, **values})
        else:
            assert Manifest(**values)


@each_page
def test_every_python_example_uses_what_is_there(one: Page) -> None:
    for fence in one.fences:
        if fence.language == "python":
            for node in ast.walk(ast.parse(fence.text)):
                if isinstance(node, ast.ImportFrom) and node.module == "newsletter":
                    assert {name.name for name in node.names} <= set(newsletter.__all__)


# -- findings ------------------------------------------------------------------------------------


@each_page
def test_every_finding_code_exists(one: Page) -> None:
    """Codes of the guide's own plug-in begin with other letters."""
    assert set(_CODE.findall(one.text)) <= {rule.code for rule in all_rules()}


def test_every_finding_that_the_parser_tells_has_its_class() -> None:
    told = {code for code in codes_in_parsers() if not code.startswith("IS")}
    assert told == {rule.code for rule in all_rules() if issubclass(rule, ReadRule)}


def codes_in_parsers() -> set[str]:
    """Finding codes that stand in the packages below the checks."""
    return {
        str(node.value)
        for package in ("briefs", "issues")
        for path in (ROOT / "newsletter" / package).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and _CODE.fullmatch(str(node.value))
    }


# -- tables that list something completely -------------------------------------------------------


def test_briefs_lists_labels_and_front_matter() -> None:
    briefs = page("docs/briefs.md")
    listed = {names(row[0])[0]: row[1] for row in briefs.tables("Labels")[0]}
    assert listed == {role: ", ".join(labels) for role, labels in DEFAULT_LABELS.items()}
    assert briefs.first_column("Front matter") == list(KEYS)


def test_due_dates_are_read_as_the_table_says() -> None:
    for written, due in page("docs/briefs.md").tables("Due dates")[0]:
        read = due_date(names(written)[0], date(2026, 11, 24))
        assert read == date.fromisoformat(due), written
    for written in ("04/12/2026", "by EOY", "end of March", "Friday"):
        assert f"`{written}`" in page("docs/briefs.md").text
        assert due_date(written, date(2026, 11, 24)) is None


def test_the_plain_text_example_is_shown_as_it_says(tmp_path: Path) -> None:
    example, shown = (f for f in page("docs/briefs.md").fences if "Tollgate cuts" in f.text)
    (tmp_path / "tollgate.txt").write_text(example.text, "utf-8")
    command = ["--workspace", str(ROOT), "brief", "show", str(tmp_path / "tollgate.txt")]
    ran = CliRunner().invoke(cli, command)
    assert ran.output.strip() == shown.text.strip()


def test_the_markdown_example_is_a_brief_without_findings(tmp_path: Path) -> None:
    example = next(f for f in page("docs/briefs.md").fences if f.language == "markdown")
    (tmp_path / "lumen.md").write_text(example.text, "utf-8")
    with Workspace(ROOT) as workspace:
        parsed = workspace.brief(tmp_path / "lumen.md")
    # read after its own week, the example's date has passed
    assert not [one for one in parsed.findings if one.code != "BR301"]
    assert parsed.brief.slug == "lumen-prices"
    assert parsed.brief.body[1].segments == ("execs", "procurement")


def test_issues_lists_every_key() -> None:
    listed = page("docs/issues.md").first_column("issue.toml")
    plain: list[str] = []
    tables = {"segments": "[segments.<key>]", "block": "[[block]]", "waiver": "[[waiver]]"}
    for name, field in Manifest.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            plain += [f"[{name}] {key}" for key in field.annotation.model_fields]  # type: ignore[union-attr]
        else:
            plain.append(tables.get(name, name))
    assert listed == plain


def test_audience_lists_columns_keys_and_reasons() -> None:
    audience = page("docs/audience.md")
    assert sorted(audience.first_column("Import")) == sorted(COLUMNS)
    assert audience.first_column("Segments") == list(SEGMENT_KEYS)
    assert set(audience.first_column("Who may be mailed")) == set(REASONS)


def test_rules_in_the_table_are_accepted() -> None:
    with Workspace(ROOT) as workspace:
        given, keys = workspace.settings.fields, workspace.segments.keys
    for rule in page("docs/audience.md").first_column("Rules"):
        assert Rule(rule, given, keys)


def test_sending_lists_every_state() -> None:
    assert page("docs/sending.md").first_column("States") == list(STATES)


@pytest.mark.parametrize("view", sorted(VIEWS, key=lambda view: view.__name__))
def test_templates_lists_every_field(view: type) -> None:
    listed = page("docs/templates.md").first_column(view.__name__)
    assert listed == [field.name for field in fields(view)]


def test_templates_lists_the_theme_and_every_look() -> None:
    theme, tables = page("docs/templates.md").tables("Theme")
    assert [names(row[0])[0] for row in theme] == list(CHOICES)
    quiet = tomllib.loads((ROOT / "templates" / "looks" / "quiet.toml").read_text("utf-8"))
    known = {f"[{name}]" for name in quiet} - {"[density]"} | {"[space]"}
    assert {names(row[0])[0] for row in tables} == known
    looks = page("docs/templates.md").tables("Looks")[0]
    assert {names(row[0])[0] for row in looks} == {path.stem for path in LOOKS}


def test_templates_lists_every_macro_of_the_mails_blocks() -> None:
    listed = {
        names(row[1])[0]: set(names(row[0]))
        for row in page("docs/templates.md").tables("Blocks")[0]
    }
    for path in (ROOT / "templates" / "blocks").glob("*.mjml.j2"):
        macros = set(re.findall(r"{% macro (\w+)", path.read_text("utf-8")))
        assert listed[path.relative_to(ROOT).as_posix()] == macros


def test_issues_lists_every_key_of_a_block() -> None:
    assert page("docs/issues.md").first_column("Blocks") == list(Block.model_fields)


def test_templates_lists_filters_and_pages(workspace_dir: Path) -> None:
    templates = page("docs/templates.md")
    own = set(Templates(workspace_dir).environment.filters) - set(jinja2.Environment().filters)
    listed = {names(row[0])[0] for row in templates.tables("Filters")[0]}
    assert listed == own
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "templates/web").glob("*.j2")}
    described = {names(row[0])[0] for row in templates.tables("Public pages")[0]}
    parts = {f"templates/web/{name}" for name in ("base.html.j2", "form.css.j2", "not_you.html.j2")}
    assert described == {*pages, "templates/preview.html.j2"} - parts


def test_tracking_lists_every_verdict_rule() -> None:
    source = (ROOT / "newsletter" / "tracking" / "verdicts.py").read_text("utf-8")
    rules = set(re.findall(r'return "(?:human|machine|unknown)", "([a-z-]+)"', source))
    rules |= set(verdicts.PROXIES.values())
    assert set(page("docs/tracking-and-privacy.md").first_column("Person or machine")) == rules


def test_tracking_shows_an_address_as_it_is_masked() -> None:
    assert f"`{masked('ada@example.com')}`" in page("docs/tracking-and-privacy.md").text


def test_architecture_lists_packages_interfaces_and_layers() -> None:
    architecture = page("docs/architecture.md")
    rows = architecture.tables("The packages")[0]
    packages = {f.parent.name for f in (ROOT / "newsletter").glob("*/__init__.py")}
    assert {names(row[0])[0].removeprefix("newsletter/") for row in rows} == packages
    for row in rows:
        package = importlib.import_module(names(row[0])[0].replace("/", "."))
        for name in names(row[3]):
            assert hasattr(package, name), f"{row[0]} offers no {name}"
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = pyproject["tool"]["importlinter"]["contracts"][0]["layers"]
    drawn = [layer.replace("newsletter.", "") for layer in layers]
    assert "\n".join(drawn) in [fence.text.strip() for fence in architecture.fences]
