"""A user's mistake is a sentence with place and remedy, exit code 1, and changes nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran

ISSUE = "2026-W48"
Run = Callable[..., Ran]


def refused(ran: Ran, *words: str) -> None:
    assert ran.code == 1, (ran.out, ran.err)
    assert "Traceback" not in ran.err + ran.out
    for word in words:
        assert word in ran.err + ran.out, (word, ran.err, ran.out)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "var" not in path.relative_to(folder).parts
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Our Take\nCaf\xe9 is not UTF-8\n", ["bad.txt:2", "not UTF-8", "save it"]),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ["bad.txt", "binary"]),
        (b"", ["bad.txt:1", "empty"]),
        (b" \n\t\n", ["bad.txt:1", "empty"]),
        (b"Our Take\nWell.\nDo this week\nAI teams: act.\n", ["bad.txt:1", "no headline"]),
        (
            b"Our Take\nWell.\nDo this week\nExces: act.\nA headline\nText follows.\n",
            ["bad.txt:4", "Exces", 'Did you mean "Execs"'],
        ),
        (
            b"Do this week\nExecs: act.\nExecs and AI teams: act again.\nA headline\nText.\n",
            ["bad.txt:3", "second action for Execs"],
        ),
    ],
)
def test_a_bad_brief_is_refused_with_its_line(
    run: Run, workspace_dir: Path, tmp_path: Path, content: bytes, words: list[str]
) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    before = snapshot(workspace_dir)
    refused(run("brief", "add", path), *words)
    refused(run("brief", "check", path), *words)
    refused(run("brief", "format", "--write", path), *words)
    assert path.read_bytes() == content
    assert snapshot(workspace_dir) == before


def test_a_missing_brief_is_refused(run: Run) -> None:
    refused(run("brief", "show", "nowhere.txt"), "nowhere.txt", "no such file")


def test_a_template_that_does_not_compile_is_refused_with_block_and_line(
    run: Run, workspace_dir: Path
) -> None:
    run("audience", "import", "subscribers/people.csv")
    path = workspace_dir / "templates" / "blocks" / "digest.mjml.j2"
    path.write_text(path.read_text("utf-8").replace("{% endfor %}", "", 1), "utf-8")
    refused(run("send", "plan", ISSUE), "templates/blocks/digest.mjml.j2:", "macro digest")
    refused(run("send", "status", ISSUE), "no plan yet")


def test_a_broken_rule_is_refused_with_its_line(run: Run, workspace_dir: Path) -> None:
    path = workspace_dir / "subscribers" / "segments.toml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("seniority = 'c-level'", "seniorty = 'c-level'"), "utf-8")
    line = text[: text.index("seniority = 'c-level'")].count("\n") + 1
    refused(
        run("segment", "list"),
        f"subscribers/segments.toml:{line}",
        'no field "seniorty"',
        'Did you mean "seniority"',
    )
    refused(run("audience", "count", "role = (select 1)"))
    refused(run("audience", "count", "role = 'x'; drop table subscriber"))


def test_a_csv_without_an_email_column_changes_nothing(run: Run, workspace_dir: Path) -> None:
    path = workspace_dir / "people.csv"
    path.write_text("name,role\nAda,cto\n", "utf-8")
    refused(run("audience", "import", path), "people.csv:1", 'no column "email"')
    assert run("audience", "count", "role = 'cto'", "--json").json == {"count": 0}


def test_bad_rows_are_listed_and_the_good_ones_go_in(run: Run, workspace_dir: Path) -> None:
    path = workspace_dir / "people.csv"
    path.write_text(
        "email,seniority,segments\n"
        "ada@example.com,lead,\n"
        "no address,lead,\n"
        "bob@example.com,boss,\n"
        "eve@example.com,,procurment\n"
        '"line\nbreak@example.com",,\n',
        "utf-8",
    )
    ran = run("audience", "import", path, "--json")
    assert ran.code == 0
    assert (ran.json["added"], ran.json["rejected"]) == (1, 4)
    rejects = Path(ran.json["rejects_file"]).read_text("utf-8")
    for words in ("\n3,", "\n4,", "boss", "\n5,", "Procurement", "line break"):
        assert words in rejects


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "Signal Brief"\ntagline', "tagline", ["publication.name", "missing"]),
        ("tagline =", "tagine =", ["newsletter.toml:", 'Did you mean "tagline"']),
        ("Europe/Berlin", "Europe/Berln", ["newsletter.toml:", "no time zone"]),
        ('level = "person"', 'level = "everything"', ["newsletter.toml:", "tracking.level"]),
        ("[sender]", "[sender", ["newsletter.toml", "not valid TOML"]),
        ("sqlite:///", "mysql://", ["newsletter.toml:", "sqlite:///"]),
    ],
)
def test_a_wrong_setting_is_refused_with_its_line(
    run: Run, workspace_dir: Path, old: str, new: str, words: list[str]
) -> None:
    path = workspace_dir / "newsletter.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    refused(run("segment", "list"), *words)


def test_outside_a_workspace_the_way_in_is_told(run: Run, tmp_path: Path) -> None:
    refused(run("segment", "list", cwd=tmp_path), "newsletter init DIR")


def test_an_unwritable_outbox_is_refused(run: Run, workspace_dir: Path) -> None:
    run("audience", "import", "subscribers/people.csv")
    run("send", "plan", ISSUE)
    run("send", "approve", ISSUE, "--yes")
    (workspace_dir / "var" / "outbox").write_text("in the way", "utf-8")
    refused(run("send", "start", ISSUE, "--yes"), "outbox", "can't be written", "newsletter.toml")


def test_a_port_in_use_is_refused(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(run("serve", "--port", port), f"port {port}", "--port")


@pytest.mark.parametrize(
    "words",
    [
        ["issue", "check"],
        ["issue", "coverage"],
        ["issue", "show"],
        ["issue", "preview"],
        ["send", "plan"],
        ["send", "test", "--to", "me@example.com"],
    ],
)
def test_an_unknown_issue_is_refused_with_a_hint(run: Run, words: list[str]) -> None:
    refused(run(*words, "2026-W84"), "2026-W84")
    refused(run(*words, "2026-W4"), 'Did you mean "2026-W4')


@pytest.mark.parametrize("words", [["send", "status"], ["send", "audit"], ["report"]])
def test_an_issue_without_a_plan_is_refused_with_the_remedy(run: Run, words: list[str]) -> None:
    refused(run(*words, ISSUE), "newsletter send plan")


def test_an_unknown_transport_and_person_are_refused(run: Run) -> None:
    refused(run("send", "plan", ISSUE, "--transport", "outbux"), 'Did you mean "outbox"')
    refused(run("audience", "explain", "no@example.com", "--issue", ISSUE), "no@example.com")
    refused(run("audience", "explain", "nobody", "--issue", ISSUE), "no e-mail address")


def test_nothing_to_assemble_is_refused(run: Run) -> None:
    refused(run("issue", "assemble", "2026-W49", "--tag", "none"), "no brief that fits")
    refused(run("issue", "assemble", ISSUE), "already")
    refused(run("issue", "assemble", "2026-W99"), "no week 99")
    refused(run("issue", "assemble", "../x"), "can be no issue")


def test_text_in_square_brackets_is_text(run: Run, workspace_dir: Path) -> None:
    path = workspace_dir / "brackets.txt"
    path.write_text(
        "Our Take\nT.\nDo this week\nExecs: go [/api].\nUse [/api/v2] now [bold]\nText.\n",
        "utf-8",
    )
    shown = run("brief", "show", path)
    assert shown.code == 0
    assert "Use [/api/v2] now [bold]" in shown.out
    toml = workspace_dir / "issues" / ISSUE / "issue.toml"
    toml.write_text(toml.read_text("utf-8").replace("Week 48", "Week [/48]"), "utf-8")
    assert "Week [/48]" in run("issue", "show", ISSUE).out


def test_a_comment_is_not_mailed(run: Run, workspace_dir: Path) -> None:
    path = workspace_dir / "issues" / ISSUE / "briefs" / "quillon-price-cut.md"
    path.write_text(path.read_text("utf-8") + "\n<!-- ask legal -->\n", "utf-8")
    refused(run("issue", "check", ISSUE), "BR108", "would be mailed")


def test_formatting_loses_nothing_that_it_does_not_know(run: Run, workspace_dir: Path) -> None:
    path = workspace_dir / "issues" / ISSUE / "briefs" / "quillon-price-cut.md"
    text = path.read_text("utf-8").replace("slug:", "author: Jane\nslug:", 1)
    path.write_text(text, "utf-8")
    refused(run("brief", "format", "--write", path), "author", "would lose it")
    assert path.read_text("utf-8") == text


def test_secrets_that_are_lost_are_not_replaced_in_silence(run: Run, workspace_dir: Path) -> None:
    run("audience", "import", "subscribers/people.csv")
    for words in (["plan"], ["approve", "--yes"], ["start", "--yes"]):
        assert run("send", words[0], ISSUE, *words[1:]).code == 0
    (workspace_dir / "var" / "secrets" / "tokens").unlink()
    refused(run("send", "test", ISSUE, "--to", "me@example.com"), "restore the file")


def test_a_damaged_database_is_told(run: Run, workspace_dir: Path) -> None:
    run("segment", "list")
    for name in ("newsletter.db-wal", "newsletter.db-shm"):
        (workspace_dir / "var" / name).unlink(missing_ok=True)
    (workspace_dir / "var" / "newsletter.db").write_bytes(b"this is no database" * 500)
    refused(run("segment", "list"), "damaged", "backup")


def test_a_plan_for_nobody_does_not_start(run: Run) -> None:
    assert "nobody to mail yet" in run("send", "plan", ISSUE).err
    refused(run("send", "approve", ISSUE, "--yes"), "nobody to mail")
    refused(run("send", "start", ISSUE, "--yes"), "not approved")
