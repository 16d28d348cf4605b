"""Recording: what a step may do, and what is refused."""

import gc
import itertools

import numpy as np
import pytest
from bits import assert_same_bits
from compiler_helpers import X3, Training, assert_compiles

import tinygrad_ce as tg
from tinygrad_ce import optim
from tinygrad_ce.compiler import RecordingError

# ── What cannot be replayed ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: float(x.sum()),
        lambda x: x if x.sum() > 0 else -x,
        lambda x: np.asarray(x * 1),
        lambda x: x.data * 2,
        lambda x: x[: int(x[0])],
        lambda x: f"{x.sum():.2f}",
    ],
)
def test_reading_a_value_is_refused_and_says_what_to_do(read):
    with pytest.raises(RecordingError, match=r"return the tensor from the step.*np\.where"):
        tg.compile(read)(X3)


def test_random_numbers_and_counters_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(RecordingError, match="give such values as arguments"):
        tg.compile(lambda x: x * rng.normal(size=3))(X3)
    calls = itertools.count(1)
    with pytest.raises(RecordingError, match="recorded twice"):
        tg.compile(lambda x: x * next(calls))(X3)


def test_recording_changes_nothing_if_the_step_fails():
    training = Training("Adam")

    @tg.compile
    def step(X, y):
        training.step(X, y)
        raise KeyError("later")

    before = training.model.state_dict()
    with pytest.raises(KeyError):
        step(*training.batch(np.random.default_rng(9)))
    assert training.optimizer.t == [0] * 4
    assert training.gradients() == [None] * 4
    assert_same_bits(list(training.model.state_dict().values()), list(before.values()))


def test_a_replay_keeps_nothing_of_the_recording_alive():
    f = tg.compile(lambda x: (x.exp() * 2).sum())
    f(np.ones(1000))
    gc.collect()
    found = [t for t in gc.get_objects() if type(t) is tg.Tensor and t.shape == (1000,)]
    assert found == []


# ── Leaves and gradients inside of a step ─────────────────────────────────────────────────────────


def test_leaves_that_the_step_makes_can_be_read_copied_and_assigned():
    def f(x):
        table = tg.Tensor([1.0, 2.0, 3.0])
        first = table.data[0]
        copy = tg.Tensor(x, dtype=np.float32)
        table.data = x * 2
        return table * first, copy * 2

    assert_compiles(f, X3)


def test_an_array_cannot_be_assigned_while_a_step_is_recorded():
    w = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)

    def f(x):
        w.data = np.ones(3)
        return w * x

    with pytest.raises(RecordingError, match="assign a Tensor that the step has computed"):
        tg.compile(f)(X3)
    assert w.data.tolist() == [1, 2, 3]


def test_gradients_of_what_the_step_computes_can_be_kept_and_assigned():
    def make():
        w = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
        optimizer = optim.SGD([w], lr=0.1)

        def step(x):
            y = w * x
            y.retain_grad()
            assert y.grad is None
            (y * y).sum().backward()
            inner = tg.Tensor(y.grad)
            w.grad = [1.0, 1.0, 1.0]
            optimizer.step()
            return inner

        return w, step

    (v, eager), (w, step) = make(), make()
    compiled = tg.compile(step)
    for _ in range(3):
        assert_same_bits([compiled(X3)], [eager(tg.Tensor(X3))])
    assert_same_bits([w.data, w.grad], [v.data, v.grad])


def test_gradients_of_another_shape_are_refused_as_they_are_eagerly():
    w = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True, name="w")

    def assign(x):
        w.grad = x[:2]

    def start(x):
        (w * x).backward(x[:2])

    for f in (assign, start):
        for call in (f, tg.compile(f)):
            with pytest.raises(ValueError, match=r"shape \(3,\).*\(2,\)"):
                call(tg.Tensor(X3))
    assert w.grad is None
