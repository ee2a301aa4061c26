"""The colours that checks work out are those that Chromium computes, node by node."""

from __future__ import annotations

import re

import lxml.etree
import lxml.html
import pytest
from playwright.sync_api import Browser

from newsletter.checks.colour import WIDTH, Colour, Scheme, painted
from newsletter.editions.render import serialised
from tests.checks.mails import mail, parsed, sample_mails

pytestmark = pytest.mark.chromium

#: (number, colour of the text, grounds up to the root, opacities, size, weight) of each element.
ASK = """() => [...document.querySelectorAll('[data-n]')].map(one => {
    const own = getComputedStyle(one), grounds = [];
    for (let at = one; at; at = at.parentElement) {
        const style = getComputedStyle(at);
        grounds.push([style.backgroundColor, style.opacity]);
    }
    return [one.dataset.n, own.color, grounds, parseFloat(own.fontSize), parseInt(own.fontWeight)];
})"""
ODD = """
<div class="mail" style="background:#fafafa">
  <h1>h</h1><h2 style="color:#555">h</h2><h3>h</h3><h4>h</h4>
  <p style="color:rgba(10,20,30,.6)">x <b>y</b> <a href="#">z</a> <small>s</small></p>
  <table bgcolor="#336699"><tr><td style="color:white">a</td><th>b</th></tr></table>
  <table><tr bgcolor="fff0f0"><td><font color="red">c</font></td><td bgcolor="navy">d</td></tr></table>
  <div style="background:rgba(0,0,0,.25)"><p style="background:hsla(120,50%,50%,.3)">e</p>
    <p style="opacity:.6;background:#102030;color:hsl(60,80%,90%)">f <i>g</i></p></div>
  <p class="muted">i</p><p class="muted" style="color:#222">j</p><p id="k" class="muted">k</p>
  <p style="color:#123!important;color:#456">l</p><p style="color:#123;color:bogus">m</p>
  <p style="font:bold 20px Georgia">n <span style="font-weight:normal">o</span></p>
  <p style="font-size:150%">p <span style="font-size:.5em">q</span></p>
  <ul><li style="color:currentcolor;background:rebeccapurple">r</li><li>s</li></ul>
  <section style="color:teal"><a href="#" style="color:inherit">t</a> <a>u</a></section>
  <p style="visibility:hidden">v <b style="visibility:visible">w</b></p>
  <blockquote style="background:none;font-size:x-large;color:light-dark(#111, #eee)">x</blockquote>
</div>"""
ODD_HEAD = """<meta name="color-scheme" content="light dark"><style>
.muted { color: #666 } p.muted { color: #777 } #k { color: #888 } p { color: #333 }
@media (prefers-color-scheme: dark) {
  .mail { background: #111 !important } .mail p { color: #ddd !important } .mail .muted { color: #aaa }
  th { background-color: rgb(20 30 40 / 50%) }
}
@media (max-width: 300px) { p { color: red !important } }
@media screen and (min-width: 480px) { h3 { color: #0a0; font-size: 30px } }
[data-ogsc] p { color: blue !important } h4:first-child { color: red } h3 + h4 { color: #990 }
</style>"""


def documents() -> list[lxml.etree._ElementTree]:
    samples = sample_mails()
    names = ["lead 2026-W48 en ", "full 2026-W48 de ", "lead welcome fr"]
    return [*(parsed(samples[name].html) for name in names), mail(ODD, head=ODD_HEAD)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_sizes_and_weights_are_those_of_chromium(browser: Browser, scheme: Scheme) -> None:
    context = browser.new_context(
        viewport={"width": WIDTH, "height": 900}, color_scheme=scheme, offline=True
    )
    tab = context.new_page()
    compared = 0
    for document in documents():
        for number, element in enumerate(document.iter(lxml.etree.Element)):
            element.set("data-n", str(number))
        ours = {str(one.element.get("data-n")): one for one in painted(document, scheme)}
        tab.set_content(serialised(document), wait_until="domcontentloaded")
        canvas = Colour(18, 18, 18) if scheme == "dark" else Colour(255, 255, 255)
        for number, colour, grounds, size, weight in tab.evaluate(ASK):
            if number not in ours:
                continue
            one = ours[number]
            fore, back = seen(colour, grounds, canvas)
            place = lxml.html.tostring(one.element, encoding="unicode")[:90]
            assert near(one.foreground, fore), f"{place}: {one.foreground}, Chromium: {fore}"
            assert near(one.background, back), f"{place}: on {one.background}, Chromium: {back}"
            assert one.size == pytest.approx(size, abs=0.02), place
            assert one.bold == (weight >= 700), place
            compared += 1
    context.close()
    assert compared > 250


def seen(colour: str, grounds: list[tuple[str, str]], canvas: Colour) -> tuple[Colour, Colour]:
    """What comes of the colours of an element and of all around it."""
    back, around = canvas, []
    for ground, opacity in reversed(grounds):
        if float(opacity) < 1:
            around.append((float(opacity), back))
        back = computed(ground).over(back)
    fore = computed(colour).over(back)
    for opacity, below in reversed(around):
        fore = fore._replace(alpha=opacity).over(below)
        back = back._replace(alpha=opacity).over(below)
    return fore, back


def computed(text: str) -> Colour:
    parts = [float(one) for one in re.findall(r"[\d.]+", text)]
    return Colour(*parts)


def near(one: Colour, other: Colour) -> bool:
    return all(abs(a - b) < 1.5 for a, b in zip(one[:3], other[:3], strict=True))
