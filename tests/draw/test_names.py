import sys
import types

import numpy as np
import pytest
from draw.graphs import parameter

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn
from tinygrad_ce.draw import draw, remember_lines
from tinygrad_ce.draw.interactive.steps import Trace
from tinygrad_ce.draw.names import names_of
from tinygrad_ce.engine.graph import topological_order


def names_in(output, frame=None):
    """The names that tensors have where this is called, in order of creation."""
    nodes = topological_order(output)
    names = names_of(nodes, frame or sys._getframe(1))
    return [names.get(node.index) for node in nodes]


def names_on_the_page(drawing):
    diagram = drawing._diagram
    nodes = topological_order(*diagram.outputs)
    return list(Trace(nodes, diagram.outputs, diagram.names).names.values())


MODULES = parameter([1.0, 2.0])


def test_names_are_those_of_the_variables_where_it_is_drawn():
    z = parameter([2.0, 1.0])
    e = z.exp()
    loss = e.sum().log() - z[0]
    assert names_in(loss) == ["z", "e", None, None, None, "loss"]
    assert 'label="loss' in draw(loss).dot
    assert repr(draw(loss)).startswith("<Drawing: computation graph of loss: ")


def test_own_name_comes_first():
    z = parameter([2.0, 1.0], "logits")
    y = z * z
    assert names_in(y) == ["logits", "y"]


def test_variables_of_callers_and_modules_are_found_after_those_of_the_caller():
    outer = MODULES * 2.0

    def show(shown):
        return names_in(shown)

    assert show(outer) == ["MODULES", None, "shown"]


class Net:
    def __init__(self):
        self.W, self._b = parameter(np.eye(2)), parameter([0.0, 0.0])
        self.layers = [self.W]

    @property
    def trap(self):
        raise AssertionError("a property was asked for")

    def __getattr__(self, name):
        raise AssertionError(f"__getattr__ was asked for {name}")


def test_lists_dictionaries_and_attributes_are_looked_into_without_running_their_code():
    net, ws, table = Net(), [parameter([1.0, 2.0])], {"bias": parameter([3.0, 4.0])}
    y = ws[0] @ net.W + table["bias"]
    assert set(filter(None, names_in(y))) == {"net.W", "ws[0]", "table['bias']", "y"}


@pytest.mark.parametrize("name", ["_", "__", "_5", "self", "In", "Out", "@py_assert1", ".0"])
def test_names_that_no_one_chose_are_passed_over(name):
    y = parameter(1.0) * 2.0
    frame = types.SimpleNamespace(f_locals={name: y}, f_globals={}, f_back=None)
    assert names_in(y, frame) == [None, None, None]


def test_an_unnamed_leaf_that_is_a_variable_is_an_input():
    X = tg.Tensor([1.0, 2.0])
    assert "X (input)" in draw((X * parameter([3.0, 4.0])).sum()).text()


def test_names_do_not_get_lost_by_backward():
    a = parameter(2.0)
    square = a * a
    loss = square.exp()
    before = draw(loss).dot
    loss.backward()
    assert draw(loss).dot == before
    assert names_in(draw(loss)._diagram.outputs[0]) == ["a", "square", "loss"]


def test_looking_for_names_changes_and_keeps_nothing():
    z = parameter([2.0, 1.0])
    before = dict(locals())
    draw(z * z).text()
    assert {k: v for k, v in locals().items() if k != "before"} == before
    assert z.name is None


def test_without_a_variable_the_page_writes_short_expressions_of_names():
    z, W = parameter([[2.0, 1.0, 0.1]], "z"), parameter(np.eye(3), "W")
    shown = names_on_the_page(draw((z.exp() @ W)[0, [2]].sum().log() * 2.0))
    assert {"z", "W", "exp(z)", "exp(z) @ W"} <= set(shown)
    assert {name for name in shown if len(name) > 20} == set()
    assert shown[-1] == "t9"  # what is too long has a number


def test_what_comes_out_of_a_scope_is_called_by_it():
    x = tg.Tensor([[1.0, 2.0]], name="x")
    shown = names_on_the_page(draw(nn.MLP([2, 3, 2], rng=0)(x).sum().exp()))
    assert "Linear(x)" in shown
    assert "MLP(x)" in shown
    assert "Σ(MLP(x))" in shown
    z = parameter([1.0, 2.0], "z")
    assert "softmax(z)" in names_on_the_page(draw(F.softmax(z).sum()))


def test_equal_expressions_are_numbered():
    z = parameter([1.0, 2.0], "z")
    shown = names_on_the_page(draw((z.exp() * z.exp()).sum()))
    assert shown[1:3] == ["exp(z)₁", "exp(z)₂"]


# ── Variables of functions that have returned ─────────────────────────────────────────────────────


def forward(z, steps):
    e = z.exp()
    total: tg.Tensor = e.sum()
    for _ in range(steps):
        total = total.tanh()
    total += 1.0
    if (walrus := total * 2.0) is not None:
        return walrus.log()


def test_remembered_lines_name_tensors_of_functions_that_have_returned():
    with remember_lines():
        loss = forward(parameter([1.0, 2.0]), 2)
    assert names_in(loss)[1:] == [
        "e",
        "total",
        "total",
        "total",
        None,
        "total",
        None,
        "walrus",
        "loss",
    ]


def test_remembered_lines_name_what_the_package_computes():
    z = parameter([[2.0, 1.0, 0.1]])
    with remember_lines():
        loss = F.cross_entropy(z, [0])
    assert names_in(loss)[0] == "z"
    shown = names_on_the_page(draw(loss))
    assert {"shifted", "exp(shifted)", "log_sum", "neg_log_prob", "loss"} < set(shown)


def test_of_what_one_call_makes_the_last_has_the_name():
    x = parameter([1.0, 2.0, 4.0])
    with remember_lines():
        loss = spread_of(x)
    names = names_in(loss)
    assert len(names) > 4
    assert [name for name in names if name == "spread"] == ["spread"]
    assert names[-2:] == ["spread", "loss"]


def spread_of(x):
    spread = x.var()
    return spread.log()


def test_code_without_source_has_no_names():
    scope = {"x": parameter(1.0)}
    with remember_lines():
        exec("def f(x):\n    y = x * x\n    return y.exp()", scope)
        result = scope.pop("f")(scope["x"])
    assert names_in(result) == ["scope['x']", None, "result"]
