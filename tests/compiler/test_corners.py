"""The compiler's corners: what a step may do that few steps do, and what each pass must not do."""

import gc
import operator
from collections import namedtuple

import numpy as np
import pytest
from bits import assert_same_bits

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce.compiler import RecordingError, memory, passes
from tinygrad_ce.compiler.ir import lower
from tinygrad_ce.compiler.recorder import record
from tinygrad_ce.engine import primitives as p
from tinygrad_ce.engine.kernels import ARRAY_SLOT
from tinygrad_ce.engine.tensor import apply, constant

X3 = np.array([1.0, 2.0, 3.0])
RNG = np.random.default_rng(0)
SQUARE = RNG.normal(size=(8, 8))


def assert_compiles(f, *arrays):
    """Check that a function of arrays has the bits of the eager one; return the source."""
    compiled = tg.compile(f)
    for moved in (arrays, [a + a.dtype.type(1) if a.dtype.kind == "f" else a for a in arrays]):
        results = f(*map(tg.Tensor, moved))
        results = results if isinstance(results, tuple) else (results,)
        got = compiled(*moved)
        assert_same_bits(got if isinstance(got, tuple) else (got,), results)
    return compiled.source


def program_of(f, *arrays):
    tensors = [tg.Tensor(a) for a in arrays]
    recording = record(f, tensors, tensors, {})
    results = recording.result if isinstance(recording.result, tuple) else (recording.result,)
    return lower(recording, list(results), lambda leaf: True)


def names_in(program):
    return [op.primitive.name for op in program.ops if op.primitive is not None]


# ── Calls ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_step_may_return_what_it_took_from_outside_and_in_named_tuples():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    pair = namedtuple("pair", "weight, product")
    f = tg.compile(lambda x: pair(w, w * x))
    for _ in range(2):
        got = f(np.array([3.0, 4.0]))
        assert type(got) is pair
        assert got.weight is w
        assert got.product.data.tolist() == [3, 8]
    assert "compiled <lambda>" in repr(f)


def test_arguments_that_do_not_fit_are_pythons_own_error():
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        tg.compile(lambda x: x)(X3, X3)


def test_what_has_no_signature_names_its_arguments_by_number():
    f = tg.compile(operator.methodcaller("exp"))
    assert_same_bits([f(X3)], [np.exp(X3)])
    assert "def step(" in f.source


def test_arguments_may_be_tensors():
    f = tg.compile(lambda x, y: x * y)
    for _ in range(2):
        assert f(tg.Tensor(X3), tg.Tensor(2.0)).data.tolist() == [2, 4, 6]
    assert len(f._found) == 1


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        tg.compile(lambda x: x + 1)(X3)
        assert not gc.isenabled()
    finally:
        gc.enable()
    tg.compile(lambda x: x + 1)(X3)
    assert gc.isenabled()


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


# ── How it is written ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.sum().argmax() + x.sum().argmin(),
        lambda x: (x > 0) & tg.Tensor(np.array(True)),
        lambda x: x ** tg.Tensor(2.5),
        lambda x: x.astype(np.float16).mean(0),
        lambda x: x.astype(np.float16).mean(keepdims=True),
        lambda x: x.broadcast_to(5, 8, 8) * 2,
        lambda x: x[0, 0].broadcast_to(3) * 1,
    ],
)
def test_rare_operations_have_the_bits_of_the_eager_ones(f):
    assert_compiles(f, abs(SQUARE))


def test_a_number_that_is_spread_out_counts_as_float64_there():
    # A Python number takes the dtype of what it is combined with; an array of it does not.
    for n in (5, 20000):
        assert_compiles(lambda x, n=n: constant(0.1).broadcast_to(n) * x, np.ones(n, np.float32))
        assert constant(3).broadcast_to(n).dtype == np.int64


ROWS = np.arange(3)


@pytest.mark.parametrize(
    ("index", "melts"),
    [
        ((ARRAY_SLOT,), True),
        ((ARRAY_SLOT, ARRAY_SLOT), True),
        ((ARRAY_SLOT, slice(None)), False),
        ((slice(0, 2),), False),
    ],
)
def test_a_gradient_is_added_at_its_places_where_these_are_known_to_be_different(index, melts):
    arrays = [constant(ROWS)] * index.count(ARRAY_SLOT)

    def f(x, g):
        picked = g[tuple(ROWS if part is ARRAY_SLOT else part for part in index)]
        at = apply(p.scatter, picked, *arrays, params=(index, (8, 8)))
        rest = x.exp()
        return at + rest, rest * 1

    program = passes.simplify(program_of(f, SQUARE, SQUARE))
    assert ("add_at" in " ".join(names_in(program))) == melts
    assert_compiles(f, SQUARE, SQUARE)


def test_what_is_added_to_in_place_keeps_both_names():
    def f(x, g):
        rest = x.exp()
        rest.name = "rest"
        total = apply(p.scatter, g, constant(ROWS), params=((ARRAY_SLOT,), (3,))) + rest
        total.name = "total"
        return total * 2

    source = assert_compiles(f, X3, X3)
    assert "    total = rest\n    total[rows] += g\n" in source


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


def test_nothing_is_written_over_what_another_operand_shares_memory_with():
    program = passes.simplify(program_of(lambda x: x.exp() + x.exp().T, SQUARE))
    (total,) = (op for op in program.ops if op.primitive is p.add)
    assert id(total) not in memory.plan_memory(program).in_place_of
    assert_compiles(lambda x: x.exp() + x.exp().T, SQUARE)


# ── Each pass ─────────────────────────────────────────────────────────────────────────────────────


def interpreted(program, arrays):
    """What a program computes, one primitive at a time."""
    values = {id(op): a for op, a in zip(program.arguments, arrays, strict=True)}
    for op in program.ops:
        if id(op) in values:
            continue
        if op.primitive is None:
            values[id(op)] = op.data if op.is_constant else op.place.content
        else:
            given = [values[id(x)] for x in op.inputs]
            values[id(op)] = op.primitive.value(*given, *op.params)
    return [values[id(op)] for op in program.results]


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
        passes.merge_equal, passes.fuse_scatter_add, passes.flatten_indices, passes.expand_row_maxima,
        passes.type_numbers, passes.merge_equal, passes.remove_dead,
    ):  # fmt: skip
        program = apply_pass(program)
        assert_same_bits(interpreted(program, [SQUARE, y]), expected)
    assert made <= set(names_in(program))


def test_names_that_the_module_needs_itself_are_not_mistaken():
    a = np.random.default_rng(0).normal(size=(300, 300))
    y = np.arange(300)
    assert_compiles(lambda buffer_1: ((buffer_1 @ buffer_1).tanh() @ buffer_1).sum(0), a)
    assert_compiles(lambda check_labels, y: 2 * F.cross_entropy(check_labels, y), a, y)
    source = assert_compiles(lambda x: x * tg.Tensor([1.0, 2.0, 4.0], name="step"), a[:, :3].copy())
    assert "step_1 = np.array([1., 2., 4.]" in source


def test_a_step_named_like_what_it_calls():
    def min(x):
        return F.cross_entropy(x, np.arange(3))

    assert "\ndef step(x):" in assert_compiles(min, np.eye(3))


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
        assert str(again.value) == str(eager.value)


def test_a_table_of_places_is_part_of_the_module_unless_it_is_large():
    def f(x, i):
        return tg.grad(lambda x: (x[i] ** 2).sum())(x)

    i = np.array([1, 1, 0])
    small = assert_compiles(f, np.ones((5, 3)), i)
    assert "places_of_rows = np.arange(15).reshape(5, 3)\n" in small
    assert "    np.add.at(spread, elements.reshape(9), " in small
    large = assert_compiles(f, np.ones((5000, 30)), i)
    assert "    add_rows(dx, i, " in large


def test_means_are_sums_that_are_divided_in_place():
    x = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    for dtype in (np.float16, np.float32, np.float64, int):
        for axis in (0, 1, (0, 1), None):
            assert_compiles(
                lambda x, a=axis: (x.mean(a), x.mean(a, keepdims=True)), x.astype(dtype)
            )
    source = assert_compiles(lambda x: x.mean(0) * 2, x)
    assert "    mean = np.add.reduce(x, 0)\n    mean /= c_7_0\n" in source


@pytest.mark.parametrize("index", [np.array([2, 0, 2]), np.array([[0], [1]]), np.arange(8) < 3])
def test_rows_of_arrays_whose_axes_are_in_another_order(index):
    x = tg.Tensor(np.asfortranarray(np.random.default_rng(0).normal(size=(8, 2, 3))))

    def f(x):
        return tg.value_and_grad(lambda x: (x[index] ** 3).sum())(x)

    compiled = tg.compile(f)
    for _ in range(2):
        assert_same_bits(compiled(x), f(x))
