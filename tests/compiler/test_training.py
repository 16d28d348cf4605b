"""Compiled training steps: each bit as in the eager step."""

import numpy as np
import pytest
from bits import assert_same_bits
from compiler_helpers import OPTIMIZERS, Training
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_1000_steps_end_in_the_bits_of_the_eager_ones(optimizer, dtype):
    eager, compiled = Training(optimizer, dtype=dtype), Training(optimizer, dtype=dtype)
    step = tg.compile(compiled.step)
    rng = np.random.default_rng(1)
    for i in range(1000):
        X, y = eager.batch(rng)
        if i == 300:
            eager.optimizer.lr = compiled.optimizer.lr = 0.05
        assert_same_bits(step(X, y), eager.step(X, y))
    assert_same_bits(compiled.state(), eager.state())
    assert_same_bits(compiled.gradients(), eager.gradients())


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_shapes_that_change_from_step_to_step(activation):
    eager, compiled = (Training("momentum", (5, 7, 6, 4), activation) for _ in range(2))
    step = tg.compile(compiled.step)
    rng = np.random.default_rng(2)
    for n in (8, 3, 8, 1, 3, 9):
        X, y = eager.batch(rng, n)
        assert_same_bits(step(X, y), eager.step(X, y))
    assert_same_bits(compiled.state(), eager.state())


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=4),
    st.integers(1, 9),
    st.sampled_from(list(OPTIMIZERS)),
    st.sampled_from([np.float32, np.float64]),
)
def test_models_of_any_shape(sizes, n, optimizer, dtype):
    eager, compiled = (Training(optimizer, tuple(sizes), dtype=dtype) for _ in range(2))
    step = tg.compile(compiled.step)
    rng = np.random.default_rng(n)
    for _ in range(3):
        X, y = eager.batch(rng, n)
        assert_same_bits(step(X, y), eager.step(X, y))
    assert_same_bits(compiled.state(), eager.state())


def test_loaded_weights_take_effect_in_any_memory_order():
    eager, compiled = Training("Adam"), Training("Adam")
    step = tg.compile(compiled.step)
    rng = np.random.default_rng(3)
    for i in range(6):
        X, y = eager.batch(rng)
        if i == 3:
            start = {
                k: np.asfortranarray(v) for k, v in Training("Adam").model.state_dict().items()
            }
            eager.model.load_state_dict(start)
            compiled.model.load_state_dict(start)
        if i == 4:
            for training in (eager, compiled):
                training.optimizer.betas = (0.8, 0.99)
        assert_same_bits(step(X, y), eager.step(X, y))
    assert_same_bits(compiled.state(), eager.state())


@pytest.mark.parametrize("lr", [np.float64(0.05), np.float32(0.05), 1])
def test_a_learning_rate_of_another_type_counts_as_it_does_eagerly(lr):
    eager, compiled = Training("SGD"), Training("SGD")
    step = tg.compile(compiled.step)
    X, y = eager.batch(np.random.default_rng(5))
    for rate in (0.1, lr, 0.1):
        eager.optimizer.lr = compiled.optimizer.lr = rate
        assert_same_bits(step(X, y), eager.step(X, y))
        assert_same_bits(compiled.state(), eager.state())


def test_counts_that_are_equal_are_read_once_and_may_part():
    def make():
        training = Training("Adam", (4, 5, 3))
        first, last = training.model.parameters()[:2], training.model.parameters()[2:]

        def step(X, y, which):
            logits = training.model(X)
            if which == "first":  # the others have no gradient, and are not updated
                logits = (first[0].sum() + first[1].sum()) * tg.Tensor(logits.detach())
            elif which == "last":
                logits = (last[0].sum() + last[1].sum()) * tg.Tensor(logits.detach())
            loss = F.cross_entropy(logits, y)
            training.optimizer.zero_grad()
            loss.backward()
            training.optimizer.step()
            return loss

        return training, step

    (eager, eager_step), (compiled, compiled_step) = make(), make()
    step = tg.compile(compiled_step)
    X, y = eager.batch(np.random.default_rng(4))
    for i, which in enumerate(["all", "all", "first", "all", "last", "all", "all", "first"]):
        assert_same_bits(step(X, y, which), eager_step(X, y, which))
        assert_same_bits(compiled.state(), eager.state())
        assert compiled.optimizer.t == eager.optimizer.t
        if i == 1:
            assert "    total = t + 1\n" in step.source
            assert step.source.count("** total") == 2
    compiled.optimizer.t = [9, 9, 9, 5]
    eager.optimizer.t = [9, 9, 9, 5]
    assert_same_bits(step(X, y, "all"), eager_step(X, y, "all"))
    assert compiled.optimizer.t == [10, 10, 10, 6]
    assert_same_bits(compiled.state(), eager.state())


def test_inputs_of_any_memory_order():
    eager, compiled = Training(), Training()
    step = tg.compile(compiled.step)
    X, y = eager.batch(np.random.default_rng(4))
    wide = np.repeat(X, 2, axis=1)
    for given_X in (
        X,
        np.asfortranarray(X),
        wide[:, ::2],
        X[::-1],
        tg.Tensor(np.asfortranarray(X)),
    ):
        for given_y in (y, np.repeat(y, 2)[::2], y.astype(np.uint8)):
            assert_same_bits(step(given_X, given_y), eager.step(given_X, given_y))
    assert_same_bits(compiled.state(), eager.state())


def test_gradients_accumulate_over_calls_as_they_do_eagerly():
    def make():
        w = tg.Tensor([1.0, 2.0], requires_grad=True)

        def step(x):
            (w * x).sum().backward()

        return w, step

    (v, eager), (w, step) = make(), make()
    compiled = tg.compile(step)
    for x in (np.array([1.0, 2.0]), np.array([0.5, 3.0])):
        eager(x)
        compiled(x)
        assert_same_bits(w.grad, v.grad)
    w.grad = v.grad = None
    eager(x)
    compiled(x)
    assert_same_bits(w.grad, v.grad)


def test_gradients_can_be_clipped_inside():
    def make():
        w = tg.Tensor([1.0, 2.0], requires_grad=True)
        optimizer = optim.SGD([w], lr=0.1)

        def step(x):
            optimizer.zero_grad()
            (w * w * x).sum().backward()
            w.grad = w.grad * np.minimum(1, 1 / np.linalg.norm(w.grad))
            optimizer.step()
            return np.linalg.norm(w.grad)

        return w, step

    w, step = make()
    norm = tg.compile(step)(np.array([3.0, 4.0]))
    assert norm.item() == pytest.approx(1)
    g = np.array([6.0, 16.0])
    np.testing.assert_allclose(w.data, [1, 2] - 0.1 * g / np.linalg.norm(g))


def test_several_steps_in_one_call():
    eager, compiled = Training("momentum"), Training("momentum")

    def three(training):
        def run(X, y):
            return [training.step(X, y) for _ in range(3)]

        return run

    both = tg.compile(three(compiled)), three(eager)
    X, y = eager.batch(np.random.default_rng(5))
    for _ in range(3):
        assert_same_bits(*(f(X, y) for f in both))
    assert_same_bits(compiled.state(), eager.state())


@pytest.mark.slow
def test_batch_normalisation_and_embedding_in_training_and_evaluation():
    def make():
        model = nn.Sequential(
            nn.Embedding(27, 4, rng=0), Flat(), nn.Linear(12, 8, rng=1), nn.BatchNorm1d(8),
            nn.Tanh(), nn.Linear(8, 27, rng=2),
        )  # fmt: skip
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(X, y):
            loss = F.cross_entropy(model(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return model, step

    (a, eager), (b, step) = make(), make()
    compiled = tg.compile(step)
    predict = tg.compile(b)
    rng = np.random.default_rng(6)
    for _ in range(1000):
        X, y = rng.integers(0, 27, (16, 3)), rng.integers(0, 27, 16)
        assert_same_bits(compiled(X, y), eager(X, y))
    assert_same_bits(list(b.state_dict().values()), list(a.state_dict().values()))
    a.eval(), b.eval()
    assert_same_bits(predict(X), a(X))
    a.train(), b.train()
    assert_same_bits(predict(X), a(X))


class Flat(nn.Module):
    def forward(self, x):
        return x.reshape(x.shape[0], -1)


def test_a_refused_label_leaves_everything_as_it_was():
    training = Training("Adam")
    step = tg.compile(training.step)
    X, y = training.batch(np.random.default_rng(8))
    step(X, y)
    before = [a.copy() for a in training.state()[0]]
    for bad in (3, -1):
        wrong = y.copy()
        wrong[5] = bad
        with pytest.raises(
            IndexError, match=f"target {bad} at row 5 is out of range for 3 classes"
        ):
            step(X, wrong)
    assert training.optimizer.t == [1] * 4
    assert_same_bits(training.state()[0], before)


def test_a_parameter_that_is_frozen_stays_as_it_is():
    eager, compiled = Training(), Training()
    step = tg.compile(compiled.step)
    rng = np.random.default_rng(14)
    for frozen in (False, True, False):
        for training in (eager, compiled):
            training.optimizer.params[0].requires_grad = not frozen
        X, y = eager.batch(rng)
        assert_same_bits(step(X, y), eager.step(X, y))
    assert_same_bits(compiled.state(), eager.state())


def test_parameters_without_axes_that_are_assigned_outside():
    w = tg.Tensor(2.0, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)

    @tg.compile
    def step(x):
        optimizer.zero_grad()
        (w * w * x).sum().backward()
        optimizer.step()
        return w * 1

    one = np.ones(1)
    assert step(one).item() == step(one).item() == 0
    w.data = 3.0
    assert step(one).item() == 0
    assert sum(map(len, step._found.values())) == 1
