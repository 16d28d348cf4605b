"""Random numbers in a compiled step: drawn again at each call, and the same as eagerly."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
from bits import assert_same_bits

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce.compiler import RecordingError

X = np.random.default_rng(0).normal(size=(150, 4)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 150)


def assert_redrawn(f, rng, calls=4):
    """Check that a function without arguments finds the same numbers compiled and eagerly."""
    compiled, start = tg.compile(f), rng.bit_generator.state
    got = [compiled() for _ in range(calls)]
    end = rng.bit_generator.state
    rng.bit_generator.state = start
    for results in got:
        assert_same_bits(results, f())
    np.testing.assert_equal(rng.bit_generator.state, end)
    return compiled


class Training:
    """A network with dropout, trained on minibatches that the step draws itself."""

    def __init__(self, dtype=np.float32):
        self.rows, self.masks = np.random.default_rng(2), np.random.default_rng(3)
        self.X, self.y = tg.Tensor(X.astype(dtype)), tg.Tensor(Y)
        self.model = nn.Sequential(
            nn.Linear(4, 16, rng=0, dtype=dtype), nn.Tanh(), nn.Dropout(0.3, self.masks),
            nn.Linear(16, 3, rng=1, dtype=dtype),
        )  # fmt: skip
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)

    def step(self):
        rows = tg.sample(self.rows.integers, 0, len(X), 32)
        loss = F.cross_entropy(self.model(self.X[rows]), self.y[rows])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self):
        return [*self.model.state_dict().values(), *self.optimizer.velocity]

    def generators(self):
        return [rng.bit_generator.state for rng in (self.rows, self.masks)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_200_steps_with_dropout_and_minibatches_end_in_the_bits_of_the_eager_ones(dtype):
    eager, compiled = Training(dtype), Training(dtype)
    step = tg.compile(compiled.step)
    for _ in range(200):
        assert_same_bits([step()], [eager.step()])
    assert_same_bits(compiled.state(), eager.state())
    assert compiled.generators() == eager.generators()


@pytest.mark.parametrize("bits", ["PCG64", "MT19937", "Philox", "SFC64"])
def test_any_method_of_any_generator(bits):
    rng = np.random.Generator(getattr(np.random, bits)(0))
    p, bag = np.array([0.5, 0.25, 0.25]), np.arange(100.0).reshape(50, 2, order="F")

    def draw():
        return (
            tg.sample(rng.random),
            tg.sample(rng.random, (2, 3), dtype=np.float32),
            tg.sample(rng.standard_normal, [2], np.dtype(np.float32)),
            tg.sample(rng.normal, loc=np.float64(-1.5), scale=2, size=None),
            tg.sample(rng.normal, -np.inf, 0.5),
            tg.sample(rng.integers, 5),
            tg.sample(rng.integers, 0, 2, 3, dtype=bool, endpoint=False),
            tg.sample(rng.integers, 5, size=(), dtype=np.uint8),
            tg.sample(rng.choice, 3, p=p),
            tg.sample(rng.choice, [3.0, 4.0], (2,), p=(0.5, 0.5)),
            tg.sample(rng.choice, bag, 2),
            tg.sample(rng.permutation, [[1, 2], [3, 4], (5, 6)]),
            tg.sample(rng.permutation, bag).sum(0),
            tg.sample(rng.permutation, 5),
            tg.sample(rng.multinomial, 10, p),
        )

    assert_redrawn(draw, rng)


def test_a_draw_that_nobody_uses_is_made_all_the_same():
    rng = np.random.default_rng(4)

    def draw():
        tg.sample(rng.normal, size=3)
        return (tg.sample(rng.normal, size=3),)

    compiled = assert_redrawn(draw, rng)
    assert "\n    rng.normal(size=3)\n" in compiled.source


def test_equal_draws_are_two_and_stay_in_their_order():
    rng = np.random.default_rng(5)

    def draw():
        a, b = tg.sample(rng.normal), tg.sample(rng.normal)
        table = tg.sample(rng.permutation, np.arange(3.0))
        late = 2 * b
        return a - b, late, a, table, tg.sample(rng.permutation, np.arange(3.0)) + a

    assert_redrawn(draw, rng)


def test_draws_of_constants_are_not_computed_at_compile_time():
    rng = np.random.default_rng(6)
    p = np.array([0.5, 0.5])
    assert_redrawn(lambda: (tg.sample(rng.choice, 2, 4, p=p),), rng)


def test_recording_leaves_the_generator_as_it_was_when_the_step_fails():
    for bits in (np.random.PCG64(7), np.random.MT19937(7)):
        rng = np.random.Generator(bits)
        before = rng.bit_generator.state

        @tg.compile
        def step(x, rng=rng):
            x = x * tg.sample(rng.normal, size=3)
            raise KeyError("later")

        with pytest.raises(KeyError):
            step(np.ones(3))
        np.testing.assert_equal(rng.bit_generator.state, before)


def test_the_generator_moves_on_by_one_step_at_the_call_that_records():
    rng = np.random.default_rng(8)
    tg.compile(lambda x: x * tg.sample(rng.normal, size=3))(np.ones(3))
    expected = np.random.default_rng(8)
    expected.normal(size=3)
    assert rng.bit_generator.state == expected.bit_generator.state


def test_numbers_drawn_directly_beside_sampled_ones_are_refused():
    rng = np.random.default_rng(9)

    def before(x):
        return x * rng.normal() * tg.sample(rng.normal)

    def between(x):
        return tg.sample(rng.normal) * x * rng.normal() * tg.sample(rng.normal)

    def after(x):
        return tg.sample(rng.normal) * x * rng.normal()

    for step in (before, between, after):
        with pytest.raises(RecordingError, match=r"tg\.sample"):
            tg.compile(step)(np.ones(3))


def test_a_generator_that_the_step_makes_itself_is_refused():
    # It would give the same numbers at each eager call, and others at each replay.
    with pytest.raises(RecordingError, match=r"tg\.sample from a generator that is made outside"):
        tg.compile(lambda x: x * tg.sample(np.random.default_rng(0).normal))(np.ones(3))


def test_a_generator_as_an_argument():
    def f(x, rng):
        return (x * tg.sample(rng.normal, size=3),)

    compiled = tg.compile(f)
    for seed in (0, 1):
        one, other = np.random.default_rng(seed), np.random.default_rng(seed)
        for _ in range(3):
            assert_same_bits(compiled(np.ones(3), one), f(tg.Tensor(np.ones(3)), other))


def test_draws_are_compiled_by_name_next_to_arguments_and_helpers_of_that_name():
    one, other = np.random.default_rng(0), np.random.default_rng(1)

    @tg.compile
    def step(rng, random):
        return tg.sample(one.random) * rng + tg.sample(other.random) * random

    @tg.compile
    def single(rng):
        return tg.sample(one.random, 3) * rng

    a, b = np.random.default_rng(0), np.random.default_rng(1)
    assert_same_bits([step(np.float64(2), np.float64(3))], [a.random() * 2.0 + b.random() * 3.0])
    assert_same_bits([single(np.float64(2))], [a.random(3) * 2.0])
    assert "def step(rng, random, rng_1, rng_2):" in step.source
    assert "def single(rng, _rng):" in single.source


def test_what_no_replay_could_write_out_is_refused():
    rng = np.random.default_rng(10)

    class Odd:
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return (1, 2)[i]

    tg.sample(rng.choice, Odd())  # eagerly, anything that NumPy takes
    before = rng.bit_generator.state
    for odd in (Odd(), [Odd()]):
        with pytest.raises(RecordingError, match="cannot be written out"):
            tg.compile(lambda x, odd=odd: x + tg.sample(rng.choice, odd))(np.ones(2))
    assert rng.bit_generator.state == before


def test_what_sample_refuses():
    rng = np.random.default_rng(11)
    t = tg.Tensor(1.0, requires_grad=True)
    for arguments in ((t,), (0.0, t), ([0.0, t],)):
        with pytest.raises(TypeError, match=r"an argument of normal is a Tensor.*loc \+ scale"):
            tg.sample(rng.normal, *arguments)
    with pytest.raises(TypeError, match="is a Tensor"):
        tg.sample(rng.normal, scale=t)
    for method in (np.random.normal, lambda: 3.0, 3.0, rng.bit_generator.random_raw):
        with pytest.raises(TypeError, match=r"a method of a np\.random\.Generator"):
            tg.sample(method)
    with pytest.raises(TypeError, match="shuffle returns None"):
        tg.sample(rng.shuffle, np.arange(3))
    with pytest.raises(TypeError, match="bytes returns b"):
        tg.sample(rng.bytes, 3)
    for call in (
        lambda: tg.sample(rng.random, out=np.empty(3)),
        lambda: tg.sample(rng.random, None, np.float64, np.empty(3)),
    ):
        with pytest.raises(TypeError, match="leave out out="):
            call()


def test_sample_is_a_constant_of_what_the_method_returns():
    drawn = tg.sample(np.random.default_rng(12).normal, size=(2, 3))
    assert drawn.primitive is None
    assert not drawn.requires_grad
    np.testing.assert_array_equal(drawn.data, np.random.default_rng(12).normal(size=(2, 3)))
    assert tg.sample(np.random.default_rng(12).integers, 9).dtype == np.int64
    assert tg.sample(np.random.default_rng(12).poisson).dtype == np.int64
    assert tg.sample(np.random.default_rng(12).integers, 9, dtype=np.int8).dtype == np.int8


# ── Dropout ───────────────────────────────────────────────────────────────────────────────────────


def test_evaluation_another_p_and_another_generator_are_seen_by_a_compiled_layer():
    def make():
        return nn.Dropout(0.5, rng=0)

    layer, eager = make(), make()
    compiled = tg.compile(layer)
    x = np.ones(50)
    for change in (
        lambda layer: None,
        lambda layer: layer.eval(),
        lambda layer: layer.train(),
        lambda layer: setattr(layer, "p", 0.9),
        lambda layer: setattr(layer, "rng", np.random.default_rng(5)),
    ):
        change(layer), change(eager)
        for _ in range(3):
            assert_same_bits([compiled(x)], [eager(x)])


@pytest.mark.slow
def test_the_saved_module_takes_its_generators_and_runs_with_numpy_alone(tmp_path):
    training, saved = Training(), Training()
    step = tg.compile(training.step)
    step()
    step.save(tmp_path / "step.py")
    namespace = {}
    exec(step.source, namespace)
    given = list(inspect.signature(namespace["step"]).parameters)
    assert given[-2:] == ["rng_1", "rng_2"]
    assert "rng_1: a np.random.Generator" in namespace["step"].__doc__
    values = [saved.X, saved.y, *saved.model.parameters(), *saved.optimizer.velocity]
    tensors = [np.asarray(v.data if isinstance(v, tg.Tensor) else v) for v in values]
    np.savez(tmp_path / "in.npz", *tensors)
    script = (
        "import sys, numpy as np; sys.modules['tinygrad_ce'] = None\n"
        "from step import step\n"
        "*given, = np.load('in.npz').values()\n"
        "rngs = np.random.default_rng(2), np.random.default_rng(3)\n"
        "*tensors, v1, v2, v3, v4 = given\n"
        "losses = []\n"
        "for _ in range(5):\n"
        "    loss, *new = step(*tensors, 0.1, v1, v2, v3, v4, *rngs)\n"
        "    tensors[2:], (v1, v2, v3, v4) = new[:4], new[8:]\n"
        "    losses.append(loss)\n"
        "np.save('losses.npy', losses)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=tmp_path, check=True)
    eager = Training()
    assert_same_bits([np.load(tmp_path / "losses.npy")], [[eager.step().data for _ in range(5)]])
