"""Clipping of gradients."""

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import optim


def parameters(dtype=np.float64):
    rng = np.random.default_rng(0)
    ps = [tg.Tensor(np.zeros(s), requires_grad=True, dtype=dtype) for s in ((3, 2), (), (4,), (2,))]
    for p in ps[:3]:
        p.grad = rng.normal(size=p.shape)
    return ps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("norm_type", [1, 2.0, 3, np.inf])
def test_the_norm_of_all_gradients_together_is_limited(norm_type, dtype):
    ps = parameters(dtype)
    grads = np.concatenate([p.grad.ravel() for p in ps[:3]])
    expected = np.linalg.norm(grads, norm_type)
    total = optim.clip_grad_norm_(ps, expected / 2, norm_type)
    np.testing.assert_allclose(total.data, expected, rtol=1e-6)
    after = np.concatenate([p.grad.ravel() for p in ps[:3]])
    np.testing.assert_allclose(after, grads / 2, rtol=2e-6)
    assert after.dtype == dtype
    assert ps[3].grad is None
    again = [p.grad for p in ps[:3]]
    optim.clip_grad_norm_(ps, 1e3)  # nothing to do
    for p, g in zip(ps, again, strict=False):
        np.testing.assert_array_equal(p.grad, g)


def test_squares_of_float16_do_not_overflow():
    p = tg.Tensor(np.zeros(2, np.float16), requires_grad=True)
    p.grad = [3e4, 4e4]
    assert optim.clip_grad_norm_([p], 5.0).item() == 5e4
    np.testing.assert_allclose(p.grad, [3, 4], rtol=1e-3)


def test_without_gradients_the_norm_is_0_and_one_parameter_is_enough():
    p = tg.Tensor(1.0, requires_grad=True)
    assert optim.clip_grad_norm_(p, 1.0).item() == 0
    p.grad = 3.0
    assert optim.clip_grad_norm_(p, 1.0).item() == 3
    assert p.grad == pytest.approx(1)


def test_values_are_limited():
    ps = parameters()
    before = [p.grad for p in ps[:3]]
    optim.clip_grad_value_(ps, 0.3)
    for p, g in zip(ps, before, strict=False):
        np.testing.assert_array_equal(p.grad, np.clip(g, -0.3, 0.3))


@pytest.mark.parametrize("clip", ["clip_grad_norm_", "clip_grad_value_"])
def test_compiled_steps_have_the_bits_of_the_eager_ones(clip):
    def make():
        w, b = tg.Tensor([1.0, 2.0], requires_grad=True), tg.Tensor(0.5, requires_grad=True)
        optimizer = optim.SGD([w, b], lr=0.1)

        def step(x):
            optimizer.zero_grad()
            ((w * x + b) ** 2).sum().backward()
            norm = getattr(optim, clip)([w, b], 0.2)
            optimizer.step()
            return [norm] * (norm is not None)

        return w, b, step

    (w, b, eager), (v, c, step) = make(), make()
    compiled = tg.compile(step)
    for i in range(20):
        x = np.array([i, 1.0])
        assert [n.item() for n in eager(tg.Tensor(x))] == [n.item() for n in compiled(x)]
        for p, q in ((w, v), (b, c)):
            np.testing.assert_array_equal(p.data, q.data)
            np.testing.assert_array_equal(p.grad, q.grad)


@pytest.mark.parametrize(
    ("clip", "error"),
    [
        (lambda ps: optim.clip_grad_norm_(ps, -1.0), ValueError),
        (lambda ps: optim.clip_grad_norm_(ps, 1.0, 0), ValueError),
        (lambda ps: optim.clip_grad_norm_(ps, "1"), TypeError),
        (lambda ps: optim.clip_grad_value_(ps, -1.0), ValueError),
        (lambda ps: optim.clip_grad_norm_([1.0], 1.0), TypeError),
        (lambda ps: optim.clip_grad_value_(1.0, 1.0), TypeError),
    ],
)
def test_what_is_refused_changes_nothing(clip, error):
    ps = parameters()
    before = [p.grad for p in ps[:3]]
    with pytest.raises(error):
        clip(ps)
    for p, g in zip(ps, before, strict=False):
        np.testing.assert_array_equal(p.grad, g)
