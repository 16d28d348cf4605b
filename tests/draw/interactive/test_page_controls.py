"""Keys, buttons, folding and exports of the page, in a real browser."""

import json

import pytest
from draw.interactive.pages import (
    by_hand,
    cross_entropy,
    downloaded,
    folded,
    mlp,
    named,
    parameter,
    square,
    three_flowers,
)

from tinygrad_ce.draw import draw, remember_lines
from tinygrad_ce.draw.interactive.steps import Trace
from tinygrad_ce.engine.graph import topological_order

pytestmark = pytest.mark.slow


def test_arrows_home_and_end_step(open_page):
    page = open_page(cross_entropy())
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home", "ArrowLeft"):
        page.press(key)
        seen.append(page.step())
    assert seen == [1, 2, 1, page.last(), page.last(), 0, 0]


def test_buttons_step(open_page):
    page = open_page(cross_entropy())
    seen = []
    for button in ("#forward", "#forward", "#back", "#last", "#first"):
        page.tab.click(button)
        seen.append(page.step())
    assert seen == [1, 2, 1, page.last(), 0]
    assert page.tab.is_disabled("#back")
    assert page.tab.is_enabled("#forward")


def test_slider_steps(open_page):
    page = open_page(cross_entropy())
    page.tab.fill("#slider", "7")
    assert page.step() == 7
    page.tab.focus("#slider")
    page.press("ArrowRight")
    assert page.step() == 8
    assert page.tab.get_attribute("#slider", "aria-valuetext").startswith("8 of 16: ")


def test_space_plays_and_pauses(open_page):
    page = open_page(cross_entropy())
    page.press("Space")
    assert page.step() == 1
    assert page.tab.get_attribute("#play", "aria-label") == "Pause"
    page.wait_until("state.step >= 2")
    page.press("Space")
    stopped = page.step()
    page.tab.wait_for_timeout(1600)
    assert page.step() == stopped
    page.tab.click("#play")
    assert page.tab.get_attribute("#play", "aria-label") == "Pause"


def test_playing_ends_at_the_last_step(open_page):
    page = open_page(square())
    page.go(page.last() - 1)
    page.press("Space")
    assert page.step() == page.last()
    page.wait_until("!state.playing")


def test_step_is_in_the_address(open_page):
    page = open_page(cross_entropy(), hash="#step=12")
    assert page.step() == 12
    page.press("ArrowRight")
    assert page.tab.evaluate("location.hash") == "#step=13"
    page.tab.evaluate("location.hash = '#step=3'")
    page.wait_until("state.step === 3")


@pytest.mark.parametrize("hash", ["#step=999", "#step=", "#<script>", "#step=-1"])
def test_odd_addresses_do_no_harm(open_page, hash):
    page = open_page(cross_entropy(), hash=hash)
    assert 0 <= page.step() <= page.last()


def test_tab_goes_to_the_tensors_and_shows_them(open_page):
    page = open_page(cross_entropy())
    names = []
    for _ in range(40):
        page.press("Tab")
        if (chosen := page.chosen()) and chosen not in names:
            names.append(chosen)
    every = page.tab.evaluate("nodes.filter((n) => drawn.parts.has(n.id)).map((n) => n.name)")
    assert names == every
    assert page.tab.evaluate("document.querySelectorAll('.graph.related .is-related').length") > 0


def test_escape_deselects(open_page):
    page = open_page(cross_entropy())
    page.tab.evaluate("choosePart('t0')")
    assert page.chosen() == "logits"
    page.press("Escape")
    assert page.chosen() is None
    assert page.tab.locator(".graph.related").count() == 0


def test_click_on_a_tensor_shows_it_and_marks_what_is_related(open_page):
    page = open_page(by_hand())
    page.press("End")
    page.tab.click('#view [data-id="t1"]')
    assert page.text("#node h2") == "exp(z) computed"
    assert "exp: exp(z) = ez" in page.text("#node")
    marked = {
        relation: page.tab.eval_on_selector_all(
            f"#view .tensor.{relation}", "parts => parts.map((p) => p.dataset.id)"
        )
        for relation in ("ancestor", "chosen", "descendant")
    }
    assert marked == {"ancestor": ["t0"], "chosen": ["t1"], "descendant": ["t2", "t3", "t5"]}


def test_panel_tells_the_line_of_code_where_it_was_remembered(open_page):
    with remember_lines():
        y = parameter([2.0, 1.0], "x").exp()
    page = open_page(named(y.sum(), "y"))
    page.tab.click('#view [data-id="t1"]')
    assert 'y = parameter([2.0, 1.0], "x").exp()' in page.text("#node code")
    assert "test_page_controls.py:" in page.text("#node code")


def test_links_in_the_panel_lead_to_inputs_and_consumers(open_page):
    page = open_page(by_hand())
    page.tab.click('#view [data-id="t1"]')
    page.tab.click("#node .links button >> text=s")
    assert page.chosen() == "s"


def test_hover_says_less(open_page):
    page = open_page(by_hand())
    page.press("End")
    page.tab.hover('#view [data-id="t0"]')
    assert "z, parameter, (3,), value 2 1 0.1" in page.text("#tip")
    assert page.chosen() is None


def test_search_finds_by_name(open_page):
    page = open_page(three_flowers())
    page.press("/")
    page.tab.keyboard.type("W")
    expected = [
        name for name in page.tab.evaluate("nodes.map((n) => n.name)") if "w" in name.lower()
    ]
    assert {"flowers", "W1", "W2"} < set(expected)
    assert page.text("#found") == f"{len(expected)} matches"
    assert page.tab.locator("#view .match").count() == len(expected)
    chosen = []
    for _ in range(len(expected) + 1):
        page.press("Enter")
        chosen.append(page.chosen())
    assert chosen == [*expected, expected[0]]
    page.press("Escape")
    assert page.tab.locator("#view .match").count() == 0


def test_keys_typed_into_the_search_do_not_step(open_page):
    page = open_page(cross_entropy())
    page.press("/")
    page.tab.keyboard.type("c f+e ")
    page.press("ArrowRight", "Home", "End")
    assert page.step() == 0


@pytest.mark.parametrize(
    "bigger, smaller, fit", [("+", "-", "f"), ("#zoom-in", "#zoom-out", "#fit")]
)
def test_zoom(open_page, bigger, smaller, fit):
    page = open_page(three_flowers())

    def width_after(what):
        page.tab.click(what) if what.startswith("#") else page.press(what)
        return page.tab.evaluate("drawn.svg.getBoundingClientRect().width")

    fitting = width_after(fit)
    assert fitting <= page.tab.evaluate("view.clientWidth")
    assert width_after(bigger) > fitting
    assert width_after(smaller) == pytest.approx(fitting)
    assert width_after(smaller) < fitting


def test_next_element(open_page):
    page = open_page(cross_entropy())
    page.go(page.last())
    first = page.text("#explanation .formula.numbers")
    page.press("e")
    second = page.text("#explanation .formula.numbers")
    assert first != second
    page.tab.click('[aria-label="Previous element"]')
    assert page.text("#explanation .formula.numbers") == first
    page.tab.click("#explanation .matrices td >> nth=2")
    assert "[0, 2]" in page.text("#explanation .formula.numbers")


def test_help_lists_every_key(open_page):
    page = open_page(square())
    page.press("?")
    assert page.tab.is_visible("#help")
    listed = set(page.tab.eval_on_selector_all("#help kbd", "keys => keys.map((k) => k.innerText)"))
    assert listed >= {
        "→",
        "←",
        "Home",
        "End",
        "Space",
        "e",
        "Tab",
        "Esc",
        "/",
        "c",
        "d",
        "w",
        "f",
        "+",
        "−",
        "?",
    }
    page.press("Escape")
    assert not page.tab.is_visible("#help")
    page.tab.click("#help-button")
    assert page.tab.is_visible("#help")


def test_c_folds_and_opens_all_where_nothing_is_chosen(open_page):
    page = open_page(three_flowers())
    page.press("c")
    assert folded(page) == ["hidden", "output", "cross_entropy"]
    page.press("c")
    assert folded(page) == []
    page.tab.click("#fold")
    assert len(folded(page)) == 3
    page.tab.click("#fold")
    assert folded(page) == []


def test_click_and_enter_on_a_scope_fold_and_open_the_scopes(open_page):
    page = open_page(three_flowers())
    everything = ["hidden", "output", "cross_entropy"]
    page.tab.click('#view .scope:has-text("cross_entropy") text')
    assert folded(page) == everything
    focus = "document.activeElement.getAttribute('aria-label')"
    assert "cross_entropy" in page.tab.evaluate(focus)
    page.press("Enter")
    assert folded(page) == []
    page.press("Space")
    assert folded(page) == everything
    assert "cross_entropy" in page.tab.evaluate(focus)


def test_graph_that_was_drawn_folded_can_be_opened_and_comes_back_as_drawn(open_page):
    page = open_page(mlp(), depth=2)
    assert folded(page) == ["Linear", "Tanh", "Linear"]
    page.tab.click("#fold")
    assert folded(page) == []
    page.tab.click("#fold")
    assert folded(page) == ["Linear", "Tanh", "Linear"]


def test_the_chosen_tensor_stays_chosen_when_scopes_fold(open_page):
    page = open_page(three_flowers())
    page.tab.evaluate("choosePart('t5')")
    page.press("c")
    assert page.tab.locator("#view .folded.chosen").count() == 1
    page.press("c")
    assert page.tab.locator('#view [data-id="t5"].chosen').count() == 1


def test_graph_without_scopes_has_nothing_to_fold(open_page):
    page = open_page(square())
    assert not page.tab.is_visible("#fold")
    page.press("c")


def test_steps_inside_a_folded_scope_mark_the_scope(open_page):
    page = open_page(three_flowers(), depth=1)
    assert folded(page) == ["hidden", "output", "cross_entropy"]
    inside = page.tab.evaluate("steps.findIndex((s) => s.kind === 'add')")
    page.go(inside)
    assert page.tab.locator("#view .folded.active").count() == 1


def test_stepping_moves_nothing(open_page):
    page = open_page(mlp())
    where = """() => {
        const parts = [...document.querySelectorAll('#view [data-id] > :first-child')];
        const places = ["x", "y", "cx", "cy", "d", "width", "height"];
        return JSON.stringify(parts.map((part) => places.map((a) => part.getAttribute(a))));
    }"""
    before = page.tab.evaluate(where)
    size = "[drawn.svg.getAttribute('width'), document.querySelector('.stage').offsetHeight]"
    size_before = page.tab.evaluate(size)
    for _ in range(page.last()):
        page.press("ArrowRight")
    assert page.tab.evaluate(where) == before
    assert page.tab.evaluate(size) == size_before


def test_what_is_not_computed_yet_shows_no_number(open_page):
    page = open_page(by_hand())
    assert page.numbers("t1", "value") == []
    assert page.numbers("t0", "value") == ["2", "1", "0.1"]
    page.press("ArrowRight")
    assert page.numbers("t1", "value") == ["7.389", "2.718", "1.105"]
    assert page.tab.locator("#view .tensor.pending").count() == 4
    page.press("End")
    assert page.tab.locator("#view .pending").count() == 0


def test_downloads(open_page):
    loss = cross_entropy()
    page = open_page(loss)
    page.press("End")
    assert downloaded(page, "dot") == ("loss.dot", draw(loss).dot)
    name, svg = downloaded(page, "svg")
    assert name == "loss.svg"
    assert svg.startswith("<svg")
    assert "--g-parameter" in svg
    name, trace = downloaded(page, "json")
    assert name == "loss.json"
    ours = Trace(topological_order(loss), [loss]).data()
    assert json.loads(trace) == json.loads(json.dumps(ours))
    name, tex = downloaded(page, "tex")
    assert name == "loss.tex"
    assert tex == r"\frac{\partial L}{\partial \text{logits}} = \frac{\partial L}{\partial t_{3}}"


def test_copies(open_page):
    page = open_page(cross_entropy())
    page.tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.press("End")
    for kind, start in (("dot", "digraph"), ("svg", "<svg"), ("tex", r"\frac"), ("json", "{")):
        page.tab.click("#export summary")
        page.tab.click(f'[data-copy="{kind}"]')
        page.wait_until("document.getElementById('exported').value === 'Copied.'")
        assert page.tab.evaluate("navigator.clipboard.readText()").startswith(start)
        page.tab.evaluate("document.getElementById('exported').value = ''")


def test_all_steps_are_listed_with_links(open_page):
    page = open_page(by_hand())
    page.tab.click("#steps summary")
    page.tab.wait_for_selector("#steps li")
    assert page.tab.locator("#steps li").count() == page.last() + 1
    assert page.tab.locator('#steps li[aria-current="step"]').count() == 1
    page.tab.click("#steps li >> nth=4 >> a")
    assert page.step() == 4
