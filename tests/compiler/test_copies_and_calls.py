"""A compiled step is copied, differentiated, interrupted, forked and shared as the step is."""

import copy
import locale
import os
import pickle
import signal
import threading

import numpy as np
import pytest
from bits import assert_same_bits
from compiler_helpers import Training

import tinygrad_ce as tg
from tinygrad_ce import nn, optim
from tinygrad_ce.compiler import RecordingError

COPIES = [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]


class Owner:
    """Has a parameter, an optimizer, and a compiled step of both."""

    def __init__(self):
        self.w = tg.Tensor([1.0], requires_grad=True)
        self.optimizer = optim.SGD([self.w], lr=0.1)
        self.step = tg.compile(self._step)

    def _step(self, x):
        loss = (self.w * x).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


@tg.compile
def double(x):
    return x * 2


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("calls", [0, 1, 3])
def test_a_copy_trains_the_copied_parameters(copied, calls):
    one = np.ones(1)
    owner = Owner()
    for _ in range(calls):
        owner.step(one)
    value = owner.w.item()
    for other in (copied(owner), copied(owner.step)._step.__self__, copied([owner.step, owner])[1]):
        other.step(one)
        other.step(one)
        assert other.w.item() == pytest.approx(value - 0.2)
        assert other.step._step.__self__ is other
    assert owner.w.item() == value
    owner.step(one)
    assert owner.w.item() == pytest.approx(value - 0.1)


@pytest.mark.parametrize("copied", COPIES)
def test_functions_of_modules_and_modules_are_copied_as_these_are(copied):
    assert copied(double) is double
    model = tg.compile(nn.MLP((2, 3, 1)))
    other = copied(model)
    assert other._step is not model._step
    assert_same_bits([other(np.ones((1, 2)))], [model(np.ones((1, 2)))])


def test_a_copy_of_a_tensor_inside_is_another_tensor():
    owner = Owner()
    owner.step(np.ones(1))
    w = copy.deepcopy(owner.w)
    owner.step(np.ones(1))
    assert w.item() == 0.9


# ── Transforms ────────────────────────────────────────────────────────────────────────────────────

X, Y = np.array([1.0, 2.0]), np.array([2.0, 3.0])


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: tg.grad(f)(X, Y),
        lambda f: tg.grad(f, (0, 1))(X, Y),
        lambda f: tg.value_and_grad(f, 1)(X, Y),
        lambda f: tg.vjp(f, X, Y)[1](1.0),
        lambda f: tg.jvp(f, [X, Y], [Y, X]),
        lambda f: tg.jacobian(f)(X, Y),
        lambda f: tg.hessian(f, (0, 1))(X, Y),
        lambda f: tg.hvp(lambda x: f(x, Y), X, Y),
        lambda f: tg.compile(tg.hessian(f))(X, Y),
        lambda f: tg.grad(lambda v: tg.compile(lambda x: f(x * v, Y))(X))(2.0),
        lambda f: tg.compile(tg.compile(f))(X, Y),
    ],
)
def test_transforms_of_a_compiled_function_are_those_of_the_function(transform):
    def f(x, y):
        return (x**3 * y).sum()

    compiled = tg.compile(f)
    for _ in range(2):
        assert repr(transform(compiled)) == repr(transform(f))
        compiled(X, Y)


W = tg.Tensor(Y, requires_grad=True, name="w")


@pytest.mark.parametrize(
    "ask",
    [
        lambda y, x: y.sum().backward(),
        lambda y, x: (y * W).sum().backward(),
        lambda y, x: tg.gradients(y.sum(), [x]),
        lambda y, x: tg.gradients(y.sum(), [W]),
        lambda y, x: tg.gradients((y + x).sum(), [x], create_graph=True),
        lambda y, x: tg.gradients((y * y).sum(), [W], np.float64(1)),
        lambda y, x: tg.draw(y),
        lambda y, x: tg.grad(lambda v: (v * y).sum())(X).sum().backward(),
    ],
)
@pytest.mark.parametrize("argument", [True, False])
def test_no_gradient_goes_through_a_result_and_none_is_zero(ask, argument):
    f = tg.compile(lambda x: x**3 * W)
    x = tg.Tensor(X, requires_grad=True)
    for _ in range(3):
        with pytest.raises(tg.FreedGraphError, match="a compiled step has kept none"):
            ask(f(x if argument else X), x)
    assert (x.grad, W.grad) == (None, None)


def test_gradcheck_of_a_compiled_function_is_an_error_and_no_wrong_number():
    with pytest.raises(tg.FreedGraphError):
        tg.gradcheck(tg.compile(lambda x: x**3), X)


def is_array(x):
    return isinstance(x, np.ndarray | np.generic)


def test_what_needs_no_gradient_or_is_a_gradient_returns_as_the_step_returns_it():
    def step(x):
        W.grad = None
        loss = (W * x).sum()
        loss.name = "loss"
        loss.backward()
        with tg.no_grad():
            prediction = W * x
        made = tg.Tensor(x, requires_grad=True)
        squares = W.grad * W.grad * 0.5
        (product,) = tg.gradients(W * 2, [W], x)
        return loss, prediction, W.grad, squares, squares.sum(), product, made

    f = tg.compile(step)
    for x in (X, Y, X, Y):
        expected = step(tg.Tensor(x))
        got = f(x)
        assert repr(got) == repr(expected)
        assert [is_array(part) for part in got] == [is_array(part) for part in expected]
        assert float(got[0]) == expected[0].item()


def test_a_tensor_that_comes_back_with_a_gradient_is_refused():
    def step(x):
        made = tg.Tensor(x, requires_grad=True)
        (made * W).sum().backward()
        return made

    with pytest.raises(RecordingError, match=r"return its \.grad too"):
        tg.compile(step)(X)


# ── Settings of the process ───────────────────────────────────────────────────────────────────────

CONSTANT = np.array([0.123456789, np.nan, -np.inf, 1e-300])


@pytest.mark.parametrize(
    "options",
    [
        {"formatter": {"all": lambda x: "7"}},
        {"legacy": "1.13"},
        {"nanstr": "0", "infstr": "1"},
        {"precision": 2, "floatmode": "fixed", "suppress": True},
        {"threshold": 1, "edgeitems": 1},
    ],
)
def test_print_options_do_not_change_the_source(options):
    def step(x):
        half = x * np.float32(0.1) + tg.Tensor(CONSTANT.astype(np.float32))
        return x * tg.Tensor(CONSTANT) + 0.1, half, x ** np.float64(0.3)

    plain = tg.compile(step)
    expected = plain(np.ones(4))
    with np.printoptions(**options):
        compiled = tg.compile(step)
        assert_same_bits(compiled(np.ones(4)), expected)
    assert compiled.source == plain.source


def test_other_settings_are_left_alone():
    before = locale.setlocale(locale.LC_ALL)
    with np.errstate(all="raise", under="ignore"):
        settings = np.geterr()
        double(np.ones(3))
        assert np.geterr() == settings
    assert locale.setlocale(locale.LC_ALL) == before


# ── Signals, forks and threads ────────────────────────────────────────────────────────────────────


def trained():
    """A compiled step with buffers and writes, after its recording and first calls."""
    training = Training(sizes=(4, 64, 3), dtype=np.float64)
    X, y = training.batch(np.random.default_rng(0), 2000)
    step = tg.compile(training.step)
    for _ in range(4):
        step(X, y)
    assert "buffer_1" in step.source
    return training, step, X, y


@pytest.mark.slow
def test_a_signal_handler_may_call_the_step_that_it_interrupts():
    """It ends, and neither call computes with the memory of the other."""
    f = tg.compile(lambda x: (((x @ x).tanh() @ x).tanh() @ x).sum(0))
    a, b = np.random.default_rng(0).normal(size=(2, 200, 200))
    for _ in range(4):
        expected = [f(a).data.copy(), f(b).data.copy()]
    assert "buffer_1" in f.source
    _, step, X, y = trained()
    seen, busy = [], []

    def handler(*args):
        if not busy:
            busy.append(1)
            seen.append(np.array_equal(f(b).data, expected[1]))
            step(X, y)
            busy.clear()

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.0137)
    try:
        while len(seen) < 40:
            assert np.array_equal(f(a).data, expected[0])
            step(X, y)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert all(seen)


@pytest.mark.slow
def test_no_update_is_lost_by_a_signal_handler_that_makes_another():
    w = tg.Tensor([0.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)

    @tg.compile
    def step(x):
        loss = (w * x).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    counts = {"main": 0, "handler": 0}

    def update(caller):
        step(np.ones(1))
        counts[caller] += 1

    for _ in range(4):
        update("main")
    before = signal.signal(signal.SIGALRM, lambda *_: update("handler"))
    signal.setitimer(signal.ITIMER_REAL, 1e-3, 3.1e-4)
    try:
        while counts["handler"] < 2000:
            update("main")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert w.item() == -sum(counts.values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a fork in a process with threads
def test_a_child_that_was_forked_in_the_middle_of_a_call_can_call_too():
    _, step, X, y = trained()
    stop = threading.Event()

    def work():
        while not stop.is_set():
            step(X, y)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                signal.alarm(20)  # which ends it where it hangs
                step._turn.acquire()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()


@pytest.mark.slow
def test_calls_of_several_threads_take_turns():
    """Of 400 updates by 4 threads, none is lost."""
    w = tg.Tensor([0.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)

    @tg.compile
    def step(x):
        loss = (w * x).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(4):
        step(np.ones(1))
    threads = [
        threading.Thread(target=lambda: [step(np.ones(1)) for _ in range(100)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert w.item() == -404
