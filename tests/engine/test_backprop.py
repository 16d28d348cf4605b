"""The walk: its order, what it adds up, what it frees, and how deep it goes."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_ce as tg
from tinygrad_ce.engine import primitives as p
from tinygrad_ce.engine.graph import topological_order
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply

T = tg.Tensor


def test_an_input_used_twice_gets_both_contributions_and_has_two_edges():
    a = T(3.0, requires_grad=True)
    y = a * a
    assert y.inputs == (a, a)
    y.backward()
    assert a.grad == 6


def test_inputs_are_kept_in_the_order_of_the_arguments():
    a, b = T(3.0, requires_grad=True), T(2.0, requires_grad=True)
    assert (a - b).inputs == (a, b)
    y = 1 - a
    assert y.inputs[0].data == 1
    assert y.inputs[1] is a


def test_backward_accumulates_into_leaves():
    a = T([1.0, 2.0], requires_grad=True)
    (a * 3).sum().backward()
    (a * 4).sum().backward()
    assert a.grad.tolist() == [7, 7]


def test_backward_of_a_leaf_is_its_cotangent():
    a = T([1.0, 2.0], requires_grad=True)
    a.backward([5.0, 6.0])
    assert a.grad.tolist() == [5, 6]


def test_a_cotangent_is_copied():
    a = T([1.0, 2.0], requires_grad=True)
    g = np.array([5.0, 6.0])
    a.backward(g)
    g[0] = 100
    assert a.grad.tolist() == [5, 6]


def test_one_element_of_any_shape_needs_no_cotangent():
    a = T([[2.0]], requires_grad=True)
    (a * a).backward()
    assert a.grad.tolist() == [[4]]


def test_a_second_walk_needs_retain_graph_and_adds_up():
    x = T(3.0, requires_grad=True)
    y = x**3
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad == 54
    with pytest.raises(tg.FreedGraphError, match="retain_graph=True"):
        y.backward()
    assert x.grad == 54


def test_a_freed_part_in_common_is_an_error_not_a_wrong_gradient():
    x = T(3.0, requires_grad=True)
    h = x * x
    one, two = h * 2, h * 3
    one.backward()
    with pytest.raises(tg.FreedGraphError, match="multiply"):
        two.backward()
    assert x.grad == 12


def test_graphs_that_share_a_part_are_right_with_retain_graph():
    x = T(3.0, requires_grad=True)
    h = x * x
    one, two = h * 2, h * 3
    one.backward(retain_graph=True)
    two.backward()
    assert x.grad == 30


def test_retain_grad_keeps_the_gradient_of_an_intermediate():
    x = T([1.0, 2.0], requires_grad=True)
    h = x * x
    h.retain_grad()
    (h * 3).sum().backward()
    assert h.grad.tolist() == [3, 3]


def test_intermediates_have_no_grad_otherwise():
    x = T(1.0, requires_grad=True)
    h = x * x
    (h * 3).backward()
    assert h.grad is None


def test_no_gradient_flows_where_none_is_wanted():
    x, c = T(2.0, requires_grad=True), T(5.0)
    (x * c).backward()
    assert c.grad is None
    assert (c * c).inputs == ()


def test_detach_stops_the_gradient():
    x = T(2.0, requires_grad=True)
    (x * x.detach()).backward()
    assert x.grad == 2


def test_a_failing_rule_leaves_no_gradient_behind():
    def fail(g, y, x):
        raise ZeroDivisionError

    broken = Primitive("broken", "!", lambda x: x, fail)
    a, b = T(1.0, requires_grad=True), T(2.0, requires_grad=True)
    y = apply(broken, a) + b
    with pytest.raises(ZeroDivisionError):
        y.backward()
    assert a.grad is None
    assert b.grad is None
    assert (a * 2).requires_grad


def test_gradients_of_intermediates_touch_no_grad_and_free_nothing():
    x = T([1.0, 2.0], requires_grad=True)
    h = x * x
    y = h.sum()
    for _ in range(2):
        gx, gh, gy = tg.gradients(y, [x, h, y])
        assert (gx.tolist(), gh.tolist(), gy.tolist()) == ([2, 4], [1, 1], 1)
    assert x.grad is None
    y.backward()


def test_gradients_that_do_not_depend_are_zeros():
    x, z = T([1.0, 2.0], requires_grad=True), T([[3.0]], requires_grad=True)
    _, gz = tg.gradients((x * x).sum(), [x, z])
    assert gz.tolist() == [[0]]
    (gz,) = tg.gradients((x * x).sum(), [z], create_graph=True)
    assert isinstance(gz, T)


def test_gradients_that_are_returned_are_the_caller_s_own():
    x, y = T([1.0, 2.0], requires_grad=True), T([1.0, 2.0], requires_grad=True)
    gx, gy = tg.gradients((x + y).sum(), [x, y])
    gx[0] = 100
    assert gy.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("tensors", "error", "says"),
    [
        (lambda x: x, TypeError, r"\[t\]"),
        (lambda x: [1.0], TypeError, "float"),
        (lambda x: [x.detach()], ValueError, "requires_grad"),
    ],
)
def test_gradients_refuses(tensors, error, says):
    x = T(1.0, requires_grad=True)
    with pytest.raises(error, match=says):
        tg.gradients(x * x, tensors(x))


def test_gradients_takes_a_cotangent_of_the_output_s_shape():
    x = T([1.0, 2.0], requires_grad=True)
    assert tg.gradients(x * x, [x], [1.0, 10.0])[0].tolist() == [2, 40]
    with pytest.raises(ValueError, match="shape"):
        tg.gradients(x * x, [x], T([1.0]), create_graph=True)


# ── The rules' bookkeeping ────────────────────────────────────────────────────────────────────────


@given(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=4, max_side=3), st.data())
def test_broadcasting_is_undone_in_every_position(shapes, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    arrays = [rng.normal(size=shape) for shape in shapes.input_shapes]
    weights = rng.normal(size=shapes.result_shape)
    a, b, c = (T(array, requires_grad=True) for array in arrays)
    ((a + b * c) * weights).sum().backward()

    def total(contribution, shape):
        full = np.broadcast_to(contribution, shapes.result_shape)
        lead = full.ndim - len(shape)
        full = full.sum(tuple(range(lead)))
        return full.sum(tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

    expected = [weights, weights * arrays[2], weights * arrays[1]]
    for t, contribution in zip((a, b, c), expected, strict=True):
        assert t.grad.shape == t.shape
        np.testing.assert_allclose(t.grad, total(contribution, t.shape), atol=1e-12)


def test_gradients_have_the_dtype_of_their_tensor():
    a = T(np.ones(3, np.float32), requires_grad=True)
    b = T(np.ones(3, np.float64), requires_grad=True)
    (a * b).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)


def test_a_complex_gradient_of_a_real_tensor_is_refused():
    x = T([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="complex"):
        (x * 1j).sum().backward()


# ── Depth and width ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_chain_of_a_million_nodes_runs_and_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        x = T(1.0, requires_grad=True)
        y = x
        for _ in range(1_000_000):
            y = y + 1.0
        middle = weakref.ref(y.inputs[0])
        y.backward()
        assert x.grad == 1
        assert middle() is None

        y = x
        for _ in range(1_000_000):
            y = y + 1.0
        middle = weakref.ref(y.inputs[0])
        del y
        assert middle() is None
    finally:
        gc.enable()


def test_a_diamond_of_400_levels_is_walked_once_not_along_each_path():
    x = T(1.0, requires_grad=True)
    y = x
    for _ in range(400):
        y = y + y
    y.backward()
    assert x.grad == 2.0**400


@pytest.mark.slow
def test_a_sum_of_20000_terms():
    x = T(2.0, requires_grad=True)
    y = T(0.0)
    for _ in range(20_000):
        y = y + x * x
    y.backward()
    assert x.grad == 80_000


def test_graph_lists_nodes_in_the_order_of_their_making():
    x = T(2.0, requires_grad=True)
    a = x * 3
    b = a + x
    nodes = topological_order(b)
    assert [n.index for n in nodes] == sorted(n.index for n in nodes)
    assert nodes[-1] is b
    assert {n.primitive.name for n in nodes if n.primitive} == {"multiply", "add"}
    assert topological_order(b, grad_only=True) == [x, a, b]


def test_an_entry_added_to_the_table_works_in_both_worlds():
    cube = Primitive("cube", "x³", lambda x: x**3, lambda g, y, x: g * 3 * x**2)
    assert tg.gradcheck(lambda x: apply(cube, x), [1.0, -2.0], order=2)
    assert p.exp(1.0) == np.exp(1.0)


@pytest.mark.parametrize("needs", [(0,), (1, 3), (2,), (0, 1, 2, 3)])
def test_parts_that_need_no_gradient_do_not_move_the_others(needs):
    parts = [
        tg.Tensor(np.ones((2, n)), requires_grad=i in needs) for i, n in enumerate((3, 0, 1, 2))
    ]
    total = tg.concatenate(parts, axis=1)
    total.backward(np.arange(12.0).reshape(2, 6))
    for i, part in enumerate(np.split(np.arange(12.0).reshape(2, 6), [3, 3, 4], axis=1)):
        if i in needs:
            np.testing.assert_array_equal(parts[i].grad, part)
        else:
            assert parts[i].grad is None
    assert sum(part.requires_grad for part in parts) == len(needs)


def test_ten_thousand_parts_are_one_pass_over_them(monkeypatch):
    passes = []
    accumulate = p.accumulate
    monkeypatch.setattr(p, "accumulate", lambda *a, **k: passes.append(a) or accumulate(*a, **k))
    parts = [tg.Tensor(float(i), requires_grad=True) for i in range(10_000)]
    (tg.stack(parts) * np.arange(10_000.0)).sum().backward()
    assert [float(part.grad) for part in parts] == [float(i) for i in range(10_000)]
    assert len(passes) == 1
