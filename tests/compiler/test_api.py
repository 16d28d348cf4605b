"""The compiler: each bit as in the eager step, and a source that stands on its own."""

import gc
import importlib.util
import inspect
import linecache
import subprocess
import sys
import traceback
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from bits import assert_same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce.compiler import RecordingError, memory, passes, row_blocks
from tinygrad_ce.compiler.ir import Op, lower
from tinygrad_ce.compiler.recorder import record
from tinygrad_ce.engine import primitives as p
from tinygrad_ce.engine.kernels import ARRAY_SLOT

X3 = np.array([1.0, 2.0, 3.0])


def cases_of_primitives():
    """The functions and arguments by which tests/test_primitives.py covers the whole table."""
    path = Path(__file__).parents[1] / "engine/test_primitives.py"
    spec = importlib.util.spec_from_file_location("cases_of_primitives", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CASES


# ── Each primitive ────────────────────────────────────────────────────────────────────────────────

CASES = cases_of_primitives()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("f", "arguments"), CASES)
def test_value_and_gradient_of_each_primitive_have_the_bits_of_the_eager_ones(f, arguments, dtype):
    arguments = [np.asarray(a, dtype) for a in arguments]
    argnums = tuple(range(len(arguments)))

    def loss_and_gradient(*tensors):
        y = f(*tensors)
        return y, tg.grad(lambda *t: (f(*t) * f(*t)).sum(), argnums)(*tensors)

    compiled = tg.compile(loss_and_gradient)
    for change in (0, 0.25):
        moved = [a + dtype(change) for a in arguments]
        assert_same_bits(compiled(*moved), loss_and_gradient(*map(tg.Tensor, moved)))


@pytest.mark.parametrize(("f", "arguments"), CASES)
def test_second_derivatives_of_each_primitive_have_the_bits_of_the_eager_ones(f, arguments):
    def hessian(*tensors):
        return tg.hessian(lambda x: (f(x, *tensors[1:]) ** 2).sum())(tensors[0])

    assert_same_bits(tg.compile(hessian)(*arguments), hessian(*map(tg.Tensor, arguments)))


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: (a < b) | (a >= b) & ~(a != b),
        lambda a, b: np.isfinite(a / b) | np.isnan(a / b),
        lambda a, b: np.sign(a - b),
        lambda a, b: (a - b).argmax(),
        lambda a, b: (a - b).argmin(0, keepdims=True),
        lambda a, b: np.argsort(a - b),
        lambda a, b: F.softmax(a) + F.log_softmax(b) + F.logsumexp(a),
        lambda a, b: F.gelu(a) * b.detach(),
    ],
)
def test_what_has_no_derivative_is_computed_anew_at_each_call(f):
    a, b = np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 1.0])
    compiled = tg.compile(f)
    for x, y in ((a, b), (b, a), (-a, b)):
        assert_same_bits(compiled(x, y), f(tg.Tensor(x), tg.Tensor(y)))


# ── Training ──────────────────────────────────────────────────────────────────────────────────────

OPTIMIZERS = {
    "SGD": lambda params: optim.SGD(params, lr=0.1),
    "momentum": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "Adam": lambda params: optim.Adam(params, lr=0.01),
    "AdamW": lambda params: optim.AdamW(params, lr=0.01),
}


class Training:
    """A model, its optimizer and a step, to be run eagerly or compiled."""

    def __init__(self, optimizer="SGD", sizes=(4, 16, 3), activation="tanh", dtype=np.float32):
        self.sizes, self.dtype = sizes, dtype
        self.model = nn.MLP(sizes, activation, rng=0, dtype=dtype)
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())

    def step(self, X, y):
        loss = F.cross_entropy(self.model(X), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def batch(self, rng, n=32):
        X = rng.normal(size=(n, self.sizes[0])).astype(self.dtype)
        return X, rng.integers(0, self.sizes[-1], n)

    def state(self):
        slots = [getattr(self.optimizer, name) for name in self.optimizer.slots]
        return [p.data for p in self.model.parameters()], slots

    def gradients(self):
        return [p.grad for p in self.model.parameters()]


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


@pytest.mark.parametrize("lr", [np.float64(0.05), np.float32(0.05), 1, True])
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


# ── What stays as it is ───────────────────────────────────────────────────────────────────────────


def test_what_was_handed_out_does_not_change():
    training = Training("Adam", (64, 300, 10))
    step = tg.compile(training.step)
    X, y = training.batch(np.random.default_rng(7), 256)
    first = step(X, y)
    held = [first.data, *training.state()[0], *training.gradients()]
    copies = [a.copy() for a in held]
    for _ in range(3):
        step(X, y)
    assert_same_bits(held, copies)


def test_results_do_not_share_memory_with_arguments():
    X = np.ones((2, 3))
    got = tg.compile(lambda x: (x.T, x, x.reshape(-1)))(X)
    for t in got:
        assert not np.shares_memory(t.data, X)
    X[:] = 5
    assert got[0].data.max() == 1


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


def test_a_replay_keeps_nothing_of_the_recording_alive():
    f = tg.compile(lambda x: (x.exp() * 2).sum())
    f(np.ones(1000))
    gc.collect()
    found = [t for t in gc.get_objects() if type(t) is tg.Tensor and t.shape == (1000,)]
    assert found == []


def peak_of(f):
    """The most memory in use at a time while f runs."""
    tracemalloc.start()
    try:
        f()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_first_call_needs_no_more_memory_than_the_eager_step():
    eager, compiled = (Training(sizes=(8, 2000)) for _ in range(2))
    X, y = eager.batch(np.random.default_rng(19), 500)
    step = tg.compile(compiled.step)
    before = peak_of(lambda: eager.step(X, y))
    assert before > 3 * 500 * 2000 * X.itemsize  # of several arrays as large as the logits
    assert peak_of(lambda: step(X, y)) < 1.2 * before


def test_an_array_that_is_the_gradient_of_thousands_knows_them_all():
    w = tg.Tensor(np.ones(3), True, name="w")

    def f(x):
        s = x
        for _ in range(5000):
            s = s + w
        return s, tg.gradients((s * x).sum(), [w])[0]

    recording = record(f, [x := tg.Tensor(X3)], (x,), {})
    program = passes.simplify(lower(recording, [*recording.result], lambda leaf: False))
    (g,) = (op for op in program.ops if len(op.gradient_of) > 1)
    assert len(g.gradient_of) == 5000


# ── Cross-entropy ─────────────────────────────────────────────────────────────────────────────────

RNG = np.random.default_rng(15)
LOGITS, LABELS = RNG.normal(size=(6, 4)), np.array([0, 3, 1, 1, 2, 0])
LOGITS[0] = -np.inf, 0.0, -0.0, -1.0
SOFT = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
WEIGHT = np.array([1.0, 0.5, 2.0, 0.0])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize(
    ("target", "options"),
    [
        (LABELS, {}),
        (LABELS, {"reduction": "sum"}),
        (LABELS, {"reduction": "none"}),
        (LABELS, {"weight": WEIGHT}),
        (LABELS, {"label_smoothing": 0.1}),
        (LABELS, {"ignore_index": 1}),
        (LABELS, {"ignore_index": 0, "weight": WEIGHT, "label_smoothing": 0.2}),
        (SOFT, {}),
        (SOFT, {"weight": WEIGHT, "label_smoothing": 0.1, "check_targets": True}),
    ],
)
def test_every_option_of_cross_entropy(target, options, dtype):
    def both(z, y):
        loss = tg.vjp(lambda z: F.cross_entropy(z, y, **options), z)
        return loss[0], loss[1](np.ones(loss[0].shape))

    compiled = tg.compile(both)
    z = LOGITS.astype(dtype)
    for logits in (z, z[::-1].copy(), np.zeros_like(z)):
        assert_same_bits(compiled(logits, target), both(tg.Tensor(logits), tg.Tensor(target)))


def test_other_forms_of_cross_entropy_and_class_axes():
    def losses(z, y):
        forms = F.naive_cross_entropy, F.shifted_cross_entropy, F.margin_cross_entropy
        return [tg.value_and_grad(lambda z, f=f: f(z, y).sum())(z) for f in forms]

    z = LOGITS[1:]
    got, expected = tg.compile(losses)(z, LABELS[1:]), losses(tg.Tensor(z), LABELS[1:])
    assert_same_bits(got, expected)
    images = np.random.default_rng(16).normal(size=(2, 3, 4, 5))
    labels = np.random.default_rng(16).integers(0, 3, (2, 4, 5))

    def segmentation(z, y):
        return tg.value_and_grad(lambda z: F.cross_entropy(z, y, axis=1))(z)

    assert_same_bits(tg.compile(segmentation)(images, labels), segmentation(images, labels))


def test_a_matrix_times_its_transpose_is_left_what_it_was():
    a = np.random.default_rng(17).normal(size=(40, 60))

    def product(x):
        e = x.tanh()
        return x.exp() @ x.exp().T, e @ e.T

    compiled = tg.compile(product)
    assert_same_bits(compiled(a), product(tg.Tensor(a)))
    assert "np.copy(" in compiled.source  # also where BLAS rounds both alike


@pytest.mark.parametrize(
    "f",
    [
        lambda c, x: (x.T * c).sum(0),
        lambda c, x: (x.T * c.exp()).sum(0),
        lambda c, x: np.where(c > 0, c, x.T).sum(0),
        lambda c, x: (x.T * tg.Tensor(np.arange(64.0).reshape(8, 8)).T.cos()).sum(0),
    ],
)
def test_constants_keep_the_order_of_their_axes(f):
    values = np.random.default_rng(18).normal(size=(2, 8, 8)).astype(np.float32)
    c, x = tg.Tensor(np.asfortranarray(values[0])), values[1]
    assert_same_bits(tg.compile(lambda x: f(c, x))(x), f(c, tg.Tensor(x)))


# ── Plain functions ───────────────────────────────────────────────────────────────────────────────


def test_results_keep_their_structure_and_plain_values():
    f = tg.compile(lambda x, n: {"sum": x.sum(), "n": n, "all": [x * n, (x, None)]})
    got = f(np.array([1.0, 2.0]), 3)
    assert got["n"] == 3
    assert got["sum"].item() == 3
    assert got["all"][0].data.tolist() == [3, 6]
    assert got["all"][1][1] is None


def test_plain_arguments_keywords_and_containers_belong_to_the_key():
    f = tg.compile(
        lambda pair, *, scale=1, flag=False: pair[0] * scale - pair[1]["b"] if flag else 0
    )
    a, b = np.array([1.0, 2.0]), np.array([5.0, 5.0])
    assert f((a, {"b": b}), flag=True).data.tolist() == [-4, -3]
    assert f((a, {"b": b}), scale=2, flag=True).data.tolist() == [-3, -1]
    assert f((b, {"b": a}), scale=2, flag=True).data.tolist() == [9, 8]
    assert f((a, {"b": b})) == 0


def test_a_constant_outside_that_is_assigned_is_seen():
    mask = tg.Tensor([1.0, 0.0])
    f = tg.compile(lambda x: x * mask)
    x = np.array([2.0, 3.0])
    for values in ([1.0, 0.0], [0.0, 1.0], [2.0, 2.0], [3.0, 1.0]):
        mask.data = np.array(values)
        assert f(x).data.tolist() == (x * values).tolist()
    assert sum(map(len, f._found.values())) == 2


def test_the_number_of_recordings_is_bounded():
    f = tg.compile(lambda x, n: x * n)
    x = np.ones(2)
    for n in range(100):
        assert f(x, n).data.tolist() == [n, n]
    assert len(f._found) == 64
    optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=0.1)
    g = tg.compile(optimizer.step)
    for optimizer.momentum in np.linspace(0.1, 0.9, 20).tolist():
        g()
    assert [len(alike) for alike in g._found.values()] == [8]


def test_plain_floats_are_told_apart_bit_by_bit():
    f = tg.compile(lambda x, a: x * a)
    assert np.signbit(f(np.ones(1), -0.0).data[0])
    assert not np.signbit(f(np.ones(1), 0.0).data[0])
    for _ in range(3):
        assert np.isnan(f(np.ones(1), float("nan")).item())
    assert len(f._found) == 3


def test_as_a_method_and_inside_of_another():
    class Doubler:
        factor = 2

        @tg.compile
        def run(self, x):
            return x * self.factor

    outer = tg.compile(lambda x: Doubler.run(doubler, x) + 1)
    doubler = Doubler()
    assert doubler.run(np.ones(2)).data.tolist() == [2, 2]
    assert outer(np.ones(2)).data.tolist() == [3, 3]


def test_no_grad_and_detect_nan_are_respected():
    f = tg.compile(lambda x: x.log())
    with tg.no_grad():
        assert f(np.ones(2)).data.tolist() == [0, 0]
    with tg.detect_nan(), pytest.raises(FloatingPointError):
        f(np.array([1.0, 0.0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_tall_matrices_have_the_bits_of_the_reduction(dtype):
    rng = np.random.default_rng(0)
    for n in (99, 100, 257, 1000):
        for m in (1, 2, 3, 7, 8, 10, 32, 33):
            x = (rng.normal(size=(n, m)) * 10.0 ** rng.integers(-3, 4, (n, m))).astype(dtype)
            f = tg.compile(lambda x: [x.sum(0), x.sum(0, keepdims=True), x.T.sum(0)])
            assert_same_bits(f(x), [x.sum(0), x.sum(0, keepdims=True), x.T.sum(0)])
            assert ("np.einsum" in f.source) == (n >= 100 and 2 <= m <= 32)


def test_a_large_argument_that_may_be_read_only_is_not_searched_by_argmax():
    f = tg.compile(F.logsumexp)
    for n in (10, 600):
        z = np.random.default_rng(0).normal(size=(n, 600))
        assert_same_bits([f(z)], [F.logsumexp(z)])
        assert ("argmax" in f.source) == (n == 10)
        z.setflags(write=False)
        assert_same_bits([f(z)], [F.logsumexp(z)])


def test_a_batch_without_rows():
    f = tg.compile(lambda z, y: F.cross_entropy(z, y, reduction="sum"))
    z, y = np.zeros((0, 3)), np.zeros(0, int)
    assert_same_bits([f(z, y)], [F.cross_entropy(z, y, reduction="sum")])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[::-1].mean(),
        lambda x: x[::-1].sum(),
        lambda x: (x[::-1][::-1] * 2).mean(),
        lambda x: x[np.array([2, 0, 0])].mean(),
        lambda x: (x[::-1] + x[1:].sum()).mean(),
    ],
)
def test_what_is_put_at_places_has_another_name_than_the_result(f):
    gradient = tg.grad(f)
    assert_same_bits([tg.compile(gradient)(X3)], [gradient(X3)])


# ── In other last digits ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fast_differs_in_last_digits_only(dtype):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 6)).astype(dtype), rng.integers(0, 9, 50)
    losses, parameters = [], []
    for fast in (False, True):
        model = nn.MLP([6, 20, 9], rng=0, dtype=dtype)
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        @tg.compile(fast=fast)
        def step(X, y, model=model, optimizer=optimizer):
            loss = F.cross_entropy(model(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        losses.append([float(step(X, y)) for _ in range(20)])
        parameters.append([parameter.data for parameter in model.parameters()])
        assert ("counts_sum = counts.dot(ones_1)" in step.source) == fast
        assert "np.zeros" not in step.source
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(losses[1], losses[0], rtol=100 * eps)
    for slow, fast in zip(*parameters, strict=True):
        np.testing.assert_allclose(fast, slow, rtol=0, atol=500 * eps)


def test_fast_sums_and_means_over_either_axis_of_a_matrix():
    x = np.random.default_rng(0).normal(size=(5, 7))
    f = tg.compile(lambda x: [x.sum(0), x.sum(-1), x.mean(0), x.mean(1)], fast=True)
    expected = [x.sum(0), x.sum(1), x.mean(0), x.mean(1)]
    for got, right in zip(f(x), expected, strict=True):
        np.testing.assert_allclose(got.data, right, rtol=0, atol=1e-14)
    assert "add.reduce" not in f.source
    for g in (
        lambda x: x.sum(),
        lambda x: x.sum(0, keepdims=True),
        lambda x: x.T.sum(0),
        lambda x: x.reshape(5, 7, 1).sum(0),
        lambda x: x.astype(np.float16).sum(0),
    ):
        slow, fast = tg.compile(g), tg.compile(g, fast=True)
        assert_same_bits([fast(x)], [slow(x)])


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
    calls = []
    with pytest.raises(RecordingError, match="recorded twice"):
        tg.compile(lambda x: (calls.append(1), x * len(calls))[1])(X3)


def test_an_argument_with_a_graph_is_refused_and_a_parameter_is_not():
    w = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    f = tg.compile(lambda w, x: tg.gradients((w * w * x).sum(), [w])[0])
    assert f(w, X3).data.tolist() == [2, 8, 18]
    w.data = 2 * w.data
    assert f(w, X3).data.tolist() == [4, 16, 36]
    with pytest.raises(TypeError, match="detach"):
        f(w * 2, X3)


def test_source_before_the_first_call_and_unhashable_arguments():
    f = tg.compile(lambda x, s: x)
    with pytest.raises(RuntimeError, match="call it once"):
        f.source
    with pytest.raises(TypeError, match="hashable"):
        f(X3, {1, 2})
    with pytest.raises(TypeError, match="takes a function"):
        tg.compile(3)


# ── The source ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_saved_source_runs_with_numpy_alone(optimizer, tmp_path):
    training = Training(optimizer, activation="sigmoid")
    step = tg.compile(training.step)
    X, y = training.batch(np.random.default_rng(10))
    step(X, y)
    step.save(tmp_path / "step.py")
    parameters = [p.data for p in training.model.parameters()]
    names = inspect.signature(step_of(step.source)).parameters
    assert [n for n in names if n.startswith(("weight", "bias"))] == [
        "weight_1", "bias_1", "weight_2", "bias_2"
    ]  # fmt: skip
    values = dict(zip(["weight_1", "bias_1", "weight_2", "bias_2"], parameters, strict=True))
    for slot in training.optimizer.slots if optimizer != "SGD" else ():
        for name, value in zip(list(values)[:4], getattr(training.optimizer, slot), strict=True):
            values["t" if slot == "t" else f"{slot}_{name}"] = value
    values |= {"X": X, "y": y, "lr": training.optimizer.lr}
    np.savez(tmp_path / "in.npz", **values)
    script = (
        "import sys, numpy as np; sys.modules['tinygrad_ce'] = None\n"
        "from step import step\n"
        "given = {k: v if v.ndim else v.item() for k, v in np.load('in.npz').items()}\n"
        "np.save('loss.npy', step(**given)[0])\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=tmp_path, check=True)
    assert_same_bits(np.load(tmp_path / "loss.npy"), step(X, y))


def step_of(source):
    namespace = {}
    exec(source, namespace)
    return namespace["step"]


def test_source_of_the_mlp_reads_like_a_derivation_by_hand():
    training = Training()
    step = tg.compile(training.step)
    step(*training.batch(np.random.default_rng(11)))
    source = step.source
    assert max(map(len, source.splitlines())) < 100
    lines = [line.strip() for line in source.splitlines()]
    for line in (
        "def step(X, y, weight_1, bias_1, weight_2, bias_2, lr):",
        "# MLP/Linear",
        "z = X.dot(weight_1)",
        "z += bias_1",
        "h = np.tanh(z, out=z)",
        "logits += bias_2",
        "counts = np.exp(shifted)",
        "# back through cross_entropy",
        "dlogits.reshape(-1)[places] -= c_0_03125",
        "dweight_2 = h.T.dot(dlogits)",
        "dz = np.multiply(dh, slope, out=dh)",
        "dbias_1 = np.add.reduce(dz, 0)",
        "# update",
        "weight_1 = np.subtract(weight_1, step, out=step)",
    ):
        assert line in lines, f"{line}\n{source}"
    assert "zeros" not in source
    assert "np.full" not in source


def test_tracebacks_show_the_source():
    training = Training()
    step = tg.compile(training.step)
    X, y = training.batch(np.random.default_rng(12))
    step(X, y)
    with pytest.raises(IndexError) as caught:
        step(X, y + 1)
    text = "".join(traceback.format_exception(caught.value))
    assert "check_labels(y, 3, None)" in text
    linecache.checkcache()
    assert "check_labels(y, 3, None)" in "".join(traceback.format_exception(caught.value))


def test_long_programs_compile_without_recursion():
    @tg.compile
    def chain(x, n):
        for _ in range(n):
            x = x * 1e-4 + x
        return x

    assert chain(np.ones(2), 2000).shape == (2,)
    assert len(chain.source.splitlines()) > 4000


# ── Passes ────────────────────────────────────────────────────────────────────────────────────────


def program_of(f, *arrays):
    tensors = [tg.Tensor(a) for a in arrays]
    recording = record(f, tensors, tensors, {})
    return passes.remove_dead(lower(recording, [recording.result], lambda leaf: True))


def names_in(program):
    return [op.primitive.name for op in program.ops if op.primitive is not None]


def test_what_nothing_is_made_from_is_left_out():
    def f(x):
        x.exp()
        return x + 1

    assert names_in(program_of(f, X3)) == ["add"]


def test_what_returns_its_argument_is_left_out():
    program = program_of(lambda x: x.detach().reshape(3).astype(float).broadcast_to(3) + 1, X3)
    assert names_in(passes.remove_copies(program)) == ["add"]


def test_reshapes_in_a_row_are_one_and_checks_of_constants_are_none():
    program = program_of(lambda x: x.reshape(1, 3).reshape(3, 1).reshape(3) + 1, X3)
    assert names_in(passes.remove_dead(passes.remove_copies(program))) == ["add"]
    program = passes.simplify(program_of(lambda x: F.one_hot([0, 2], 3) * x, X3))
    assert names_in(program) == ["multiply"]


def test_constants_are_computed_at_compile_time():
    program = program_of(lambda x: x * (tg.Tensor(2.0).exp() + 1), X3)
    folded = passes.remove_dead(passes.fold(program))
    assert names_in(folded) == ["multiply"]


def test_equal_operations_are_done_once_and_zeros_of_unlike_sign_are_not_equal():
    program = program_of(lambda x: (x.exp() + 1) * (x.exp() + 1), X3)
    assert names_in(passes.remove_dead(passes.merge_equal(program))) == ["exp", "add", "multiply"]
    program = program_of(lambda x: (x + 0.0).tanh() + (x + -0.0), X3)
    merged = passes.remove_dead(passes.merge_equal(program))
    assert names_in(merged) == ["add", "tanh", "add", "add"]


def test_broadcasts_melt_into_what_uses_them():
    program = program_of(lambda x: x.exp() * -(x.sum() + 1).broadcast_to(3), X3)
    melted = passes.remove_dead(passes.push_down_broadcasts(program))
    assert "broadcast" not in names_in(melted)
    assert "broadcast_to" not in names_in(melted)


def test_a_scatter_melts_only_where_no_zero_can_be_negative_and_no_place_comes_twice():
    rows = np.arange(3)

    def scattered(rest, index):
        def f(x, g):
            t = tg.Tensor(index)
            at = tg.engine.tensor.apply(p.scatter, g, t, params=((ARRAY_SLOT,), (3,)))
            return at + rest(x)

        return names_in(passes.simplify(program_of(f, X3, X3)))

    assert "scatter" not in scattered(np.exp, rows)
    assert "scatter" in scattered(np.sin, rows)
    assert "scatter" in scattered(np.exp, np.array([0, 0, 1]))


def test_results_are_written_over_operands_that_die_and_never_over_others():
    program = passes.simplify(program_of(lambda x: ((x * 2).exp() + x).tanh(), X3))
    plan = memory.plan_memory(program)
    over = [op.primitive.name for op in program.ops if id(op) in plan.in_place_of]
    assert over == ["exp", "add", "tanh"]
    program = passes.simplify(program_of(lambda x: x.exp() * x, X3))
    plan = memory.plan_memory(program)
    assert all(reused.primitive is not None for reused in plan.in_place_of.values())


def test_buffers_are_shared_by_lifetime():
    def f(x, w):
        for _ in range(6):
            x = x @ w
        return x.sum()

    a = np.ones((200, 200))
    program = passes.simplify(program_of(f, a, a))
    plan = memory.plan_memory(program)
    assert len(plan.buffer) == 6
    assert len(plan.buffers) == 2


def test_large_intermediate_results_lie_in_buffers_and_results_do_not():
    f = tg.compile(lambda x: ((x @ x).tanh() @ x).sum(0))
    x = np.random.default_rng(13).normal(size=(300, 300))
    first = f(x)
    assert "buffer_1 = np.empty((300, 300), np.float64)" in f.source
    held = first.data.copy()
    f(x * 2)
    assert_same_bits(first, held)
    assert_same_bits(first, ((tg.Tensor(x) @ x).tanh() @ x).sum(0))


def test_an_op_says_what_it_is():
    assert repr(Op(p.exp, [], (), np.ones(3))) == "<exp float64[3]>"


# ── Any program ───────────────────────────────────────────────────────────────────────────────────

UNARY = [
    np.tanh, np.exp, np.negative, np.abs, np.sin, lambda t: t.sigmoid(), lambda t: t.relu(),
    lambda t: t * t, lambda t: t - t, lambda t: t.T, lambda t: t.reshape(-1), lambda t: t.sum(),
    lambda t: t.mean(-1, keepdims=True) if t.ndim else t, lambda t: t[..., ::-1] if t.ndim else t,
    lambda t: t.broadcast_to((2, *t.shape)) if t.ndim < 2 else t, lambda t: t.max(),
    lambda t: t.detach(), lambda t: t.astype(np.float32), F.softmax, F.log_softmax, F.logsumexp,
    lambda t: t[np.array([1, 0, 1])] if t.ndim and t.shape[0] > 1 else t, lambda t: 2 / (t + 3),
    lambda t: t.clip(-0.5, 0.5), lambda t: np.where(t > 0, t, -0.0), lambda t: t**2,
    lambda t: t.expand_dims(0) if t.ndim < 3 else t, lambda t: np.ones(3) * t.mean(),
]  # fmt: skip
BINARY = [np.add, np.subtract, np.multiply, np.maximum, lambda a, b: np.where(a < b, a, b)]


def composed(choices):
    """A function of two Tensors that a list of numbers spells out, and that returns three."""

    def f(x, y):
        pool = [x, y]
        for kind, i, j in choices:
            a, b = pool[i % len(pool)], pool[j % len(pool)]
            if kind < len(UNARY):
                needs_axis = UNARY[kind] in (F.softmax, F.log_softmax, F.logsumexp)
                pool.append(UNARY[kind](a) if a.ndim or not needs_axis else a)
            else:
                try:
                    np.broadcast_shapes(a.shape, b.shape)
                except ValueError:
                    continue
                pool.append(BINARY[kind - len(UNARY)](a, b))
        loss = sum(((t * t).mean() for t in pool[2:]), x.sum())
        return loss, pool[-1], pool[len(pool) // 2]

    return f


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(UNARY) + len(BINARY) - 1), st.integers(0), st.integers(0)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from([None, 8, 16, 40]),
)
@pytest.mark.filterwarnings("ignore")
def test_any_program_and_its_gradient(choices, dtype, block):
    f = composed(choices)

    def both(x, y):
        return f(x, y), tg.grad(lambda x, y: f(x, y)[0], (0, 1))(x, y)

    compiled = tg.compile(both)
    rng = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        if block is not None:  # in loops, whatever the size
            patch.setattr(row_blocks, "LARGE", 0)
            patch.setattr(row_blocks, "BLOCK", block)
            patch.setattr(memory, "LARGE", 0)
        for _ in range(2):
            x, y = rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=4).astype(dtype)
            assert_same_bits(compiled(x, y), both(tg.Tensor(x), tg.Tensor(y)))
