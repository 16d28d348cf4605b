"""Where C does not compute what NumPy does, NumPy goes on, and nothing has been written."""

import warnings

import numpy as np
import pytest
from bits import assert_same_bits

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce.compiler import native
from tinygrad_ce.compiler.codegen.c import expressions


def make_step(**options):
    p = tg.Tensor([1.0, 2.0], requires_grad=True, name="p")
    optimizer = optim.SGD([p], lr=0.1)
    rng = np.random.default_rng(0)

    def step(x):
        loss = (p * x * tg.sample(rng.normal)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return tg.compile(step, **options) if options else step, p, rng


def test_a_wrong_result_is_named_and_numpy_goes_on(monkeypatch):
    monkeypatch.setitem(expressions.EXPRESSIONS, tg.engine.primitives.subtract, "{0} + {1}")
    step, p, rng = make_step(backend="c")
    eager, q, other_rng = make_step()
    x = np.array([1.0, 1.0])
    with pytest.warns(RuntimeWarning, match=r"does not compute.*value of tensor 'p'") as caught:
        found = step(x)
    assert caught[0].filename == __file__
    assert_same_bits([found, p], [eager(tg.Tensor(x)), q])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert_same_bits([step(x), p], [eager(tg.Tensor(x)), q])
    assert rng.bit_generator.state == other_rng.bit_generator.state
    assert step.source.startswith("import numpy")


def test_labels_out_of_range_leave_everything_as_it_was():
    model = nn.MLP([3, 4, 2], rng=0)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @tg.compile(backend="c")
    def step(X, y):
        loss = F.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    X, y = np.ones((3, 3)), np.array([0, 1, 1])
    for wrong in (2, -1):
        for _ in range(4):
            step(X, y)
        before = [(p._value, p._grad) for p in model.parameters()]
        with pytest.raises(IndexError, match=f"target {wrong} at row 2 is out of range"):
            step(X, np.array([0, 1, wrong]))
        after = [(p._value, p._grad) for p in model.parameters()]
        assert all(a is b and c is d for (a, c), (b, d) in zip(before, after, strict=True))


def test_results_that_somebody_holds_are_not_written_again():
    @tg.compile(backend="c")
    def double(x):
        return x * 2.0

    x = np.ones((600, 500))
    held = [double(x * i) for i in range(6)]
    for i, result in enumerate(held):
        np.testing.assert_array_equal(result.data, x * i * 2)


def test_what_is_saved_is_a_whole_module_that_looks_at_its_arguments(tmp_path):
    step, p, _ = make_step(backend="c")
    step(np.ones(2))
    step.save(tmp_path / "step.c")
    text = (tmp_path / "step.c").read_text()
    assert text == step.source
    module = native.load(text, "step")
    loss, new, gradient = module.step(np.ones(2), p.data, 0.1, np.random.default_rng(0))
    assert gradient.shape == new.shape == (2,)
    assert np.isfinite(loss)
    with pytest.raises(TypeError, match="expected an array"):
        module.step(np.ones(3), p.data, 0.1, np.random.default_rng(0))
    with pytest.raises(TypeError, match="takes 4 arguments"):
        module.step(np.ones(2))


def test_what_lies_alike_in_memory_may_say_so_in_other_words():
    """Along an axis of length 1, NumPy says one thing or another."""

    def f(x):
        return x.T[..., ::-1].mean(-1, keepdims=True)

    x = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = tg.compile(f, backend="c")
        assert_same_bits(compiled(x), f(tg.Tensor(x)))
    assert "PyMODINIT_FUNC" in compiled.source
