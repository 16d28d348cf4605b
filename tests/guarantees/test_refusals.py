"""What is refused, beyond single Tensors."""

import numpy as np
import pytest
from attacks import V

import tinygrad_ce as tg
from tinygrad_ce import optim

T = tg.Tensor


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (
            lambda: tg.gradcheck(lambda x: x, V, method="forward"),
            ValueError,
            "auto, complex, central",
        ),
        (lambda: tg.gradcheck(lambda x: x.data, V), TypeError, "must return a Tensor"),
        (
            lambda: tg.gradcheck(lambda x: x.astype(np.float64), V, method="complex"),
            TypeError,
            "does not allow the complex step",
        ),
        (lambda: T(V) @ None, TypeError, "unsupported operand"),
        (lambda: np.array(T(V), dtype=np.float32, copy=False), ValueError, "without a copy"),
        (lambda: np.dot(T(V), np.ones((2, 7, 2))), ValueError, "do not match"),
        (lambda: tg.einsum("ii", np.ones((2, 3))), ValueError, r"lengths \[2, 3\]"),
        (lambda: tg.einsum("ij", V), ValueError, "does not fit"),
        (lambda: tg.einsum("i,i", V), ValueError, "2 terms for 1 operands"),
        (lambda: tg.einsum(V, [0]), TypeError, "as text"),
        (lambda: tg.norm(np.ones((2, 2)), 5), ValueError, "no order of matrices"),
        (lambda: tg.take_along_axis(np.ones((2, 2)), [0]), ValueError, "2 axes"),
        (lambda: tg.concatenate([]), ValueError, "at least one"),
        (
            lambda: optim.Optimizer([T(1.0, True)], 0.1).update({}, 0, 1, 1),
            NotImplementedError,
            None,
        ),
    ],
)
def test_wrong_use_is_refused_with_an_explanation(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_pullback_refuses_a_cotangent_of_another_shape():
    w = T(2.0, requires_grad=True)
    for f in (lambda x: x * x, lambda x: x * w):
        _, pullback = tg.vjp(f, V)
        for cotangent in (np.ones(3), T(np.ones(3)), T(np.ones(()))):
            with pytest.raises(ValueError, match="shape"):
                pullback(cotangent)


def test_gradcheck_passes_on_what_is_not_numeric():
    assert tg.gradcheck(lambda x, name, n: x * len(name) ** n, V, "abc", 2)


def test_a_message_names_the_tensor():
    w = T(V, requires_grad=True, name="w")
    with pytest.raises(RuntimeError, match="tensor 'w' has 2 elements"):
        w.backward()
    with pytest.raises(RuntimeError, match=r"multiply result of shape \(2,\)"):
        (w * w).backward()


def test_small_forms_do_as_numpy_does():
    w = T([[3.0, 1.0], [2.0, 5.0]], requires_grad=True)
    assert (+w) is w
    assert tg.take_along_axis(w, [3, 0], None).data.tolist() == [5, 3]
    assert np.dot(w, 2.0).data.tolist() == [[6, 2], [4, 10]]
    assert w[[]].shape == (0, 2)
    assert w.sum(1).params == (1, False)
    w.grad = T(np.ones((2, 2)))
    assert w.grad.tolist() == [[1, 1], [1, 1]]


def test_momentum_can_be_switched_on_and_off_between_steps():
    w = T(0.0, requires_grad=True)
    sgd = optim.SGD([w], lr=1.0)
    for momentum, expected in ((0.0, -1.0), (0.5, -2.0), (0.5, -3.5), (0.0, -4.5)):
        sgd.momentum = momentum
        assert sgd.momentum == momentum
        w.grad = 1.0
        sgd.step()
        assert w.item() == expected
    with pytest.raises(ValueError, match="momentum"):
        sgd.momentum = -1
