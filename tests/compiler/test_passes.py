"""Passes: what each does, what it must not do, and that it leaves each bit as it was."""

import numpy as np
import pytest
from bits import assert_same_bits
from compiler_helpers import SQUARE, X3, assert_compiles, names_in, program_of

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce.compiler import passes
from tinygrad_ce.compiler.ir import Op, lower
from tinygrad_ce.compiler.recorder import record
from tinygrad_ce.engine import primitives as p
from tinygrad_ce.engine.kernels import ARRAY_SLOT
from tinygrad_ce.engine.tensor import apply, constant


def live_program_of(f, *arrays):
    return passes.remove_dead(program_of(f, *arrays))


def test_what_nothing_is_made_from_is_left_out():
    def f(x):
        x.exp()
        return x + 1

    assert names_in(live_program_of(f, X3)) == ["add"]


def test_what_returns_its_argument_is_left_out():
    program = live_program_of(lambda x: x.detach().reshape(3).astype(float).broadcast_to(3) + 1, X3)
    assert names_in(passes.remove_copies(program)) == ["add"]


def test_reshapes_in_a_row_are_one_and_checks_of_constants_are_none():
    program = live_program_of(lambda x: x.reshape(1, 3).reshape(3, 1).reshape(3) + 1, X3)
    assert names_in(passes.remove_dead(passes.remove_copies(program))) == ["add"]
    program = passes.simplify(program_of(lambda x: F.one_hot([0, 2], 3) * x, X3))
    assert names_in(program) == ["multiply"]


def test_constants_are_computed_at_compile_time():
    program = live_program_of(lambda x: x * (tg.Tensor(2.0).exp() + 1), X3)
    folded = passes.remove_dead(passes.fold(program))
    assert names_in(folded) == ["multiply"]


def test_equal_operations_are_done_once_and_zeros_of_unlike_sign_are_not_equal():
    program = live_program_of(lambda x: (x.exp() + 1) * (x.exp() + 1), X3)
    assert names_in(passes.remove_dead(passes.merge_equal(program))) == ["exp", "add", "multiply"]
    program = live_program_of(lambda x: (x + 0.0).tanh() + (x + -0.0), X3)
    merged = passes.remove_dead(passes.merge_equal(program))
    assert names_in(merged) == ["add", "tanh", "add", "add"]


def test_broadcasts_are_pushed_down_into_what_uses_them():
    program = live_program_of(lambda x: x.exp() * -(x.sum() + 1).broadcast_to(3), X3)
    pushed = passes.remove_dead(passes.push_down_broadcasts(program))
    assert "broadcast" not in names_in(pushed)
    assert "broadcast_to" not in names_in(pushed)


def test_a_scatter_is_fused_only_where_no_zero_can_be_negative_and_no_place_comes_twice():
    rows = np.arange(3)

    def scattered(rest, index):
        def f(x, g):
            t = tg.Tensor(index)
            at = apply(p.scatter, g, t, params=((ARRAY_SLOT,), (3,)))
            return at + rest(x)

        return names_in(passes.simplify(program_of(f, X3, X3)))

    assert "scatter" not in scattered(np.exp, rows)
    assert "scatter" in scattered(np.sin, rows)
    assert "scatter" in scattered(np.exp, np.array([0, 0, 1]))


def test_an_op_says_what_it_is():
    assert repr(Op(p.exp, [], (), np.ones(3))) == "<exp float64[3]>"


@pytest.mark.slow
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


RNG = np.random.default_rng(0)


def interpreted(program, arrays):
    """What a program computes, one primitive at a time."""
    values = dict(zip(program.arguments, arrays, strict=True))
    for op in program.ops:
        if op in values:
            continue
        if op.primitive is None:
            values[op] = op.data if op.is_constant else op.state.content
        else:
            given = [values[x] for x in op.inputs]
            values[op] = op.primitive.value(*given, *op.params)
    return [values[op] for op in program.results]


def gradient_of_a_network(X, y):
    model = nn.MLP([8, 5, 4], rng=0, dtype=np.float64)
    loss = F.cross_entropy(model(X), y)
    return loss, *tg.gradients(loss, model.parameters())


def many_things(X, y):
    w = tg.Tensor(SQUARE, requires_grad=True)
    z = (w * X).exp() + X.exp()
    picked = z[np.arange(8), y]
    loss = (picked * 2.0).sum() + (z @ z.T).mean() + z[np.arange(8)].sum()
    g = tg.gradients(loss, [w])[0]
    return loss, g, picked.sum().broadcast_to(8) * 0.5


@pytest.mark.parametrize(
    ("f", "made"), [(gradient_of_a_network, {"add_at_flat", "take"}), (many_things, {"scatter"})]
)
def test_every_pass_leaves_each_bit_as_it_was(f, made):
    y = RNG.integers(0, 4, 8)
    expected = f(tg.Tensor(SQUARE), tg.Tensor(y))
    program = program_of(f, SQUARE, y)
    for apply_pass in (
        passes.remove_dead, passes.remove_copies, passes.fold, passes.push_down_broadcasts,
        passes.merge_equal, passes.fuse_scatter_add, passes.flatten_indices,
        passes.expand_row_maxima, passes.type_numbers, passes.merge_equal, passes.remove_dead,
    ):  # fmt: skip
        program = apply_pass(program)
        assert_same_bits(interpreted(program, [SQUARE, y]), expected)
    assert made <= set(names_in(program))


# ── Elements and rows at places ───────────────────────────────────────────────────────────────────

ROWS = np.arange(3)


@pytest.mark.parametrize(
    ("index", "fused"),
    [
        ((ARRAY_SLOT,), True),
        ((ARRAY_SLOT, ARRAY_SLOT), True),
        ((ARRAY_SLOT, slice(None)), False),
        ((slice(0, 2),), False),
    ],
)
def test_a_gradient_is_added_at_its_places_where_these_are_known_to_be_different(index, fused):
    arrays = [constant(ROWS)] * index.count(ARRAY_SLOT)

    def f(x, g):
        picked = g[tuple(ROWS if part is ARRAY_SLOT else part for part in index)]
        at = apply(p.scatter, picked, *arrays, params=(index, (8, 8)))
        rest = x.exp()
        return at + rest, rest * 1

    program = passes.simplify(program_of(f, SQUARE, SQUARE))
    assert ("add_at" in " ".join(names_in(program))) == fused
    assert_compiles(f, SQUARE, SQUARE)


@pytest.mark.parametrize("index", [np.array([-1, 0, 1]), np.array([True] * 3 + [False] * 5)])
def test_a_gradient_is_not_added_at_places_that_may_be_the_same(index):
    def f(x, g):
        at = apply(p.scatter, g[:3], constant(index), params=((ARRAY_SLOT,), (8, 8)))
        return at + x.exp()

    assert "scatter" in names_in(passes.simplify(program_of(f, SQUARE, SQUARE)))
    assert_compiles(f, SQUARE, SQUARE)


def test_indices_that_have_all_been_checked_are_made_one():
    def f(z, i, j):
        F.one_hot(i, 8), F.one_hot(j, 8)
        return (z * 1)[i, j]

    i, j = np.array([0, 3, 7]), np.array([1, 1, 6])
    assert ".take(" in assert_compiles(f, SQUARE, i, j)
    with pytest.raises(IndexError, match="8 at row 1 is out of range"):
        tg.compile(f)(SQUARE, np.array([0, 8, 7]), j)


@pytest.mark.parametrize("shape", [(8, 3), (8, 2, 3), (8, 0), (9000, 8)])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.uint64, bool])
@pytest.mark.parametrize("rows", [[0, 7, 7, 2, 0, 7, 1, 5], [[3, 3], [0, 7]], [-1, 3, -8, -1], []])
def test_rows_and_their_gradients(shape, dtype, rows):
    index = np.array(rows, dtype=dtype if min(np.ravel(rows), default=0) >= 0 else np.int64)
    if dtype is bool:
        index = np.arange(shape[0]) % 3 == 0

    def f(x, index):
        return tg.value_and_grad(lambda x: (x[index] ** 3).sum())(x)

    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for given in (x, x[::-1]):
        assert_compiles(f, given, index)
    spread = np.zeros(shape, np.float32)
    np.add.at(spread, index, 3 * x[index] ** 2)
    assert_same_bits(f(tg.Tensor(x), tg.Tensor(index))[1], spread)


def test_rows_out_of_range_are_refused_as_eagerly():
    def f(x, i):
        return tg.value_and_grad(lambda x: x[i].sum())(x)

    x, i = np.ones((4, 3)), np.array([0, 3])
    compiled = tg.compile(f)
    compiled(x, i)
    for bad in (np.array([0, 4]), np.array([-5, 0])):
        with pytest.raises(IndexError) as eager:
            f(tg.Tensor(x), tg.Tensor(bad))
        with pytest.raises(IndexError) as again:
            compiled(x, bad)
        assert str(again.value) in str(eager.value)


def test_a_table_of_places_is_part_of_the_module_unless_it_is_large():
    def f(x, i):
        return tg.grad(lambda x: (x[i] ** 2).sum())(x)

    i = np.array([1, 1, 0])
    small = assert_compiles(f, np.ones((5, 3)), i)
    assert "places_of_rows = np.arange(15).reshape(5, 3)\n" in small
    assert "    np.add.at(spread, elements.reshape(9), " in small
    large = assert_compiles(f, np.ones((5000, 30)), i)
    assert "    add_rows(dx, i, " in large


@pytest.mark.parametrize("index", [np.array([2, 0, 2]), np.array([[0], [1]]), np.arange(8) < 3])
def test_rows_of_arrays_whose_axes_are_in_another_order(index):
    x = tg.Tensor(np.asfortranarray(np.random.default_rng(0).normal(size=(8, 2, 3))))

    def f(x):
        return tg.value_and_grad(lambda x: (x[index] ** 3).sum())(x)

    compiled = tg.compile(f)
    for _ in range(2):
        assert_same_bits(compiled(x), f(x))


# ── Sums and products ─────────────────────────────────────────────────────────────────────────────


def test_a_matrix_times_its_transpose_is_left_what_it_was():
    a = np.random.default_rng(17).normal(size=(40, 60))

    def product(x):
        e = x.tanh()
        return x.exp() @ x.exp().T, e @ e.T

    compiled = tg.compile(product)
    assert_same_bits(compiled(a), product(tg.Tensor(a)))
    assert "np.copy(" in compiled.source  # also where BLAS rounds both alike


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
    f = tg.compile(F.log_softmax)
    for n in (10, 600):
        z = np.random.default_rng(0).normal(size=(n, 600))
        assert_same_bits([f(z)], [F.log_softmax(z)])
        assert ("argmax" in f.source) == (n == 10)
        z.setflags(write=False)
        assert_same_bits([f(z)], [F.log_softmax(z)])


def test_means_are_sums_that_are_divided_in_place():
    x = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    for dtype in (np.float16, np.float32, np.float64, int):
        for axis in (0, 1, (0, 1), None):
            assert_compiles(
                lambda x, a=axis: (x.mean(a), x.mean(a, keepdims=True)), x.astype(dtype)
            )
    source = assert_compiles(lambda x: x.mean(0) * 2, x)
    assert "    mean = np.add.reduce(x, 0)\n    mean /= c_7_0\n" in source


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
