"""Many editions on all cores: the same bytes in the same order, whatever becomes of the others."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import pytest

from newsletter.editions import Composer, Renderer, parallel, render_all
from newsletter.editions.parallel import Job
from newsletter.errors import TemplateError
from newsletter.workspace import Workspace


@pytest.fixture
def workspace(workspace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setattr(parallel, "WORTH_IT", 4)
    monkeypatch.setattr(parallel, "_HEAD_START", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    with Workspace(workspace_dir) as opened:
        yield opened


def jobs(workspace: Workspace, count: int = 12) -> tuple[Renderer, Composer, list[Job]]:
    composer = workspace.composer(workspace.issue("2026-W48"))
    keys = workspace.segments.keys
    sets = chain.from_iterable(combinations(keys, size) for size in range(len(keys) + 1))
    distinct = {composer.signature(reader): reader for reader in sets}
    return workspace.renderer, composer, list(distinct.items())[:count]


def test_editions_are_the_same_in_the_same_order(workspace: Workspace) -> None:
    renderer, composer, wanted = jobs(workspace)
    alone = [renderer.edition(composer, reader, signature) for signature, reader in wanted]
    assert render_all(renderer, composer, wanted) == alone


def test_other_processes_are_really_asked(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    popen = subprocess.Popen

    def watched(*given: Any, **more: Any) -> Any:
        started.append(popen(*given, **more))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", watched)
    render_all(*jobs(workspace))
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)


def test_a_process_that_dies_leaves_its_share_to_this_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer, composer, wanted = jobs(workspace)
    alone = render_all(renderer, composer, wanted)
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert render_all(renderer, composer, wanted) == alone


def test_what_is_wrong_with_a_template_is_told_from_there_too(workspace: Workspace) -> None:
    _, composer, wanted = jobs(workspace)
    signature, reader = wanted[-1]
    wanted[-1] = replace(signature, language="no such language"), reader
    path = workspace.root / "templates" / "blocks" / "footer.mjml.j2"
    text = path.read_text("utf-8")
    bad = "{% if e.language == 'no such language' %}{{ e.nothing }}{% endif %}"
    path.write_text(text.replace("{% if e.reason %}", f"{bad}{{% if e.reason %}}", 1), "utf-8")
    fresh = Workspace(workspace.root)
    with fresh, pytest.raises(TemplateError) as refused:
        render_all(fresh.renderer, composer, wanted)
    assert refused.value.file == "templates/blocks/footer.mjml.j2"
    assert refused.value.line
