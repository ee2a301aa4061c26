"""Many editions on all cores: other processes of this program render a share each.

Rendering is work for Python and the XML libraries, so threads would not help. A process costs half a second
to start and is worth it from some hundred editions on; what one can't do, this process does itself.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from newsletter.config import Settings
from newsletter.editions.compose import Composer, Signature
from newsletter.editions.mime import Envelope
from newsletter.editions.render import Edition, Renderer
from newsletter.editions.templates import Templates
from newsletter.errors import NewsletterError, TemplateError
from newsletter.issues import Issue

WORTH_IT = 120  #: editions from which on another process pays
_HEAD_START = 80  # editions that this process renders while another one starts

_WORK = (
    "import sys; from newsletter.editions.parallel import work; "
    "work(sys.stdin.buffer, sys.stdout.buffer)"
)

Job = tuple[Signature, tuple[str, ...]]  #: a signature, and a reader's segments that have it


@dataclass(frozen=True)
class _Share:
    """What another process needs."""

    root: Path
    envelope: Envelope
    issue: Issue
    settings: Settings
    names: Mapping[str, str]
    jobs: Sequence[Job]


def render_all(renderer: Renderer, composer: Composer, jobs: Sequence[Job]) -> list[Edition]:
    """The editions of these jobs, in their order. Raises TemplateError as `Renderer.edition` does."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    others = min((cores or 1) - 1, len(jobs) // WORTH_IT)
    if others < 1:
        return _rendered(renderer, composer, jobs)
    share = max(1, (len(jobs) - _HEAD_START) // (others + 1))
    cuts = [len(jobs) - share * n for n in range(others, -1, -1)]
    root, envelope = renderer.templates.root, renderer.envelope
    issue, settings, names = composer.issue, composer.settings, composer.names
    started = [
        _start(_Share(root, envelope, issue, settings, names, jobs[begin:end]))
        for begin, end in pairwise(cuts)
    ]
    try:
        made = _rendered(renderer, composer, jobs[: cuts[0]])
        for (begin, end), process in zip(pairwise(cuts), started, strict=True):
            made += _result(process) or _rendered(renderer, composer, jobs[begin:end])
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return made


def _rendered(renderer: Renderer, composer: Composer, jobs: Iterable[Job]) -> list[Edition]:
    return [renderer.edition(composer, reader, signature) for signature, reader in jobs]


def _start(share: _Share) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603  (this program, with this interpreter)
        [sys.executable, "-c", _WORK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin
    with suppress(BrokenPipeError):  # it ended; `_result` finds nothing to read
        pickle.dump(share, process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
    with suppress(BrokenPipeError):
        process.stdin.close()
    process.stdin = None
    return process


def _result(process: subprocess.Popen[bytes]) -> list[Edition] | None:
    """What the other process made; None when it was ended from outside."""
    assert process.stdout
    try:
        kind, *rest = pickle.load(process.stdout)  # noqa: S301  (our own process wrote it)
    except (EOFError, pickle.UnpicklingError):
        return None
    if kind == "error":
        message, file, line = rest
        raise TemplateError(message, file=file, line=line)
    editions: list[Edition] = rest[0]
    return editions


def work(given: IO[bytes], out: IO[bytes]) -> None:
    """The other process: a share in, its editions or what is wrong with a template out."""
    share: _Share = pickle.load(given)  # noqa: S301  (our own process wrote it)
    templates = Templates(share.root, share.envelope.base_url)
    renderer = Renderer(templates, share.envelope)
    composer = Composer(share.issue, share.settings, share.names, templates)
    answer: tuple[Any, ...]
    try:
        answer = ("editions", _rendered(renderer, composer, share.jobs))
    except NewsletterError as error:
        answer = ("error", error.message, error.file, error.line)
    pickle.dump(answer, out, protocol=pickle.HIGHEST_PROTOCOL)
    out.flush()
