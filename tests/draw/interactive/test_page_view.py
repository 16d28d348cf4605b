"""What the page shows of a graph: arrows, callouts, legend, and why the gradient is p − y."""

import re

import pytest
from draw.interactive.pages import (
    by_hand,
    cross_entropy,
    downloaded,
    everything,
    mlp,
    named,
    parameter,
    square,
    three_flowers,
    visible_in,
)

from tinygrad_ce.cli import main
from tinygrad_ce.cli.experiment import loss_of_row, prepare

pytestmark = pytest.mark.slow

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 375, "height": 667, "touch": True}

# ── Arrows ────────────────────────────────────────────────────────────────────────────────────────

# For each step and each edge that is shown: where its heads are that do not touch the right part.
WRONG_HEADS = """() => {
    const wrong = [];
    const distance = ([x, y], box) => Math.hypot(
        Math.max(box.x - x, 0, x - box.x - box.width),
        Math.max(box.y - y, 0, y - box.y - box.height));
    for (let i = 0; i < steps.length; i++) {
        go(i);
        const backward = firstBackward >= 0 && i >= firstBackward;
        for (const [use, edge] of drawn.edges) {
            const [maker, place] = use.split(".");
            const made = byId.get(`t${maker.slice(1)}`);
            const [from, to] = (place === "y" ? [maker, made.id] : [made.inputs[place], maker])
                .map((id) => placeOf(partFor(id)));
            const goal = backward ? from : to;
            const heads = [...edge.querySelectorAll("polygon")]
                .filter((head) => head.getClientRects().length);
            const constant = edge.matches(".constant");
            if (heads.length !== (backward && constant ? 0 : 1)) wrong.push([i, use, heads.length]);
            for (const head of heads) {
                const tip = head.getAttribute("points").split(" ")[0].split(",").map(Number);
                if (distance(tip, goal) > 2.5) wrong.push([i, use, distance(tip, goal)]);
            }
        }
    }
    return wrong;
}"""


@pytest.mark.parametrize("make, direction", [(three_flowers, "LR"), (everything, "TB")])
def test_every_arrow_points_to_where_the_step_goes(open_page, make, direction):
    page = open_page(make(), direction=direction)
    assert page.tab.evaluate(WRONG_HEADS) == []


def test_arrows_into_folded_scopes_turn_too(open_page):
    page = open_page(three_flowers(), depth=1)
    page.press("End")
    heads = "[...document.querySelectorAll('#view .edge:not(.constant) polygon')]"
    seen = page.tab.evaluate(f"{heads}.filter((p) => p.getClientRects().length).map((p) => "
                             "p.parentElement.getAttribute('class'))")  # fmt: skip
    assert set(seen) == {"back"}


@pytest.mark.parametrize("kind", ["value", "add"])
def test_dashes_move_from_where_a_step_comes_from(open_page, kind):
    page = open_page(by_hand(), motion="no-preference")
    page.go(page.tab.evaluate(f"steps.findLastIndex((s) => s.kind === '{kind}')"))
    moved = page.tab.evaluate(
        """() => {
            const step = steps[state.step];
            const first = step.kind === "add" ? step.from : byId.get(step.to).inputs[0];
            const from = placeOf(partFor(first));
            const near = ({ x, y }, box) => Math.hypot(x - box.x - box.width / 2,
                y - box.y - box.height / 2) < Math.hypot(box.width, box.height);
            const paths = [...document.querySelectorAll("#view .edge.active path")]
                .filter((path) => path.getClientRects().length);
            const offsets = paths.map((path) => {
                const [animation] = path.getAnimations();
                return [0, 350].map((time) => {
                    animation.currentTime = time;
                    return parseFloat(getComputedStyle(path).strokeDashoffset);
                });
            });
            return { offsets, starts: paths.some((path) => near(path.getPointAtLength(0), from)) };
        }"""
    )
    assert moved["starts"]
    assert len(moved["offsets"]) >= 2
    # A smaller offset moves the dashes along the path, which begins where the step comes from.
    assert all(later < first for first, later in moved["offsets"])


# ── What is in view ───────────────────────────────────────────────────────────────────────────────


def one_flower():
    """The loss of the demo: a network 4-16-3 on one flower."""
    return loss_of_row(prepare("iris"), 7)[0]


@pytest.mark.parametrize("make", [one_flower, mlp])
def test_network_4_16_3_is_legible_from_input_to_loss_when_it_opens(open_page, make):
    page = open_page(make(), **DESKTOP)
    view, graph = (
        page.tab.evaluate(f"{e}.getBoundingClientRect().toJSON()") for e in ("view", "drawn.svg")
    )
    assert graph["left"] >= view["left"] - 1
    assert graph["right"] <= view["right"] + 1
    assert graph["top"] >= view["top"] - 1
    assert graph["bottom"] <= view["bottom"] + 1
    assert page.tab.evaluate("drawn.scale") * 10 >= 8.5  # numbers are of size 10
    assert not page.tab.is_visible("#hint")


@pytest.mark.parametrize("window", [DESKTOP, PHONE, {"width": 1280, "height": 720}])
@pytest.mark.parametrize("make", [mlp, three_flowers])
def test_loss_is_in_view_at_the_start_and_what_does_not_fit_pans(open_page, make, window):
    page = open_page(make(), **window)
    assert visible_in(page, "partFor(trace.outputs[0])", "view")
    fits = "view.scrollWidth <= view.clientWidth + 8 && view.scrollHeight <= view.clientHeight + 8"
    assert page.tab.is_visible("#hint") is not page.tab.evaluate(fits)
    page.tab.evaluate("zoom(fitting() / 2)")
    assert not page.tab.is_visible("#hint")


def test_a_drag_pans(open_page):
    page = open_page(mlp(), width=700, height=700)
    before = page.tab.evaluate("[view.scrollLeft, view.scrollTop]")
    box = page.tab.locator("#view").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.tab.mouse.move(x, y)
    page.tab.mouse.down()
    page.tab.mouse.move(x + 60, y + 40, steps=4)
    page.tab.mouse.up()
    assert page.tab.evaluate("[view.scrollLeft, view.scrollTop]") != before
    assert page.chosen() is None


# ── Why it is p − y ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("window", [DESKTOP, PHONE])
@pytest.mark.parametrize("make", [one_flower, three_flowers])
def test_why_is_in_view_without_scrolling(open_page, make, window):
    page = open_page(make(), **window)
    assert page.step() == 0
    for step in (0, page.tab.evaluate("climax.step")):
        page.go(step)
        panel = "document.querySelector('#explanation .closed')"
        assert visible_in(page, panel, "document.documentElement")
        if window is PHONE:
            bottom = page.tab.evaluate(f"{panel}.getBoundingClientRect().bottom")
            assert bottom <= page.tab.locator(".player").bounding_box()["y"]
        said = page.text("#explanation .closed")
        for words in ("softmax − one-hot", "log, Σ, exp", "the index", "p − y"):
            assert words in said, said
        assert re.search(r"\(subtracting \w+ cancels\)", said), said


def test_nothing_is_said_of_a_shift_where_there_is_none(open_page):
    page = open_page(by_hand())
    page.press("w")
    assert "softmax p" in page.text("#explanation .closed")
    assert "cancels" not in page.text("#explanation .closed")


@pytest.mark.parametrize("make", [one_flower, three_flowers])
def test_no_class_is_cut_off_where_the_panel_is_narrow(open_page, make):
    page = open_page(make(), **DESKTOP)
    page.press("w")
    for width, digits in ((1440, 4), (1070, 3), (960, 3)):
        page.tab.set_viewport_size({"width": width, "height": 800})
        page.go(0)
        page.press("w")
        table = page.tab.locator("#explanation .closed .scroll")
        assert table.evaluate("(element) => element.scrollWidth <= element.clientWidth"), width
        p = page.tab.evaluate("elements(climax.softmax)[3 * rowShown()]")
        written = table.locator("tbody tr").first.locator("td").first.inner_text()
        assert written == page.tab.evaluate("([p, digits]) => number(p, digits)", [p, digits])
    page.tab.set_viewport_size({"width": 1440, "height": 800})
    page.tab.set_viewport_size({"width": 1070, "height": 800})
    page.wait_until("document.querySelector('.closed .narrow') !== null")


@pytest.mark.parametrize("window", [DESKTOP, PHONE])
@pytest.mark.parametrize("make", [by_hand, mlp])
def test_softmax_minus_one_hot_appears_beside_the_logits(open_page, make, window):
    page = open_page(make(), **window)
    climax = page.tab.evaluate("climax.step")
    for step in range(climax):
        page.go(step)
        assert page.tab.locator("#view .climax").count() == 0
    page.press("w")
    assert page.step() == climax
    assert "softmax − one-hot" in page.tab.text_content("#view .climax")
    callout = "document.querySelector('#view .climax rect')"
    assert visible_in(page, callout, "view")
    assert visible_in(page, "partFor(climax.node)", "view")
    gap = page.tab.evaluate(
        f"""() => {{
            const [a, b] = [{callout}.getBBox(), placeOf(partFor(climax.node))];
            return Math.max(a.x - b.x - b.width, b.x - a.x - a.width,
                            a.y - b.y - b.height, b.y - a.y - a.height);
        }}"""
    )
    assert 0 < gap < 100


def test_without_a_cross_entropy_there_is_no_climax(open_page):
    page = open_page(square())
    assert not page.tab.is_visible("#climax")
    page.press("w")
    assert page.step() == 0
    assert page.tab.locator(".closed").count() == 0


def test_mark_on_the_track_leads_there(open_page):
    page = open_page(cross_entropy())
    page.tab.click("#climax")
    assert page.step() == page.tab.evaluate("climax.step")
    assert page.tab.evaluate("location.hash") == f"#step={page.step()}"


def test_demo_leads_to_why_by_one_click(browser, tmp_path, capsys):
    assert main(["demo", "--epochs", "1", "--out", str(tmp_path)]) == 0
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    tab = context.new_page()
    tab.goto((tmp_path / "index.html").as_uri())
    tab.click("text=Step through backprop >> nth=0")
    tab.wait_for_url("**/backprop.html**")
    assert tab.evaluate("state.step === climax.step")
    for size in ({"width": 1440, "height": 900}, {"width": 375, "height": 667}):
        tab.set_viewport_size(size)
        panel = tab.locator("#explanation .closed").bounding_box()
        assert 0 <= panel["y"] <= size["height"] - panel["height"]
        assert "softmax p" in tab.inner_text("#explanation .closed")
    context.close()


# ── Callouts, legend, words ───────────────────────────────────────────────────────────────────────

# At each step: callouts, and words or numbers of the graph that they cover.
COVERED = """() => {
    const found = { callouts: 0, backward: 0, covered: [] };
    for (let i = 0; i < steps.length; i++) {
        go(i);
        if (steps[i].kind === "add") found.backward++;
        const words = [...drawn.svg.querySelectorAll("text")]
            .filter((text) => !text.closest(".callout") && text.textContent);
        for (const callout of drawn.svg.querySelectorAll(".callout rect")) {
            found.callouts++;
            const a = callout.getBoundingClientRect();
            for (const word of words) {
                const b = word.getBoundingClientRect();
                if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
                    found.covered.push([i, word.textContent]);
            }
        }
    }
    return found;
}"""


@pytest.mark.parametrize("make", [by_hand, everything, mlp])
def test_callouts_cover_neither_names_nor_numbers(open_page, make):
    page = open_page(make())
    found = page.tab.evaluate(COVERED)
    assert found["covered"] == []
    assert found["callouts"] >= 0.8 * found["backward"]


def test_what_is_said_of_a_tensor_under_the_pointer_covers_nothing(open_page):
    page = open_page(by_hand(), **DESKTOP)
    page.tab.hover('#view [data-id="t0"]')
    top = page.tab.locator("#tip").bounding_box()["y"]
    view = page.tab.locator("#view").bounding_box()
    assert top >= view["y"] + view["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_legend_has_the_colors_of_the_graph(open_page, scheme):
    page = open_page(three_flowers(), scheme=scheme)
    assert page.tab.is_visible("#legend")
    looks = (
        "(e) => { const s = getComputedStyle(e); return [s.stroke, s.fill, s.strokeDasharray]; }"
    )
    for kind, words in (
        ("parameter", "parameter"),
        ("input", "input"),
        ("pending", "not computed"),
    ):
        swatch = page.tab.locator(f"#legend li:has-text('{words}') rect").first
        drawn = page.tab.locator(f"#view .tensor.{kind} > rect").first
        assert swatch.evaluate(looks) == drawn.evaluate(looks), kind
    said = page.text("#legend")
    for words in ("computed", "output", "primitive", "this step", "gradient", "no gradient"):
        assert words in said


def test_gradient_of_the_output_is_said_as_1(open_page):
    page = open_page(cross_entropy())
    formulas = page.tab.evaluate(
        "steps.map((_, i) => (go(i), [...document.querySelectorAll('#explanation .formula')]"
        ".map((f) => f.getAttribute('aria-label')).join(' ')))"
    )
    assert [text for text in formulas if "∂L/∂loss" in text] == ["∂L/∂loss = 1"]
    assert "1 / 1" in formulas[page.tab.evaluate("firstBackward + 1")]


SHAPES = [(), (1,), (3,), (2, 3), (4, 1, 5)]


def test_shapes_are_written_as_python_writes_them(open_page):
    page = open_page(mlp())
    assert page.tab.evaluate(f"{list(map(list, SHAPES))}.map((shape) => shapeText(shape))") == list(
        map(str, SHAPES)
    )
    for _ in range(page.last()):
        page.press("ArrowRight")
        shown = page.tab.evaluate("document.querySelector('main').innerText")
        assert not re.search(r"\d × \d+ (?:→|float)|\bscalar\b", shown)


# ── Controls ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind, by", [("dot", "mouse"), ("json", "mouse"), ("svg", "keyboard")])
def test_after_an_export_space_plays(open_page, kind, by):
    page = open_page(by_hand())
    if by == "mouse":
        downloaded(page, kind)
    else:
        page.tab.focus("#export summary")
        page.press("Enter")
        page.tab.focus(f'[data-save="{kind}"]')
        with page.tab.expect_download():
            page.press("Enter")
    assert page.text("#exported") == f"loss.{kind}"
    assert not page.tab.evaluate("document.getElementById('export').open")
    page.press("Space")
    page.wait_until("state.playing")
    assert page.step() == 1


def test_after_a_click_on_a_button_space_plays(open_page):
    page = open_page(by_hand())
    for button in ("#fit", "#zoom-in", "#fold", "#direction", "#last", "#export summary"):
        page.tab.click(button)
        page.press("Space")
        page.wait_until("state.playing")
        page.tab.evaluate("play(false)")


def test_steps_are_listed_on_demand_as_the_button_says(open_page):
    page = open_page(by_hand())
    assert page.text("#steps summary") == f"List all {page.last() + 1} steps"
    mark = "getComputedStyle(document.querySelector('#steps summary'), '::before').content"
    assert page.tab.evaluate(mark) == '"▸"'
    page.tab.click("#steps summary")
    assert page.tab.evaluate(mark) == '"▾"'


@pytest.mark.parametrize("window", [DESKTOP, PHONE])
def test_the_list_of_steps_comes_into_view_when_it_is_opened(open_page, window):
    page = open_page(three_flowers(), **window)
    page.press("w")
    page.tab.locator("#steps summary").focus()
    page.press("Enter")
    page.wait_until("document.querySelectorAll('#steps li').length > 0")
    third = "document.querySelectorAll('#steps li')[2].getBoundingClientRect()"
    page.wait_until(
        f"{third}.bottom < document.querySelector('.player').getBoundingClientRect().bottom"
    )
    page.wait_until("document.getElementById('steps').getBoundingClientRect().top >= -1")


def test_graph_can_be_turned_from_top_to_bottom_and_back(open_page):
    page = open_page(three_flowers())
    page.go(20)
    page.tab.evaluate("choosePart('t5')")
    ratio = "drawn.svg.getAttribute('width') / drawn.svg.getAttribute('height')"
    across = page.tab.evaluate(ratio)
    page.press("d")
    assert page.text("#direction") == "Left to right"
    assert page.tab.evaluate(ratio) < 1 < across
    assert page.tab.locator('#view [data-id="t5"].chosen').count() == 1
    assert page.tab.locator("#view .active").count() >= 3
    page.press("c")
    assert page.text("#direction") == "Left to right"
    page.tab.click("#direction")
    assert page.text("#direction") == "Top-down"
    assert page.tab.locator("#view .folded").count() == 3


def touching(page):
    """Fingers on the page: a function of what they do, and where."""
    session = page.tab.context.new_cdp_session(page.tab)

    def touch(kind, *points):
        touches = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    return touch


def test_on_a_phone_a_swipe_steps(open_page):
    page = open_page(by_hand(), **PHONE)
    touch = touching(page)
    for dx, step in ((-90, 1), (-90, 2), (90, 1), (-20, 1)):
        box = page.tab.locator("#explanation").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + 12
        touch("touchStart", (x, y))
        for i in range(1, 5):
            touch("touchMove", (x + dx * i / 4, y))
        touch("touchEnd")
        page.wait_until(f"state.step === {step}")


def test_on_a_phone_a_pinch_zooms(open_page):
    page = open_page(by_hand(), **PHONE)
    touch, before = touching(page), page.tab.evaluate("drawn.scale")
    box = page.tab.locator("#view").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch("touchStart", (x - 20, y), (x + 20, y))
    for away in (25, 30, 40):
        touch("touchMove", (x - away, y), (x + away, y))
    touch("touchEnd")
    page.wait_until(f"Math.abs(drawn.scale / {before} - 2) < 0.01")


@pytest.mark.parametrize("window", [DESKTOP, PHONE])
def test_help_is_of_gestures_where_there_is_no_keyboard(open_page, window):
    page = open_page(by_hand(), **window)
    by_touch = window is PHONE
    assert ("Swipe" in page.text("#explanation")) is by_touch
    assert ("Press →" in page.text("#explanation")) is not by_touch
    page.tab.click("#help-button")
    assert page.tab.is_visible("#help .gestures") is by_touch
    assert page.tab.is_visible("#help .keys") is not by_touch


# ── Names ─────────────────────────────────────────────────────────────────────────────────────────


def test_tensors_have_the_names_of_variables(open_page):
    z = parameter([2.0, 1.0, 0.1])
    e = z.exp()
    total = e.sum()
    page = open_page(named(total.log() - z[0], "loss"))
    names = page.tab.evaluate("nodes.map((n) => n.name)")
    assert names == ["z", "e", "total", "log(total)", "z[0]", "loss"]
    assert page.tab.title() == "Backprop through loss"
    page.go(2)
    assert page.tab.get_attribute("#explanation .formula", "aria-label") == "total = Σ\u2009e"
