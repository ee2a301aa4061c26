"""Findings for machines, rules of other packages, and settings that can't be meant."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from newsletter.checks import Linter, github, rule, sarif
from newsletter.cli.main import cli
from newsletter.config import CheckSettings
from newsletter.errors import ConfigError, NotFoundError
from newsletter.findings import Finding, blocking
from newsletter.workspace import Workspace
from tests.docs.pages import page

FOUND = [
    Finding("BR301", "error", "passed: 100%\nreally, yes", "issues/a b/one.md", 3, 7, brief="one"),
    Finding("BR113", "info", "a hedge", "issues/a b/one.md", 4, 1, waived="it is meant"),
    Finding("SD201", "warning", "no place"),
]


def test_sarif_says_rule_place_level_and_what_is_waived() -> None:
    log = json.loads(json.dumps(sarif(FOUND)))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    results = run["results"]
    assert [one["id"] for one in rules] == ["BR113", "BR301", "SD201"]
    assert [rules[one["ruleIndex"]]["id"] for one in results] == ["BR301", "BR113", "SD201"]
    assert [one["level"] for one in results] == ["error", "note", "warning"]
    assert results[0]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "issues/a%20b/one.md"},
        "region": {"startLine": 3, "startColumn": 7},
    }
    assert results[1]["suppressions"] == [{"kind": "external", "justification": "it is meant"}]
    assert results[0]["suppressions"] == []
    assert "locations" not in results[2]
    assert all(one["fullDescription"]["text"] for one in rules)


def test_annotations_escape_what_github_would_read_as_its_own() -> None:
    assert github(FOUND).splitlines() == [
        "::error file=issues/a b/one.md,line=3,col=7,title=BR301::passed: 100%25%0Areally, yes",
        "::warning title=SD201::no place",
    ]


@pytest.mark.parametrize(
    ("options", "code", "begins"),
    [
        ([], 1, "issues/2026-W48/issue.toml:2:1: error IS105"),
        (["--format", "github"], 1, "::error file=issues/2026-W48/issue.toml,line=2"),
        (["--format", "sarif"], 1, "{\n"),
        (["--json"], 1, "{\n"),
    ],
)
def test_the_command_prints_the_shape_that_is_asked_for(
    workspace_dir: Path, options: list[str], code: int, begins: str
) -> None:
    path = workspace_dir / "issues" / "2026-W48" / "issue.toml"
    text = path.read_text("utf-8")
    path.write_text(text.replace('subject = "Half', 'subject = "" # "Half', 1), "utf-8")
    result = CliRunner().invoke(
        cli, ["--workspace", str(workspace_dir), "issue", "check", "2026-W48", *options]
    )
    assert result.exit_code == code
    assert result.stdout.startswith(begins)


def test_files_are_named_as_the_repository_sees_them(
    workspace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    (workspace_dir.parent / ".git").mkdir()
    manifest = workspace_dir / "issues" / "2026-W48" / "issue.toml"
    manifest.write_text(manifest.read_text("utf-8").replace("subject", "subjet", 1), "utf-8")
    base = ["--workspace", str(workspace_dir), "issue", "check", "2026-W48", "--format"]
    told = CliRunner().invoke(cli, [*base, "github"])
    name = f"{workspace_dir.name}/issues/2026-W48/issue.toml"
    assert told.stdout.startswith(f"::error file={name},line=2,col=1,title=IS100")
    log = json.loads(CliRunner().invoke(cli, [*base, "sarif"]).stdout)
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == name


def test_strict_fails_for_warnings_and_a_path_does_for_an_id(workspace_dir: Path) -> None:
    brief = workspace_dir / "issues" / "2026-W48" / "briefs" / "northmere-outage.txt"
    text = brief.read_text("utf-8").replace("Northmere Cloud lost", "Northmeer Cloud lost", 1)
    brief.write_text(text, "utf-8")
    base = ["--workspace", str(workspace_dir), "issue", "check", str(brief), str(brief.parent)]
    assert CliRunner().invoke(cli, base).exit_code == 0
    strict = CliRunner().invoke(cli, [*base, "--strict"])
    assert strict.exit_code == 1
    assert "BR117" in strict.stdout
    elsewhere = CliRunner().invoke(cli, [*base[:4], "/etc/passwd"])
    assert elsewhere.exit_code == 2


def test_paths_of_the_inbox_and_of_what_is_gone_are_passed_over(workspace_dir: Path) -> None:
    """As a commit hook hands them over."""
    inbox = next((workspace_dir / "issues" / "inbox").iterdir())
    gone = workspace_dir / "issues" / "2026-W01" / "issue.toml"
    base = ["--workspace", str(workspace_dir), "issue", "check"]
    assert CliRunner().invoke(cli, [*base, str(inbox), str(gone)]).exit_code == 0


def test_a_brief_of_an_issue_is_checked_as_that_issues(workspace_dir: Path) -> None:
    brief = workspace_dir / "issues" / "2026-W48" / "briefs" / "northmere-outage.txt"
    brief.write_text(brief.read_text("utf-8").replace("six hours", "TK hours", 1), "utf-8")
    base = ["--workspace", str(workspace_dir), "brief", "check"]
    told = CliRunner().invoke(cli, [*base, str(brief)])
    assert told.exit_code == 1
    assert "error BR112" in told.stdout
    loose = workspace_dir / "issues" / "inbox" / "northmere-outage.txt"
    brief.rename(loose)
    assert CliRunner().invoke(cli, [*base, str(loose)]).exit_code == 0


def test_an_address_that_is_none_stops_no_check(workspace_dir: Path) -> None:
    earlier = workspace_dir / "issues" / "2026-W47" / "briefs" / "gatehall-passkeys.md"
    earlier.write_text(earlier.read_text("utf-8") + "\nSee [x](http://[::1/x).\n", "utf-8")
    with Workspace(workspace_dir) as workspace:
        assert not blocking(workspace.check("2026-W48"))
        assert {one.code for one in workspace.check("2026-W47") if one.blocks} == {"ED201"}


def test_waivers_for_what_was_not_asked_are_kept(workspace_dir: Path) -> None:
    manifest = workspace_dir / "issues" / "2026-W48" / "issue.toml"
    waivers = "".join(
        f'\n[[waiver]]\ncode = "{code}"\nreason = "it is meant"\n'
        for code in ("ED202", "SD103", "SD301", "ED603", "BR113")
    )
    manifest.write_text(manifest.read_text("utf-8") + waivers, "utf-8")
    with Workspace(workspace_dir) as workspace:
        told = [one.message for one in workspace.check("2026-W48") if one.code == "IS112"]
    named = {message.split()[6].strip(";") for message in told}
    assert named - {"SD301"} == {"BR113"}  # SD301 where a spam filter answers


def test_a_check_explains_itself(workspace_dir: Path) -> None:
    result = CliRunner().invoke(
        cli, ["--workspace", str(workspace_dir), "issue", "check", "--explain", "br301"]
    )
    assert result.exit_code == 0
    assert "send_at" in result.stdout
    assert "Q2 2024" in result.stdout
    with pytest.raises(NotFoundError, match='Did you mean "BR301"'):
        rule("BR3O1")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"off": {"BR999": "no such"}}, "there is no check"),
        ({"off": {"ED601": "we trust it"}}, "always holds"),
        ({"severity": {"ED602": "info"}}, "always holds"),
        ({"off": {"BR201": "we are sure"}}, "always holds"),
        ({"off": {"IS105": "no subjects here"}}, "always holds"),
    ],
)
def test_settings_that_can_not_be_meant_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Linter(CheckSettings(**settings), file="newsletter.toml")  # type: ignore[arg-type]


def test_a_check_can_not_be_off_without_a_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        CheckSettings(off={"BR113": ""})  # type: ignore[call-arg]


# -- rules of other packages -------------------------------------------------------------------


def guide() -> str:
    """The plug-in of the guide, word for word."""
    fences = page("docs/checks.md").fences
    return next(one.text for one in fences if one.language == "python")


def with_plugin(tmp_path: Path, module: str, entry: str) -> dict[str, str]:
    """The environment of a process that has a package with this module installed."""
    site = tmp_path / "site"
    info = site / "house_rules-1.dist-info"
    info.mkdir(parents=True)
    (site / "house_rules.py").write_text(module, "utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house-rules\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[newsletter.checks]\nhouse = {entry}\n")
    return {"PYTHONPATH": f"{site}:{Path(__file__).parents[2]}", "PATH": "/usr/bin:/bin"}


def run(root: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "newsletter", "--workspace", str(root), *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_plugin_of_the_guide_is_found_waived_and_explained(
    workspace_dir: Path, tmp_path: Path
) -> None:
    environment = with_plugin(tmp_path, guide(), "house_rules:Shouting")
    brief = workspace_dir / "issues" / "inbox" / "loud.md"
    brief.write_text("# TOLLGATE CUTS\n\nText (per A).\n", "utf-8")
    told = run(workspace_dir, environment, "brief", "check", str(brief))
    assert "loud.md:1:1: warning HR001 the headline is in capitals" in told.stdout
    assert (
        "screen readers spell it"
        in run(workspace_dir, environment, "brief", "check", "--explain", "HR001").stdout
    )
    config = workspace_dir / "newsletter.toml"
    config.write_text(
        config.read_text("utf-8").replace("[checks.off]", '[checks.off]\nHR001 = "we shout"'),
        "utf-8",
    )
    assert "HR001" not in run(workspace_dir, environment, "brief", "check", str(brief)).stdout


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("raise OSError('gone')", "can't be loaded: gone"),
        ("class Shouting: pass", "derives from none"),
        ("def Shouting(): return None", "can't be loaded"),
        ("Shouting = [5]", "can't be loaded"),
        (
            guide().replace('code = "HR001"', 'severity = "fatal"\n    code = "HR001"'),
            "no severity",
        ),
        (
            guide()
            .replace("subject.brief.headline.isupper()", "True")
            .replace("yield self.of", "yield str or self.of"),
            "is no finding",
        ),
        (guide().replace('"HR001"', '"BR101"'), "BR101 is newsletter.checks.reading.NoHeadline"),
        (guide().replace('title = "a headline in capitals"', ""), "has no title"),
        (
            guide().replace("subject.brief.headline.isupper()", "1 / 0"),
            "HR001 (house_rules.Shouting) failed",
        ),
    ],
)
def test_a_bad_plugin_is_named_without_a_traceback(
    workspace_dir: Path, tmp_path: Path, module: str, says: str
) -> None:
    environment = with_plugin(tmp_path, module, "house_rules:Shouting")
    told = run(workspace_dir, environment, "issue", "check", "2026-W48")
    assert told.returncode == 1
    assert says in told.stderr
    assert "Traceback" not in told.stderr


def test_the_sample_issues_are_clean(workspace_dir: Path) -> None:
    with Workspace(workspace_dir) as workspace:
        workspace.import_people(workspace_dir / "subscribers" / "people.csv")
        for issue in ("2026-W47", "2026-W48"):
            assert [one for one in workspace.check(issue) if one.waived is None] == []
