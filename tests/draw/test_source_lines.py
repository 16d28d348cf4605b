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
