"""What the page shows, in a real browser: its numbers are the engine's."""

import re

import numpy as np
import pytest
from draw.interactive.pages import (
    GRAPHS,
    assert_same,
    by_hand,
    cross_entropy,
    everything_but_one,
    mlp,
    named,
    parameter,
    square,
    three_flowers,
)

import tinygrad_ce as tg
from tinygrad_ce.draw import draw
from tinygrad_ce.engine.context import observing
from tinygrad_ce.engine.graph import topological_order
from tinygrad_ce.engine.hooks import Observer

pytestmark = pytest.mark.slow


class Rules(Observer):
    """What the engine's rules return, noted by the test itself."""

    def __init__(self):
        self.seen = []

    def backward(self, node, place, gradient, contribution):
        self.seen.append((node, np.array(gradient), np.array(contribution)))


def observed(output):
    rules = Rules()
    with observing(rules):
        output.backward(retain_graph=True)
    return rules.seen


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
        if shown is not None and shown[:1] != ["none arrives"]:
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
        "#explanation .closed tbody tr",
        "rows => rows.map((r) => [...r.cells].map((c) => c.innerText))",
    )
    p, y, closed, backprop = ([float(c.replace("−", "-")) for c in r[1:]] for r in rows)
    assert sorted(y)[:2] == [-1, 0]
    rows_in_all = page.tab.evaluate("trace.logits[0].rows")
    np.testing.assert_allclose((np.array(p) + y) / rows_in_all, closed, rtol=5e-3, atol=2e-4)
    np.testing.assert_allclose(backprop, closed, rtol=1e-3)


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
    assert shown == "∂L/∂z += ∂L/∂exp(z) · e^z"
    assert "∂L/∂z[0] += 0.08919 × 7.389 = 0.659" in page.text("#explanation")


def test_sum_that_undoes_a_broadcast_is_said_and_shown(open_page):
    page = open_page(three_flowers())
    page.go(page.tab.evaluate("steps.findIndex((s) => s.summed)"))
    assert "was broadcast from (3,) to (3, 3), so its gradient is the sum over axis 0" in page.text(
        "#explanation"
    )
    assert page.matrix("from the rule") is not None


def test_index_says_to_which_places_it_scatters(open_page):
    page = open_page(by_hand())
    page.go(page.tab.evaluate("steps.findIndex((s) => s.moves && s.kind === 'add')"))
    assert "scatters: the gradient goes to [0], and 0 to all others" in page.text("#explanation")
    rule = page.tab.get_attribute("#explanation .formula", "aria-label")
    assert rule == "∂L/∂z += ∂L/∂z[0] at [0]"
    assert "the argument of z[0] = z[0]" in page.text("#explanation")
    assert page.matrix("this contribution") == ["−1", "0", "0"]


def test_gradient_that_does_not_arrive_differs_from_zero(open_page):
    page = open_page(everything_but_one())
    page.press("End")
    assert page.numbers("t0", "grad") == ["none arrives"]
    assert page.numbers("t1", "grad") == ["0"]
    page.tab.evaluate("choosePart('t0')")
    assert "not zero, but none" in page.text("#node")


def test_nan_and_infinity_are_shown_and_marked(open_page):
    page = open_page(named(parameter([0.0, -1.0, 2.0], "x").log().sum(), "y"))
    page.press("End")
    assert page.numbers("t1", "value") == ["−inf", "nan", "0.6931"]
    page.tab.evaluate("choosePart('t1')")
    assert page.tab.locator("#node td.odd").count() == 2


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
