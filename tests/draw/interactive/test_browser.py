"""The page that steps through backprop, in a real browser."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn
from tinygrad_ce.draw import draw, remember_lines
from tinygrad_ce.draw.formatting import number
from tinygrad_ce.draw.interactive.steps import Trace
from tinygrad_ce.engine.context import MODE, Mode
from tinygrad_ce.engine.graph import topological_order
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PACKAGE = Path(tg.__file__).parent


# ── Graphs ────────────────────────────────────────────────────────────────────────────────────────


def parameter(data, name=None, dtype=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=dtype)


def named(tensor, name):
    tensor.name = name
    return tensor


def cross_entropy():
    z = parameter([[2.0, 1.0, 0.1]], "logits")
    return named(F.cross_entropy(z, [0]), "loss")


def by_hand():
    z = parameter([2.0, 1.0, 0.1], "z")
    with tg.scope("cross-entropy"):
        s = named(z.exp().sum(), "s")
        return named(s.log() - z[0], "loss")


def three_flowers():
    """The article's network: petal and sepal in, three classes out."""
    X = tg.Tensor([[0.04, 0.42], [1.0, 0.54], [0.5, 0.37]], name="flowers")
    W1, b1 = parameter([[-2.5, -1.5], [0.6, 0.4]], "W1"), parameter([1.6, 0.7], "b1")
    W2 = parameter([[-0.1, 2.4, -2.2], [1.5, -5.2, 3.7]], "W2")
    b2 = parameter([0.0, 0.0, 1.0], "b2")
    with tg.scope("hidden"):
        h = (X @ W1 + b1).relu()
    with tg.scope("output"):
        z = named(h @ W2 + b2, "logits")
    return named(F.cross_entropy(z, [0, 2, 1]), "loss")


def mlp():
    model = nn.MLP([4, 16, 3], rng=0)
    X = tg.Tensor(np.random.default_rng(0).normal(size=(5, 4)), dtype=np.float32, name="X")
    return named(F.cross_entropy(model(X), [0, 1, 2, 1, 0]), "loss")


def square():
    a = parameter(3.0, "a")
    return named(a * a, "y")


def everything():
    """Broadcasts, repeated indices, reductions over axes, choices, joins: one of each."""
    rng = np.random.default_rng(1)
    A, b = parameter(rng.normal(size=(3, 2)), "A"), parameter(rng.normal(size=2), "b")
    t = A * b + 0.5
    picked = t[[0, 2, 0]] / 2
    joined = tg.concatenate([picked.T, t.T.relu()])
    reduced = joined.max(axis=1) + joined.mean(axis=1).sqrt() ** 2 - joined.sum(axis=0)[0]
    kept = tg.where(reduced > 0, reduced, -reduced).clip(-1, 5)
    spread = kept.reshape(2, 2) * tg.Tensor([[1.0], [2.0]])
    return named((spread @ spread.T).cumsum().sum() + tg.maximum(b, 0.1).sum(), "out")


def unreached():
    """A parameter that is needed for nothing but an index, and one whose gradient is 0."""
    a, b = parameter([1.0, 2.0], "a"), parameter([3.0, 0.5], "b")
    return named((a[tg.Tensor(b.data).argmax()] * 0.0 + a.sum() * 0.0 + b[0]).exp(), "y")


def of_400_nodes():
    rng = np.random.default_rng(0)
    h = tg.Tensor(rng.normal(size=(2, 3)), name="x")
    W = parameter(rng.normal(size=(3, 3)) * 0.4, "W")
    for i in range(100):
        with tg.scope(f"layer {i}"):
            h = (h @ W).tanh() + parameter(rng.normal(size=3))
    return named((h * h).mean(), "loss")


GRAPHS = [cross_entropy, by_hand, three_flowers, mlp, square, everything, unreached]


# ── The browser ───────────────────────────────────────────────────────────────────────────────────


def chromium_of(playwright):
    own = Path(playwright.chromium.executable_path)
    found = [
        os.environ.get("CHROMIUM"),
        *map(shutil.which, CHROMIUM),
        own if own.exists() else None,
    ]
    return next(filter(None, found), None)


def unavailable(reason):
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and where CI is set this may not be skipped")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser():
    try:
        import playwright.sync_api as api
    except ImportError:
        unavailable("playwright is not installed")
    with api.sync_playwright() as playwright:
        path = chromium_of(playwright)
        if path is None:
            unavailable("there is no Chromium: apt install chromium, or set CHROMIUM to its path")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Opened:
    """A page that is open in the browser, and what it has complained of or asked for."""

    def __init__(self, tab):
        self.tab = tab
        self.complaints = []
        self.requests = []
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.on("dialog", lambda dialog: (self.complaints.append("a dialog"), dialog.dismiss()))

    def press(self, *keys):
        for key in keys:
            self.tab.keyboard.press(key)

    def wait_until(self, expression):
        # Not by wait_for_function, which would need eval, and the page allows none.
        for _ in range(100):
            if self.tab.evaluate(expression):
                return
            self.tab.wait_for_timeout(50)
        raise AssertionError(expression)

    def step(self):
        return self.tab.evaluate("state.step")

    def go(self, step):
        self.tab.evaluate(f"go({step})")

    def last(self):
        return self.tab.evaluate("steps.length - 1")

    def text(self, selector):
        return " ".join(self.tab.inner_text(selector).split())

    def chosen(self):
        return self.tab.evaluate("state.chosen && byId.get(state.chosen).name")

    def numbers(self, id, what):
        """The numbers in a box of the graph, as they are written there; None for a heat map."""
        return self.tab.evaluate(
            """([id, what]) => {
                const part = drawn.parts.get(id)?.querySelector("." + what);
                if (!part || getComputedStyle(part).visibility === "hidden") return null;
                const texts = [...part.querySelectorAll(".number")];
                const shown = texts.filter((t) => getComputedStyle(t).visibility !== "hidden");
                return texts.length ? shown.map((t) => t.textContent) : null;
            }""",
            [id, what],
        )

    def matrix(self, caption, where="#explanation"):
        """The elements of a matrix with a caption that begins so, as written."""
        return self.tab.evaluate(
            """([caption, where]) => {
                for (const figure of document.querySelectorAll(`${where} figure`))
                    if (figure.textContent.startsWith(caption))
                        return [...figure.querySelectorAll("td")].map((td) => td.textContent);
                return null;
            }""",
            [caption, where],
        )


@pytest.fixture
def open_page(browser, tmp_path):
    opened = []

    def open_page(output, hash="", width=1280, height=900, scheme="light", **options):
        path = draw(output, **options).save(tmp_path / "page.html")
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
            accept_downloads=True,
        )
        page = Opened(context.new_page())
        opened.append((page, context))
        page.tab.goto(path.as_uri() + hash)
        return page

    yield open_page
    for page, context in opened:
        assert page.complaints == []
        assert [
            url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))
        ] == []
        context.close()


# ── Its numbers are the engine's ──────────────────────────────────────────────────────────────────


def same(shown, value):
    """Whether a number is written to the digits shown; a tie may be rounded either way."""
    written = shown.replace("−", "-")
    if written == number(value):
        return True
    unit = abs(float(written) - float(value))
    return unit <= 0.5001 * 10.0 ** (np.floor(np.log10(abs(float(value)))) - 3)


def assert_same(shown, array, of):
    array = np.ravel(array)
    assert len(shown) == len(array), of
    assert all(map(same, shown, array)), (of, shown, array)


class Observer:
    """What the engine's rules return, noted by the test itself."""

    def __init__(self):
        self.seen = []

    def forward(self, node, name, arguments):
        pass

    def backward(self, node, g, d):
        self.seen.append((node, np.array(g), np.array(d)))


def observed(output):
    observer = Observer()
    mode = MODE.get()
    token = MODE.set(Mode(mode.grad, mode.scope, mode, observer))
    try:
        output.backward(retain_graph=True)
    finally:
        MODE.reset(token)
    return observer.seen


@pytest.mark.parametrize("make", GRAPHS)
def test_every_value_and_gradient_in_the_graph_is_the_engines(open_page, make):
    output = make()
    nodes = topological_order(output)
    wanted = [node for node in nodes if node.requires_grad]
    gradients = dict(zip(map(id, wanted), tg.gradients(output, wanted), strict=True))
    page = open_page(output)
    page.press("End")
    compared = 0
    for i, node in enumerate(nodes):
        if (shown := page.numbers(f"t{i}", "value")) is not None:
            assert_same(shown, node.data, node)
            compared += 1
        shown = page.numbers(f"t{i}", "grad")
        if shown is not None and shown[:1] != ["none"]:
            assert_same(shown, gradients[id(node)], node)
            compared += 1
    assert compared > len(nodes) * 0.4


@pytest.mark.parametrize("make", GRAPHS)
def test_every_contribution_comes_in_backprops_order_with_its_numbers(open_page, make):
    output = make()
    engine = observed(output)
    page = open_page(output)
    steps = page.tab.evaluate("steps.map((s) => [s.kind, s.from ?? null, s.to ?? null])")
    backward = [(i, source, to) for i, (kind, source, to) in enumerate(steps) if kind == "add"]
    ids = {f"t{i}": node for i, node in enumerate(topological_order(output))}
    assert [ids[source].index for _, source, _ in backward] == [node.index for node, _, _ in engine]
    for (i, source, to), (_, _, d) in zip(backward, engine, strict=True):
        page.go(i)
        target = ids[to]
        summed = d.shape != target.shape
        shown = page.matrix("from the rule" if summed else "this contribution")
        assert_same(shown, d, (i, source, to))
        line = page.tab.get_attribute("#explanation .formula.numbers", "aria-label")
        result = line.rsplit("= ", 1)[1]
        flat = page.tab.evaluate("element(steps[state.step])")
        added = page.matrix("this contribution")
        assert result == added[flat], line
        assert_products_add_up(line, float(result.replace("−", "-")))


def assert_products_add_up(line, result):
    """Where the line is plain arithmetic, it is right to the digits of what is written."""
    middle = line.split("= ", 1)[1].rpartition(" = ")[0]
    for written, python in (("−", "-"), ("×", "*"), ("^", "**")):
        middle = middle.replace(written, python)
    if not middle or not re.fullmatch(r"[\d.e+\-*/() ]+", middle) or "terms" in line:
        return
    assert eval(middle) == pytest.approx(result, rel=5e-3, abs=2e-3), line


@pytest.mark.parametrize("make", [cross_entropy, by_hand, three_flowers, mlp])
def test_at_the_logits_the_closed_form_stands_beside_backprop(open_page, make):
    page = open_page(make())
    logits = page.tab.evaluate("trace.logits.map((l) => [l.node, l.largest])")
    ((node, largest),) = logits
    assert largest < 1e-6
    last = page.tab.evaluate(f"gradientSteps.get('{node}').at(-1)")
    page.go(last)
    assert "softmax − one-hot" in page.text("#explanation .closed h2")
    rows = page.tab.eval_on_selector_all(
        "#explanation .closed tr", "rows => rows.map((r) => [...r.cells].map((c) => c.innerText))"
    )
    p, y, closed, backprop, difference = ([float(c.replace("−", "-")) for c in r[1:]] for r in rows)
    rows_in_all = page.tab.evaluate("trace.logits[0].rows")
    np.testing.assert_allclose((np.array(p) - y) / rows_in_all, closed, atol=2e-4)
    np.testing.assert_allclose(backprop, closed, rtol=1e-3)
    assert max(map(abs, difference)) <= largest * 1.001


def test_flowers_have_the_probabilities_of_the_article(open_page):
    page = open_page(three_flowers())
    p = np.reshape(page.tab.evaluate("[...elements(trace.logits[0].softmax)]"), (3, 3))
    assert p[[0, 1, 2], [0, 2, 1]].round(4).tolist() == [0.5677, 0.5761, 0.5182]


def test_value_used_twice_gets_its_two_contributions_one_after_the_other(open_page):
    page = open_page(square())
    said = []
    for _ in range(page.last()):
        page.press("ArrowRight")
        said.append(page.text("#explanation"))
    assert "Contribution 1 of 2" in said[-2]
    assert "Contribution 2 of 2" in said[-1]
    assert page.matrix("so far") == ["3"]
    assert page.matrix("this contribution") == ["3"]
    assert page.matrix("gradient") == ["6"]


def test_step_shows_the_rule_with_its_numbers(open_page):
    page = open_page(by_hand())
    exp = page.tab.evaluate(
        "steps.findIndex((s) => s.kind === 'add' && s.to === 't0' && s.from === 't1')"
    )
    page.go(exp)
    shown = page.tab.get_attribute("#explanation .formula", "aria-label")
    assert shown == "∂L/∂z += ∂L/∂t1 · e^z"
    assert "∂L/∂z[0] += 0.08919 × 7.389 = 0.659" in page.text("#explanation")


def test_sum_that_undoes_a_broadcast_is_said_and_shown(open_page):
    page = open_page(three_flowers())
    page.go(page.tab.evaluate("steps.findIndex((s) => s.summed)"))
    assert "was broadcast from 3 to 3 × 3, so its gradient is the sum over axis 0" in page.text(
        "#explanation"
    )
    assert page.matrix("from the rule") is not None


def test_index_says_to_which_places_it_scatters(open_page):
    page = open_page(by_hand())
    page.go(page.tab.evaluate("steps.findIndex((s) => s.moves && s.kind === 'add')"))
    assert "scatters: the gradient goes to [0], and 0 to all others" in page.text("#explanation")
    rule = page.tab.get_attribute("#explanation .formula", "aria-label")
    assert rule == "∂L/∂z += ∂L/∂t4 at [0]"
    assert "the argument of t4 = z[0]" in page.text("#explanation")
    assert page.matrix("this contribution") == ["−1", "0", "0"]


def test_gradient_that_does_not_arrive_is_told_apart_from_zero(open_page):
    page = open_page(everything_but_one())
    page.press("End")
    assert page.numbers("t0", "grad") == ["none"]
    assert page.numbers("t1", "grad") == ["0"]
    page.tab.evaluate("choosePart('t0')")
    assert "not zero, but none" in page.text("#node")


def everything_but_one():
    first = Primitive("first", "first", lambda a, b: a, lambda g, y, a, b: g, None)
    a, b = parameter(1.0, "a"), parameter(2.0, "b")
    return named(apply(first, b * 0.0, a) * 1.0, "y")


def test_nan_and_infinity_are_shown_and_marked(open_page):
    page = open_page(named(parameter([0.0, -1.0, 2.0], "x").log().sum(), "y"))
    page.press("End")
    assert page.numbers("t1", "value") == ["−inf", "nan", "0.6931"]
    page.tab.evaluate("choosePart('t1')")
    assert page.tab.locator("#node td.odd").count() == 2


# ── Other graphs ──────────────────────────────────────────────────────────────────────────────────


def test_several_outputs_are_walked_from_one_after_the_other(open_page):
    a = parameter(2.0, "a")
    u, v = named(a * a, "u"), named(a.exp(), "v")
    page = open_page([u, v])
    kinds = page.tab.evaluate("steps.map((s) => s.kind)")
    assert kinds == ["given", "value", "value", "seed", "add", "add", "seed", "add"]
    page.press("End")
    assert page.numbers("t0", "grad") == ["11.39"]
    assert page.matrix("so far") == ["4"]


@pytest.mark.parametrize(
    "output, why",
    [
        (lambda: parameter([1.0, 2.0], "x") * 2.0, "the output has more elements"),
        (lambda: tg.Tensor([1.0, 2.0], name="x"), "which are of one number"),
        (lambda: tg.Tensor(2.0, name="x"), "depends on no tensor that requires one"),
    ],
)
def test_without_gradients_the_page_steps_through_values_and_says_why(open_page, output, why):
    page = open_page(output())
    assert why in page.text("#explanation")
    page.press("End")
    assert page.step() == page.last()


def test_large_arrays_are_shown_as_heat_maps_with_statistics(open_page):
    W = parameter(np.linspace(-1, 1, 120 * 120).reshape(120, 120), "W")
    page = open_page(named((W * 2.0).sum(), "y"))
    page.press("End")
    page.tab.evaluate("choosePart('t0')")
    assert "too large to be written out here" in page.text("#node")
    assert "min −1, max 1" in page.text("#node")
    assert page.tab.evaluate("document.querySelector('#node img').naturalWidth") == 16


def test_matrix_is_shown_whole_on_demand(open_page):
    W = parameter(np.arange(900.0).reshape(30, 30), "W")
    page = open_page(named(W.sum(), "y"))
    page.tab.evaluate("choosePart('t0')")
    assert len(page.matrix("value", "#node")) == 144
    page.tab.click("#node button:has-text('Show all 900 elements')")
    assert_same(page.matrix("value", "#node"), W.data, W)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
def test_arrays_arrive_as_they_are_whatever_their_size(open_page, dtype):
    values = np.random.default_rng(0).normal(size=100).astype(dtype)
    page = open_page(named(parameter(values, "x").sum(), "y"))
    assert page.tab.evaluate("[...elements(nodes[0].value)]") == values.astype(float).tolist()


def test_too_many_steps_are_refused_with_what_to_do():
    x = parameter(1.0, "x")
    with tg.scope("chain"):
        for _ in range(4000):
            x = x * 1.0
    with pytest.raises(ValueError, match=r"has 8,001 tensors.*3,000 at most: draw a smaller part"):
        draw(x).html()


def test_numbers_assigned_after_the_graph_was_made_are_not_shown(open_page):
    w = parameter(2.0, "w")
    y = named(w * w, "y")
    w.data = 5.0
    page = open_page(y)
    page.press("End")
    assert page.numbers("t0", "value") == ["2"]
    assert page.numbers("t0", "grad") == ["4"]


# ── Keys, buttons, slider ─────────────────────────────────────────────────────────────────────────


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
    assert page.tab.evaluate("document.querySelectorAll('.graph.kin .is-kin').length") > 0


def test_escape_lets_go(open_page):
    page = open_page(cross_entropy())
    page.tab.evaluate("choosePart('t0')")
    assert page.chosen() == "logits"
    page.press("Escape")
    assert page.chosen() is None
    assert page.tab.locator(".graph.kin").count() == 0


def test_click_on_a_tensor_shows_it_and_marks_its_kin(open_page):
    page = open_page(by_hand())
    page.press("End")
    page.tab.click('#view [data-id="t1"]')
    assert page.text("#node h2") == "t1 computed"
    assert "exp: t1 = ez" in page.text("#node")
    marked = {
        kin: page.tab.eval_on_selector_all(
            f"#view .tensor.{kin}", "parts => parts.map((p) => p.dataset.id)"
        )
        for kin in ("ancestor", "chosen", "descendant")
    }
    assert marked == {"ancestor": ["t0"], "chosen": ["t1"], "descendant": ["t2", "t3", "t5"]}


def test_panel_tells_the_line_of_code_where_it_was_remembered(open_page):
    with remember_lines():
        y = parameter([2.0, 1.0], "x").exp()
    page = open_page(named(y.sum(), "y"))
    page.tab.click('#view [data-id="t1"]')
    assert 'y = parameter([2.0, 1.0], "x").exp()' in page.text("#node code")
    assert "test_page.py:" in page.text("#node code")


def test_links_in_the_panel_lead_to_inputs_and_consumers(open_page):
    page = open_page(by_hand())
    page.tab.click('#view [data-id="t1"]')
    page.tab.click("#node .links button >> text=s")
    assert page.chosen() == "s"


def test_hover_says_less(open_page):
    page = open_page(by_hand())
    page.press("End")
    page.tab.hover('#view [data-id="t0"]')
    assert "z, parameter, 3, value 2 1 0.1" in page.text("#tip")
    assert page.chosen() is None


def test_search_finds_by_name(open_page):
    page = open_page(three_flowers())
    page.press("/")
    page.tab.keyboard.type("W")
    assert page.text("#found") == "3 matches"
    assert page.tab.locator("#view .match").count() == 3
    chosen = []
    for _ in range(4):
        page.press("Enter")
        chosen.append(page.chosen())
    assert chosen == ["flowers", "W1", "W2", "flowers"]
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
        "f",
        "+",
        "−",
        "?",
    }
    page.press("Escape")
    assert not page.tab.is_visible("#help")
    page.tab.click("#help-button")
    assert page.tab.is_visible("#help")


# ── Folding ───────────────────────────────────────────────────────────────────────────────────────


def folded(page):
    return page.tab.evaluate("layouts[drawn.layout].folded.map((s) => data.scopes[s].name)")


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


def test_c_folds_the_scope_of_the_chosen_tensor(open_page):
    page = open_page(three_flowers())
    page.tab.evaluate("choosePart('t5')")
    page.press("c")
    assert folded(page) == ["hidden"]
    page.press("c")
    assert folded(page) == []


def test_click_and_enter_on_a_scope_fold_and_open_it(open_page):
    page = open_page(three_flowers())
    page.tab.click('#view .scope:has-text("cross_entropy") text')
    assert folded(page) == ["cross_entropy"]
    focus = "document.activeElement.getAttribute('aria-label')"
    assert "cross_entropy" in page.tab.evaluate(focus)
    page.press("Enter")
    assert folded(page) == []
    page.press("Space")
    assert folded(page) == ["cross_entropy"]


def test_nested_scopes_fold_one_by_one(open_page):
    page = open_page(mlp())
    page.tab.click('#view .scope:has-text("Tanh") text')
    assert folded(page) == ["Tanh"]
    page.tab.click('#view .scope:has-text("MLP") text')
    assert folded(page) == ["MLP"]


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


# ── Handing out ───────────────────────────────────────────────────────────────────────────────────


def downloaded(page, kind):
    if not page.tab.evaluate("document.getElementById('export').open"):
        page.tab.click("#export summary")
    with page.tab.expect_download() as download:
        page.tab.click(f'[data-save="{kind}"]')
    return download.value.suggested_filename, Path(download.value.path()).read_text("utf-8")


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
    page.tab.click("#export summary")
    for kind, start in (("dot", "digraph"), ("svg", "<svg"), ("tex", r"\frac"), ("json", "{")):
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


# ── Looks ─────────────────────────────────────────────────────────────────────────────────────────


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
    """The colours of a style sheet, as they are in light or dark."""
    css = (PACKAGE / name).read_text("utf-8")
    light, _, rest = css.partition("prefers-color-scheme: dark")
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    if dark:
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", rest))
    return found


def luminance(colour):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_contrast_is_at_aa(dark):
    page = variables("palette.css", dark) | variables("draw/page.css", dark)
    drawn = variables("draw/graph.css", dark)
    for text in ("ink", "muted", "accent", "grad"):
        for ground in ("ground", "surface"):
            assert contrast(page[text], page[ground]) >= 4.5, (text, ground)
    assert contrast(page["control"], page["surface"]) >= 3
    assert contrast(page["ink"], page["chosen"]) >= 4.5
    assert contrast(page["grad"], page["chosen"]) >= 4.5
    for ground in ("ground", "parameter", "input", "output"):
        for text in ("ink", "muted", "grad"):
            assert contrast(drawn[f"g-{text}"], drawn[f"g-{ground}"]) >= 4.5, (text, ground)
    for text in ("ink", "muted"):
        for ground in ("scope-0", "scope-1", "oval"):
            assert contrast(drawn[f"g-{text}"], drawn[f"g-{ground}"]) >= 4.5, (text, ground)
    for line in (
        "line",
        "edge",
        "pending",
        "parameter-line",
        "input-line",
        "output-line",
        "active",
        "from",
    ):
        for ground in ("ground", "scope-0"):
            assert contrast(drawn[f"g-{line}"], drawn[f"g-{ground}"]) >= 3, (line, ground)


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


# ── Size ──────────────────────────────────────────────────────────────────────────────────────────


def test_400_nodes_are_stepped_through_to_the_end(open_page):
    loss = of_400_nodes()
    assert len(topological_order(loss)) >= 400
    page = open_page(loss)
    page.press("End")
    assert page.step() == page.last() > 400
    assert page.text("#counter") == f"step {page.last()} of {page.last()}"


# ── Hostile names ─────────────────────────────────────────────────────────────────────────────────

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
