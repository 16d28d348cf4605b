"""The work of a walk is linear in the nodes: no rule is called twice, or in vain."""

import sys
from functools import partial

import numpy as np
import pytest
from attacks import PACKAGE, V

import tinygrad_ce as tg
from tinygrad_ce.engine.graph import topological_order
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply

T = tg.Tensor


def chain(n):
    x = T(1.0, requires_grad=True)
    y = x
    for _ in range(n):
        y = y * 1.0001 + 0.5
    return x, y


def ladder(n):
    """Each node is used by the next two."""
    x = T(1.0, requires_grad=True)
    a, b = x * 1.0, x * 1.0
    for _ in range(n):
        a, b = b, (a + b) * 0.5
    return x, b


def fan(n):
    x = T(2.0, requires_grad=True)
    y = T(0.0)
    for _ in range(n):
        y = y + x * x
    return x, y


def lines_of(action):
    """How many lines of the package run: time, as it is the same in every run."""
    lines = 0

    def trace(frame, event, argument):
        nonlocal lines
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("make", [chain, ladder, fan])
@pytest.mark.parametrize(
    "walk",
    [
        lambda x, y: y.backward(),
        lambda x, y: tg.gradients(y, [x]),
        lambda x, y: tg.gradients(y, [x, y], create_graph=True),
        lambda x, y: topological_order(y),
    ],
)
def test_the_work_is_linear_in_nodes(make, walk):
    few, many = (lines_of(partial(walk, *make(n))) for n in (100, 400))
    assert few > 100
    assert many < 4.1 * few


def test_each_rule_is_called_once_an_edge_however_many_paths_there_are():
    calls = []

    def rule(g, y, a, b):
        calls.append(1)
        return g

    add = Primitive("add", "+", lambda a, b: a + b, rule, rule)
    x = T(1.0, requires_grad=True)
    y = x
    for _ in range(400):
        y = apply(add, y, y)
    y.backward()
    assert x.grad == 2.0**400
    assert len(calls) == 800


def counting(**options):
    """A primitive that is the identity, and the list that its rule and its value fill."""
    calls = []

    def value(x):
        calls.append("value")
        return x + 0

    def rule(g, y, x):
        calls.append("rule")
        return g

    return Primitive("counts", "#", value, rule, **options), calls


def test_no_rule_is_called_that_leads_to_none_of_the_wanted():
    counts, calls = counting()
    a, b = T(V, requires_grad=True), T(V, requires_grad=True)
    y = (a * 2 + apply(counts, b)).sum()
    assert tg.gradients(y, [a])[0].tolist() == [2, 2]
    assert tg.gradients(y, [y])[0] == 1
    assert calls == ["value"]
    tg.gradients(y, [b])
    assert calls == ["value", "rule"]


@pytest.mark.parametrize(("stacks", "n"), [(True, 1), (False, 6)])
def test_a_jacobian_takes_one_walk_and_one_call_of_the_function(stacks, n):
    """A rule that does not take a stack of cotangents is called for each, at its own node alone."""
    counts, calls = counting(stacks=stacks)
    squares, others = counting(elementwise=True)
    j = tg.jacobian(lambda x: apply(counts, apply(squares, x * x)))(np.arange(6.0))
    np.testing.assert_array_equal(j.data, 2 * np.diag(np.arange(6.0)))
    assert calls == ["value", *["rule"] * n]
    assert others == ["value", "rule"]
