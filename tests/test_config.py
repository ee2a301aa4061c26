"""newsletter.toml and the environment: every mistake is told with its place and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsletter.briefs.vocabulary import (
    DEFAULT_EVERYONE,
    DEFAULT_LABELS,
    DEFAULT_NOT_AUDIENCES,
    ROLES,
)
from newsletter.config import BriefSettings, Settings, find_line, load
from newsletter.errors import ConfigError

GOOD = """\
[publication]
name = "Signal"
base_url = "https://news.example.com/"
postal_address = "12 Harbour Street"
timezone = "Europe/Berlin"

[sender]
email = "desk@news.example"
"""


def loaded(tmp_path: Path, text: str | bytes) -> Settings:
    raw = text if isinstance(text, bytes) else text.encode("utf-8")
    (tmp_path / "newsletter.toml").write_bytes(raw)
    return load(tmp_path)


def refusal(tmp_path: Path, text: str | bytes = GOOD) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    return caught.value


def test_a_few_lines_are_a_publication(tmp_path: Path) -> None:
    settings = loaded(tmp_path, GOOD)
    assert settings.publication.base_url == "https://news.example.com"
    assert str(settings.publication.zone) == "Europe/Berlin"
    assert settings.database.url == "sqlite:///var/newsletter.db"
    assert settings.transports.default == "outbox"


def test_a_bom_is_no_mistake(tmp_path: Path) -> None:
    assert loaded(tmp_path, "\ufeff" + GOOD).publication.name == "Signal"


def test_the_sample_publication_loads(workspace_dir: Path) -> None:
    assert load(workspace_dir).publication.name


def test_a_field_has_a_short_and_a_long_form(tmp_path: Path) -> None:
    fields = loaded(
        tmp_path,
        GOOD + '[fields]\nrole = "text"\nlevel = { type = "choice", choices = ["a", "b"] }\n',
    ).fields
    assert fields["role"].type == "text"
    assert fields["level"].choices == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", None, 'the key "publication" is missing: add a table [publication]'),
        ("[publication]\nname = 'x'\n", 1, "add it under [publication]"),
        (GOOD.replace("name =", "nmae ="), 1, 'Did you mean "name"? (line 2)'),
        (GOOD + "[databse]\nurl = 'x'\n", 9, 'Did you mean "database"?'),
        (GOOD + "[database]\nulr = 'x'\n", 10, "Keys there: url"),
        (GOOD + "[database]\nurl = 'mysql://x'\n", 10, "postgresql+psycopg://"),
        (GOOD + "[fields]\nrole = 'txt'\n", 10, "'text', 'number'"),
        (GOOD + "[fields]\nemail = 'text'\n", 9, "every subscriber has"),
        (GOOD + "[fields]\nRole = 'text'\n", 9, "beginning with a letter"),
        (GOOD + "[fields]\nlevel = { type = 'choice' }\n", 10, "`choices`"),
        (GOOD + "[fields.level]\ntype = 'text'\nchoices = ['a']\n", 9, "`choices`"),
        (GOOD + "[briefs.labels]\ntkae = ['x']\n", 9, 'Did you mean "take"?'),
        (GOOD + "[briefs.labels]\ntake = 'x'\n", 10, "list"),
        (GOOD + "[issues]\ntext = 'ful'\n", 10, "'lead' or 'full'"),
        (GOOD.replace("https://", ""), 3, "https://news.example.com"),
        (GOOD.replace("https://", "ftp://"), 3, "https://news.example.com"),
        (GOOD.replace("com/", "com/?a=b"), 3, "no path"),
        (GOOD.replace("Europe/Berlin", "Mars/Base"), 5, "Europe/Berlin"),
        (GOOD.replace("Europe/Berlin", "../../etc/passwd"), 5, "no time zone"),
        (GOOD.replace("desk@news.example", "Desk <desk@news.example>"), 8, "one e-mail address"),
        (GOOD.replace("12 Harbour Street", ""), 4, "at least 1 character"),
        (GOOD + "x", 9, "not valid TOML"),
        (GOOD + "x =", 9, "not valid TOML"),
        (GOOD + "[sender]\n", 9, "not valid TOML"),
        (GOOD.encode().replace(b"Signal", b"Gr\xf6\xdfe"), None, "UTF-8"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_remedy(
    tmp_path: Path, text: str | bytes, line: int | None, says: str
) -> None:
    error = refusal(tmp_path, text)
    assert says in error.message
    assert error.line == line
    assert error.file == str(tmp_path / "newsletter.toml")
    assert "newsletter.toml" in str(error)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    error = refusal(tmp_path, GOOD.replace("https://", "") + "[issues]\ntext = 'ful'\n")
    assert error.line == 3
    assert "(line 10)" in error.message


def test_a_folder_without_settings_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="newsletter init DIR"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("NEWSLETTER_DATABASE__URL", "postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        ("newsletter_database__url", "sqlite:///other.db", "sqlite:///other.db"),
    ],
)
def test_the_environment_overrides_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, found: str
) -> None:
    monkeypatch.setenv(name, value)
    settings = loaded(tmp_path, GOOD + "[database]\nurl = 'sqlite:///file.db'\n")
    assert settings.database.url == found


def test_the_environment_reaches_every_depth_and_leaves_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_TRANSPORTS__OUTBOX__PATH", "/elsewhere")
    monkeypatch.setenv("NEWSLETTER_PUBLICATION__BASE_URL", "http://127.0.0.1:8123")
    monkeypatch.setenv("NEWSLETTER_BRIEFS__NOT_AUDIENCES", '["Frist"]')
    monkeypatch.setenv("NEWSLETTER_FIELDS__ROLE", "text")
    monkeypatch.setenv("NEWSLETTER_WORKSPACE", "/ignored/here")
    settings = loaded(tmp_path, GOOD)
    assert settings.transports.outbox.path == Path("/elsewhere")
    assert settings.publication.base_url == "http://127.0.0.1:8123"
    assert settings.publication.name == "Signal"
    assert settings.briefs.not_audiences == ["Frist"]
    assert settings.fields["role"].type == "text"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("NEWSLETTER_DATABSE__URL", "x", 'Did you mean "database"?'),
        ("newsletter_databse__url", "x", 'Did you mean "database"?'),
        ("NEWSLETTER_ZZZ__URL", "x", "Tables: publication"),
        ("NEWSLETTER_DATABASE", "x", "NEWSLETTER_DATABASE__<KEY>=…"),
        ("NEWSLETTER_DATABASE__ULR", "x", "environment variable NEWSLETTER_DATABASE__ULR"),
        ("NEWSLETTER_DATABASE__URL", "mysql://x", "environment variable NEWSLETTER_DATABASE__URL"),
        ("NEWSLETTER_BRIEFS__NOT_AUDIENCES", "Frist", "JSON"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    error = refusal(tmp_path)
    assert says in error.message
    assert error.file is None


@pytest.mark.parametrize(
    ("keys", "line"),
    [(["a"], 1), (["t"], 3), (["t", "b"], 4), (["t", "u", "c"], 7), (["t", "x", "y"], 5),
     (["t", "none"], 3), (["none"], None)],
)  # fmt: skip
def test_a_key_is_found_where_it_stands_or_else_its_table(
    keys: list[str], line: int | None
) -> None:
    toml = "a = 1\n# b = 0\n[t]\nb = 2\nx.y = 3\n[t.u]\n'c' = 4\n[v]\nb = 5\n"
    assert find_line(toml, keys) == line


def test_the_defaults_of_the_settings_are_those_of_the_parser() -> None:
    settings = BriefSettings()
    assert tuple(settings.everyone) == DEFAULT_EVERYONE
    assert tuple(settings.not_audiences) == DEFAULT_NOT_AUDIENCES
    assert set(DEFAULT_LABELS) == set(ROLES)
    BriefSettings(labels={role: ["x"] for role in ROLES})
