"""Pictures of the workspace, made fit for a mail: small, upright, without metadata, content-addressed.

A picture is read from `images/` and what readers load is written to `var/media`, where the public
pages find it by its name alone. Knows no template and no issue.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from struct import error as StructError  # noqa: N812  (a class, whatever its spelling)
from typing import Any

from PIL import Image, ImageCms, ImageOps

from newsletter.editions.view import PictureView
from newsletter.errors import InputError
from newsletter.files import new_private_file
from newsletter.text import tidy

FOLDER = "images"
MEDIA = Path("var/media")
MOST_BYTES = 20_000_000  #: of a source
MOST_PIXELS = 50_000_000  #: of a source
DENSITY = 2  #: pixels kept for each pixel of the mail's column
_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp")
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
_NAME = re.compile(r"[0-9a-f]{32}\.(?:jpg|png)")
_TYPES = {"jpg": "image/jpeg", "png": "image/png"}
_RECIPE = "1"  #: raise it when the bytes that come of a source change
#: A drawing stays sharp as PNG, unless that weighs more than so many times the JPEG.
_DRAWING = 1.5
_NEARLY = 1.1  #: times as wide as needed, and left so
# What Pillow raises at files that are not what they say.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, StructError, Image.DecompressionBombError)


@dataclass(frozen=True, slots=True)
class _Made:
    """What one source became at one width."""

    name: str
    width: int  #: pixels of the file
    height: int
    transparent: bool


class Pictures:
    """The pictures of one workspace. `base_url` is where the public pages are reached."""

    def __init__(self, root: Path, base_url: str = "") -> None:
        self.root = root
        self.base_url = base_url
        self._digests: dict[tuple[Path, int, int, int], str] = {}
        self._made: dict[tuple[str, int], _Made] = {}

    def view(self, path: str, alt: str, column: int) -> PictureView:
        """A picture for a column of so many pixels; never shown wider than it is.

        Raises InputError, with the remedy, for what is no picture of `images/`, too big or broken.
        """
        source = self._source(path)
        digest = self._digest(source)
        key = (digest, column)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._kept(path, source, digest, column)
        width = min(column, made.width)
        return PictureView(
            url=f"{self.base_url}/media/{made.name}",
            width=width,
            height=max(1, round(made.height * width / made.width)),
            alt=alt,
            transparent=made.transparent,
        )

    def digest(self, path: str) -> str:
        """A hash of the picture's bytes, "" where there is none: what a plan freezes."""
        try:
            return self._digest(self._source(path))
        except InputError:
            return ""

    def problem(self, path: str) -> str:
        """What is wrong with a picture, as a sentence; "" when it can be mailed."""
        try:
            self.view(path, "", 600)
        except InputError as error:
            return error.message
        return ""

    # -- sources ---------------------------------------------------------------------------------

    def _source(self, path: str) -> Path:
        """The file itself. Everything but a plain path below `images/` is refused."""
        shown = tidy(path)[:200]
        parts = PurePosixPath(path).parts
        if "://" in path or parts[:1] != (FOLDER,) or len(parts) < 2 or "\\" in path:
            raise InputError(
                f'"{shown}" is no picture of this workspace: put the file into {FOLDER}/ and write '
                f"{FOLDER}/<name>"
            )
        if ".." in parts or "\0" in path:
            raise InputError(f'"{shown}" leads out of {FOLDER}/; put the file there')
        if PurePosixPath(path).suffix.lower() not in _SUFFIXES:
            raise InputError(
                f"{shown} can't be mailed: save it as JPEG, PNG, GIF or WebP"
                + (" (most mail programs show no SVG)" if path.lower().endswith(".svg") else "")
            )
        try:
            found = self.root.joinpath(*parts).resolve(strict=True)
            inside = found.is_relative_to(self.root.resolve())
            regular = found.is_file()
        except (OSError, RuntimeError):
            raise InputError(f"there is no picture {shown}") from None
        if not inside:
            raise InputError(
                f"{shown} is a link that leads out of the workspace; put the file there"
            )
        if not regular:
            raise InputError(f"{shown} is no file")
        return found

    def _digest(self, source: Path) -> str:
        """Hashed once, and again when the file looks changed."""
        status = source.stat()
        key = (source, status.st_mtime_ns, status.st_size, status.st_ino)
        known = self._digests.get(key)
        if known is None:
            if status.st_size > MOST_BYTES:
                raise InputError(
                    f"{source.name} has {status.st_size:,} bytes, {MOST_BYTES:,} is the most; save it smaller"
                )
            with source.open("rb") as file:
                known = self._digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return known

    # -- what readers load -----------------------------------------------------------------------

    def _kept(self, path: str, source: Path, digest: str, column: int) -> _Made:
        """Made once: a note beside the media says what became of a source at a width."""
        folder = self.root / MEDIA
        note = folder / "sources" / f"{digest[:32]}-{column}-{_RECIPE}.json"
        with suppress(OSError, ValueError, TypeError, KeyError):
            known = _Made(**json.loads(note.read_text("utf-8")))
            if media_file(self.root, known.name):
                return known
        content, suffix, size, transparent = _converted(path, source, column * DENSITY)
        name = f"{hashlib.sha256(content).hexdigest()[:32]}.{suffix}"
        made = _Made(name, *size, transparent)
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        values = {"name": name, "width": size[0], "height": size[1], "transparent": transparent}
        for target, written in ((folder / name, content), (note, json.dumps(values).encode())):
            with new_private_file(target) as file:
                file.write(written)
        return made


def media_file(root: Path, name: str) -> tuple[Path, str] | None:
    """(file, content type) of what `/media/<name>` shows; None for everything else."""
    if not _NAME.fullmatch(name):
        return None
    path = root / MEDIA / name
    return (path, _TYPES[name.partition(".")[2]]) if path.is_file() else None


def _converted(path: str, source: Path, most: int) -> tuple[bytes, str, tuple[int, int], bool]:
    """(bytes, suffix, (width, height), whether it is transparent), at most so many pixels wide."""
    shown = tidy(path)[:200]
    try:
        # Pillow warns of slips in metadata, which are dropped anyway, and of more pixels than ours.
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(source, formats=_FORMATS) as opened,
        ):
            _refuse_too_many_pixels(opened, shown)
            drawing = opened.format in ("PNG", "GIF")
            if opened.format == "JPEG":
                opened.draft("RGB", (most, most))  # decodes at a fraction, never below this
            picture = _upright_rgb(opened)
    except InputError:
        raise
    except _BROKEN as error:
        what = tidy(str(error)).replace(str(source), shown) or type(error).__name__
        raise InputError(f"{shown} can't be read as a picture: {what}") from None
    if picture.width > most * _NEARLY:  # another size by a hair costs a drawing its sharp edges
        height = max(1, round(picture.height * most / picture.width))
        picture = picture.resize((most, height), Image.Resampling.LANCZOS)
    transparent = picture.mode == "RGBA" and picture.getchannel("A").getextrema()[0] != 255
    if not transparent:
        picture = picture.convert("RGB")
    content, suffix = _encoded(picture, drawing=drawing, transparent=transparent)
    return content, suffix, picture.size, transparent


def _refuse_too_many_pixels(opened: Image.Image, shown: str) -> None:
    """Before anything is unpacked: a file of a few bytes can hold thousands of millions."""
    if opened.width * opened.height > MOST_PIXELS:
        raise InputError(
            f"{shown} has {opened.width:,} × {opened.height:,} pixels, {MOST_PIXELS:,} in all is the "
            "most; save it smaller"
        )


def _upright_rgb(opened: Image.Image) -> Image.Image:
    """The first frame, turned as its EXIF says, in sRGB; RGBA where it may be transparent."""
    opened.load()
    picture = ImageOps.exif_transpose(opened)
    if picture.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut instead of scale
        picture = picture.convert("I").point(lambda level: level / 257).convert("L")
    clear = picture.has_transparency_data
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in ("RGB", "RGBA", "CMYK", "L"):
        with suppress(ImageCms.PyCMSError, OSError, TypeError, ValueError):
            given: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            mode: Any = "RGBA" if picture.mode == "RGBA" else "RGB"
            picture = ImageCms.profileToProfile(
                picture, given, ImageCms.createProfile("sRGB"), outputMode=mode
            ) or picture  # fmt: skip
    return picture.convert("RGBA" if clear else "RGB")


def _encoded(picture: Image.Image, *, drawing: bool, transparent: bool) -> tuple[bytes, str]:
    """The bytes without any metadata, and the suffix. What is transparent, or drawn, is a PNG."""
    bare = Image.frombytes(picture.mode, picture.size, picture.tobytes())
    png, jpeg = io.BytesIO(), io.BytesIO()
    few = None if transparent else bare.getcolors(256)
    if drawing and few:
        bare.quantize(len(few), dither=Image.Dither.NONE).save(png, "PNG", optimize=True)
        return png.getvalue(), "png"
    if drawing or transparent:
        bare.save(png, "PNG", optimize=True)
    if not transparent:
        bare.save(jpeg, "JPEG", quality=84, optimize=True, progressive=True)
    if transparent or (drawing and png.tell() <= _DRAWING * jpeg.tell()):
        return png.getvalue(), "png"
    return jpeg.getvalue(), "jpg"


def column_of(theme: Any) -> int:
    """Pixels between the mail's margins."""
    width, margin = (
        float(str(theme["shape"][key]).removesuffix("px")) for key in ("width", "margin")
    )
    return max(1, int(width - 2 * margin))
