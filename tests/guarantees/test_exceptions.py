"""An exception in the middle of anything, a freed graph, an interruption: all or nothing."""

import asyncio
import warnings

import numpy as np
import pytest
from attacks import STOPS, Stop, V, interrupted_at

import tinygrad_ce as tg
from tinygrad_ce.engine.context import MODE
from tinygrad_ce.engine.tensor import apply

T = tg.Tensor


@pytest.mark.parametrize(
    "walk",
    [
        lambda w, h: (h * 2).sum().backward(),
        lambda w, h: (h * 2).sum().backward(retain_graph=True),
        lambda w, h: tg.gradients(h.sum(), [w]),
        lambda w, h: tg.gradients(h.sum(), [w], create_graph=True),
        lambda w, h: tg.grad(lambda x: (h * x).sum())(1.0),
        lambda w, h: tg.jacobian(lambda x: h * x)(1.0),
        lambda w, h: tg.vjp(lambda x: h * x, 1.0),
        lambda w, h: tg.engine.graph.topological_order(h),
    ],
)
def test_a_freed_graph_is_refused_and_leaves_gradients_alone(walk):
    w = T([1.0, 2.0], requires_grad=True)
    h = w * w
    h.sum().backward()
    with pytest.raises(tg.FreedGraphError, match=r"freed by an earlier backward\(\)"):
        walk(w, h)
    assert w.grad.tolist() == [2, 4]
    assert MODE.get().parent is None
    h = w * w
    h.sum().backward()
    assert w.grad.tolist() == [4, 8]


def test_values_of_a_freed_graph_remain():
    w = T([1.0, 2.0], requires_grad=True)
    h = w * w
    h.sum().backward()
    assert h.data.tolist() == [1, 4]
    with tg.no_grad():
        assert (h * 2).data.tolist() == [2, 8]
    assert (h.detach() * w).sum().item() == 9


@pytest.mark.parametrize("where", STOPS)
@pytest.mark.parametrize(
    "run",
    [
        lambda f, w: f(w).sum().backward(),
        lambda f, w: f(w * w).sum().backward(),
        lambda f, w: tg.gradients(f(w).sum(), [w], create_graph=True),
        lambda f, w: tg.grad(lambda x: (f(x) * w).sum())(V),
        lambda f, w: tg.value_and_grad(lambda x, y: (f(x) * y).sum(), (0, 1))(V, V),
        lambda f, w: tg.vjp(lambda x: f(x) * w, V)[1](V),
        lambda f, w: tg.jvp(lambda x: f(x) * w, [V], [V]),
        lambda f, w: tg.jacobian(lambda x: f(x) * w)(V),
        lambda f, w: tg.hessian(lambda x: (f(x) ** 3 * w).sum())(V),
        lambda f, w: tg.hvp(lambda x: (f(x) ** 3).sum(), V, V),
        lambda f, w: tg.gradcheck(lambda x: f(x) * x, V, order=2),
        lambda f, w: tg.grad(lambda x: tg.grad(lambda z: (f(z) * x).sum())(V).sum())(w),
    ],
)
def test_an_exception_leaves_no_mode_on_and_no_gradient_half_made(where, run):
    w = T(V, requires_grad=True)

    def f(x):
        with tg.scope("a"), tg.detect_nan():
            y = apply(STOPS[where], x)
            with tg.no_grad(), tg.scope("b"):
                apply(STOPS["value"], x) if where == "value" else None
            return y

    with pytest.raises(Stop):
        run(f, w)
    assert MODE.get().parent is None
    assert w.grad is None
    y = w * w
    assert (y.requires_grad, y.scope) == (True, None)
    y.sum().backward()
    assert w.grad.tolist() == [2, 4]


def test_an_exception_in_a_scope_of_a_thread_or_a_task_ends_there():
    async def fail():
        with tg.scope("task"), tg.no_grad():
            await asyncio.sleep(0)
            raise Stop

    async def work():
        with tg.scope("outer"):
            results = await asyncio.gather(
                *(asyncio.wait_for(inner(i), 10) for i in range(5)), return_exceptions=True
            )
            assert (T(1.0, requires_grad=True) * 2).scope.path == "outer"
        return results

    async def inner(i):
        with tg.scope(str(i)):
            await asyncio.sleep(0)
            return (T(1.0, requires_grad=True) * 2).scope.path

    assert asyncio.run(work()) == [f"outer/{i}" for i in range(5)]
    with pytest.raises(Stop):
        asyncio.run(fail())
    assert MODE.get().parent is None


def test_an_interruption_at_any_line_leaves_all_gradients_or_none():
    expected = [[12.0, 24.0], [6.0, 6.0], [6.0, 6.0]]
    line, finished = 0, False
    while not finished:
        leaves = [T([1.0, 2.0], requires_grad=True) for _ in range(3)]
        a, b, c = leaves

        def train(a=a, b=b, c=c):
            with tg.scope("outer"):
                y = a * a + b
                with tg.no_grad():
                    y.sum()
                ((y + c).sum() * 6).backward()

        finished = not interrupted_at(line, train)
        found = [None if t.grad is None else t.grad.tolist() for t in leaves]
        assert found in ([None] * 3, expected), f"interrupted at line {line}"
        assert MODE.get().parent is None
        line += 1
    assert line > 100


@pytest.mark.slow
def test_an_interruption_at_any_line_of_a_transform_leaves_no_mode_on():
    w = T(3.0, requires_grad=True)

    def transform():
        with tg.no_grad():
            tg.hessian(lambda x: (x * x * x * w).sum())(V)

    line = 0
    while interrupted_at(line, transform):
        assert MODE.get().parent is None
        line += 7  # each seventh, since they are many
    assert line > 500
    assert w.grad is None


@pytest.mark.parametrize("fails", [0, 1])
def test_gradients_that_cannot_be_added_up_change_none(fails):
    leaves = [T([1.0], requires_grad=True), T([1.0], requires_grad=True)]
    y = (leaves[0] * 3).sum() + (leaves[1] * 3).sum()
    before = [np.array([1.0]), np.array([1.0])]
    before[fails] = np.array([-np.finfo(float).max])
    for t, g in zip(leaves, before, strict=True):
        t.grad = g
    seed = np.float64(-np.finfo(float).max / 6)
    with warnings.catch_warnings(), np.errstate(over="raise"):
        warnings.simplefilter("error")
        try:
            y.backward(seed)
        except FloatingPointError:
            assert [t.grad.tolist() for t in leaves] == [g.tolist() for g in before]
        else:
            expected = [[seed * 3 + 1]] * 2
            expected[fails] = [-np.inf]
            assert [t.grad.tolist() for t in leaves] == expected


def test_infinities_add_up_without_a_warning():
    x = T([0.0], requires_grad=True)
    x.sqrt().sum().backward()
    (-x.sqrt()).sum().backward()
    assert np.isnan(x.grad).all()
