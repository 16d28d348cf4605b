"""Arrays of a graph never change, and the usual lines that update a parameter work all the same."""

import copy
import operator
import pickle

import numpy as np
import pytest

import tinygrad_ce as tg

IN_PLACE = [getattr(operator, f"i{name}") for name in ("add", "sub", "mul", "truediv", "pow")]
INTEGER = [
    getattr(operator, f"i{name}")
    for name in ("floordiv", "mod", "and", "or", "xor", "lshift", "rshift")
]


def leaf(dtype=np.float32, shape=(2, 3)):
    values = np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    t = tg.Tensor(values, requires_grad=np.dtype(dtype).kind == "f")
    if t.requires_grad:
        t.grad = values / 2
    return t


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
@pytest.mark.parametrize("in_place", IN_PLACE)
@pytest.mark.parametrize("name", ["data", "grad"])
def test_an_in_place_operator_binds_what_numpy_computes_in_place(name, in_place, shape, dtype):
    t = leaf(dtype, shape)
    before = getattr(t, name)
    expected = before.copy()
    operand = np.full(shape, 0.5)  # float64, which NumPy casts in place
    expected = in_place(expected, operand)
    was = before.copy()
    setattr(t, name, in_place(before, operand))
    found = getattr(t, name)
    assert found.dtype == dtype
    assert found.tobytes() == expected.tobytes()
    assert before.tobytes() == was.tobytes()
    assert not found.flags.writeable


@pytest.mark.parametrize("in_place", INTEGER)
def test_integers_have_their_operators_too(in_place):
    t = leaf(np.int64)
    expected = in_place(t.data.copy(), 2)
    t.data = in_place(t.data, 2)
    assert t.data.tolist() == expected.tolist()


def test_the_lines_of_the_lectures():
    p = leaf()
    start, g, lr = p.data.copy(), p.grad.copy(), np.float32(0.1)
    p.data += -0.1 * p.grad
    assert p.data.tobytes() == (start + -0.1 * g).tobytes()
    p.data -= 0.1 * p.grad
    p.grad *= 0.5
    assert p.grad.tobytes() == (g * np.float32(0.5)).tobytes()
    for q in [p]:
        q.grad = None
    assert p.grad is None
    p.grad = g
    w, same = p, p.data.copy()
    with tg.no_grad():
        w -= lr * w.grad
    assert w is p
    assert p.requires_grad
    assert p.data.tobytes() == (same - lr * g).tobytes()


@pytest.mark.parametrize("name", ["data", "grad"])
@pytest.mark.parametrize("in_place", IN_PLACE)
def test_the_operand_may_be_a_tensor_that_needs_no_gradient(in_place, name):
    t, operand = leaf(), tg.Tensor(np.full((2, 3), 0.5, np.float32))
    expected = in_place(getattr(t, name).copy(), operand.data)
    setattr(t, name, in_place(getattr(t, name), operand))
    assert getattr(t, name).tobytes() == expected.tobytes()
    operand.requires_grad = True
    with pytest.raises(TypeError, match="drop its gradient"):
        in_place(getattr(t, name), operand)
    assert getattr(t, name).tobytes() == expected.tobytes()


@pytest.mark.parametrize("operand", [np.ones((4, 2, 3)), np.ones(7), "a", None, 1j])
def test_what_does_not_fit_changes_nothing(operand):
    t = leaf()
    was = t.data.copy()
    with pytest.raises((TypeError, ValueError)):
        t.data += operand
    with tg.no_grad(), pytest.raises((TypeError, ValueError)):
        t += operand
    assert t.data.tobytes() == was.tobytes()


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "pow", "matmul"])
def test_a_leaf_under_no_grad_is_assigned_and_stays_the_leaf(name):
    t = leaf(np.float32, (3, 3))
    operand = np.full((3, 3), 2.0)
    expected = getattr(operator, name)(t.data, operand)
    with tg.no_grad():
        result = getattr(operator, f"i{name}")(t, operand)
    assert result is t
    assert (t.dtype, t.requires_grad, t.primitive) == (np.float32, True, None)
    assert t.data.tobytes() == expected.astype(np.float32).tobytes()


def test_a_leaf_that_needs_a_gradient_is_refused_where_operations_are_recorded():
    w = leaf()
    was = w.data.copy()
    with pytest.raises(RuntimeError, match="no_grad"):
        w -= 0.1
    assert w.data.tobytes() == was.tobytes()


def test_what_needs_no_gradient_or_was_computed_is_bound_to_the_result():
    total = first = tg.Tensor(0.0)
    w = leaf()
    for _ in range(2):
        total += (w * w).sum()
    assert first.item() == 0
    total.backward()
    assert w.grad.tobytes() == (w.data / 2 + 4 * w.data).tobytes()


def test_an_update_in_place_is_compiled():
    def steps(compiled):
        w = leaf()

        def step(x):
            loss = (w * x).sum() ** 2
            w.grad = None
            loss.backward()
            alias = w
            with tg.no_grad():
                alias -= 0.01 * w.grad
            return loss

        step = tg.compile(step) if compiled else step
        x = np.ones((2, 3), np.float32)
        return [step(x).item() for _ in range(5)], w.data.tobytes()

    assert steps(True) == steps(False)


@pytest.mark.parametrize(
    "assign",
    [
        lambda a: a.__setitem__(slice(None), 0),
        lambda a: a.__setitem__(0, 1),
        lambda a: a[0].__setitem__(0, 1),
        lambda a: a.T.__setitem__(0, 1),
        lambda a: a.fill(0),
        lambda a: a.sort(),
        lambda a: np.add.at(a, 0, 1),
        lambda a: np.add(a, 1, out=a),
        lambda a: a.setflags(write=True),
        lambda a: a.view(np.ndarray).__setitem__(0, 1),
    ],
)
def test_no_element_changes(assign):
    t = leaf()
    was = t.data.copy()
    with pytest.raises(ValueError, match=r"read-only|WRITEABLE"):
        assign(t.data)
    assert t.data.tobytes() == was.tobytes()


def test_results_and_copies_are_plain_arrays_that_can_change():
    data = leaf().data
    for a in (
        data + 1,
        np.exp(data),
        data.copy(),
        copy.copy(data),
        copy.deepcopy(data),
        pickle.loads(pickle.dumps(data)),
        np.array(data),
        data @ data.T,
    ):
        assert type(a) is np.ndarray
        a[0] = 7
    assert type(data.sum()) is np.float32
    assert repr(data) == repr(np.array(data))
    converted = same = data.astype(np.float64)
    converted += 1
    converted[0] = 0
    assert converted is same
    assert converted.tolist() == [[0, 0, 0], [5, 6, 7]]


def test_dlpack_gives_a_copy_and_refuses_what_needs_a_gradient():
    t = tg.Tensor([1.0, 2.0])
    array = np.from_dlpack(t)
    assert array.tolist() == [1, 2]
    assert not np.shares_memory(array, t.data)
    with pytest.raises(TypeError, match="gradient"):
        np.from_dlpack(leaf())
    with pytest.raises(BufferError, match="shares its memory"):
        t.__dlpack__(copy=False)
