"""The page in a real browser: its controls, by mouse and keyboard, its looks, its connection."""

import contextlib
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from draw.graphs import contrast

import tinygrad_ce as tg
from tinygrad_ce import closed_form
from tinygrad_ce import functional as F
from tinygrad_ce.draw.formatting import number
from tinygrad_ce.play.asset_files import read_assets
from tinygrad_ce.play.one_loss import FORMS
from tinygrad_ce.play.session import Session

pytestmark = pytest.mark.slow


def setting(page):
    return page.session().parts["loss"]._setting


def choose(page, words):
    page.tab.locator(".choices label", has_text=re.compile(f"^{words}$")).click()


def drag(page, locator, dx):
    box = page.tab.locator(locator).first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.tab.mouse.move(x, y)
    page.tab.mouse.down()
    for i in range(1, 9):
        page.tab.mouse.move(x + dx * i / 8, y)
    page.tab.mouse.up()


# ── Controls ──────────────────────────────────────────────────────────────────────────────────────


def test_every_control_sets_what_it_says_and_the_numbers_follow(open_page):
    page = open_page()
    tab = page.tab
    page.settled()
    tab.get_by_label("Logit z of class 0, as a number").fill("3.5")
    tab.get_by_label("One class more").click()
    tab.get_by_label("One class more").click()
    tab.get_by_label("One class fewer").click()
    tab.get_by_label("class 3", exact=True).check()
    choose(page, "float32")
    choose(page, "shifted")
    page.settled()
    now = setting(page)
    assert now.logits == [3.5, 1.0, 0.1, 0.0]
    assert (now.label, now.dtype, now.form) == (3, "float32", "shifted")
    tab.get_by_label("Label smoothing").fill("0.3")
    page.settled()
    assert setting(page).smoothing == 0.3
    choose(page, "soft")
    tab.get_by_label("Share of class 1 in the target").fill("0.9")
    page.settled()
    now = setting(page)
    assert now.soft == [0.1, 0.9, 0.1, 0.7]
    p = closed_form.softmax(np.float32(now.logits).astype(float))
    assert page.column("p") == [number(value) for value in p]
    assert page.column("exact") == [number(value) for value in p - now.target]
    choose(page, "a label")
    page.settled()
    assert setting(page).soft is None


def test_logits_are_dragged_on_sliders_on_the_graph_and_on_the_curve(open_page):
    page = open_page()
    page.settled()
    for locator in ('[aria-label="Logit z of class 1"]', ".stage .handle >> nth=1", ".plot .place"):
        before = setting(page).logits
        drag(page, locator, 30)
        page.settled()
        after = setting(page).logits
        changed = [i for i in range(3) if after[i] != before[i]]
        assert changed == [0 if "place" in locator else 1], locator
        assert after[changed[0]] > before[changed[0]] or "Logit" in locator
        assert page.tab.locator(".stage .handle").nth(1).text_content() == number(after[1]).replace(
            "-", "−"
        )


def test_a_target_is_dragged_on_the_graph_and_becomes_soft(open_page):
    page = open_page("#part=loss&smoothing=0.3")
    page.settled()
    drag(page, '.stage .tensor:has-text("y") .handle >> nth=1', 40)
    page.settled()
    assert setting(page).soft[1] > 0.2
    assert page.tab.get_by_label("soft").is_checked()


def test_at_a_gap_of_40_one_sees_who_keeps_the_gradient(open_page):
    page = open_page("#part=loss&logits=40,0,0&label=0")
    for form, found in {"naive": "0", "shifted": "0", "margin": "-8.497e-18"}.items():
        choose(page, form)
        page.settled()
        assert page.column("found")[0] == found
        assert page.column("exact")[0] == "-8.497e-18"
        verdict = page.tab.locator("#loss .verdict")
        assert ("lost" in verdict.inner_text()) == (form != "margin")
        border = verdict.evaluate("(element) => getComputedStyle(element).borderLeftColor")
        assert (border == "rgb(0, 102, 77)") == (form == "margin")


def test_an_expression_is_edited_and_redrawn_and_a_wrong_one_is_explained(open_page):
    page = open_page()
    page.settled()
    line = page.tab.get_by_label("loss =")
    assert line.input_value() == "-(e / e.sum())[t].log()"
    line.fill("((softmax(z) - y) ** 2).sum()")
    page.settled()
    assert "This is not p − y" in page.tab.inner_text(".verdict")
    assert page.tab.get_by_label("your own").is_checked()
    assert "xⁿ" in page.tab.inner_text(".stage")
    line.fill("z.sum(")
    page.settled()
    assert "never closed" in page.tab.inner_text("#expression-error")
    assert line.get_attribute("aria-invalid") == "true"
    last = page.tab.get_by_text("of the last expression that could be computed")
    parts = ".verdict, .stage, figure, .row:not(.heads) > .found"
    greyed = f"[...document.querySelectorAll('#loss :is({parts})')]"
    greyed += ".map((element) => getComputedStyle(element).opacity)"
    assert last.is_visible()
    assert set(page.tab.evaluate(greyed)) == {"0.45"}
    line.fill("-z[t]")
    page.settled()
    assert not page.tab.is_visible("#expression-error")
    assert not last.is_visible()
    assert set(page.tab.evaluate(greyed)) == {"1"}
    line.fill("z.sum(")
    last.wait_for()
    choose(page, "naive")
    page.settled()
    assert line.input_value() == "-(e / e.sum())[t].log()"
    assert not last.is_visible()


def test_random_settings_show_the_engines_numbers(open_page):
    """Set by the address, as a teacher's link does it; read from the page."""
    page = open_page("#part=loss")
    page.settled()
    rng = np.random.default_rng(5)
    for i in range(30):
        # Few structures of the graph, each of which takes a layout.
        z, form = (rng.normal(size=3) * rng.choice([0.1, 3, 20])).round(3), [*FORMS][i // 10]
        soft, smoothing = rng.dirichlet(np.ones(3)), float(rng.choice([0, 0.25]))
        fragment = f"part=loss&form={form}&logits={','.join(map(str, z))}&smoothing={smoothing}"
        fragment += f"&soft={','.join(map(str, soft))}&label={rng.integers(3)}"
        page.tab.evaluate(
            """(fragment) => new Promise((done) => {
                addEventListener("hashchange", () => setTimeout(done), { once: true });
                location.hash = fragment;
            })""",
            fragment,
        )
        page.settled()
        p, y = closed_form.softmax(z), (1 - smoothing) * soft / soft.sum() + smoothing / 3
        tensor = tg.Tensor(z, requires_grad=True)
        (gradient,) = tg.gradients(F.cross_entropy(tensor, y, reduction="sum"), [tensor])
        assert page.column("p") == [number(value) for value in p], fragment
        for found, expected in zip(page.column("found"), gradient, strict=True):
            assert float(found) == pytest.approx(expected, rel=6e-4, abs=1e-13), fragment


# ── Code and stepping page ────────────────────────────────────────────────────────────────────────


def test_the_code_that_is_shown_makes_the_numbers_that_are_shown(open_page, monkeypatch):
    monkeypatch.setattr("tinygrad_ce.draw.drawing.Drawing.save", lambda self, name: None)
    page = open_page("#part=loss&logits=0.5,-1,3&label=1&form=margin&smoothing=0.2")
    page.settled()
    page.tab.click("text=Show the code")
    page.wait("document.getElementById('code').open")
    code = page.tab.inner_text("#code code")
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, names)
    assert [number(value) for value in names["z"].grad] == page.column("found")
    page.tab.keyboard.press("Escape")
    page.wait("!document.getElementById('code').open")


def test_what_is_seen_is_stepped_through_on_the_stepping_page(open_page):
    page = open_page("#part=loss&logits=0.5,-1,3&label=1")
    page.settled()
    page.tab.click("text=Step through")
    frame = page.tab.frame_locator("#stepping iframe")
    frame.locator("#last").click()
    frame.locator("#explanation .closed").wait_for()
    assert frame.locator("#counter").inner_text().startswith("step ")
    page.tab.get_by_role("button", name="Close").click()
    page.wait("!document.getElementById('stepping').open")


# ── Keyboard and screen readers ───────────────────────────────────────────────────────────────────


def test_everything_can_be_reached_and_set_by_the_keyboard(open_page):
    page = open_page()
    page.settled()
    reached = []
    page.tab.keyboard.press("Tab")
    for _ in range(40):
        reached.append(page.tab.evaluate(
            "document.activeElement.getAttribute('aria-label') ?? document.activeElement.id "
            "?? document.activeElement.tagName"
        ))  # fmt: skip
        if reached[-1] == "Logit z of class 2":
            break
        page.tab.keyboard.press("Tab")
    for name in ("tab-loss", "step-through", "show-code", "expression", "Label smoothing"):
        assert name in reached
    page.tab.keyboard.press("ArrowRight")
    page.settled()
    assert setting(page).logits[2] == pytest.approx(0.2)
    page.tab.focus("#tab-loss")
    page.tab.keyboard.press("ArrowRight")
    assert page.tab.get_attribute("#tab-network", "aria-selected") == "true"
    assert page.tab.get_attribute("#network", "hidden") is None
    page.tab.keyboard.press("ArrowLeft")
    assert page.tab.is_visible("#loss")


def test_everything_that_can_be_operated_has_a_name(open_page):
    page = open_page()
    page.settled()
    for details in page.tab.query_selector_all("#loss details"):
        details.evaluate("(details) => { details.open = true; }")
    nameless = page.tab.evaluate(
        """() => [...document.querySelectorAll(
                "button, input, select, summary, iframe, svg[role], [tabindex]")]
            .filter((e) => !(e.getAttribute("aria-label") || e.title || e.labels?.length
                || e.getAttribute("aria-labelledby") || e.textContent.trim()))
            .map((e) => e.outerHTML)"""
    )
    assert nameless == []
    ids = page.tab.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


def test_the_questions_are_asked_and_can_be_tried(open_page):
    page = open_page()
    page.settled()
    for question in page.tab.query_selector_all(".question"):
        question.query_selector("summary").click()
        for button in question.query_selector_all(".try"):
            button.click()
            page.settled()
        question.query_selector(".answer summary").click()
        assert len(question.query_selector(".answer").inner_text()) > 200
    text = page.tab.inner_text(".questions")
    assert "Why is the gradient p − y?" in text
    assert "What does label smoothing do to p − y?" in text


# ── Looks ─────────────────────────────────────────────────────────────────────────────────────────


def test_fits_the_window_in_light_and_dark(open_page, tmp_path):
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    page = open_page("#part=loss&logits=40,0,-3,1&label=0&soft=0.5,0.2,0.2,0.1")
    for width, scheme in [(1280, "light"), (900, "light"), (375, "dark"), (320, "light")]:
        page.tab.set_viewport_size({"width": width, "height": 900})
        page.tab.emulate_media(color_scheme=scheme)
        page.tab.wait_for_timeout(100)  # until it asks for a graph from top to bottom
        page.settled()
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
        outside = page.tab.evaluate(
            """() => [...document.querySelectorAll("#loss .card *, .bar *")].filter((e) => {
                const card = e.closest(".card, .bar"), box = e.getBoundingClientRect();
                return box.width && !e.closest(".stage, .plot, details:not([open])")
                    && box.right > card.getBoundingClientRect().right + 1;
            }).map((e) => e.outerHTML.slice(0, 100))"""
        )
        assert outside == [], width
        page.tab.screenshot(path=folder / f"play_{width}_{scheme}.png", full_page=True)


def test_prints_numbers_and_graph_without_controls(open_page, tmp_path):
    page = open_page()
    page.settled()
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    pdf = page.tab.pdf(path=folder / "play.pdf", format="A4")
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", pdf)) <= 3
    page.tab.emulate_media(media="print")
    assert not page.tab.is_visible("#show-code")
    assert page.tab.is_visible(".stage svg")


@pytest.mark.parametrize("dark", [False, True])
def test_contrast_is_at_aa(dark):
    colors = {}
    for name in ("palette.css", "play.css"):
        light, _, rest = read_assets()[name].decode().partition("prefers-color-scheme: dark")
        colors |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
        if dark:
            block = rest.partition("}\n}")[0]
            colors |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    for text in ("ink", "muted", "accent", "grad", "p", "y", "wrong", "right"):
        for ground in ("ground", "surface"):
            assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)
    assert contrast(colors["control"], colors["surface"]) >= 3


# ── Connection ────────────────────────────────────────────────────────────────────────────────────


def test_a_reload_shows_the_same_and_frees_the_session(open_page):
    page = open_page("#part=loss&logits=1,-2,3&label=2&smoothing=0.1&form=shifted&dtype=float32")
    page.settled()
    page.tab.get_by_label("Logit z of class 0, as a number").fill("5")
    page.settled()
    page.tab.wait_for_timeout(400)  # until it is in the address
    before, session = setting(page), page.session()
    page.tab.reload()
    page.wait("document.getElementById('connection').textContent === 'connected'")
    page.settled()
    assert setting(page) == before
    assert page.session() is not session
    assert before.logits == [5.0, -2.0, 3.0]


ADDRESSES = [
    *("#", "#part=nothing", "#part=loss&logits=a,b", "#part=loss&logits=1", "#part=loss&label=99"),
    *("#part=loss&logits=1e9,-1e9&label=-1&smoothing=7&soft=1,2,3", "#part=loss&form=best"),
    *("#%", "#part=__proto__", "#part=constructor&x=1", "#part=loss&logits=" + "1," * 5_000),
    "#part=loss&form=expression&expression=%00%3Cscript%3E",
]


def test_any_address_shows_a_page(open_page):
    page = open_page()
    for fragment in ADDRESSES[-4:]:
        page.tab.goto("about:blank")
        page.tab.goto(page.server.address + fragment)
        if "expression" in fragment:
            page.wait("document.getElementById('expression-error')?.hidden === false")
        else:
            page.settled()
        assert page.tab.is_visible("#loss .controls"), fragment
    for fragment in ADDRESSES:  # while it is open
        page.tab.evaluate("(hash) => { location.hash = hash; }", fragment)
    page.tab.evaluate("location.hash = '#part=loss&logits=1,2'")
    page.settled()
    page.wait("document.querySelectorAll('#loss .row:not(.heads)').length === 2")


def test_two_tabs_do_not_disturb_one_another(open_page):
    page = open_page("#part=loss&logits=1,2&label=0")
    second = page.tab.context.new_page()
    second.goto(page.server.address + "#part=loss&logits=5,6,7&label=1")
    second.wait_for_selector(".stage svg")
    page.settled()
    assert len(page.server.sessions) == 2
    page.tab.get_by_label("Logit z of class 0, as a number").fill("9")
    page.settled()
    logits = [session.parts["loss"]._setting.logits for session in page.server.sessions.values()]
    assert sorted(logits) == [[5.0, 6.0, 7.0], [9.0, 2.0]]
    second.close()
    page.tab.wait_for_timeout(200)
    assert len(page.server.sessions) == 1


def test_a_lost_connection_is_said_and_resumed(open_page):
    page = open_page("#part=loss&logits=1,2,3&label=0")
    page.settled()
    session = page.session()
    page.lose_connection()
    page.wait("document.body.classList.contains('is-lost')")
    page.wait("document.getElementById('connection').textContent === 'connected'")
    page.tab.get_by_label("Logit z of class 0, as a number").fill("4")
    page.settled()
    assert page.session() is session
    assert setting(page).logits == [4.0, 2.0, 3.0]
    page.complaints.clear()  # the browser notes the lost connection


# ── One's own computation ─────────────────────────────────────────────────────────────────────────


def test_an_own_computation_is_moved(open_page):
    def loss(w, x):
        return (w @ x).tanh().sum()

    def make_session():
        w = tg.Tensor([[0.5, -0.25]], requires_grad=True, name="w")
        return Session(computation=(loss, w, [1.0, 2.0]))

    page = open_page(make_session=make_session)
    page.settled()
    assert page.tab.inner_text("[role=tab][aria-selected=true]") == "Your computation"
    page.tab.get_by_label("w[0, 1], as a number").fill("0.75")
    page.settled()
    w = tg.Tensor([[0.5, 0.75]], requires_grad=True)
    expected = loss(w, tg.Tensor([1.0, 2.0]))
    assert page.tab.inner_text("#computation .verdict") == f"output {number(expected.item())}"
    (gradient,) = tg.gradients(expected, [w])
    found = [
        cell.inner_text() for cell in page.tab.query_selector_all("#computation .found .digits")
    ]
    assert found == [*(number(value) for value in gradient.flat), "constant", "constant"]
    drag(page, "#computation .stage .handle", 20)
    page.settled()
    page.tab.click("text=Show the code")
    page.wait("document.getElementById('code').open")
