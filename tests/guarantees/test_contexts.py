"""Modes: every context manager of the package, in every form, leaves the mode as it found it."""

import asyncio
import gc
import importlib
import pkgutil
import signal
import threading
from collections import namedtuple
from collections.abc import Callable
from inspect import isabstract
from typing import NamedTuple

import numpy as np
import pytest
from attacks import V, X, Y, in_threads
from bits import assert_same_bits

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce.compiler import RecordingError
from tinygrad_ce.draw.source_lines import (
    assigned_names,
    line_of,
    remember_lines,
    remember_variables,
)
from tinygrad_ce.engine.context import (
    MODE,
    Mode,
    ModeContext,
    enable_grad,
    observing,
    recording_with,
    transforming,
)
from tinygrad_ce.engine.hooks import Observer, Recorder
from tinygrad_ce.symbolic import recording

T = tg.Tensor


class Seen(Observer):
    """Keeps what it sees."""

    def __init__(self):
        self.forward_calls = []
        self.backward_calls = []

    def forward(self, node, primitive, arguments):
        self.forward_calls.append((node.index, primitive.name, len(arguments)))

    def backward(self, node, place, gradient, contribution):
        self.backward_calls.append((node.index, place, np.shape(contribution)))


OBSERVER = Seen()
RECORDER = Recorder()


def x():
    return T([0.5, 1.0], requires_grad=True)


def notes_a_variable():
    doubled = x() * 2
    return [*assigned_names([doubled]).values()] == ["doubled"]


def finds_nan():
    zero = T(0.0)
    with pytest.raises(FloatingPointError, match="out of finite numbers"):
        zero / 0
    return True


def is_observed():
    n = len(OBSERVER.forward_calls)
    x() * 2
    return len(OBSERVER.forward_calls) > n


class Context(NamedTuple):
    """How to make one, whether it holds, and the field of the mode of which there is one."""

    make: Callable[[], ModeContext]
    holds: Callable[[], bool]
    field: str


CONTEXTS = {
    tg.no_grad: Context(tg.no_grad, lambda: not (x() * 2).requires_grad, "grad"),
    enable_grad: Context(enable_grad, lambda: (x() * 2).requires_grad, "grad"),
    transforming: Context(transforming, lambda: MODE.get().transformed, "transformed"),
    tg.scope: Context(
        lambda: tg.scope("s"), lambda: "s" in getattr((x() * 2).scope, "path", ""), "scope"
    ),
    tg.detect_nan: Context(tg.detect_nan, finds_nan, "observers"),
    remember_lines: Context(remember_lines, lambda: line_of(x() * 2) != "", "observers"),
    remember_variables: Context(remember_variables, notes_a_variable, "observers"),
    observing: Context(lambda: observing(OBSERVER), is_observed, "observers"),
    recording_with: Context(
        lambda: recording_with(RECORDER), lambda: MODE.get().recorder is RECORDER, "recorder"
    ),
    recording: Context(recording, lambda: (x() > 0).primitive is not None, "recorder"),
}
EVERY = pytest.mark.parametrize(
    "context", CONTEXTS.values(), ids=lambda c: c.make().__class__.__name__
)


def in_with_block(make, action):
    with make():
        return action()


def in_function(make, action):
    @make()
    def decorated():
        return action()

    return decorated()


FORMS = pytest.mark.parametrize("form", [in_with_block, in_function])


def test_every_context_manager_of_the_package_is_listed():
    for module in pkgutil.walk_packages(tg.__path__, "tinygrad_ce."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, todo = set(), [ModeContext]
    while todo:
        for subclass in todo.pop().__subclasses__():
            todo.append(subclass)
            if subclass.__module__.startswith("tinygrad_ce.") and not isabstract(subclass):
                found.add(subclass)
    assert found == set(CONTEXTS)


@EVERY
@FORMS
def test_it_holds_inside_and_is_left(context, form):
    before = MODE.get()
    assert form(context.make, context.holds)
    assert MODE.get() is before


@EVERY
@FORMS
@pytest.mark.parametrize("other", CONTEXTS.values(), ids=lambda c: c.make().__class__.__name__)
def test_it_holds_inside_of_every_other_one_and_around_it(context, form, other):
    """Both hold, and the inner one alone where both change the same thing."""

    def inside():
        assert context.holds()
        assert other.holds() or context.field == other.field in ("grad", "recorder")

    def between():
        assert other.holds()
        between_mode = MODE.get()
        form(context.make, inside)
        assert MODE.get() is between_mode
        assert other.holds()

    before = MODE.get()
    form(other.make, between)
    assert MODE.get() is before


def raised():
    raise ValueError("stop")


def interrupted():
    raise KeyboardInterrupt


def interrupted_by_a_signal():
    signal.raise_signal(signal.SIGINT)


def interrupted_in_the_midst():
    # Nothing is freed or collected meanwhile: an exception in a finalizer would be lost.
    kept, fired = [], []
    gc.disable()

    def stop(number, frame):
        fired.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-3)
        while not fired:
            kept.append(x() * 2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    raise KeyboardInterrupt


EXITS = [raised, interrupted, interrupted_by_a_signal]
if hasattr(signal, "setitimer"):
    EXITS.append(interrupted_in_the_midst)


@EVERY
@FORMS
@pytest.mark.parametrize("leave", EXITS)
def test_an_exception_or_an_interruption_leaves_it(context, form, leave):
    before = MODE.get()
    with pytest.raises((ValueError, KeyboardInterrupt)):
        form(context.make, leave)
    assert MODE.get() is before
    with tg.scope("around"), tg.no_grad():
        around = MODE.get()
        with pytest.raises((ValueError, KeyboardInterrupt)):
            form(context.make, leave)
        assert MODE.get() is around
    assert MODE.get() is before


@EVERY
@FORMS
def test_threads_do_not_see_it_and_enter_it_by_themselves(context, form):
    def other_thread():
        modes = []
        thread = threading.Thread(target=lambda: modes.append(MODE.get()))
        thread.start()
        thread.join()
        return modes

    (outside,) = form(context.make, other_thread)
    assert outside.parent is None
    shared = context.make()

    def enter():
        for _ in range(20):
            assert form(context.make, context.holds)
            assert form(lambda: shared, context.holds)
            assert MODE.get().parent is None

    assert in_threads([enter] * 4) == [None] * 4


@EVERY
def test_one_object_can_be_entered_again_while_it_is_entered(context):
    before, one = MODE.get(), context.make()
    with one:
        inner = MODE.get()
        with one:
            assert context.holds()
        assert MODE.get() is inner
        assert one(context.holds)()
        assert MODE.get() is inner
    assert MODE.get() is before


@EVERY
def test_a_generator_or_a_coroutine_is_refused_by_the_decorator(context):
    def generator():
        yield

    async def coroutine():
        await asyncio.sleep(0)

    async def stream():
        yield

    for function in (generator, coroutine, stream):
        with pytest.raises(TypeError, match="with block"):
            context.make()(function)


# ── Inside a compiled step ────────────────────────────────────────────────────────────────────────


class Doubles(nn.Module):
    """Doubles in training."""

    def forward(self, x):
        return x * 2 if self.training else x


def computes(p, a, model):
    return (p * a).tanh().sum()


def differentiates(p, a, model):
    with enable_grad():
        (g,) = tg.gradients((p * p * a).sum(), [p])
    return T(g) * 1


def trains(p, a, model):
    sgd = optim.SGD([p], lr=0.1)
    loss = (p * a).sum()
    sgd.zero_grad()
    loss.backward()
    sgd.step()
    return loss


def reads(p, a, model):
    return p * float((p * a).sum().item())


def uses_a_module(p, a, model):
    return model(p * a)


def checks_labels(p, a, model):
    return F.cross_entropy(p, (a > 3).sum().astype(int))


BODIES = [computes, differentiates, trains, reads, uses_a_module, checks_labels]


@EVERY
@FORMS
@pytest.mark.parametrize("body", BODIES)
def test_a_compiled_step_follows_its_arguments_or_is_refused(context, form, body):
    """What the step refuses by itself is refused in a compiled step too."""

    def results(compiled):
        p = T([1.0, 2.0], requires_grad=True)
        model = Doubles()

        def step(a):
            return form(context.make, lambda: body(p, a, model))

        run, found = tg.compile(step) if compiled else step, []
        for a, training in ((V, True), (2 * V, False), (3 * V, False)):
            model.train(training)
            try:
                found.append((run(a).data.tolist(), p.data.tolist()))
            except (RuntimeError, IndexError) as error:
                found.append(type(error))
        return found

    before = MODE.get()
    expected = results(compiled=False)
    for got, wanted in zip(results(compiled=True), expected, strict=True):
        assert got == wanted or got is RecordingError
    assert MODE.get() is before


# ── Who only looks on changes nothing ─────────────────────────────────────────────────────────────


def training():
    """Losses, parameters and gradients of a few steps that take all the ways there are."""
    model = nn.Sequential(
        nn.Linear(4, 6, rng=0, dtype=float),
        nn.BatchNorm1d(6, dtype=float),
        nn.Tanh(),
        nn.Dropout(0.2, rng=1),
        nn.Linear(6, 3, rng=2, dtype=float),
    )
    adam = optim.Adam(model.parameters(), lr=0.1, weight_decay=0.01)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(3):
        noise = tg.sample(rng.normal, size=X.shape)
        loss = F.cross_entropy(model(X + 0.1 * noise), Y, label_smoothing=0.1)
        adam.zero_grad()
        loss.backward(retain_graph=True)
        loss.backward()
        adam.step()
        found += [loss.item(), *(p.grad for p in model.parameters())]
    found += list(model.state_dict().values())
    found.append(tg.hessian(lambda z: F.cross_entropy(z, 1))(V).data)
    found.append(tg.jvp(lambda z: z.exp() * z, [V], [V])[1].data)
    return found


@pytest.mark.parametrize(
    "make", [lambda: observing(Observer()), lambda: recording_with(Recorder())]
)
def test_a_passive_observer_or_recorder_changes_no_bit_of_a_training(make):
    expected = training()
    with make():
        assert_same_bits(training(), expected)


def test_gradients_are_tensors_under_a_recorder_and_the_same():
    w = x()
    (expected,) = tg.gradients((w * w).sum(), [w])
    with recording_with(Recorder()):
        (g,) = tg.gradients((w * w).sum(), [w])
    assert isinstance(expected, np.ndarray)
    assert isinstance(g, T)
    assert_same_bits(g, expected)


def test_each_of_several_observers_sees_everything():
    def compute():
        w = x()
        ((w * w).sum() * w).sum().backward()
        tg.jacobian(lambda z: tg.where(z > 1, z, z * z))(V)

    alone, first, second = Seen(), Seen(), Seen()
    with observing(alone):
        compute()
    with observing(first), tg.scope("between"), observing(second), tg.detect_nan():
        compute()

    def told(seen):
        return [c[1:] for c in seen.forward_calls], [c[1:] for c in seen.backward_calls]

    assert first.forward_calls == second.forward_calls
    assert first.backward_calls == second.backward_calls
    assert told(first) == told(alone)
    assert {place for _, place, _ in alone.backward_calls} == {0, 1, 2}


def test_an_observer_sees_a_contribution_before_it_is_summed_and_cast():
    seen = Seen()
    w = T(np.float32([1.0]), requires_grad=True)
    with observing(seen):
        y = (w * np.ones((3, 2))).sum()
        y.backward()
    assert [(place, shape) for _, place, shape in seen.backward_calls] == [(0, (3, 2)), (0, (3, 2))]
    assert (w.grad.shape, w.grad.dtype) == ((1,), np.float32)


# ── The mode itself ───────────────────────────────────────────────────────────────────────────────


class Wider(namedtuple("Wider", (*Mode._fields, "further"))):
    """A mode with one more field."""

    derive = Mode.derive


@EVERY
def test_derive_carries_every_field_on_a_further_one_too(context):
    filled = {"grad": False, "scope": tg.engine.graph.Scope("s", None), "observers": (Seen(),)}
    outer = Wider(**filled, recorder=Recorder(), parent=Mode(), transformed=False, further=7)
    token = MODE.set(outer)
    try:
        with context.make():
            inner = MODE.get()
            assert (type(inner), inner.further) == (Wider, 7)
            assert inner.parent is outer
            for field in Wider._fields:
                if field not in (context.field, "parent"):
                    assert getattr(inner, field) is getattr(outer, field)
        assert MODE.get() is outer
    finally:
        MODE.reset(token)


def test_a_mode_cannot_be_changed():
    with pytest.raises(AttributeError):
        MODE.get().grad = False
    with pytest.raises(AttributeError):
        MODE.get().derive().grad = False


def test_a_context_manager_that_does_not_say_what_it_changes_cannot_be_made():
    class Nothing(ModeContext):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Nothing()
    with pytest.raises(TypeError, match="abstract"):
        ModeContext()


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
