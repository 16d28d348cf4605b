"""The guarantees, each tried to be broken: what these tests attack must raise, or have no effect.

Where a property of one Tensor or of one walk is meant, its test stands in test_tensor.py or in
test_backprop.py. Here stand the attacks on the whole: on what was handed in and out, by threads
and interruptions, on memory, on copies, and on the bits.
"""

import asyncio
import copy
import gc
import hashlib
import importlib.util
import linecache
import os
import pickle
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
import weakref
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce.engine import context as modes
from tinygrad_ce.engine.context import MODE
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply

T = tg.Tensor
PACKAGE = str(Path(tg.__file__).parent)


def mlp(**options):
    return nn.MLP([4, 6, 3], rng=0, dtype=np.float64, **options)


X = np.random.default_rng(0).normal(size=(5, 4))
Y = np.array([0, 1, 2, 1, 0])


# ── 1. No mutation changes a gradient silently ────────────────────────────────────────────────────

MASK = np.array([True, False, True])
FLOATS = np.array([0.5, 1.5, 2.5])
PLACES = np.array([2, 0, 0])


@pytest.mark.parametrize(
    ("given", "f"),
    [
        (MASK, lambda x, a: tg.where(a, x * x, x)),
        (MASK, lambda x, a: np.where(a, x * x, 1.0)),
        (MASK, lambda x, a: x[a]),
        (MASK, lambda x, a: x * a),
        (list(MASK), lambda x, a: x[a]),
        (PLACES, lambda x, a: x[a] * x),
        (list(PLACES), lambda x, a: x[a] * x),
        (PLACES, lambda x, a: x[None][0, a] * x),
        (PLACES, lambda x, a: tg.take_along_axis(x, a, 0) * x),
        (PLACES, lambda x, a: np.take(x, a) * x),
        (PLACES, lambda x, a: F.cross_entropy(tg.stack([x, x * x, x]), a)),
        (PLACES, lambda x, a: x**a),
        (FLOATS, lambda x, a: x**a),
        (FLOATS, lambda x, a: a**x),
        (FLOATS, lambda x, a: a / x),
        (FLOATS, lambda x, a: x @ a * x),
        (FLOATS, lambda x, a: a @ x * x),
        (FLOATS, lambda x, a: tg.einsum("i,i->", x * x, a)),
        (FLOATS, lambda x, a: np.outer(x, a) * x),
        (FLOATS, lambda x, a: tg.maximum(x, a) * x),
        (FLOATS, tg.logaddexp),
        (FLOATS, lambda x, a: tg.concatenate([x, a]) ** 2),
        (FLOATS, lambda x, a: tg.stack([a, x]) * x),
        (list(FLOATS), lambda x, a: x * a),
        (FLOATS, lambda x, a: np.clip(x, a, None) * x),
        ([1, -1], lambda x, a: x.reshape(a) * x),
        ([1, 3], lambda x, a: (x * x).broadcast_to(a)),
        ([1, 2], lambda x, a: tg.concatenate(tg.split(x * x, a)[::-1])),
        (FLOATS, lambda x, a: x * x * T(a, requires_grad=True)),
        (FLOATS, lambda x, a: tg.vjp(lambda z: z * x, a)[1]([1.0, 2.0, 3.0]) * x),
        (FLOATS, lambda x, a: tg.grad(lambda z: (z * z * x).sum())(a) * x),
        (FLOATS, lambda x, a: tg.jvp(lambda z: z * z * x, [a], [a])[1] * x),
    ],
)
def test_what_was_handed_in_can_change_without_effect(given, f):
    gradients = []
    for change in (False, True):
        x = T([0.2, 1.1, 2.1], requires_grad=True)
        handed_in = copy.deepcopy(given)
        y = f(x, handed_in)
        weights = np.cos(np.arange(y.size)).reshape(y.shape)
        total = (y * weights).sum()
        if change:
            weights[...] = 7
            handed_in[:] = [handed_in[0]] * len(handed_in)
        before = total.item()
        total.backward()
        assert total.item() == before
        gradients.append(x.grad)
    np.testing.assert_array_equal(*gradients)


def test_a_pullback_keeps_the_arguments_and_the_cotangent_it_was_given():
    a, u = np.array([1.0, 2.0]), np.array([1.0, 10.0])
    y, pullback = tg.vjp(lambda x: x * x, a)
    a[:] = 100
    got = pullback(u)
    u[:] = 100
    assert y.data.tolist() == [1, 4]
    assert got.data.tolist() == [2, 40]


def test_what_transforms_hand_out_is_the_caller_s_own_or_read_only():
    y, pullback = tg.vjp(lambda x: x * 1, np.array([1.0, 2.0]))
    for t in (y, pullback([1.0, 1.0]), tg.grad(lambda x: x.sum())(np.ones(2))):
        with pytest.raises(ValueError, match="read-only"):
            t.data[0] = 5
    with pytest.raises(TypeError, match="assigned into"):
        y[0] = 5


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a[:1],
        lambda a: a.T,
        lambda a: a.reshape(-1),
        lambda a: a.ravel(),
        lambda a: a.view(np.int64),
        np.asarray,
        lambda a: np.array(a, copy=False),
        lambda a: np.lib.stride_tricks.as_strided(a, (2,), (8,)),
        lambda a: np.frombuffer(a, np.float64),
        memoryview,
    ],
)
def test_no_view_of_an_array_handed_out_can_be_written(view):
    x = T(np.ones((2, 2)), requires_grad=True)
    (x * x).sum().backward()
    for array in (x.data, x.grad, (x * 2).data):
        seen = view(array)
        place = (0, 0) if isinstance(seen, memoryview) else ...
        with pytest.raises((ValueError, TypeError), match=r"read-only|readonly"):
            seen[place] = 5


def test_updates_in_place_raise_before_anything_has_changed():
    w = T([1.0, 2.0], requires_grad=True)
    (w * w).sum().backward()
    with pytest.raises(ValueError, match="read-only"):
        w.data -= 0.1 * w.grad
    with pytest.raises(ValueError, match="read-only"):
        w.grad *= 0.5
    with pytest.raises(ValueError, match="read-only"):
        np.add(w.data, 1, out=w.data)
    with pytest.raises(TypeError, match="assigned into"):
        w[0] += 1
    assert (w.data.tolist(), w.grad.tolist()) == ([1, 2], [2, 4])


def assigned(model, optimizer):
    for p in model.parameters():
        p.data = np.full(p.shape, 7.0)


def stepped(model, optimizer):
    for p in model.parameters():
        p.grad = np.ones(p.shape)
    optimizer.step()
    optimizer.zero_grad()


def loaded(model, optimizer):
    state = {name: value + 1 for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    for value in state.values():
        value[...] = 99


@pytest.mark.parametrize("change", [assigned, stepped, loaded])
@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_parameters_changed_between_forward_and_backward_have_no_effect_on_gradients(change, kind):
    gradients = []
    for changed in (False, True):
        model = mlp()
        optimizer = kind(model.parameters(), lr=0.1)
        loss = F.cross_entropy(model(X), Y)
        if changed:
            before = model.parameters()[0].data
            change(model, optimizer)
            assert (model.parameters()[0].data != before).all()
            assert (model.parameters()[0].data != 99).all()
        loss.backward()
        gradients.append([p.grad for p in model.parameters()])
    for expected, got in zip(*gradients, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_gradients_that_two_leaves_received_as_one_array_stay_apart():
    a, b = T([1.0, 2.0], requires_grad=True), T([3.0, 4.0], requires_grad=True)
    (a + b).sum().backward()
    (a * 5).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([6, 6], [1, 1])
    c = T([1.0, 2.0], requires_grad=True)
    y = c.reshape(2, 1).T
    y.retain_grad()
    (y + c).sum().backward()
    (c * 5).sum().backward()
    assert (c.grad.tolist(), y.grad.tolist()) == ([7, 7], [[1, 1]])


def test_a_leaf_that_begins_to_require_its_gradient_late_gets_all_of_it_or_none():
    w, c = T(3.0, requires_grad=True), T(5.0)
    y = w * c + c * c
    c.requires_grad = True
    y.backward()
    assert w.grad == 5
    assert c.grad is None or c.grad == 3 + 2 * 5


def test_uses_before_and_after_it_began_to_require_its_gradient_are_kept_apart():
    w, c = T(3.0, requires_grad=True), T(5.0)
    y = w * c + c * c
    c.requires_grad = True
    (y + c * 7).backward()
    assert (w.grad, c.grad) == (5, 7)


def test_a_leaf_that_ceases_to_require_its_gradient_gets_none():
    w, c = T(3.0, requires_grad=True), T(5.0, requires_grad=True)
    y = w * c
    c.requires_grad = False
    y.backward()
    assert (w.grad, c.grad) == (5, None)


# ── 2. A freed graph is refused by whoever walks it ───────────────────────────────────────────────


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
    assert MODE.get().outer is None
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


# ── 4. An exception in the middle of anything ─────────────────────────────────────────────────────


class Stop(BaseException):
    """As KeyboardInterrupt, no Exception."""


def stop_forward(x):
    raise Stop


def stop_backward(g, y, x):
    raise Stop


STOPS = {
    "value": Primitive("stops", "!", "!", stop_forward, (lambda g, y, x: g, "g")),
    "rule": Primitive("stops", "!", "!", lambda x: x + 0, (stop_backward, "!")),
}
V = np.array([1.0, 2.0])


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
    assert MODE.get().outer is None
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
    assert MODE.get().outer is None


@cache
def is_with(file, line):
    return linecache.getline(file, line).strip().startswith("with ")


def interrupted_at(line, action):
    """Run an action, and raise Stop at a line of the package, counted from 0; say if it came.

    Not where a mode is entered or left: Python has no way to make these two safe against a signal,
    in any context manager that is written in it.
    """
    left = line

    def trace(frame, event, argument):
        nonlocal left
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE) or code.co_name in ("__enter__", "__exit__"):
            return None
        if event == "line" and not is_with(code.co_filename, frame.f_lineno):
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise Stop
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except Stop:
        return True
    finally:
        sys.settrace(before)
    return False


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
        assert MODE.get().outer is None
        line += 1
    assert line > 100


def test_an_interruption_at_any_line_of_a_transform_leaves_no_mode_on():
    w = T(3.0, requires_grad=True)

    def transform():
        with tg.no_grad():
            tg.hessian(lambda x: (x * x * x * w).sum())(V)

    line = 0
    while interrupted_at(line, transform):
        assert MODE.get().outer is None
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


@pytest.mark.parametrize(
    ("mode", "seen"),
    [
        (tg.no_grad, lambda t: not t.requires_grad),
        (lambda: tg.scope("s"), lambda t: t.scope is not None and t.scope.path == "s"),
    ],
)
def test_a_mode_that_decorates_a_generator_or_a_coroutine_holds_inside_or_refuses(mode, seen):
    x = T(1.0, requires_grad=True)

    def generator():
        yield seen(x * 2)
        yield seen(x * 2)

    async def coroutine():
        await asyncio.sleep(0)
        return seen(x * 2)

    async def stream():
        yield seen(x * 2)

    async def all_of_it():
        return [inside async for inside in mode()(stream)()]

    def holds(run):
        try:
            return run()
        except TypeError as error:
            return "generator" in str(error) and "with block" in str(error)

    assert holds(lambda: [(i, seen(x * 2)) for i in mode()(generator)()] == [(True, False)] * 2)
    assert holds(lambda: asyncio.run(mode()(coroutine)()))
    assert holds(lambda: asyncio.run(all_of_it()) == [True])


# ── 5. Threads ────────────────────────────────────────────────────────────────────────────────────


def work(seed, steps):
    """Steps that mix all modes; the bits of all the gradients."""
    rng = np.random.default_rng(seed)
    digest = hashlib.sha256()
    w = T(rng.normal(size=(3, 2)), requires_grad=True)
    for i in range(steps):
        x = rng.normal(size=(2, 3))
        with tg.scope(f"step {i}"):
            with tg.no_grad():
                shift = (x @ w).max(axis=1, keepdims=True)
                assert not shift.requires_grad
            if i % 7 == 0:
                with tg.detect_nan():
                    y = ((x @ w - shift).exp().sum(1) + 1).log().sum()
            else:
                y = ((x @ w - shift).exp().sum(1) + 1).log().sum()
            if i % 11 == 0:
                with pytest.raises(FloatingPointError), tg.detect_nan(), tg.no_grad():
                    (y - y).log()
        assert y.scope.path == f"step {i}"
        if i % 5 == 0:
            y.backward(retain_graph=True)
            digest.update(tg.gradients(y, [w])[0].tobytes())
        y.backward()
        digest.update(w.grad.tobytes())
        w.data = w.data - 0.01 * w.grad
        w.grad = None
    assert MODE.get().outer is None
    return digest.hexdigest()


def in_threads(jobs):
    """Run the jobs at the same time, switching between them as often as can be."""
    results = [None] * len(jobs)

    def run(i):
        try:
            results[i] = jobs[i]()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(jobs))]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    return results


def test_eight_threads_of_2000_steps_find_the_bits_of_a_single_one():
    expected = [work(seed, 2000) for seed in range(8)]
    assert len(set(expected)) == 8
    assert in_threads([lambda seed=seed: work(seed, 2000) for seed in range(8)]) == expected


def yielding(frame, event, argument):
    """A trace that lets another thread run at each line of the package."""
    if not frame.f_code.co_filename.startswith(PACKAGE):
        return None
    if event == "line":
        time.sleep(1e-5)
    return yielding


def test_threads_that_share_a_parameter_lose_none_of_its_gradient():
    w = T(np.zeros(3), requires_grad=True)
    ones = np.ones(w.shape)

    def accumulate():
        sys.settrace(yielding)
        for _ in range(10):
            (w * 1.0).backward(ones)
        sys.settrace(None)

    assert in_threads([accumulate] * 8) == [None] * 8
    assert w.grad.tolist() == [80, 80, 80]


# ── 6. Memory ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def traced(no_collector):
    """The bytes in arrays, as tracemalloc and NumPy count them."""
    tracemalloc.start()
    arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)

    def arrays_now():
        statistics = tracemalloc.take_snapshot().filter_traces([arrays]).statistics("filename")
        return sum(s.count for s in statistics), sum(s.size for s in statistics)

    yield arrays_now
    tracemalloc.stop()


def trainer(optimizer=optim.Adam, sizes=(4, 6, 3), dtype=np.float64):
    model = nn.MLP(list(sizes), rng=0, dtype=dtype)
    adam = optimizer(model.parameters(), lr=0.01)

    def step():
        loss = F.cross_entropy(model(X), Y)
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.item()

    return step


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam, optim.AdamW])
def test_fifty_training_steps_retain_no_array(traced, optimizer):
    step = trainer(optimizer)
    for _ in range(3):
        step()
    before = traced()
    for _ in range(50):
        step()
    assert traced() == before


def test_training_steps_retain_no_object(no_collector):
    step = trainer()
    blocks = []
    for _ in range(4):
        for _ in range(50):
            step()
        blocks.append(sys.getallocatedblocks())
    assert min(np.diff(blocks)) < 5


@pytest.mark.parametrize(
    "use",
    [
        lambda x: tg.hessian(lambda z: (z * z * x).sum())(V),
        lambda x: tg.gradients((x**3).sum(), [x], create_graph=True)[0].sum().backward(),
        lambda x: tg.jvp(lambda z: z.tanh() * x, [V], [V]),
        lambda x: tg.gradcheck(lambda z: z * z, V, order=2),
        F.softmax,
        lambda x: [row * 2 for row in x],
        lambda x: tg.sort(x)[[0, 0]].sum().backward(),
    ],
)
def test_nothing_that_is_used_and_let_go_is_retained(traced, use):
    x = T(V, requires_grad=True)
    for _ in range(3):
        use(x)
    before = traced()
    for _ in range(20):
        use(x)
    assert traced() == before


def test_nothing_is_retained_by_what_failed(traced):
    x = T(V, requires_grad=True)

    def fail():
        with pytest.raises(Stop), tg.detect_nan():
            apply(STOPS["rule"], x * x).sum().backward()
        with pytest.raises(FloatingPointError), tg.detect_nan():
            (x - x).log()
        y = x * x
        y.sum().backward()
        with pytest.raises(tg.FreedGraphError):
            y.sum().backward()

    for _ in range(3):
        fail()
    gc.collect()  # a traceback refers to its frames, and these to the exception
    before = traced()
    for _ in range(20):
        fail()
    gc.collect()
    assert traced() == before


def test_the_graph_is_gone_after_backward_while_the_loss_is_alive(traced):
    model = mlp()
    F.cross_entropy(model(X), Y).backward()
    before = traced()
    logits = model(X)
    loss = F.cross_entropy(logits, Y)
    inside = [weakref.ref(node) for node in tg.engine.graph.topological_order(loss)]
    parameters = {id(p) for p in model.parameters()}
    del logits
    assert all(ref() is not None for ref in inside)
    loss.backward()
    alive = [ref() for ref in inside if ref() is not None]
    assert {id(node) for node in alive} == parameters | {id(loss)}
    assert traced() == before


def test_memory_shrinks_while_gradients_appear(traced):
    """A long chain's backward needs no more at any time than the chain itself and a few arrays."""
    x = T(np.ones(10_000), requires_grad=True)
    y = x
    for _ in range(50):
        y = y.tanh()
    tracemalloc.reset_peak()
    held, _ = tracemalloc.get_traced_memory()
    y.backward(np.ones(x.shape))
    _, peak = tracemalloc.get_traced_memory()
    assert peak < held + 6 * x.data.nbytes


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_step_holds_parameters_gradients_and_the_values_of_its_graph(traced, activation):
    rng = np.random.default_rng(0)
    x, y = T(rng.normal(size=(256, 784)).astype(np.float32)), rng.integers(0, 10, 256)
    before, _ = tracemalloc.get_traced_memory()
    model = nn.MLP([784, 512, 512, 10], activation=activation, rng=0)
    sgd = optim.SGD(model.parameters(), lr=0.01)
    for _ in range(3):
        tracemalloc.reset_peak()
        loss = F.cross_entropy(model(x), y)
        values = sum(
            n.data.nbytes
            for n in tg.engine.graph.topological_order(loss)
            if n.primitive is not None
        )
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    _, peak = tracemalloc.get_traced_memory()
    parameters = sum(p.data.nbytes for p in model.parameters())
    assert peak - before < 1.05 * (2 * parameters + values)


# ── 7. Linear in nodes ────────────────────────────────────────────────────────────────────────────


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
        lambda x, y: tg.engine.graph.topological_order(y),
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

    add = Primitive("add", "+", "+", lambda a, b: a + b, (rule, "g"), (rule, "g"))
    x = T(1.0, requires_grad=True)
    y = x
    for _ in range(400):
        y = apply(add, y, y)
    y.backward()
    assert x.grad == 2.0**400
    assert len(calls) == 800


def counting():
    """A primitive that is the identity, and the list that its rule and its value fill."""
    calls = []

    def value(x):
        calls.append("value")
        return x + 0

    def rule(g, y, x):
        calls.append("rule")
        return g

    return Primitive("counts", "#", "x", value, (rule, "g")), calls


def test_no_rule_is_called_that_leads_to_none_of_the_wanted():
    counts, calls = counting()
    a, b = T(V, requires_grad=True), T(V, requires_grad=True)
    y = (a * 2 + apply(counts, b)).sum()
    assert tg.gradients(y, [a])[0].tolist() == [2, 2]
    assert tg.gradients(y, [y])[0] == 1
    assert calls == ["value"]
    tg.gradients(y, [b])
    assert calls == ["value", "rule"]


def test_a_jacobian_takes_one_walk_and_one_call_of_the_function():
    counts, calls = counting()
    j = tg.jacobian(lambda x: apply(counts, x * x))(np.arange(6.0))
    np.testing.assert_array_equal(j.data, 2 * np.diag(np.arange(6.0)))
    assert calls == ["value", "rule"]


# ── 8. Copies ─────────────────────────────────────────────────────────────────────────────────────


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3, rng=0, dtype=np.float64)
        self.b = nn.Linear(3, 3, rng=1, dtype=np.float64)
        self.b.weight = self.a.weight
        self.scale = T(2.0)

    def forward(self, x):
        return self.b(self.a(x)) * self.scale


COPIES = [
    copy.deepcopy,
    *(
        lambda o, n=n: pickle.loads(pickle.dumps(o, n))
        for n in range(2, pickle.HIGHEST_PROTOCOL + 1)
    ),
]


@pytest.fixture
def tied_class(monkeypatch):
    # A pickle names its class by the module, which this kind of import does not make known.
    monkeypatch.setitem(sys.modules, Tied.__module__, sys.modules.get(Tied.__module__) or _itself())
    return Tied


def _itself():
    module = type(sys)(Tied.__module__)
    module.Tied = Tied
    return module


@pytest.mark.parametrize("copied", COPIES)
def test_a_copied_model_shares_within_itself_and_with_nothing_else(copied, tied_class):
    model = tied_class()
    sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def train(model, optimizer):
        optimizer.zero_grad()
        (model(X[:, :3]) ** 2).sum().backward()
        optimizer.step()
        return [p.data.tolist() for p in model.parameters()]

    train(model, sgd)
    twin, twins_sgd = copied((model, sgd))
    assert twin.a.weight is twin.b.weight
    assert [id(p) for p in twins_sgd.params] == [id(p) for p in twin.parameters()]
    assert not {id(p) for p in twin.parameters()} & {id(p) for p in model.parameters()}
    assert [p.name for p in twin.parameters()] == [p.name for p in model.parameters()]
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(p.grad, q.grad)
        assert not np.shares_memory(p.data, q.data)
    before = [p.data.tolist() for p in model.parameters()]
    first = train(twin, twins_sgd)
    assert [p.data.tolist() for p in model.parameters()] == before
    assert train(model, sgd) == first


def test_a_shallow_copy_of_a_model_shares_its_parameters():
    model = mlp()
    other = copy.copy(model)
    assert [id(p) for p in other.parameters()] == [id(p) for p in model.parameters()]


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, bool])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_a_leaf_of_any_dtype_and_shape_round_trips(copied, dtype, shape):
    t = T(np.ones(shape, dtype), requires_grad=np.dtype(dtype).kind == "f", name="t")
    twin = copied(t)
    assert (twin.dtype, twin.shape, twin.name) == (t.dtype, t.shape, "t")
    assert (twin.requires_grad, twin.inputs) == (t.requires_grad, ())
    np.testing.assert_array_equal(twin.data, t.data)
    with pytest.raises(ValueError, match="read-only"):
        twin.data[...] = 0


def test_the_same_tensor_twice_in_a_list_is_one_in_its_copy():
    w = T(V, requires_grad=True)
    for copied in COPIES:
        a, b, node = copied([w, w, w * w])
        assert a is b
        assert (node.requires_grad, node.data.tolist()) == (False, [1, 4])


# ── 9. The first nan ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x / x,
        lambda x: x.log() * 0,
        lambda x: (x - 1).sqrt(),
        lambda x: x[[0, 0]] ** -0.5,
        lambda x: tg.einsum("i,i->", 1e200 + x, 1e200 + x),
        lambda x: (x - x).mean() / 0,
    ],
)
def test_a_nan_or_an_infinity_is_found_where_it_is_made(f):
    x = T([0.0, 4.0], requires_grad=True)
    with np.errstate(all="ignore"):
        assert not np.isfinite(f(x).data).all()
        with pytest.raises(FloatingPointError, match="out of finite numbers"), tg.detect_nan():
            f(x)


def test_what_makes_no_nan_passes_in_each_thread_by_itself():
    def divide():
        for _ in range(50):
            assert np.isnan((T(0.0) / 0).item())

    def watch():
        for _ in range(50):
            with pytest.raises(FloatingPointError), tg.detect_nan():
                T(0.0) / 0

    assert in_threads([divide, watch] * 4) == [None] * 8


# ── Checkers see small errors by differences too ──────────────────────────────────────────────────


@pytest.mark.parametrize("factor", [1 + 1e-5, 1 - 1e-5])
def test_central_differences_see_an_error_of_a_hundred_thousandth(factor):
    wrong = Primitive("wrong", "w", "w", np.exp, (lambda g, y, x: g * y * factor, "w"))
    assert tg.gradcheck(lambda x: x.exp() * 1000, [0.5, 2.0], method="central")
    with pytest.raises(tg.GradcheckError, match="central differences"):
        tg.gradcheck(lambda x: apply(wrong, x) * 1000, [0.5, 2.0], method="central")


# ── Edges that the table of primitives leaves to a guarantee ──────────────────────────────────────


def test_the_second_derivative_of_a_power_is_finite_at_base_and_exponent_0():
    def f(a):
        return (a ** np.array([0.0, 0.0, 1.0, 2.0])).sum()

    assert tg.grad(f)(np.zeros(4)).data.tolist() == [0, 0, 1, 0]
    np.testing.assert_array_equal(tg.hessian(f)(np.zeros(4)).data, np.diag([0.0, 0.0, 0.0, 2.0]))


def test_ties_keep_their_order_when_sorted_however_many_they_are():
    x = np.random.default_rng(0).integers(0, 5, 2000).astype(float)
    order = np.argsort(x, kind="stable")
    np.testing.assert_array_equal(np.argsort(T(x)).data, order)
    t = T(x, requires_grad=True)
    tg.sort(t).backward(np.arange(2000.0))
    np.testing.assert_array_equal(t.grad[order], np.arange(2000.0))


@pytest.mark.parametrize("dtype", [int, bool, np.uint8])
def test_no_gradient_flows_through_integers_and_booleans(dtype):
    x = T([1.0, 2.0], requires_grad=True)
    y = x.astype(dtype)
    assert not y.requires_grad
    (x * y).sum().backward()
    assert x.grad.tolist() == y.data.astype(float).tolist()


def test_no_grad_and_detect_nan_stay_within_their_scope():
    x = T(1.0, requires_grad=True)
    with tg.scope("a"), tg.no_grad():
        assert (x * 2).scope.path == "a"
        with tg.scope("b"), tg.detect_nan():
            y = x * 2
            assert (y.scope.path, y.requires_grad) == ("a/b", False)
    with tg.scope("a"):
        seen = []
        tg.grad(lambda z: (seen.append((z * 2).scope.path), z * z)[1])(3.0)
        assert seen == ["a"]


def test_the_gradient_flows_to_the_tangents_and_cotangents_of_a_transform():
    assert tg.grad(lambda v: tg.jvp(lambda x: x**3, [2.0], [v])[1])(1.0).item() == 12
    assert tg.grad(lambda v: tg.hvp(lambda x: (x**3).sum(), V, v).sum())(V).data.tolist() == [6, 12]
    assert tg.grad(lambda u: tg.vjp(lambda x: x * x, V)[1](u).sum())(V).data.tolist() == [2, 4]
    u = T(V, requires_grad=True)
    tg.vjp(lambda x: x * x, V)[1](u).sum().backward()
    assert u.grad.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("j,j->", [(1,), (3,)]),
        ("ij,ij->i", [(2, 1), (2, 3)]),
        ("ij,ij->j", [(1, 3), (2, 1)]),
        ("ij,jk->ik", [(2, 1), (3, 2)]),
        ("...j,...j->...", [(1, 3), (2, 1)]),
        ("i,i,i->", [(1,), (3,), (1,)]),
    ],
)
def test_einsum_broadcasts_lengths_of_1_as_numpy_does(subscripts, shapes):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in shapes]
    y = tg.einsum(subscripts, *arrays)
    np.testing.assert_allclose(y.data, np.einsum(subscripts, *arrays), rtol=1e-14)
    assert tg.gradcheck(lambda *xs: tg.einsum(subscripts, *xs), *arrays, order=2)


@pytest.mark.parametrize("axes", [(0, 2), (1, 5), (-3, 0), (0, -1, 3)])
def test_transpose_refuses_axes_that_are_not_there(axes):
    x = T(np.ones((2, 3)))
    with pytest.raises((ValueError, IndexError), match=r"axis|axes"):
        x.transpose(*axes)
    with pytest.raises((ValueError, IndexError), match=r"axis|axes"):
        np.transpose(x, axes)


def test_stacks_and_joins_take_python_numbers_as_numpy_does():
    w = T(3.0, requires_grad=True)
    tg.stack([w, 1.0, w * w]).backward([1.0, 2.0, 3.0])
    assert w.grad == 1 + 3 * 6
    assert tg.stack([1, 2.5]).data.tolist() == [1, 2.5]
    assert tg.concatenate([1.0, T([2.0, 3.0])], None).data.tolist() == [1, 2, 3]


@pytest.mark.parametrize("reduction", ["sum", "mean", "max", "min", "var", "std"])
@pytest.mark.parametrize("axis", [None, 0, -1, ()])
def test_reductions_of_a_single_number_are_those_of_numpy(reduction, axis):
    x = np.float64(3.0)
    t = T(x, requires_grad=True)
    try:
        expected = getattr(np, reduction)(x, axis=axis)
    except np.exceptions.AxisError:  # of NumPy's, some know an axis 0 of a number, and some do not
        with pytest.raises((ValueError, IndexError)):
            getattr(t, reduction)(axis)
    else:
        y = getattr(t, reduction)(axis)
        assert (y.shape, y.item()) == ((), expected)


@pytest.mark.parametrize("ord", [None, 1, 1.5, 2, 3, np.inf])
def test_the_norm_has_slope_0_at_0_and_hides_no_nan(ord):
    x = T(np.zeros(3), requires_grad=True)
    tg.norm(x, ord).backward()
    assert x.grad.tolist() == [0, 0, 0]
    x = T([np.nan, 1.0, 2.0], requires_grad=True)
    y = tg.norm(x, ord)
    y.backward()
    assert np.isnan(y.item())
    assert np.isnan(x.grad[0])


@pytest.mark.parametrize("dtype", [">f8", "<f4", ">f4", ">f2", np.float16])
def test_compare_counts_units_in_the_last_place_in_any_byte_order(dtype):
    one = np.ones(2, dtype)
    other = one.copy()
    other[1] += np.finfo(np.dtype(dtype)).eps
    c = tg.compare(other, one)
    assert (c.exact, c.close, c.max_ulp) == (False, True, 1)


# ── 10. The same seed, the same bits ──────────────────────────────────────────────────────────────

RUN = """
import hashlib
import numpy as np
import tinygrad_ce as tg
from tinygrad_ce import functional as F, nn, optim

rng = np.random.default_rng(0)
X, y = rng.normal(size=(64, 6)), rng.integers(0, 3, 64)
model = nn.MLP([6, 16, 3], rng=1)
adam = optim.Adam(model.parameters(), lr=0.05)
for _ in range(30):
    loss = F.cross_entropy(model(X), y)
    adam.zero_grad()
    loss.backward(retain_graph=True)
    adam.step()
    print(loss.item().hex())
print(hashlib.sha256(tg.draw(loss).dot.encode()).hexdigest())
print([hash(p.grad.tobytes()) is None for p in model.parameters()], model)
print(hashlib.sha256(b"".join(p.data.tobytes() for p in model.parameters())).hexdigest())
"""


def test_twenty_processes_with_other_hash_seeds_print_the_same_bits():
    def start(seed):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(seed),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-c", RUN]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    printed = []
    for pair in range(0, 20, 2):
        processes = [start(seed * 17 + 1) for seed in (pair, pair + 1)]
        for process in processes:
            out, _ = process.communicate()
            assert process.returncode == 0
            printed.append(out)
    assert len(printed[0].splitlines()) == 33
    assert set(printed) == {printed[0]}


# ── The mutations that this suite kills still apply ───────────────────────────────────────────────


def test_every_mutation_still_matches_its_line_exactly_once():
    path = Path(__file__).parents[1] / "mutations.py"
    spec = importlib.util.spec_from_file_location("mutations", path)
    mutations = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mutations)
    assert len(mutations.MUTATIONS) >= 50
    assert mutations.stale(Path(PACKAGE)) == []


# ── 3. What is refused, beyond single Tensors ─────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: tg.gradcheck(lambda x: x, V, method="forward"), ValueError, "auto, complex or"),
        (lambda: tg.gradcheck(lambda x: x.data, V), TypeError, "must return a Tensor"),
        (
            lambda: tg.gradcheck(lambda x: x.astype(np.float64), V, method="complex"),
            TypeError,
            "does not allow the complex step",
        ),
        (lambda: T(V) @ None, TypeError, "unsupported operand"),
        (lambda: np.array(T(V), dtype=np.float32, copy=False), ValueError, "without a copy"),
        (lambda: np.dot(T(V), np.ones((2, 2, 2))), TypeError, "np.matmul or np.einsum"),
        (lambda: tg.einsum("ii", np.ones((2, 3))), ValueError, r"lengths \[2, 3\]"),
        (lambda: tg.einsum("ij", V), ValueError, "does not fit"),
        (lambda: tg.einsum("i,i", V), ValueError, "2 terms for 1 operands"),
        (lambda: tg.einsum(V, [0]), TypeError, "as text"),
        (lambda: tg.norm(np.ones((2, 2)), 2), ValueError, "Frobenius"),
        (lambda: tg.take_along_axis(np.ones((2, 2)), [0]), ValueError, "2 axes"),
        (lambda: tg.concatenate([]), ValueError, "at least one"),
        (
            lambda: optim.Optimizer([T(1.0, True)], 0.1)._update_value(0, 1, 1),
            NotImplementedError,
            None,
        ),
        (lambda: modes.Setting().__enter__(), NotImplementedError, None),
    ],
)
def test_wrong_use_is_refused_with_an_explanation(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_pullback_refuses_a_cotangent_of_another_shape():
    w = T(2.0, requires_grad=True)
    for f in (lambda x: x * x, lambda x: x * w):
        _, pullback = tg.vjp(f, V)
        for cotangent in (np.ones(3), T(np.ones(3)), T(np.ones(()))):
            with pytest.raises(ValueError, match="shape"):
                pullback(cotangent)


def test_gradcheck_passes_on_what_is_not_numeric():
    assert tg.gradcheck(lambda x, name, n: x * len(name) ** n, V, "abc", 2)


def test_a_message_names_the_tensor():
    w = T(V, requires_grad=True, name="w")
    with pytest.raises(RuntimeError, match="tensor 'w' has 2 elements"):
        w.backward()
    with pytest.raises(RuntimeError, match=r"multiply result of shape \(2,\)"):
        (w * w).backward()


def test_small_forms_do_as_numpy_does():
    w = T([[3.0, 1.0], [2.0, 5.0]], requires_grad=True)
    assert (+w) is w
    assert tg.take_along_axis(w, [3, 0], None).data.tolist() == [5, 3]
    assert np.dot(w, 2.0).data.tolist() == [[6, 2], [4, 10]]
    assert w[[]].shape == (0, 2)
    assert w.sum(1).params == (1, False)
    w.grad = T(np.ones((2, 2)))
    assert w.grad.tolist() == [[1, 1], [1, 1]]


def test_momentum_can_be_switched_on_and_off_between_steps():
    w = T(0.0, requires_grad=True)
    sgd = optim.SGD([w], lr=1.0)
    for momentum, expected in ((0.0, -1.0), (0.5, -2.0), (0.5, -3.5), (0.0, -4.5)):
        sgd.momentum = momentum
        assert sgd.momentum == momentum
        w.grad = 1.0
        sgd.step()
        assert w.item() == expected
    with pytest.raises(ValueError, match="momentum"):
        sgd.momentum = -1
