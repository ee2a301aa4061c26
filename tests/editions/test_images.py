"""Pictures: what is refused, and what becomes of the rest."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageCms, ImageDraw

from newsletter.editions import Pictures, media_file
from newsletter.editions.images import MEDIA, MOST_BYTES
from newsletter.errors import InputError

BASE = "https://news.example.com"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "publication"
    (folder / "images").mkdir(parents=True)
    return folder


@pytest.fixture
def pictures(root: Path) -> Pictures:
    return Pictures(root, BASE)


def photo(width: int, height: int) -> Image.Image:
    """Something that no two pixels of are alike, as in a photograph."""
    noise = Image.effect_noise((width, height), 60)
    return Image.merge("RGB", (noise, noise.rotate(90, expand=False), noise.rotate(180)))


def chart(mode: str = "RGB") -> Image.Image:
    picture = Image.new(mode, (1600, 600), "#ffffff" if mode == "RGB" else (0, 0, 0, 0))
    ImageDraw.Draw(picture).rectangle((100, 100, 900, 500), "#0b6354")
    return picture


def made(root: Path, url: str) -> Image.Image:
    found = media_file(root, url.rsplit("/", 1)[-1])
    assert found
    return Image.open(found[0])


def test_a_picture_is_made_twice_as_wide_as_the_column_and_named_by_its_bytes(
    root: Path, pictures: Pictures
) -> None:
    photo(2000, 1000).save(root / "images" / "a.jpg")
    view = pictures.view("images/a.jpg", "A view", 552)
    assert (view.width, view.height, view.alt, view.transparent) == (552, 276, "A view", False)
    assert view.url.startswith(f"{BASE}/media/")
    with made(root, view.url) as picture:
        assert picture.size == (1104, 552)
        assert picture.format == "JPEG"
    assert len(list((root / MEDIA).glob("*.jpg"))) == 1


def test_a_small_picture_is_never_made_wider(root: Path, pictures: Pictures) -> None:
    photo(300, 100).save(root / "images" / "a.png")
    view = pictures.view("images/a.png", "", 552)
    assert (view.width, view.height) == (300, 100)


def test_a_drawing_stays_sharp_and_a_transparent_one_stays_clear(
    root: Path, pictures: Pictures
) -> None:
    chart().save(root / "images" / "solid.png")
    chart("RGBA").save(root / "images" / "clear.webp", lossless=True)
    solid = pictures.view("images/solid.png", "", 552)
    clear = pictures.view("images/clear.webp", "", 552)
    assert solid.url.endswith(".png")
    assert not solid.transparent
    assert clear.transparent
    with made(root, clear.url) as picture:
        assert picture.getpixel((5, 5))[3] == 0  # type: ignore[index]


def test_it_is_turned_upright_and_says_nothing_about_who_took_it(
    root: Path, pictures: Pictures
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x013B] = "Ada Lovelace"
    exif.get_ifd(0x8825)[1] = "N"
    photo(400, 200).save(root / "images" / "a.jpg", exif=exif, comment=b"a secret")
    view = pictures.view("images/a.jpg", "", 552)
    assert (view.width, view.height) == (200, 400)
    found = media_file(root, view.url.rsplit("/", 1)[-1])
    assert found
    content = found[0].read_bytes()
    for secret in (b"Exif", b"Lovelace", b"secret"):
        assert secret not in content


def test_the_same_picture_is_made_once_and_again_when_it_changed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(800, 400).save(root / "images" / "a.jpg")
    first = Pictures(root, BASE).view("images/a.jpg", "", 552)
    with monkeypatch.context() as patched:
        patched.setattr(Image, "open", lambda *_, **__: pytest.fail("it was opened again"))
        assert Pictures(root, BASE).view("images/a.jpg", "", 552) == first
    other = Pictures(root, BASE)
    digest = other.digest("images/a.jpg")
    photo(800, 410).save(root / "images" / "a.jpg")
    assert other.digest("images/a.jpg") != digest
    assert other.view("images/a.jpg", "", 552).url != first.url


def test_a_picture_that_was_lost_is_made_again(root: Path, pictures: Pictures) -> None:
    photo(800, 400).save(root / "images" / "a.jpg")
    view = pictures.view("images/a.jpg", "", 552)
    name = view.url.rsplit("/", 1)[-1]
    (root / MEDIA / name).unlink()
    assert Pictures(root, BASE).view("images/a.jpg", "", 552) == view
    assert media_file(root, name)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("images/none.png", "there is no picture"),
        ("images/../newsletter.png", "leads out"),
        ("/etc/passwd.png", "no picture of this workspace"),
        ("https://example.com/x.png", "put the file into images/"),
        ("templates/x.png", "no picture of this workspace"),
        ("images\\..\\x.png", "no picture of this workspace"),
        ("images/x.svg", "no SVG"),
        ("images/x.bmp", "JPEG, PNG, GIF or WebP"),
        ("images/folder.png", "is no file"),
        ("images/link.png", "out of the workspace"),
        ("images/text.png", "can't be read as a picture"),
        ("images/svg.png", "can't be read as a picture"),
        ("images/cut.png", "can't be read as a picture"),
        ("images/huge.png", "pixels"),
        ("images/bomb.png", "pixels"),
        ("images/heavy.png", "bytes"),
        ("images/" + "x" * 400 + ".png", "there is no picture"),
        ("images/a\0.png", "leads out"),
        ("", "no picture of this workspace"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_remedy(
    root: Path, pictures: Pictures, path: str, why: str
) -> None:
    images = root / "images"
    (images / "folder.png").mkdir()
    outside = root.parent / "outside.png"
    chart().save(outside)
    (images / "link.png").symlink_to(outside)
    (images / "text.png").write_text("no picture")
    (images / "svg.png").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    whole = io.BytesIO()
    photo(300, 300).save(whole, "PNG")
    (images / "cut.png").write_bytes(whole.getvalue()[: whole.tell() // 2])
    (images / "huge.png").write_bytes(_header(8_000, 7_000))
    (images / "bomb.png").write_bytes(_header(60_000, 60_000))
    with (images / "heavy.png").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(InputError, match=why):
        pictures.view(path, "", 552)
    assert why in pictures.problem(path)
    assert pictures.digest(path) == "" or path.startswith("images/")
    assert not list((root / MEDIA).glob("*.???")) if (root / MEDIA).exists() else True


def _header(width: int, height: int) -> bytes:
    """A PNG that says how big it is, and has next to nothing in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    "name", ["", "..", "x.png", "a" * 32 + ".svg", "A" * 32 + ".png", "a" * 32 + ".png/.."]
)
def test_only_names_of_media_are_looked_for(root: Path, name: str) -> None:
    assert media_file(root, name) is None


def test_sixteen_bits_of_grey_are_scaled_and_not_cut(root: Path, pictures: Pictures) -> None:
    Image.frombytes("I;16", (40, 40), b"\x00\x80" * 1600).save(root / "images" / "grey.png")
    with made(root, pictures.view("images/grey.png", "", 552).url) as picture:
        level = picture.convert("RGB").getpixel((20, 20))
    assert level in ((127, 127, 127), (128, 128, 128))


def test_colours_of_a_profile_are_brought_to_srgb(root: Path, pictures: Pictures) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (40, 40), "#0b6354").save(root / "images" / "a.png", icc_profile=profile)
    Image.new("CMYK", (40, 40), (0, 0, 0, 0)).save(root / "images" / "b.jpg")
    for name, colour in (("a.png", (11, 99, 84)), ("b.jpg", (255, 255, 255))):
        with made(root, pictures.view(f"images/{name}", "", 552).url) as picture:
            assert "icc_profile" not in picture.info
            found = picture.convert("RGB").getpixel((20, 20))
        assert all(abs(one - other) <= 3 for one, other in zip(found, colour, strict=True))  # type: ignore[arg-type]


def test_slips_in_metadata_warn_nobody(root: Path, pictures: Pictures) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\0"  # says that 255 entries follow
    photo(60, 40).save(root / "images" / "a.jpg", exif=exif)
    assert pictures.view("images/a.jpg", "", 552).width == 60
