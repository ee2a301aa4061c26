"""One picture of many mails, taken by Chromium from a page of frames. Knows nothing of what is in them.

The browser is a process of its own, with a profile that is thrown away and without a network; nothing
of it is left behind, whatever happens.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from newsletter.errors import RefusedError
from newsletter.text import tidy

MOST_TILES = 24  #: mails on a picture
COLUMNS = 6
TILE = (375, 720)  #: CSS pixels of a mail, as a phone shows its beginning
GAP, HEAD, CAPTION = 32, 96, 112  #: between tiles, above all of them, above each
_PATIENCE = 90.0  # seconds; 24 mails take four on two cores
_OWN = ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR")  # the browser's, thrown away with it
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # a mail that looks different each time is no proof
]


def sheet_size(tiles: int) -> tuple[int, int]:
    """Width and height in pixels of a picture of so many mails."""
    columns = max(1, min(tiles, COLUMNS))
    rows = -(-max(1, tiles) // COLUMNS)
    width, height = TILE
    return (
        GAP + columns * (width + 2 + GAP),
        HEAD + rows * (CAPTION + height + 2 + GAP),
    )


def photographed(html: str, tiles: int) -> bytes:
    """A page of so many mails as a PNG. Raises RefusedError when Chromium is missing or fails."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        raise RefusedError(
            "a picture is taken by Chromium, which is not here; install it (Debian: apt install "
            "chromium) or leave --png out: the page shows the same"
        )
    with tempfile.TemporaryDirectory(
        prefix="newsletter-sheet-", dir=_scratch(), ignore_cleanup_errors=True
    ) as folder:
        page, picture = Path(folder, "sheet.html"), Path(folder, "sheet.png")
        page.write_text(html, "utf-8")
        width, height = sheet_size(tiles)
        command = [
            program,
            *_QUIET,
            f"--user-data-dir={folder}/profile",
            f"--crash-dumps-dir={folder}",
            f"--window-size={width},{height}",
            f"--screenshot={picture}",
            page.as_uri(),
        ]
        said = _run(command, {**os.environ, **dict.fromkeys(_OWN, folder)})
        if not picture.exists():
            raise RefusedError(f"{program} took no picture: {said or 'it said nothing'}")
        return _small(picture)


def _run(command: list[str], environment: dict[str, str]) -> str:
    """Run it to its end, or kill it and all that it started; returns the last that it said."""
    process = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # a group of its own, which can be ended as a whole
    )
    try:
        _, errors = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise RefusedError(
            f"{command[0]} did not take the picture within {_PATIENCE:.0f} seconds; try it again, "
            "or with fewer editions (--segment)"
        ) from None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stderr:
            process.stderr.close()
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    fatal = [line for line in lines if "FATAL" in line]
    return tidy((fatal or lines)[-1])[:300] if lines else ""


def _scratch() -> str | None:
    """Where its files go; None for the usual place. It makes a socket there, whose path may have 107
    characters, of which it needs 77 itself."""
    long = len(tempfile.gettempdir()) > 30
    return "/tmp" if long and os.access("/tmp", os.W_OK) else None  # noqa: S108


def _small(picture: Path) -> bytes:
    """The picture with 256 colours of its own, which flat surfaces lose nothing by: a third."""
    from PIL import Image  # here, since every command imports this module

    kept = BytesIO()
    with Image.open(picture) as opened:
        opened.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
            kept, "PNG", optimize=True
        )
    return kept.getvalue()
