"""No mutation of an array changes a gradient silently: it raises, or has no effect."""

import copy

import numpy as np
import pytest
from attacks import X, Y, mlp

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import optim

T = tg.Tensor


MASK = np.array([True, False, True])
FLOATS = np.array([0.5, 1.5, 2.5])
PLACES = np.array([2, 0, 0])


@pytest.mark.parametrize(
    ("given", "f"),
    [
        (MASK, lambda x, a: tg.where(a, x * x, x)),
        (MASK, lambda x, a: np.where(a, x * x, 1.0)),
        (MASK, lambda x, a: x[a]),
        (MASK, lambda x, a: x * a),
        (list(MASK), lambda x, a: x[a]),
        (PLACES, lambda x, a: x[a] * x),
        (list(PLACES), lambda x, a: x[a] * x),
        (PLACES, lambda x, a: x[None][0, a] * x),
        (PLACES, lambda x, a: tg.take_along_axis(x, a, 0) * x),
        (PLACES, lambda x, a: np.take(x, a) * x),
        (PLACES, lambda x, a: F.cross_entropy(tg.stack([x, x * x, x]), a)),
        (PLACES, lambda x, a: x**a),
        (FLOATS, lambda x, a: x**a),
        (FLOATS, lambda x, a: a**x),
        (FLOATS, lambda x, a: a / x),
        (FLOATS, lambda x, a: x @ a * x),
        (FLOATS, lambda x, a: a @ x * x),
        (FLOATS, lambda x, a: tg.einsum("i,i->", x * x, a)),
        (FLOATS, lambda x, a: np.outer(x, a) * x),
        (FLOATS, lambda x, a: tg.maximum(x, a) * x),
        (FLOATS, tg.logaddexp),
        (FLOATS, lambda x, a: tg.concatenate([x, a]) ** 2),
        (FLOATS, lambda x, a: tg.stack([a, x]) * x),
        (list(FLOATS), lambda x, a: x * a),
        (FLOATS, lambda x, a: np.clip(x, a, None) * x),
        ([1, -1], lambda x, a: x.reshape(a) * x),
        ([1, 3], lambda x, a: (x * x).broadcast_to(a)),
        ([1, 2], lambda x, a: tg.concatenate(tg.split(x * x, a)[::-1])),
        (FLOATS, lambda x, a: x * x * T(a, requires_grad=True)),
        (FLOATS, lambda x, a: tg.vjp(lambda z: z * x, a)[1]([1.0, 2.0, 3.0]) * x),
        (FLOATS, lambda x, a: tg.grad(lambda z: (z * z * x).sum())(a) * x),
        (FLOATS, lambda x, a: tg.jvp(lambda z: z * z * x, [a], [a])[1] * x),
    ],
)
def test_what_was_given_can_change_without_effect(given, f):
    gradients = []
    for change in (False, True):
        x = T([0.2, 1.1, 2.1], requires_grad=True)
        argument = copy.deepcopy(given)
        y = f(x, argument)
        weights = np.cos(np.arange(y.size)).reshape(y.shape)
        total = (y * weights).sum()
        if change:
            weights[...] = 7
            argument[:] = [argument[0]] * len(argument)
        before = total.item()
        total.backward()
        assert total.item() == before
        gradients.append(x.grad)
    np.testing.assert_array_equal(*gradients)


def test_a_pullback_keeps_the_arguments_and_the_cotangent_it_was_given():
    a, u = np.array([1.0, 2.0]), np.array([1.0, 10.0])
    y, pullback = tg.vjp(lambda x: x * x, a)
    a[:] = 100
    got = pullback(u)
    u[:] = 100
    assert y.data.tolist() == [1, 4]
    assert got.data.tolist() == [2, 40]


def test_what_transforms_return_is_the_caller_s_own_or_read_only():
    y, pullback = tg.vjp(lambda x: x * 1, np.array([1.0, 2.0]))
    for t in (y, pullback([1.0, 1.0]), tg.grad(lambda x: x.sum())(np.ones(2))):
        with pytest.raises(ValueError, match="read-only"):
            t.data[0] = 5
    with pytest.raises(TypeError, match="assigned into"):
        y[0] = 5


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a[:1],
        lambda a: a.T,
        lambda a: a.reshape(-1),
        lambda a: a.ravel(),
        lambda a: a.view(np.int64),
        np.asarray,
        lambda a: np.array(a, copy=False),
        lambda a: np.lib.stride_tricks.as_strided(a, (2,), (8,)),
        lambda a: np.frombuffer(a, np.float64),
        memoryview,
    ],
)
def test_no_view_of_a_returned_array_can_be_written(view):
    x = T(np.ones((2, 2)), requires_grad=True)
    (x * x).sum().backward()
    for array in (x.data, x.grad, (x * 2).data):
        seen = view(array)
        place = (0, 0) if isinstance(seen, memoryview) else ...
        with pytest.raises((ValueError, TypeError), match=r"read-only|readonly"):
            seen[place] = 5


def test_updates_in_place_raise_before_anything_has_changed():
    w = T([1.0, 2.0], requires_grad=True)
    (w * w).sum().backward()
    with pytest.raises(RuntimeError, match="no_grad"):
        w -= 0.1
    with pytest.raises(ValueError, match="read-only"):
        np.add(w.data, 1, out=w.data)
    with pytest.raises(TypeError, match="assigned into"):
        w[0] += 1
    assert (w.data.tolist(), w.grad.tolist()) == ([1, 2], [2, 4])


def assigned(model, optimizer):
    for p in model.parameters():
        p.data = np.full(p.shape, 7.0)


def stepped(model, optimizer):
    for p in model.parameters():
        p.grad = np.ones(p.shape)
    optimizer.step()
    optimizer.zero_grad()


def loaded(model, optimizer):
    state = {name: value + 1 for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    for value in state.values():
        value[...] = 99


@pytest.mark.parametrize("change", [assigned, stepped, loaded])
@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_parameters_changed_between_forward_and_backward_have_no_effect_on_gradients(change, kind):
    gradients = []
    for changed in (False, True):
        model = mlp()
        optimizer = kind(model.parameters(), lr=0.1)
        loss = F.cross_entropy(model(X), Y)
        if changed:
            before = model.parameters()[0].data
            change(model, optimizer)
            assert (model.parameters()[0].data != before).all()
            assert (model.parameters()[0].data != 99).all()
        loss.backward()
        gradients.append([p.grad for p in model.parameters()])
    for expected, got in zip(*gradients, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_gradients_that_two_leaves_received_as_one_array_stay_apart():
    a, b = T([1.0, 2.0], requires_grad=True), T([3.0, 4.0], requires_grad=True)
    (a + b).sum().backward()
    (a * 5).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([6, 6], [1, 1])
    c = T([1.0, 2.0], requires_grad=True)
    y = c.reshape(2, 1).T
    y.retain_grad()
    (y + c).sum().backward()
    (c * 5).sum().backward()
    assert (c.grad.tolist(), y.grad.tolist()) == ([7, 7], [[1, 1]])


def test_a_leaf_that_begins_to_require_its_gradient_late_gets_all_of_it_or_none():
    w, c = T(3.0, requires_grad=True), T(5.0)
    y = w * c + c * c
    c.requires_grad = True
    y.backward()
    assert w.grad == 5
    assert c.grad is None or c.grad == 3 + 2 * 5


def test_uses_before_and_after_it_began_to_require_its_gradient_are_kept_apart():
    w, c = T(3.0, requires_grad=True), T(5.0)
    y = w * c + c * c
    c.requires_grad = True
    (y + c * 7).backward()
    assert (w.grad, c.grad) == (5, 7)


def test_a_leaf_that_ceases_to_require_its_gradient_gets_none():
    w, c = T(3.0, requires_grad=True), T(5.0, requires_grad=True)
    y = w * c
    c.requires_grad = False
    y.backward()
    assert (w.grad, c.grad) == (5, None)
