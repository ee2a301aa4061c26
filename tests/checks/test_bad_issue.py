"""A deliberately bad publication: every check finds what is wrong with it, at the right place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from newsletter import init
from newsletter.checks import BriefRule, ReadRule, all_rules
from newsletter.findings import Finding
from newsletter.workspace import Workspace

ISSUE = "2026-W48"
MANIFEST = """\
subject = "A subject that goes on and on, and says TODO where it should have said what the issue is about"
preheader = "Too short."
intro = "An introduction."
send_at = 2026-12-25T07:30:00+01:00
order = ["offer", "offer", "ofer"]
text = "full"

[policy]
digest = 1

[gate]
min = 9

[segments.exces]
subject = "Nobody reads this"

[segments.execs]
subject = ""

[[split.arm]]
name = "b"
share = 0.5
actions = {"offer/exces" = "Decide by 3 May 2024."}

[[waiver]]
code = "BR104"
brief = "ofer"
reason = "it is meant"

[[waiver]]
code = "BR403"
reason = "it is meant"
"""
OFFER = """\
---
slug: offer
date: 2026-12-24
sources:
- name: Harbor Ledger
  url: http://harbor-ledger.example.com/offer
actions:
  execs: {id: offer/decide}
---

# Tollgate halves its prices until spring

Tollgate halves its prices. [](https://tollgate.example.com/empty) The terms are
[here](https://tollgate.example.com/terms), the rest is at [a page](https://tollgate..example.com/x).

## Our Take

T.

## Why it matters

W.

## Do this week

- Execs: ask finance for both prices by 20 January 2027.
- Security: change the keys by 18 January 2027.
"""
SECOND = """\
---
slug: second
date: 2026-12-24
actions:
  execs: {id: offer/decide}
---

# A second story

It says what the first said, see [the offer](http://harbor-ledger.example.com/offer), (per A).

## Our Take

T.

## Why it matters

W.

## Do this week

- Execs: sign the new contract by 28 December 2026.
"""
EARLIER = """\
# Tollgate halves its prices until the spring

As told at <http://harbor-ledger.example.com/offer>, see http://harbor-ledger.example.com/offer (per A).

## Do this week

- Execs: ask finance for both prices by 20 January 2027.
"""
BAD_HTML = """\
<mj-section><mj-column><mj-text>
<h5>A level that was skipped</h5>
<table><tr><td style="color:#cccccc;background-color:#ffffff">Pale words for nobody</td></tr></table>
<form action="https://tollgate.example.com/"></form>
<div style="display:flex"><p>One beside the other</p><p>and that one</p></div>
<img src="http://cdn.example.com/a.png"/>
<p>Hello {{ "{{ reader.name }}" }}</p>
</mj-text></mj-column></mj-section>
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Finding]]:
    root = init(tmp_path_factory.mktemp("bad") / "publication")
    folder = root / "issues" / ISSUE
    for path in (folder / "briefs").iterdir():
        path.unlink()
    (folder / "issue.toml").write_text(MANIFEST, "utf-8")
    (folder / "briefs" / "offer.md").write_text(OFFER, "utf-8")
    (folder / "briefs" / "second.md").write_text(SECOND, "utf-8")
    (folder / "briefs" / "third.md").write_text(OFFER.replace("id: offer", "id: third"), "utf-8")
    (root / "issues" / "2026-W47" / "briefs" / "earlier.md").write_text(EARLIER, "utf-8")
    template = root / "templates" / "issue.mjml.j2"
    text = template.read_text("utf-8").replace("{{ footer(e) }}", BAD_HTML + "{{ footer(e) }}")
    text = text.replace('<mjml lang="{{ e.language }}"', '<mjml lang="xq"')
    template.write_text(text, "utf-8")
    return by_code(root)


def by_code(root: Path, **how: bool) -> dict[str, list[Finding]]:
    told: dict[str, list[Finding]] = defaultdict(list)
    with Workspace(root) as workspace:
        for one in workspace.check(ISSUE, **how):
            told[one.code].append(one)
    return told


#: Where each code is found in the bad issue: file (its end) and line.
PLACES: Mapping[str, tuple[str, int]] = {
    "IS102": ("issue.toml", 5),
    "IS103": ("issue.toml", 5),
    "IS104": ("third.md", 1),
    "IS105": ("issue.toml", 18),
    "IS107": ("issue.toml", 14),
    "IS108": ("issue.toml", 25),
    "IS109": ("issue.toml", 5),
    "IS110": ("second.md", 22),
    "IS111": ("issue.toml", 20),
    "IS112": ("issue.toml", 30),
    "IS113": ("issue.toml", 1),
    "IS114": ("issue.toml", 2),
    "IS115": ("issue.toml", 1),
    "IS117": ("second.md", 10),
    "IS118": ("issue.toml", 5),
    "IS120": ("issue.toml", 4),
    "IS123": ("issue.toml", 23),
    "IS201": ("offer.md", 24),
    "IS301": ("offer.md", 6),
    "IS302": ("offer.md", 11),
    "IS303": ("offer.md", 26),
    "ED201": ("offer.md", 14),
    "ED203": ("offer.md", 6),
    "ED204": ("offer.md", 14),
    "ED205": ("offer.md", 13),
    "ED301": ("templates/issue.mjml.j2", 1),
    "ED302": ("templates/issue.mjml.j2", 1),
    "ED303": ("templates/issue.mjml.j2", 1),
    "ED401": ("templates/theme.toml", 1),
    "ED403": ("templates/issue.mjml.j2", 1),
    "ED404": ("templates/issue.mjml.j2", 1),
    "ED405": ("templates/issue.mjml.j2", 1),
    "ED501": ("templates/issue.mjml.j2", 1),
    "ED502": ("templates/issue.mjml.j2", 1),
    "ED503": ("templates/issue.mjml.j2", 1),
    "ED504": ("templates/issue.mjml.j2", 1),
}


@pytest.mark.parametrize("code", PLACES)
def test_every_code_is_found_at_its_place(found: dict[str, list[Finding]], code: str) -> None:
    file, line = PLACES[code]
    places = [((one.file or "").rpartition(ISSUE)[2], one.line) for one in found[code]]
    assert any(name.endswith(file) and at == line for name, at in places), places


def test_every_finding_has_a_file_and_a_line(found: dict[str, list[Finding]]) -> None:
    for findings in found.values():
        for one in findings:
            assert one.file
            assert one.line


# -- what can't be wrong in the same issue -----------------------------------------------------


def changed(tmp_path: Path, manifest: str = "", **files: str) -> dict[str, list[Finding]]:
    """The sample with another manifest, and files whose names have `__` for `/`."""
    root = init(tmp_path / "publication")
    folder = root / "issues" / ISSUE
    if manifest:
        (folder / "issue.toml").write_text(manifest, "utf-8")
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.write_text(text, "utf-8")
    return by_code(root)


def at(findings: list[Finding]) -> list[tuple[str, int | None]]:
    return [((one.file or "").rpartition("/")[2], one.line) for one in findings]


def test_an_issue_without_briefs_and_texts(tmp_path: Path) -> None:
    root = init(tmp_path / "publication")
    for path in (root / "issues" / ISSUE / "briefs").iterdir():
        path.unlink()
    (root / "issues" / ISSUE / "issue.toml").write_text("\n", "utf-8")
    told = by_code(root)
    assert at(told["IS101"]) == [("issue.toml", 1)]
    assert at(told["IS105"]) == [("issue.toml", 1)]
    assert at(told["IS106"]) == [("issue.toml", 1)]


def sized(root: Path, times: int) -> None:
    """Make the first brief of the sample long."""
    path = root / "issues" / ISSUE / "briefs" / "quillon-price-cut.md"
    more = "\n\n".join(
        f"Another paragraph of some words, which says nothing new at all, number {n} of many."
        for n in range(times)
    )
    path.write_text(f"{path.read_text('utf-8')}\n{more}\n", "utf-8")


def test_a_mail_that_gmail_would_cut_and_that_takes_an_hour(tmp_path: Path) -> None:
    root = init(tmp_path / "publication")
    sized(root, 700)
    manifest = root / "issues" / ISSUE / "issue.toml"
    manifest.write_text('text = "full"\n' + manifest.read_text("utf-8"), "utf-8")
    told = by_code(root)
    assert {one.severity for one in told["ED101"]} == {"error"}
    assert set(at(told["ED101"])) == {("issue.toml", 1)}
    assert at(told["IS116"]) == [("issue.toml", 7)]


def test_readers_outside_the_gate_and_editions_for_very_few(tmp_path: Path) -> None:
    root = init(tmp_path / "publication")
    config = root / "newsletter.toml"
    lines = config.read_text("utf-8").splitlines(keepends=True)
    config.write_text("".join(one for one in lines if not one.startswith("ED603")), "utf-8")
    manifest = root / "issues" / ISSUE / "issue.toml"
    manifest.write_text(manifest.read_text("utf-8").replace("max = 6", "max = 1"), "utf-8")
    with Workspace(root) as workspace:
        people = (root / "subscribers" / "people.csv").read_text("utf-8").splitlines()
        (tmp_path / "few.csv").write_text("\n".join(people[:8]) + "\n", "utf-8")
        workspace.import_people(tmp_path / "few.csv")
        told = workspace.check(ISSUE)
    gate = [one for one in told if one.code == "IS202"]
    assert at(gate) == [("issue.toml", 19)]
    assert any("one person" in one.message for one in told if one.code == "ED603")


def test_a_dark_colour_that_is_too_pale(tmp_path: Path) -> None:
    root = init(tmp_path / "publication")
    template = root / "templates" / "issue.mjml.j2"
    text = template.read_text("utf-8")
    rule = "@media (prefers-color-scheme: dark) { .mail div { color: #222222 !important; } }"
    style = f"<mj-style>{rule}</mj-style></mj-head>"
    template.write_text(text.replace("</mj-head>", style), "utf-8")
    told = by_code(root)
    assert told["ED402"]
    assert not told["ED401"]


BLOCKS = """
[[block]]
kind = "sponsor"
text = "TODO: what they say."
after = "quilon-price-cut"

[[block]]
kind = "note"
segments = ["exces"]
text = "Words for nobody."

[[block]]
kind = "image"
image = "images/not-there.png"

[[block]]
kind = "fact"
title = "Nothing below"
"""


def test_blocks_that_can_not_be_shown(tmp_path: Path) -> None:
    root = init(tmp_path / "publication")
    manifest = root / "issues" / ISSUE / "issue.toml"
    before = len(manifest.read_text("utf-8").splitlines())
    manifest.write_text(manifest.read_text("utf-8") + BLOCKS, "utf-8")
    brief = root / "issues" / ISSUE / "briefs" / "quillon-price-cut.md"
    text = brief.read_text("utf-8")
    brief.write_text(
        text + "\n![](images/../newsletter.toml)\n\n![A chart](images/gone.png)\n", "utf-8"
    )
    last = len(text.splitlines())
    told = by_code(root)
    assert at(told["IS119"]) == [
        ("issue.toml", before + 5), ("issue.toml", before + 14), ("issue.toml", before + 16),
    ]  # fmt: skip
    assert at(told["IS107"]) == [("issue.toml", before + 9)]
    assert at(told["IS115"]) == [("issue.toml", before + 4)]
    assert set(at(told["IS121"])) == {
        ("quillon-price-cut.md", last + 2), ("quillon-price-cut.md", last + 4),
        ("issue.toml", before + 14),
    }  # fmt: skip
    assert at(told["BR119"]) == [("quillon-price-cut.md", last + 2)]
    assert not told["ED506"]


def test_a_look_that_is_not_there(tmp_path: Path) -> None:
    root = init(tmp_path / "publication")
    manifest = root / "issues" / ISSUE / "issue.toml"
    manifest.write_text('look = "blod"\n' + manifest.read_text("utf-8"), "utf-8")
    told = by_code(root)
    assert at(told["IS122"]) == [("issue.toml", 1)]
    assert 'Did you mean "bold"' in told["IS122"][0].message
    assert not told["ED506"]


@pytest.mark.parametrize("look", ["quiet", "bold", "plain"])
def test_every_look_of_the_sample_is_clean(tmp_path: Path, look: str) -> None:
    root = init(tmp_path / "publication")
    manifest = root / "issues" / ISSUE / "issue.toml"
    manifest.write_text(f'look = "{look}"\n' + manifest.read_text("utf-8"), "utf-8")
    told = [one for found in by_code(root).values() for one in found if one.waived is None]
    assert told == []


def test_a_template_that_can_not_be_used(tmp_path: Path) -> None:
    root = init(tmp_path / "publication")
    template = root / "templates" / "blocks" / "footer.mjml.j2"
    text = template.read_text("utf-8")
    template.write_text(text.replace("{% if e.reason %}", "{{ e.nothing }}{% if e.reason %}", 1))
    line = next(n for n, one in enumerate(text.splitlines(), 1) if "if e.reason" in one)
    told = by_code(root)
    assert at(told["ED506"]) == [("footer.mjml.j2", line)]
    assert told["ED506"][0].blocks


def test_mjml_that_is_dropped_is_told_at_the_templates_line(tmp_path: Path) -> None:
    root = init(tmp_path / "publication")
    template = root / "templates" / "blocks" / "footer.mjml.j2"
    text = template.read_text("utf-8")
    template.write_text(text.replace("<mj-text ", '<mj-text colour="#123456" ', 1), "utf-8")
    line = next(n for n, one in enumerate(text.splitlines(), 1) if "<mj-text " in one)
    (found,) = by_code(root)["ED507"]
    assert at([found]) == [("footer.mjml.j2", line)]
    assert "color" in found.message


def test_a_slip_in_a_template_is_told_once_however_many_editions_show_it(tmp_path: Path) -> None:
    root = init(tmp_path / "publication")
    template = root / "templates" / "blocks" / "digest.mjml.j2"
    text = template.read_text("utf-8")
    template.write_text(text.replace("<mj-text>", "<mj-txt>", 1), "utf-8")
    told = by_code(root)
    assert len(told["ED506"]) == 2  # opened and closed
    assert not told["ED507"]
    template.write_text(text.replace("<mj-text>", '<mj-text title="{{ e.lens }}">', 1), "utf-8")
    assert len(by_code(root)["ED507"]) == 1


def test_a_word_wider_than_the_text_part(tmp_path: Path) -> None:
    root = init(tmp_path / "publication")
    path = root / "issues" / ISSUE / "briefs" / "quillon-price-cut.md"
    path.write_text(
        path.read_text("utf-8").replace("Quillon is cutting", f"{'x' * 90} is cutting", 1)
    )
    told = by_code(root)
    assert set(at(told["ED505"])) == {("quillon-price-cut.md", 15)}


def test_the_sending_is_looked_at_where_mails_leave(tmp_path: Path) -> None:
    root = init(tmp_path / "publication")
    config = root / "newsletter.toml"
    text = config.read_text("utf-8").replace('default = "outbox"', 'default = "smtp"')
    text = text.replace("http://127.0.0.1:8000", "http://news.example.com")
    config.write_text(text, "utf-8")
    told = by_code(root)
    lines = {
        code: at(told[code]) for code in ("ED506", "ED507", "SD100", "SD201", "SD202", "SD203")
    }
    email = next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith("email"))
    base = next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith("base_url"))
    assert lines["SD100"] == lines["SD201"] == [("newsletter.toml", email)]
    assert lines["SD202"] == [("newsletter.toml", base)]
    assert len(lines["SD203"]) == 1


#: Tested with servers of their own, or where the rule is.
ELSEWHERE = {
    "ED202", "SD101", "SD102", "SD103", "SD104", "SD301",  # test_online
    "ED601", "ED602",  # test_leaks
    "IS106", "IS101", "IS116", "ED101", "IS202", "ED603", "ED402", "ED505", "ED506", "ED507",
    "SD100", "SD201", "SD202", "SD203",  # above
    "IS100", "IS119", "IS121", "IS122",
}  # fmt: skip


def test_no_code_is_left_out() -> None:
    """Rules of briefs are each tested with their own example."""
    known = {one.code for one in all_rules() if not issubclass(one, BriefRule | ReadRule)}
    assert known <= set(PLACES) | ELSEWHERE
