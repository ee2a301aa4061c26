"""make clients: what mail clients support, as newsletter/checks/clients.json.

Reduces the data of caniemail.com, as npm's package `caniemail` carries it (both MIT), to the clients
that our readers use and to what can be looked for in a mail. Needs npm; nothing is installed: the
package is fetched into a throw-away folder and held against the hash below.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

PACKAGE = "caniemail@2.0.2"
INTEGRITY = "sha512-lvhn4RrF2Ae3PQA3HMOVGxFPqPAxfv8HWp+xUSqJPumbzFUzQGVgFG0nl8s0sjSoBd2PgmAqB5xRF0wcPbrVcA=="
TARGET = Path(__file__).parent.parent / "newsletter" / "checks" / "clients.json"
MOST_BYTES = 150_000
#: our name of a client: (family, platform) of the data, and what people call it
CLIENTS = {
    "outlook-windows": ("outlook", "windows", "Outlook for Windows"),
    "outlook-com": ("outlook", "outlook-com", "new Outlook and Outlook.com"),
    "gmail-web": ("gmail", "desktop-webmail", "Gmail in a browser"),
    "gmail-ios": ("gmail", "ios", "Gmail on iOS"),
    "gmail-android": ("gmail", "android", "Gmail on Android"),
    "gmail-basic": ("gmail", "mobile-webmail", "Gmail without <style>"),
    "apple-macos": ("apple-mail", "macos", "Apple Mail on macOS"),
    "apple-ios": ("apple-mail", "ios", "Apple Mail on iOS"),
}
#: Gmail's apps show other providers' accounts without <style>, as its mobile site shows all.
BASIC, APPS = "gmail-basic", ("gmail-ios", "gmail-android")
_OTHER_ACCOUNTS = re.compile(
    r"(?i)(?:partial\. )?(?:doesn't work|not supported) with non.google accounts"
)

#: What to look for where the title does not say it.
FIND: dict[str, dict[str, list[str]]] = {
    "css-at-media-device-pixel-ratio": {"media": ["device-pixel-ratio"]},
    "css-at-media-hover": {"media": ["hover", "any-hover"]},
    "css-at-media-orientation": {"media": ["orientation"]},
    "css-at-media-prefers-color-scheme": {"media": ["prefers-color-scheme"]},
    "css-at-media-prefers-reduced-motion": {"media": ["prefers-reduced-motion"]},
    "css-block-inline-size": {"property": ["block-size"]},
    "css-border": {
        "property": [
            "border",
            *(f"border-{side}" for side in ("top", "right", "bottom", "left")),
            *(f"border-{what}" for what in ("width", "style", "color")),
            *(
                f"border-{side}-{what}"
                for side in ("top", "right", "bottom", "left")
                for what in ("width", "style", "color")
            ),
        ]
    },
    "css-border-inline-block": {"property": ["border-inline", "border-block"]},
    "css-border-inline-block-individual": {
        "property": [
            *(
                f"border-{axis}-{what}"
                for axis in ("inline", "block")
                for what in ("color", "style", "width", "start", "end")
            )
        ]
    },
    "css-border-inline-block-longhand": {
        "property": [
            f"border-{axis}-{end}-{what}"
            for axis in ("inline", "block")
            for end in ("start", "end")
            for what in ("color", "style", "width")
        ]
    },
    "css-border-radius": {
        "property": [
            "border-radius",
            *(f"border-{v}-{h}-radius" for v in ("top", "bottom") for h in ("left", "right")),
        ]
    },
    "css-border-radius-logical": {
        "property": [f"border-{a}-{b}-radius" for a in ("start", "end") for b in ("start", "end")]
    },
    "css-color-scheme": {"property": ["color-scheme"]},
    "css-column-layout-properties": {
        "property": [
            "columns",
            *(f"column-{what}" for what in ("fill", "rule", "rule-color", "rule-style")),
            *(f"column-{what}" for what in ("rule-width", "span", "width")),
        ]
    },
    "css-flex-direction": {"property": ["flex-direction"]},
    "css-font": {"property": ["font"]},
    "css-gap": {"property": ["gap", "row-gap", "column-gap"]},
    "css-grid-template": {
        "property": ["grid-template", *(f"grid-template-{x}" for x in ("areas", "columns", "rows"))]
    },
    "css-inert-attribute": {"attribute": ["inert"]},
    "css-margin-block-start-end": {"property": ["margin-block-start", "margin-block-end"]},
    "css-margin-inline-block": {"property": ["margin-inline", "margin-block"]},
    "css-margin-inline-start-end": {"property": ["margin-inline-start", "margin-inline-end"]},
    "css-padding-block-start-end": {"property": ["padding-block-start", "padding-block-end"]},
    "css-padding-inline-block": {"property": ["padding-inline", "padding-block"]},
    "css-padding-inline-start-end": {"property": ["padding-inline-start", "padding-inline-end"]},
    "css-inset": {
        "property": [
            *("inset", "inset-block", "inset-inline"),
            *(f"inset-{axis}-{end}" for axis in ("block", "inline") for end in ("start", "end")),
        ]
    },
    "css-intrinsic-size": {"word": ["fit-content", "min-content", "max-content"]},
    "css-left-right-top-bottom": {"property": ["left", "right", "top", "bottom"]},
    "css-margin": {
        "property": ["margin", *(f"margin-{s}" for s in ("top", "right", "bottom", "left"))]
    },
    "css-padding": {
        "property": ["padding", *(f"padding-{s}" for s in ("top", "right", "bottom", "left"))]
    },
    "css-modern-color": {"function": ["lch", "oklch", "lab", "oklab"]},
    "css-nesting": {"selector": ["nesting"]},
    "css-overflow": {"property": ["overflow", "overflow-x", "overflow-y"]},
    "css-pseudo-class-lang": {"pseudo": [":lang"]},
    "css-scroll-snap": {"property": ["scroll-snap-type", "scroll-snap-align"]},
    "css-sytem-ui": {
        "word": ["system-ui", "ui-serif", "ui-sans-serif", "ui-rounded", "ui-monospace"]
    },
    "css-text-emphasis": {
        "property": ["text-emphasis", "text-emphasis-color", "text-emphasis-style"]
    },
    "css-unit-calc": {"function": ["calc"]},
    "css-unit-initial": {"word": ["initial"]},
    "css-unit-percent": {"unit": ["%"]},
    "css-variables": {"function": ["var"], "property": ["--"]},
    "css-important": {"word": ["!important"]},
    "css-selector-adjacent-sibling": {"selector": ["+"]},
    "css-selector-attribute": {"selector": ["["]},
    "css-selector-chaining": {"selector": [".."]},
    "css-selector-child": {"selector": [">"]},
    "css-selector-class": {"selector": ["."]},
    "css-selector-descendant": {"selector": [" "]},
    "css-selector-general-sibling": {"selector": ["~"]},
    "css-selector-grouping": {"selector": [","]},
    "css-selector-id": {"selector": ["#"]},
    "css-selector-type": {"selector": ["type"]},
    "css-selector-universal": {"selector": ["*"]},
    "html-address": {"element": ["address"]},
    "html-anchor-links": {"link": ["#"]},
    "html-mailto-links": {"link": ["mailto:"]},
    "html-h1-h6": {"element": [f"h{n}" for n in range(1, 7)]},
    "html-image-maps": {"element": ["map", "area"]},
    "html-lists": {"element": ["ul", "ol", "dl"]},
    "html-meta-color-scheme": {"meta": ["color-scheme"]},
    "html-object": {"element": ["object", "embed"]},
    "html-semantics": {
        "element": [
            *("article", "aside", "details", "figcaption", "figure", "footer", "header", "main"),
            *("mark", "nav", "section", "summary", "time"),
        ]
    },
    "html-srcset": {"attribute": ["srcset", "sizes"]},
    "image-apng": {"image": ["apng"]},
    "image-avif": {"image": ["avif"]},
    "image-base64": {"image": ["data:"]},
    "image-bmp": {"image": ["bmp"]},
    "image-gif": {"image": ["gif"]},
    "image-hdr": {"image": ["hdr"]},
    "image-heif": {"image": ["heif", "heic"]},
    "image-ico": {"image": ["ico"]},
    "image-jpg": {"image": ["jpg", "jpeg"]},
    "image-mp4": {"image": ["mp4"]},
    "image-png": {"image": ["png"]},
    "image-svg": {"image": ["svg"]},
    "image-tiff": {"image": ["tiff", "tif"]},
    "image-webp": {"image": ["webp"]},
}
#: Not in the HTML of a mail, or in every one; inline-size stands twice in the data.
LEFT_OUT = {"amp", "bimi", "css-comments", "html-comments", "html-doctype"}
_PATTERNS = [
    (r"@([\w-]+)", "at-rule"),
    (r":{1,2}([\w-]+)(?:\(\))?", "pseudo"),
    (r"([\w-]+)\(\)", "function"),
    (r"([\w-]+:\s*[\w-]+)", "declaration"),
    (r"(\S+) unit", "unit"),
    (r"([a-z-]+)(?: property| shorthand)?", "property"),
]
_HTML_PATTERNS = [
    (r'<(\w+ \w+="\w+")> element', "typed"),
    (r"([\w-]+) attribute", "attribute"),
    (r"(?:Embedded )?<(\w+)>.*", "element"),
]
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def main() -> None:
    package = fetch()
    data = json.loads(package["data/caniemail.json"])
    found = reduced(data)
    head = {
        "about": "What mail clients support of HTML and CSS; made by docs/clients.py, not by hand. "
        "A client that a feature does not name supports it; n: not, a: in part, u: not known; "
        "numbers are notes.",
        "source": f"https://www.caniemail.com/, from npm's {PACKAGE}",
        "date": data["last_update_date"][:10],
        "copyright": ["Copyright (c) 2019 HTeuMeuLeu", *_copyright(package["LICENSE"])],
        "licence": _licence(package["LICENSE"]),
        "clients": {key: name for key, (_, _, name) in CLIENTS.items()},
    }
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in found)
    text = (
        json.dumps(head, ensure_ascii=False, indent=1)[:-2] + f',\n "features": [\n{lines}\n]}}\n'
    )
    size = len(text.encode())
    if size > MOST_BYTES:
        sys.exit(f"{TARGET.name} would have {size:,} bytes; {MOST_BYTES:,} is the most")
    TARGET.write_text(text, "utf-8")
    print(f"{TARGET.name}: {len(found)} features of {head['date']}, {size / 1000:.0f} kB")


def fetch() -> dict[str, str]:
    """The files of the package as text, by path. Exits when it is not the one we know."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is needed to fetch the data (Debian: apt install npm)")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [npm, "pack", PACKAGE, "--silent", "--pack-destination", folder],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (path,) = Path(folder).glob("*.tgz")
        content = path.read_bytes()
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        if f"sha512-{digest}" != INTEGRITY:
            sys.exit(f"{PACKAGE} is not what it was: sha512-{digest}")
        with tarfile.open(path) as archive:
            wanted = {"package/LICENSE", "package/data/caniemail.json"}
            return {
                member.name.removeprefix("package/"): stream.read().decode()
                for member in archive
                if member.name in wanted and (stream := archive.extractfile(member))
            }


def reduced(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Features in the order of their slugs. Exits when one can't be looked for: a newer version of
    the data has titles that the tables above don't know."""
    found: list[dict[str, Any]] = []
    for feature in data["data"]:
        slug, title = feature["slug"], feature["title"].strip()
        if slug in LEFT_OUT:
            continue
        notes = {n: _plain(note) for n, note in (feature["notes_by_num"] or {}).items() if note}
        support = supported(feature["stats"], notes)
        used = sorted({n for value in support.values() for n in value.split()[1:]}, key=int)
        found.append(
            {
                "slug": slug,
                "title": title,
                "kind": slug.partition("-")[0],
                "find": looked_for(slug, title),
                "support": support,
                "notes": {n: notes[n] for n in used if n in notes},
            }
        )
    return sorted(found, key=lambda one: str(one["slug"]))


def looked_for(slug: str, title: str) -> dict[str, list[str]]:
    if slug in FIND:
        return FIND[slug]
    for pattern, kind in _HTML_PATTERNS if slug.startswith("html-") else _PATTERNS:
        match = re.fullmatch(pattern, title)
        if match:
            mark = re.match(":*", title)[0] if kind == "pseudo" else ""  # type: ignore[index]
            return {kind: [mark + re.sub(r":\s*", ":", match[1])]}
    sys.exit(f"nothing says what to look for: {slug} ({title}); add it to FIND or LEFT_OUT")


def supported(stats: dict[str, Any], notes: dict[str, str]) -> dict[str, str]:
    """client → "n", "a" or "u" with the numbers of its notes, of the newest version tested; what is
    supported is left out."""
    values: dict[str, str] = {}
    basic = False
    for client, (family, platform, _) in CLIENTS.items():
        versions = stats.get(family, {}).get(platform)
        value = list(versions.values())[-1].replace("#", "") if versions else "u"
        letter, *numbers = value.split()
        if client in APPS and letter in "ay":
            rest = [n for n in numbers if not _OTHER_ACCOUNTS.match(notes.get(n, ""))]
            basic |= rest != numbers
            letter = "y" if rest != numbers and not rest else letter
            numbers = rest
        values[client] = " ".join([letter, *numbers])
    if basic and values[BASIC][0] in "yua":
        values[BASIC] = "n"
    return {client: value for client, value in values.items() if not value.startswith("y")}


def _plain(note: str) -> str:
    return _LINK.sub(r"\1", note).replace("`", "")


def _copyright(licence: str) -> list[str]:
    return re.findall(r"(?m)^Copyright.*$", licence)


def _licence(licence: str) -> str:
    """The MIT licence's text; whose it is stands beside it."""
    text = re.sub(r"(?m)^Copyright.*\n", "", licence)
    return "\n\n".join(
        " ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()
    )


if __name__ == "__main__":
    main()
