"""The looks of the page, its size, and hostile names, in a real browser."""

import os
import re
from pathlib import Path

import pytest
from draw.graphs import contrast
from draw.interactive.pages import (
    Opened,
    by_hand,
    downloaded,
    mlp,
    named,
    of_400_nodes,
    parameter,
    three_flowers,
)

import tinygrad_ce as tg
from tinygrad_ce.draw import draw
from tinygrad_ce.engine.graph import topological_order

pytestmark = pytest.mark.slow


ASSETS = Path(tg.__file__).parent / "draw/interactive/assets"


def shot(page, name, tmp_path, full=True):
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    picture = page.tab.screenshot(path=folder / f"{name}.png", full_page=full)
    assert len(picture) > 10_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
@pytest.mark.parametrize("make", [by_hand, three_flowers, mlp])
def test_fits_the_window_in_light_and_dark(open_page, tmp_path, make, width, scheme):
    page = open_page(make(), width=width, height=800, scheme=scheme)
    for step in (0, page.last() // 2, page.last()):
        page.go(step)
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    shot(page, f"{make.__name__}_{width}_{scheme}", tmp_path)


def test_prints_the_graph_the_step_and_all_steps(open_page, tmp_path):
    page = open_page(three_flowers(), hash="#step=20")
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    pdf = page.tab.pdf(path=folder / "printed.pdf", format="A4")
    assert pdf.startswith(b"%PDF")
    page.tab.emulate_media(media="print")
    assert not page.tab.is_visible(".player")
    assert page.tab.is_visible("#view svg")
    assert page.tab.is_visible("#steps li >> nth=3")
    assert len(re.findall(rb"/Type /Page\b", pdf)) <= 3


def variables(name, dark):
    """The colors of a style sheet, as they are in light or dark."""
    css = (ASSETS / name).read_text("utf-8")
    light, _, rest = css.partition("prefers-color-scheme: dark")
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    if dark:
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", rest))
    return found


@pytest.mark.parametrize("dark", [False, True])
def test_contrast_is_at_aa(dark):
    page = variables("palette.css", dark) | variables("page.css", dark)
    for text in ("ink", "muted", "accent", "grad"):
        for ground in ("ground", "surface"):
            assert contrast(page[text], page[ground]) >= 4.5, (text, ground)
    assert contrast(page["control"], page["surface"]) >= 3
    assert contrast(page["ink"], page["chosen"]) >= 4.5
    assert contrast(page["grad"], page["chosen"]) >= 4.5


def test_everything_that_can_be_operated_has_a_name(open_page):
    page = open_page(mlp())
    nameless = page.tab.evaluate(
        """[...document.querySelectorAll('button, input, summary, [role=button], section, dialog')]
            .filter((e) => !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby')
                             || e.labels?.length || e.textContent.trim()))
            .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert nameless == []


def test_animations_stop_where_less_motion_is_wished(open_page):
    page = open_page(by_hand())
    page.go(page.last())
    assert page.tab.evaluate("document.getAnimations().length") == 0


def test_without_javascript_the_finished_graph_is_there(browser, tmp_path):
    path = draw(by_hand()).save(tmp_path / "page.html")
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(path.as_uri())
    assert "7.389" in tab.inner_text("#view")
    assert "0.0986" in tab.inner_text("#view").replace("0.09857", "0.0986")
    assert "With JavaScript" in tab.inner_text("noscript")
    context.close()


def test_in_a_notebooks_frame(browser, tmp_path):
    frame = draw(by_hand()).page(height=600)._repr_html_()
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>notebook</title>{frame}", "utf-8")
    context = browser.new_context()
    page = Opened(context.new_page())
    page.tab.goto(path.as_uri())
    inner = page.tab.frame_locator("iframe")
    inner.locator("#forward").click()
    assert inner.locator("#counter").inner_text() == "step 1 of 12"
    inner.locator("#steps summary").click()
    inner.locator("#steps li >> nth=5 >> a").click()
    assert inner.locator("#counter").inner_text() == "step 5 of 12"
    assert page.complaints == []
    context.close()


def test_400_nodes_are_stepped_through_to_the_end(open_page):
    loss = of_400_nodes()
    assert len(topological_order(loss)) >= 400
    page = open_page(loss)
    page.press("End")
    assert page.step() == page.last() > 400
    assert page.text("#counter") == f"step {page.last()} of {page.last()}"


HOSTILE = [
    "</script><script>window.hurt = 1</script>",
    "<!--<script>",
    "<img src=x onerror='window.hurt = 1'>",
    "\"'><svg onload=window.hurt=1>",
    "javascript:window.hurt=1",
    "$css ${js} $$",
    "two\nlines\u2028three\x00",
    "\u202eright to left\u202c שלום",
    "x" * 10_000,
    "\\frac{}{}_^%#&~",
    "]]> &amp; &#60;",
    "\ud800",
    "__proto__",
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_name_neither_breaks_nor_injects(open_page, name):
    x = parameter([1.0, 2.0], name)
    with tg.scope(name):
        y = named((x * x).sum(), name)
    page = open_page(named(y * 1.0, name))
    before = page.tab.evaluate("document.querySelectorAll('script, iframe, object, embed').length")
    for _ in range(page.last()):
        page.press("ArrowRight")
    page.press("c", "c", "/")
    page.tab.keyboard.type(name[:3] if name.isprintable() else "x")
    page.press("Enter", "Escape")
    page.tab.evaluate("choosePart('t0')")
    page.tab.click("#steps summary")
    downloaded(page, "svg")
    assert page.tab.evaluate("window.hurt") is None
    assert before == 2
    assert (
        page.tab.evaluate("document.querySelectorAll('script, iframe, object, embed').length") == 2
    )
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= 1280
