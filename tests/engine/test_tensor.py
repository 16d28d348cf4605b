"""What a Tensor holds, what it hands out, and what it refuses."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce.engine import Primitive, apply

T = tg.Tensor


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (np.zeros(2, np.float32), np.float32),
        (np.zeros(2, np.float16), np.float16),
        (np.zeros(2, int), np.int64),
        (np.zeros(2, np.uint8), np.uint8),
        (np.zeros(2, bool), np.bool_),
        ([1, 2], np.float64),
        ([1.5, 2], np.float64),
        ([True, False], np.bool_),
        (3, np.float64),
        (3.0, np.float64),
        (np.float32(3), np.float32),
        ([], np.float64),
        (T([1.0], dtype=np.float32), np.float32),
    ],
)
def test_dtype_of_what_it_is_made_from(data, dtype):
    assert T(data).dtype == dtype


@pytest.mark.parametrize(
    ("f", "dtype"),
    [
        (lambda x: x * 2, np.float32),
        (lambda x: 0.5 + x, np.float32),
        (lambda x: x**2, np.float32),
        (lambda x: np.maximum(x, 0.0), np.float32),
        (lambda x: x.mean(), np.float32),
        (lambda x: x * np.float64(2), np.float64),
        (lambda x: x * np.zeros(2), np.float64),
        (lambda x: x * np.ones(2, int), np.float64),
    ],
)
def test_promotion_follows_numpy(f, dtype):
    x = T(np.ones(2, np.float32), requires_grad=True)
    y = f(x)
    assert y.dtype == dtype
    y.sum().backward()
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("bad", ["a", None, [None], {"a": 1}, object(), np.array(["x"]), 1j, [1j]])
def test_refuses_what_is_not_numeric(bad):
    with pytest.raises(TypeError, match="numbers"):
        T(bad)


def test_refuses_a_list_of_tensors_since_their_gradient_would_be_lost():
    with pytest.raises(TypeError, match=r"tg\.stack"):
        T([T(1.0, requires_grad=True), 2.0])


def test_refuses_a_masked_array_whose_mask_would_be_lost():
    masked = np.ma.masked_array([1.0, 1e20], mask=[False, True])
    with pytest.raises(TypeError, match="filled"):
        T(masked)
    with pytest.raises(TypeError, match="filled"):
        T([1.0, 2.0]) * masked


@pytest.mark.parametrize("dtype", [int, bool, np.uint8])
def test_requires_grad_is_for_floating_point(dtype):
    with pytest.raises(TypeError, match="floating point"):
        T([1], dtype=dtype, requires_grad=True)
    with pytest.raises(TypeError, match="floating point"):
        T([1], dtype=dtype).requires_grad = True


# ── No array that it returns can change what the graph holds ──────────────────────────────────────


def test_the_array_it_was_made_from_can_change_without_effect():
    a = np.array([1.0, 2.0])
    x = T(a, requires_grad=True)
    y = (x * x).sum()
    a[:] = 100
    y.backward()
    assert x.grad.tolist() == [2, 4]


def test_an_array_taken_over_becomes_read_only_with_its_base():
    base = np.arange(4.0)
    x = T(base[1:], copy=False)
    with pytest.raises(ValueError, match="read-only"):
        base[2] = 5
    assert np.shares_memory(x.data, base)


@pytest.mark.parametrize("operand", [np.array([1.0, 2.0]), [1.0, 2.0]])
def test_operands_are_copied(operand):
    x = T([3.0, 4.0], requires_grad=True)
    y = (x * operand).sum()
    operand[0] = 100.0
    y.backward()
    assert x.grad.tolist() == [1, 2]


@pytest.mark.parametrize("index", [np.array([0, 0]), np.array([True, False]), [1, 1]])
def test_an_index_can_change_without_effect(index):
    x = T([3.0, 4.0], requires_grad=True)
    y = x[index].sum()
    expected = x.data[index].sum()
    first = np.array(index)
    index[0] = not index[0]
    y.backward()
    assert y.item() == expected
    np.testing.assert_array_equal(x.grad, np.bincount(np.arange(2)[first], minlength=2))


@pytest.mark.parametrize(
    "array_of",
    [
        lambda x: x.data,
        lambda x: x.numpy(),
        lambda x: (x * 2).data,
        lambda x: x.T.data,
        lambda x: x[1:].data,
        lambda x: x.sum().data,
        lambda x: x.grad,
        lambda x: np.asarray(x.detach()),
    ],
)
def test_arrays_that_it_returns_are_read_only_for_good(array_of):
    x = T(np.ones((2, 2)), requires_grad=True)
    (x * x).sum().backward()
    array = array_of(x)
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 5
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True


def test_a_parameter_assigned_between_forward_and_backward_has_no_effect_on_the_gradient():
    w = T(3.0, requires_grad=True)
    y = w * w
    w.data = 100.0
    y.backward()
    assert w.grad == 6


def test_a_graph_of_the_gradient_refuses_a_parameter_assigned_in_between():
    w = T(3.0, requires_grad=True)
    y = w * w
    w.data = 100.0
    with pytest.raises(RuntimeError, match="assigned a new value"):
        tg.gradients(y, [w], create_graph=True)


def test_assigning_data_copies_and_keeps_shape_and_dtype():
    w = T([1.0, 2.0], requires_grad=True)
    new = np.array([3.0, 4.0])
    w.data = new
    new[0] = 100
    assert w.data.tolist() == [3, 4]
    half = T([1.0, 2.0], dtype=np.float16)
    half.data = [3, 4.5]
    assert (half.dtype, half.data.tolist()) == (np.float16, [3, 4.5])
    for bad in (np.zeros(3), np.zeros(2, np.float32), np.zeros((1, 2)), 1.0):
        with pytest.raises(ValueError, match="shape and dtype"):
            w.data = bad
    assert w.data.tolist() == [3, 4]


def test_data_of_a_computed_tensor_cannot_be_assigned():
    y = T(1.0, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="computed"):
        y.data = 3.0
    with pytest.raises(RuntimeError, match="leaves only"):
        y.requires_grad = False


def test_an_assigned_gradient_is_a_copy_of_the_right_shape():
    w = T([1.0, 2.0], requires_grad=True)
    g = np.ones(2)
    w.grad = g
    g[0] = 7
    assert w.grad.tolist() == [1, 1]
    w.grad = w.grad * 0.5
    assert w.grad.tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="shape of its tensor"):
        w.grad = np.ones(3)
    w.grad = None
    assert w.grad is None


# ── What it refuses, and says ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("action", "error", "says"),
    [
        (lambda t: t.__setitem__(0, 1.0), TypeError, "np.where"),
        (bool, ValueError, "ambiguous"),
        (float, ValueError, "2 elements"),
        (int, ValueError, "2 elements"),
        (lambda t: t.item(), ValueError, "2 elements"),
        (lambda t: [10, 20][t], TypeError, "integer"),
        (np.asarray, TypeError, "drop its gradient"),
        (np.linalg.eigvals, TypeError, "np.linalg.eigvals does not work on .* np.linalg.eigvalsh"),
        (np.i0, TypeError, "np.i0 does not work on Tensors.* Bessel"),
        (np.subtract.reduce, TypeError, "np.subtract.reduce does not .* followed for add"),
        (lambda t: np.add.at(t, 0, 1), TypeError, "arrays in a graph never change"),
        (lambda t: np.sum(t, out=np.zeros(())), TypeError, "np.sum .* does not take out="),
        (lambda t: np.quantile(t, 0.5, weights=[1, 2]), TypeError, "does not take weights="),
        (lambda t: np.linalg.svd(t[None]), TypeError, "full_matrices=False"),
        (lambda t: np.pad(t, 1, "mean"), TypeError, "takes the modes constant, edge"),
        (lambda t: np.take(t, 0.5), TypeError, "integer indices"),
        (lambda t: t.sort(), AttributeError, "in place.* tg.sort"),
        (lambda t: t.no_such_thing, AttributeError, "no attribute 'no_such_thing'"),
        (lambda t: np.add(t, 1, out=np.zeros(2)), TypeError, "never change"),
        (lambda t: np.zeros(2).__iadd__(t), TypeError, "never change"),
        (lambda t: np.exp(t, dtype=np.float32), TypeError, "does not take dtype.*astype"),
        (lambda t: np.exp(t, where=[True, False]), TypeError, "does not take where.*np.where"),
        (lambda t: f"{t:.3f}", ValueError, "2 elements"),
        (lambda t: t @ T(1.0), ValueError, "matmul"),
        (lambda t: t @ np.ones(3), ValueError, "do not match"),
        (lambda t: t + np.ones(3), ValueError, "broadcast"),
        (lambda t: t.sum(3), ValueError, "out of bounds"),
        (lambda t: t.transpose(5), ValueError, "out of bounds"),
        (lambda t: t.swapaxes(0, 1), ValueError, "out of bounds"),
        (lambda t: np.split(t, 1, axis=1), ValueError, "out of bounds"),
        (lambda t: t.clip(T(1.0), 2), TypeError, "tg.minimum"),
        (lambda t: tg.stack([]), ValueError, "stack needs"),
        (lambda t: tg.concatenate([]), ValueError, "concatenate needs"),
        (lambda t: tg.norm(t, "nuc"), ValueError, "of matrices"),
        (lambda t: tg.norm(t[None], "nonsense"), ValueError, "no order of matrices"),
        (lambda t: tg.split(t, 3), ValueError, "3 equal parts"),
        (lambda t: tg.einsum("ij,j", t, t), ValueError, "does not fit"),
        (lambda t: tg.einsum("i", t, t), ValueError, "1 terms for 2"),
        (lambda t: tg.einsum([0], t), TypeError, "text"),
        (lambda t: tg.einsum("ii", np.ones((2, 3)) * t.sum()), ValueError, "lengths"),
        (lambda t: tg.take_along_axis(t, [[0]]), ValueError, "1 axes"),
        (lambda t: np.dot(t, np.ones((2, 3, 2))), ValueError, "do not match"),
        (lambda t: t[5], IndexError, "out of bounds"),
        (lambda t: t.reshape(3), ValueError, "reshape"),
        (lambda t: t.astype(complex), TypeError, "real numbers"),
        (lambda t: t.backward(), RuntimeError, "2 elements"),
        (lambda t: t.backward(np.ones(3)), ValueError, "shape"),
        (lambda t: t.detach().backward(), RuntimeError, "nothing to differentiate"),
        (lambda t: t.detach().retain_grad(), RuntimeError, "needs no gradient"),
        (lambda t: len(t.sum()), TypeError, "0-d"),
        (lambda t: iter(t.sum()), TypeError, "0-d"),
        (lambda t: tg.stack([t, T([1.0])]), ValueError, "one shape"),
    ],
)
def test_refuses_with_an_explanation(action, error, says):
    t = T([1.0, 2.0], requires_grad=True)
    with pytest.raises(error, match=says):
        action(t)
    assert t.grad is None


def test_single_elements_convert_to_python_numbers():
    assert float(T([[2.5]])) == 2.5
    assert int(T(3)) == 3
    assert T([[4]], dtype=int).item() == 4
    assert bool(T(0.0)) is False
    assert [10, 20, 30][T(1, dtype=int)] == 20
    assert len(T([1.0, 2.0])) == 2
    assert [t.item() for t in T([1.0, 2.0])] == [1, 2]
    assert f"{T(0.12345):.3f}, {T([1.0])}" == "0.123, Tensor([1.])"


# ── NumPy's protocols ─────────────────────────────────────────────────────────────────────────────

A = np.array([[0.2, 0.7, 0.1], [0.5, 0.4, 0.9]])


@pytest.mark.parametrize(
    "f",
    [
        lambda a: np.exp(a) + np.ones(3),
        lambda a: np.ones(3) - a,
        lambda a: np.float64(2) / a,
        lambda a: np.matmul(a, np.ones((3, 2))),
        lambda a: np.ones((4, 2)) @ a,
        lambda a: np.log(a) * np.sqrt(a) - np.log1p(a) + np.expm1(a),
        lambda a: np.tanh(a) + np.sin(a) + np.cos(a),
        lambda a: np.where(a > 0.3, a, 0),
        lambda a: np.concatenate([a, np.ones((1, 3))]),
        lambda a: np.stack([a, a], axis=-1),
        lambda a: np.sum(a, axis=0),
        lambda a: np.mean(a, axis=1, keepdims=True),
        np.max,
        lambda a: np.amin(a, axis=1),
        lambda a: np.var(a, axis=0, ddof=1),
        lambda a: np.std(a, axis=1),
        lambda a: np.argmax(a, axis=1),
        lambda a: np.clip(a, 0.3, 0.6),
        lambda a: np.reshape(a, (3, 2)),
        np.ravel,
        np.transpose,
        lambda a: np.transpose(a, (1, 0)),
        lambda a: np.swapaxes(a, 0, 1),
        lambda a: np.expand_dims(a, 1),
        lambda a: np.squeeze(a[None]),
        lambda a: np.broadcast_to(a, (2, 2, 3)),
        lambda a: np.maximum(a, 0.5) + np.minimum(0.5, a),
        lambda a: np.square(a) + np.reciprocal(a) + np.abs(-a) + np.negative(a),
        lambda a: np.power(a, 2) + np.add.reduce(a) + np.maximum.reduce(a),
        lambda a: (a > 0.3) & ~np.isnan(a),
    ],
)
def test_numpy_functions_on_tensors_agree_with_numpy_on_arrays(f):
    y = f(T(A, requires_grad=True))
    assert isinstance(y, T)
    np.testing.assert_array_equal(y.data, f(A))


def test_an_array_on_the_left_gives_one_tensor_not_an_array_of_tensors():
    y = np.ones((2, 3)) * T(np.ones(3), requires_grad=True)
    assert isinstance(y, T)
    assert y.shape == (2, 3)


def test_logical_functions_ask_for_truth_not_for_bits():
    a = T([1, 2, 0], dtype=int)
    assert np.logical_and(a, 4).data.tolist() == [True, True, False]
    assert np.logical_or(T([0.0, 0.5]), 0).data.tolist() == [False, True]
    assert np.logical_not(a).data.tolist() == [False, False, True]
    assert (a & 3).data.tolist() == [1, 2, 0]


def test_what_is_not_numeric_is_not_an_operand():
    t = T([1.0])
    assert (t == None) is False  # noqa: E711
    assert (t != "a") is True
    for action in (lambda: t + "a", lambda: t**None, lambda: {} @ t):
        with pytest.raises(TypeError, match="unsupported operand"):
            action()


def test_python_numbers_can_stand_where_a_tensor_can():
    assert tg.stack([1.0, T(2.0)]).data.tolist() == [1, 2]
    assert tg.maximum(1.0, 2.0).item() == 2
    assert tg.grad(lambda a, b: a * b.mean() * abs(b))(1.0, 2.0).item() == 4
    assert np.linalg.norm(T([3.0, 4.0])).item() == 5


# ── Copies ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_a_leaf_round_trips_and_a_node_becomes_its_value(copied):
    w = T([1.0, 2.0], requires_grad=True, name="w")
    y = w * w
    y.sum().backward(retain_graph=True)
    leaf, node = copied(w), copied(y)
    assert (leaf.name, leaf.requires_grad, leaf.dtype) == ("w", True, w.dtype)
    assert leaf.data.tolist() == [1, 2]
    assert leaf.grad.tolist() == [2, 4]
    assert (node.requires_grad, node.inputs, node.data.tolist()) == (False, (), [1, 4])
    leaf.data = [5.0, 5.0]
    assert w.data.tolist() == [1, 2]


def test_repr_shows_value_dtype_name_and_origin():
    w = T([1, 2], dtype=np.float32, requires_grad=True, name="w")
    assert repr(w) == "Tensor([1., 2.], dtype=float32, name='w', requires_grad=True)"
    assert repr(w * 2) == "Tensor([2., 4.], dtype=float32, from multiply)"
    assert repr(T(np.zeros((2, 0)))) == "Tensor([], shape=(2, 0))"
    assert len(repr(T(np.zeros((1000, 1000))))) < 500


# ── Modes ─────────────────────────────────────────────────────────────────────────────────────────


def test_no_grad_records_nothing_and_ends_with_its_block_even_by_an_exception():
    x = T(1.0, requires_grad=True)

    def fail():
        with tg.no_grad(), tg.scope("inner"):
            assert not (x * 2).requires_grad
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    y = x * 2
    assert y.requires_grad
    assert y.scope is None


def test_modes_can_be_entered_again_and_decorate():
    off = tg.no_grad()
    x = T(1.0, requires_grad=True)
    with off, off:
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad

    @tg.no_grad()
    def f(depth):
        return f(depth - 1) if depth else (x * 2).requires_grad

    assert f(3) is False
    assert (x * 2).requires_grad


def test_two_calls_of_a_scope_are_two_scopes_of_one_name():
    x = T(1.0, requires_grad=True)

    @tg.scope("square")
    def square(x):
        return x * x

    with tg.scope("outer"):
        a, b = square(x), square(x)
    assert a.scope.path == b.scope.path == "outer/square"
    assert a.scope is not b.scope
    assert a.scope.parent is b.scope.parent


def test_a_scope_needs_a_name():
    with pytest.raises(TypeError, match="str"):
        tg.scope(3)


def test_threads_do_not_see_each_other_s_modes():
    errors = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for i in range(200):
            w = T(rng.normal(size=3), requires_grad=True)
            with tg.scope(f"thread {seed}"):
                with tg.no_grad():
                    if (w * w).requires_grad:
                        errors.append("recorded under no_grad")
                y = (w * w).sum()
            if y.scope.name != f"thread {seed}" or not y.requires_grad:
                errors.append("a mode of another thread")
            y.backward()
            if not np.array_equal(w.grad, 2 * w.data):
                errors.append(f"wrong gradient at {i}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


# ── Memory ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_graph_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        x = T(np.ones(3), requires_grad=True)
        y = (x * x).exp()
        seen = weakref.ref(y)
        total = y.sum()
        del y
        assert seen() is not None
        total.backward()
        assert seen() is not None  # a small graph can still be drawn
        del total
        assert seen() is None
        z = (x * x).exp()
        seen = weakref.ref(z)
        del z
        assert seen() is None
    finally:
        gc.enable()


def test_a_number_beside_a_tensor_stays_a_python_number():
    two = (T(1.0, requires_grad=True) * 2).inputs[1]
    assert type(two.item()) is int
    assert (two.item(), float(two)) == (2, 2.0)


class OwnError(ValueError):
    pass


@pytest.mark.parametrize("error", [OwnError("mine"), RuntimeError("mine"), KeyError("mine")])
def test_an_error_of_a_primitive_of_ones_own_comes_through_as_it_is(error):
    def value(x):
        raise error

    primitive = Primitive("mine", "m", value, lambda g, y, x: g)
    with pytest.raises(type(error)) as raised:
        apply(primitive, T(1.0))
    assert raised.value is error
