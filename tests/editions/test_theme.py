"""Themes: a look with theme.toml over it, what is refused, and the contrast of every look."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from newsletter.editions import Templates, contrasts
from newsletter.editions.theme import contrast
from newsletter.errors import ConfigError
from newsletter.workspace import Workspace
from tests.conftest import ROOT

LOOKS = sorted(path.stem for path in (ROOT / "templates" / "looks").glob("*.toml"))
ISSUE = "2026-W48"


def theme(folder: Path, text: str) -> Templates:
    (folder / "templates" / "theme.toml").write_text(text, "utf-8")
    return Templates(folder)


def test_a_theme_is_a_look_with_what_is_different(workspace_dir: Path) -> None:
    made = theme(
        workspace_dir,
        'look = "bold"\ndensity = "airy"\n[light]\naccent = "#8a1c4a"\n[size]\nline = "1.6"\n',
    ).theme
    bold = tomllib.loads((ROOT / "templates/looks/bold.toml").read_text("utf-8"))
    assert made["light"] == bold["light"] | {"accent": "#8a1c4a"}
    assert made["size"]["line"] == "1.6"
    assert made["dark"] == bold["dark"]
    assert made["space"] == bold["density"]["airy"]
    assert (made["look"], made["logo"]) == ("bold", None)


def test_without_a_word_it_is_the_quiet_look(workspace_dir: Path) -> None:
    assert theme(workspace_dir, "").theme["look"] == "quiet"


def test_an_old_theme_with_every_token_still_holds(workspace_dir: Path) -> None:
    quiet = (ROOT / "templates/looks/quiet.toml").read_text("utf-8")
    tables = quiet.partition("[light]")[2].partition("[density.compact]")[0]
    assert theme(workspace_dir, f"[light]{tables}").theme == Templates(ROOT).theme


def test_an_issues_look_takes_the_overrides_that_it_knows(workspace_dir: Path) -> None:
    text = 'look = "bold"\n[light]\nband = "#8a1c4a"\naccent = "#8a1c4a"\n'
    made = theme(workspace_dir, text).theme_of("plain")
    assert made["look"] == "plain"
    assert made["light"]["accent"] == "#8a1c4a"
    assert "band" not in made["light"]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('look = "bald"', 1, r'there is no look "bald".*Did you mean "bold"'),
        ('look = "../../x"', 1, "must be the name of a look"),
        ("look = 3", 1, "must be the name of a look"),
        ('\ndensity = "loose"', 2, "compact, normal, airy"),
        ('[light]\nacent = "#0b6354"', 2, r'"light\.acent" is no key.*Did you mean "accent"'),
        ('[light]\n\naccent = "green"', 3, 'a colour of six digits.*"green" is none'),
        ('[light]\naccent = "#fff"', 2, "a colour of six digits"),
        ('[dark]\naccent = "#fff;} body {"', 2, "a colour of six digits"),
        ('[size]\ntext = "17"', 2, "a length in pixels"),
        ('[size]\ntext = "1e9px"', 2, "a length in pixels"),
        ('[size]\nline = "17px"', 2, "a number"),
        ("[font]\nsans = \"'Inter', serif\"", 2, "words without quotes"),
        ('[form]\nband = "yes"', 2, "true or false"),
        ('[ligth]\naccent = "#0b6354"', 1, r'"ligth" is no key.*Did you mean "light"'),
        ('light = "#0b6354"', 1, r'"light" is no key of a theme'),
        ('acent = "#0b6354"', 1, r'"acent" is no key of a theme'),
        ("logo_width = 5", 1, "16 to 600"),
        ('logo_width = "160px"', 1, "whole number"),
        ('logo_dark = "images/x.png"', 1, "needs a logo"),
        ("\n\nlogo = 1", 3, "a text in quotes"),
        ("[light\n", 1, "is not valid TOML"),
    ],
)
def test_what_can_be_no_theme_is_refused_with_file_and_line(
    workspace_dir: Path, text: str, line: int, why: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^templates/theme\.toml:{line}: .*{why}"):
        assert theme(workspace_dir, text).theme


def test_a_logo_that_is_not_there_is_refused(workspace_dir: Path) -> None:
    with pytest.raises(ConfigError, match=r"theme\.toml:2: there is no picture images/none\.png"):
        assert theme(workspace_dir, 'density = "airy"\nlogo = "images/none.png"').theme


def test_a_look_of_ones_own_may_have_tokens_of_its_own(workspace_dir: Path) -> None:
    looks = workspace_dir / "templates" / "looks"
    text = (looks / "quiet.toml").read_text("utf-8")
    text = text.replace("\n[light]\n", '\n[light]\nsea = "#123456"\n')
    text = text.replace("\n[dark]\n", '\n[dark]\nsea = "#654321"\n')
    (looks / "harbour.toml").write_text(text, "utf-8")
    (looks / "harbour.css.j2").write_text((looks / "quiet.css.j2").read_text("utf-8"), "utf-8")
    made = theme(workspace_dir, 'look = "harbour"\n[dark]\nsea = "#abcdef"\n')
    assert made.theme["light"]["sea"] == "#123456"
    assert made.theme["dark"]["sea"] == "#abcdef"
    with Workspace(workspace_dir) as workspace:
        assert "--sea: #123456" in workspace.page("web/issues.html.j2", issues=[], subscribe_url="")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("[dark]", "[darkness]", r"\[dark\] is missing"),
        ('accent = "#0b6354"', 'accent = "x;y"', '"light.accent"'),
        ('rule = "#323a37"\n', "", "need the same names: rule"),
        ("[density.airy]", "[density.wide]", r"\[density.airy\] is missing"),
    ],
)
def test_a_broken_look_is_refused_with_its_file(
    workspace_dir: Path, old: str, new: str, why: str
) -> None:
    path = workspace_dir / "templates" / "looks" / "quiet.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(ConfigError, match=rf"templates/looks/quiet\.toml.*{why}"):
        assert Templates(workspace_dir).theme


# -- contrast ------------------------------------------------------------------------------------


def test_contrast_is_as_the_standard_says() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


@pytest.mark.parametrize("look", LOOKS)
def test_every_pair_of_every_look_can_be_read(look: str) -> None:
    pairs = list(contrasts(Templates(ROOT).theme_of(look)))
    assert len(pairs) >= 38
    assert [one for one in pairs if not one.ok] == []


@pytest.mark.parametrize("look", LOOKS)
def test_the_ratios_in_a_looks_head_are_those_of_its_colours(look: str) -> None:
    head = (
        (ROOT / "templates" / "looks" / f"{look}.toml").read_text("utf-8").partition("[light]")[0]
    )
    noted: dict[tuple[str, str, str], str] = {}
    for line in head.splitlines():
        if found := re.match(r"#   (\w+) +((?:[\d.]+ *){6})$", line):
            places = [
                (scheme, on) for scheme in ("light", "dark") for on in ("paper", "tint", "canvas")
            ]
            for (scheme, on), ratio in zip(places, found[2].split(), strict=True):
                noted[scheme, found[1], on] = ratio
        elif found := re.match(r"#   (\w+) on (\w+) +([\d.]+) +([\d.]+)$", line):
            noted["light", found[1], found[2]] = found[3]
            noted["dark", found[1], found[2]] = found[4]
    computed = contrasts(Templates(ROOT).theme_of(look))
    assert noted == {(one.scheme, one.name, one.on): f"{one.ratio:.1f}" for one in computed}
