"""Arrays of every layout and dtype as arguments, and every container as a result."""

import warnings
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bits import assert_same_bits

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce.compiler import RecordingError

LAYOUTS = {
    "C": lambda a: a,
    "Fortran": np.asfortranarray,
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "every second row": lambda a: np.repeat(a, 2, 0)[::2],
    "backward": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "unaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "memmap": lambda a: np.asfortranarray(a).view(np.memmap),
}
FUNCTIONS = [
    lambda x, y: (x.sum(0), x.sum(1), x.mean(), x.max(0), x.T, x[1:]),
    lambda x, y: (x @ y.T, (x * y + x).T, x * 2 - 0.1, x / 3, x**2),
    lambda x, y: (F.softmax(x), F.cross_entropy(x, np.zeros(x.shape[0], int)), x.std()),
    lambda x, y: (x, y, x + y, np.exp(x).sum(0), x.reshape(-1)),
]


def outcome(function, *arrays):
    """What it returns, or the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(*arrays)
        except (TypeError, ValueError) as error:
            return type(error)


def assert_as_eager(f, x, y):
    expected = outcome(f, tg.Tensor(x), tg.Tensor(y))
    compiled = tg.compile(f)
    for _ in range(2):
        got = outcome(compiled, x, y)
        if isinstance(expected, type):
            assert got is expected
        else:
            assert_same_bits(got, expected)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", ">f8", ">f4", "i8", "i4", "u1", ">i4", "?"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_of_every_layout_and_dtype(layout, dtype):
    for shape in ((70, 6), (1, 6), (0, 6)):
        a = (np.random.default_rng(0).normal(size=shape) * 3).astype(dtype)
        x = LAYOUTS[layout](a)
        for f in FUNCTIONS:
            for y in (x, a.copy(), np.asfortranarray(a)):
                assert_as_eager(f, x, y)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_order_of_axes_decides_about_bits_as_in_the_eager_step(layout):
    x = LAYOUTS[layout](np.random.default_rng(0).normal(size=(70, 6)))
    assert_as_eager(FUNCTIONS[0], x, x)


def test_scalars_and_arrays_without_axes():
    for value in (np.float32(0.1), np.array(0.1, ">f4"), np.float16(0.1), np.int8(3), np.array(2)):
        assert_as_eager(lambda x, y: (x * y, x + 1, x / 3), value, value)


def test_long_doubles_keep_their_digits():
    third = np.longdouble(1) / 3
    f = tg.compile(lambda x: (x * tg.Tensor([third, 1 / third]), x * third, x + tg.Tensor(third)))
    x = np.array([third, 2])
    for _ in range(2):
        a, b, c = (t.data for t in f(x))
        assert (a == x * np.array([third, 1 / third])).all()
        assert (b == x * third).all()
        assert (c == x + third).all()


@pytest.mark.parametrize(
    "bad", [np.ma.array([1.0, 2.0], mask=[0, 1]), np.array(["a"]), np.array([None])]
)
def test_what_is_no_array_of_numbers_is_refused(bad):
    with pytest.raises(TypeError):
        tg.compile(lambda x: tg.Tensor(x) * 2)(bad)
    with pytest.raises(TypeError):
        tg.compile(lambda x: tg.Tensor(x["a"][0]) * 2)({"a": [bad]})


# ── Results ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Frozen:
    loss: Any
    n: int = 3


@dataclass
class Further:
    loss: Any

    def __post_init__(self):
        self.further = [self.loss]


class MyList(list):
    """A list of the user's own."""


Pair = namedtuple("Pair", "a b")
OUTSIDE = {"a": [tg.Tensor([1.0])]}
RESULTS = [
    Frozen,
    Further,
    lambda t: OrderedDict(b=t, a=2),
    lambda t: defaultdict(list, {"a": [t]}),
    lambda t: deque([t, None], maxlen=5),
    lambda t: SimpleNamespace(a=t, b=(t, [t])),
    lambda t: Pair(t, {"k": Pair(1, t)}),
    lambda t: MyList([t]),
    lambda t: (np.ones(3), np.float32(2), float("nan"), None, "a", b"b", range(3)),
    lambda t: [],
    lambda t: Counter("aab"),
    lambda t: OUTSIDE,
    lambda t: [OUTSIDE, t],
]


@pytest.mark.parametrize("make", RESULTS)
def test_results_in_any_container_are_new_at_each_call(make):
    compiled = tg.compile(lambda x: make(x.sum()))
    got = [compiled(np.array([value])) for value in (1.0, 2.0, 3.0)]
    expected = [make(tg.Tensor(value)) for value in (1.0, 2.0, 3.0)]
    assert list(map(repr, got)) == list(map(repr, expected))
    assert list(map(type, got)) == list(map(type, expected))
    assert (got[0] is got[1]) == (expected[0] is expected[1])


def test_an_array_that_is_returned_can_be_changed():
    f = tg.compile(lambda x: np.zeros(2))
    f(np.ones(1))[:] = 7
    assert f(np.ones(1)).tolist() == [0, 0]


@pytest.mark.parametrize(
    "make",
    [
        lambda t: iter([t]),
        lambda t: (part for part in [t]),
        lambda t: {"a": t}.values(),
        lambda t: {t},
        lambda t: lambda: t,
        lambda t: object(),
        lambda t: bytearray(b"a"),
    ],
)
def test_results_that_a_replay_cannot_make_are_refused(make):
    with pytest.raises(RecordingError, match="cannot make again"):
        tg.compile(lambda x: make(x * 2))(np.ones(2))


def test_keys_that_differ_from_call_to_call_are_refused():
    calls = iter("abcdefgh")
    with pytest.raises(RecordingError):
        tg.compile(lambda x: {next(calls): x * 2})(np.ones(2))


async def coroutine(x):
    return x


def generator(x):
    yield x


class Generator:
    def __call__(self, x):
        yield x


@pytest.mark.parametrize("step", [coroutine, generator, Generator()])
def test_generators_and_coroutines_are_refused(step):
    with pytest.raises(TypeError, match="generators"):
        tg.compile(step)
