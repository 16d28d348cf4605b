"""detect_nan: it finds the first operation that made a nan or an infinity, and only that."""

import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_ce as tg

T = tg.Tensor


def test_names_the_primitive_the_scope_and_the_line_forward():
    x = T([0.0, 1.0], requires_grad=True)
    with pytest.raises(FloatingPointError) as caught, tg.detect_nan(), tg.scope("model"):
        x.log()  # the culprit
    message = str(caught.value)
    assert message.startswith("log in model made -inf out of finite numbers, at ")
    assert re.search(r"test_nan_detection\.py:\d+: x\.log\(\)  # the culprit$", message)


def test_names_the_primitive_and_the_line_that_made_it_backward():
    x = T([0.0, 1.0], requires_grad=True)
    with tg.detect_nan():
        root = x.sqrt()  # the culprit
        with pytest.raises(FloatingPointError) as caught:
            root.sum().backward()
    assert "the derivative of sqrt made inf" in str(caught.value)
    assert "root = x.sqrt()  # the culprit" in str(caught.value)
    assert x.grad is None


@pytest.mark.parametrize(
    "file, says",
    [
        # A folder of a user's beside the package, whose name begins as the package's does.
        (str(Path(tg.__file__).parent) + "_experiments/mine.py", "mine.py:1"),
        ("<generated>", "<generated>:1"),
    ],
)
def test_the_line_is_told_without_its_code_where_the_source_is_not_at_hand(file, says):
    with pytest.raises(FloatingPointError) as caught, tg.detect_nan():
        exec(compile("x.log()", file, "exec"), {"x": T([0.0])})
    assert str(caught.value).endswith(says)


def test_works_in_a_graph_of_the_gradient():
    x = T([0.0, 1.0], requires_grad=True)
    with tg.detect_nan():
        y = x.sqrt().sum()
        with pytest.raises(FloatingPointError, match="divide"):
            tg.gradients(y, [x], create_graph=True)


def test_says_so_when_the_graph_was_made_outside():
    y = T([0.0], requires_grad=True).sqrt()
    with tg.detect_nan(), pytest.raises(FloatingPointError, match="outside of detect_nan"):
        y.backward()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.exp().sum(),
        lambda x: (x / 2 - 1).sum(),
        lambda x: x[np.array([0, 0])].sum(),
        lambda x: (x > 0) & (x < 1),
        lambda x: tg.where(x > 0, tg.where(x > 0, x, 1).log(), 0).sum(),
    ],
)
def test_finite_numbers_pass(f):
    x = T([0.0, 1.0], requires_grad=True)
    with tg.detect_nan():
        y = f(x)
        if y.requires_grad:
            y.backward()


def test_an_infinity_that_was_given_is_not_one_that_was_made():
    x = T([-np.inf, 0.0, np.nan], requires_grad=True)
    with tg.detect_nan():
        ((x * 2).exp() + 1).sum().backward()
        tg.functional.softmax(T([-np.inf, 0.0]))


def test_ends_with_its_block_and_decorates():
    x = T([0.0], requires_grad=True)

    @tg.detect_nan()
    def f():
        return x.log()

    with pytest.raises(FloatingPointError):
        f()
    assert x.log().item() == -np.inf


def test_stays_on_inside_other_modes():
    with tg.detect_nan(), tg.no_grad(), tg.scope("s"), pytest.raises(FloatingPointError):
        T([0.0]).log()
