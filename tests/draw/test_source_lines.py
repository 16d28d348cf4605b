import numpy as np
import pytest
from draw.graphs import parameter

import tinygrad_ce as tg
from tinygrad_ce.draw import remember_lines
from tinygrad_ce.draw.source_lines import line_of


def test_lines_are_remembered_while_nan_is_watched_for():
    x = parameter([0.0, 1.0], "x")
    with remember_lines():
        x.sum().backward()
    with tg.detect_nan(), remember_lines():
        y = x.sqrt()  # the line
        with pytest.raises(FloatingPointError, match="log made -inf"):
            x.log()
        with pytest.raises(FloatingPointError, match="the derivative of sqrt made inf"):
            y.sum().backward()
    assert line_of(y).endswith("y = x.sqrt()  # the line")


def test_lines_are_remembered_by_a_decorated_function():
    @remember_lines()
    def exp(x):
        return x.exp()  # this one

    assert line_of(exp(parameter(2.0))).endswith("return x.exp()  # this one")


def test_lines_are_remembered_nested_both_ways():
    with remember_lines(), tg.detect_nan():
        first = parameter(2.0).exp()  # first
    with tg.detect_nan(), remember_lines(), tg.no_grad():
        second = parameter(2.0).exp()  # second
    assert line_of(first).endswith("# first")
    assert line_of(second).endswith("# second")


def test_a_compiled_step_in_which_lines_are_remembered_computes_from_its_arguments():
    @tg.compile
    def step(x):
        with remember_lines():
            y = x * 2.0
        return y + 0.0

    for x in (np.array([1.0, 2.0]), np.array([10.0, 20.0])):
        np.testing.assert_array_equal(step(x).data, 2 * x)


def test_lines_are_remembered_until_the_block_is_left():
    x = parameter(2.0)
    with pytest.raises(ZeroDivisionError), remember_lines():
        1 / 0
    assert line_of(x.exp()) == ""
