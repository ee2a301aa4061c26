"""The sample publication's own pictures, drawn: `python docs/drawings.py`, or `make pictures`."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

IMAGES = Path(__file__).parent.parent / "images"
MOST_BYTES = 15_000  #: of a drawing
_INK, _MUTED, _ACCENT, _PALE, _PAPER = "#17201d", "#57635f", "#0b6354", "#9fb0aa", "#ffffff"


def ceiling() -> Image.Image:
    """Tokens that a support assistant has used by each day of a month, and the ceiling it meets.

    4,000 conversations a day of 25,000 tokens are 0.1 billion a day. Twice the mail's column; letters
    are big enough for a phone.
    """
    width, height = 1104, 500
    left, right, floor, top = 20, width - 20, 420, 30
    picture = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(36)
    step = (right - left) / 30
    unit = (floor - top) / 3  # pixels for a billion
    line = floor - 2 * unit
    for day in range(1, 31):
        tokens = 0.1 * day
        x = left + (day - 1) * step
        colour = _ACCENT if tokens <= 2 else _PALE
        draw.rectangle(
            (round(x) + 3, round(floor - tokens * unit), round(x + step) - 4, floor), colour
        )
    for x in range(left, right, 20):
        draw.rectangle((x, round(line) - 2, min(x + 11, right), round(line) + 1), _INK)
    draw.text((left, line - 14), "Ceiling: 2 billion tokens", _INK, font, anchor="ls")
    draw.text((left, line + 44), "half price below, list price above", _MUTED, font, anchor="ls")
    for day in (1, 10, 20, 30):
        x = left + (day - 0.5) * step
        edge = {1: "la", 30: "ra"}.get(day, "ma")
        at = {1: left, 30: right}.get(day, x)
        draw.text(
            (at, floor + 16), f"Day {day}" if day == 1 else str(day), _MUTED, font, anchor=edge
        )
    return picture


DRAWINGS = {"quillon-ceiling.png": ceiling}


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    for name, draw in DRAWINGS.items():
        path = IMAGES / name
        draw().quantize(16, dither=Image.Dither.NONE).save(path, optimize=True)
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise SystemExit(f"{path} has {size:,} bytes; {MOST_BYTES:,} is the most")
        print(f"{path}: {size / 1000:.1f} kB")


if __name__ == "__main__":
    main()
