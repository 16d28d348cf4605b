"""What belongs together is assigned together: interrupted anywhere, all or none of it has happened.

An interruption is raised at every single bytecode of the package in turn, by a trace function. That
is more than a signal can do, whose handler runs between some of them only.
"""

import gc
import os
import signal
import sys
import threading

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce.engine.commit import accumulate
from tinygrad_ce.engine.context import MODE

# The package, and what its compiler writes.
CODE = (os.path.dirname(tg.__file__), "<tinygrad_ce", "<string>")


class Interrupted(BaseException):
    """What Ctrl-C raises, under a name of its own."""


def interrupted_at(k, action):
    """Run an action; raise in front of its k-th bytecode in the package. Whether it got so far."""
    seen = 0

    def trace(frame, event, argument):
        nonlocal seen
        if not frame.f_code.co_filename.startswith(CODE):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            seen += 1
            if seen == k:
                sys.settrace(None)
                raise Interrupted
        return trace

    mode = MODE.get()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 looks at it when tracing begins
    sys.settrace(trace)
    try:
        action()
    except Interrupted:
        return True
    finally:
        sys.settrace(None)
        MODE.set(mode)
    return False


def training(kind, **options):
    """A model that has been trained for a step and has gradients, with its optimizer."""
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.BatchNorm1d(3), nn.Linear(3, 2, rng=1))
    optimizer = kind(model.parameters(), **options)
    for _ in range(2):
        loss = F.cross_entropy(model(np.ones((4, 2), np.float32)), [0, 1, 1, 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, optimizer


def changes(before, after):
    return [
        a is not b and not (type(a) is int and a == b) for a, b in zip(before, after, strict=True)
    ]


OPTIMIZERS = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    (optim.Adam, {}),
    (optim.AdamW, {}),
]


def each_interruption(action, before, after):
    """Interrupt an action at each of its bytecodes, and check that it has happened or has not."""
    stages = set()
    for k in range(1, 100_000):
        state = before()
        reached = interrupted_at(k, lambda state=state: action(state))
        changed = after(state)
        assert len(set(changed)) == 1, f"interrupted at bytecode {k}: {changed}"
        stages.add(changed[0])
        if not reached:
            assert changed[0]
            assert stages == {False, True}
            return
    raise AssertionError("it has no end")


@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
def test_an_interrupted_step_has_updated_all_parameters_with_their_state_or_none(kind, options):
    optimizer = training(kind, **options)[1]
    names = optimizer.per_parameter_state

    def bound():
        values = [p._value for p in optimizer.params]
        return values + [x for name in names for x in getattr(optimizer, name)]

    each_interruption(
        lambda before: optimizer.step(), bound, lambda before: changes(before, bound())
    )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS[1:3])
def test_an_interrupted_compiled_step_has_left_all_of_its_results_or_none(kind, options):
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.BatchNorm1d(3), nn.Linear(3, 2, rng=1))
    optimizer = kind(model.parameters(), **options)
    names = optimizer.per_parameter_state

    @tg.compile(verify=0)
    def step(x, y):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x, y = np.ones((4, 2), np.float32), np.array([0, 1, 1, 0])
    for _ in range(5):
        step(x, y)

    def bound():
        values = [t._value for _, t in model._named_tensors()]
        values += [p._grad for p in optimizer.params]
        return values + [entry for name in names for entry in getattr(optimizer, name)]

    each_interruption(lambda before: step(x, y), bound, lambda before: changes(before, bound()))


def test_an_interrupted_zero_grad_has_cleared_all_gradients_or_none():
    def before():
        return training(optim.SGD, lr=0.1)[1]

    each_interruption(
        lambda optimizer: optimizer.zero_grad(),
        before,
        lambda optimizer: [p.grad is None for p in optimizer.params],
    )


@pytest.mark.slow
def test_an_interrupted_load_state_dict_has_assigned_everything_or_nothing():
    model, _ = training(optim.SGD, lr=0.1)
    state = model.state_dict()

    def bound():
        return [t._value for _, t in model._named_tensors()]

    each_interruption(
        lambda before: model.load_state_dict(state),
        bound,
        lambda before: changes(before, bound()),
    )


def test_an_interrupted_backward_has_added_to_all_gradients_or_to_none():
    xs = [tg.Tensor([1.0, 2.0], requires_grad=True) for _ in range(4)]

    def prepared():
        for x in xs:
            x.grad = [10.0, 20.0]
        return (xs[0] * xs[1] + xs[2] * xs[3]).sum()

    each_interruption(
        lambda loss: loss.backward(),
        prepared,
        lambda loss: [x.grad.tolist() == [11.0, 22.0] for x in xs],
    )


@pytest.mark.slow
def test_an_interrupted_batch_norm_has_moved_both_averages_or_neither():
    layer = nn.BatchNorm1d(2)
    x = np.arange(6.0, dtype=np.float32).reshape(3, 2)

    def bound():
        return [layer.running_mean._value, layer.running_var._value]

    each_interruption(lambda before: layer(x), bound, lambda before: changes(before, bound()))


def test_interruptions_are_found_where_there_is_something_to_find():
    xs = [tg.Tensor(1.0, requires_grad=True) for _ in range(2)]

    def one_after_the_other(before):
        for x in xs:
            x.data = x.data + 1

    with pytest.raises(AssertionError, match="interrupted at bytecode"):
        each_interruption(
            one_after_the_other,
            lambda: [x._value for x in xs],
            lambda before: changes(before, [x._value for x in xs]),
        )


# ── What others do meanwhile ──────────────────────────────────────────────────────────────────────


def test_what_is_added_while_sums_are_computed_is_not_lost():
    x, y = tg.Tensor(1.0, requires_grad=True), tg.Tensor(1.0, requires_grad=True)
    x.grad, y.grad = 1.0, 2.0
    calls = []

    def add(a, b):
        calls.append(a)
        if len(calls) == 1:  # a handler of a signal, say, or another thread
            x.grad = x.grad + 100
        return a + b

    accumulate({x: np.float64(10), y: np.float64(20)}, add)
    assert (x.grad, y.grad) == (111, 22)
    assert calls == [1, 2, 101, 2]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends signals")
def test_a_signal_handler_may_call_backward_while_backward_runs():
    xs = [tg.Tensor(np.ones(3), requires_grad=True) for _ in range(40)]
    counts = {"handler": 0, "main": 0}
    busy = []

    def add_one():
        total = xs[0].sum()
        for x in xs[1:]:
            total = total + x.sum()
        total.backward()

    def handler(*_):
        if not busy:
            busy.append(True)
            add_one()
            counts["handler"] += 1
            busy.clear()

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-4, 7.3e-4)
        for _ in range(400):
            add_one()
            counts["main"] += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert counts["handler"] > 10
    for x in xs:
        assert x.grad.tolist() == [sum(counts.values())] * 3


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_is_forked_while_another_thread_accumulates_goes_on():
    x = tg.Tensor(np.ones(3), requires_grad=True)
    stop = threading.Event()

    def work():
        while not stop.is_set():
            (x * 2).sum().backward()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if not child:
                signal.alarm(10)  # ends a child that hangs
                (x * 3).sum().backward()
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        thread.join()


# ── Modes ─────────────────────────────────────────────────────────────────────────────────────────

SCOPED = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Tanh())
ROW = np.ones((1, 2), np.float32)


@tg.no_grad()
@tg.scope("decorated")
def decorated():
    return tg.Tensor(1.0) + 1


def with_blocks():
    with tg.no_grad(), tg.scope("outer"), tg.scope("inner"):
        tg.Tensor(1.0)


FORMS = {"with": with_blocks, "decorator": decorated, "module": lambda: SCOPED(ROW)}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends signals")
@pytest.mark.parametrize("form", FORMS)
def test_no_interruption_leaves_a_mode_on(form):
    work, mode = FORMS[form], MODE.get()
    rng = np.random.default_rng(0)
    interrupted = 0
    armed = []

    def handler(*_):
        if armed:
            raise Interrupted

    before = signal.signal(signal.SIGALRM, handler)
    gc.disable()  # what is raised in a callback of the collector is lost, and reported
    try:
        for seconds in rng.uniform(2e-5, 4e-4, 500):
            try:
                armed.append(True)
                signal.setitimer(signal.ITIMER_REAL, seconds, 0.01)
                while True:
                    work()
            except Interrupted:
                armed.clear()
                interrupted += 1
            assert MODE.get() is mode, f"left on after interruption {interrupted}"
    finally:
        gc.enable()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted == 500
