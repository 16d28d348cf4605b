"""Names that a user chose reach no terminal as they are: messages, representations and tables."""

import numpy as np
import pytest
from hostile_names import assert_shows_nothing_that_acts, hostile_names

import tinygrad_ce as tg
from tinygrad_ce import nn, verify
from tinygrad_ce.draw import draw
from tinygrad_ce.engine.graph import FreedGraphError


def module_with(name):
    try:
        layer = type(name, (nn.Module,), {})()
    except ValueError:  # null characters, lone surrogates
        layer = type("M", (nn.Module,), {})()
    setattr(layer, name, nn.Linear(1, 1))
    layer.table = {name: tg.Tensor([1.0, 2.0], requires_grad=True)}
    return layer


def shown(name):
    """What is shown of a name, wherever it can be."""
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name=name)
    with tg.scope(name):
        y = (x * x).sum()
    y.name = name
    yield from (repr(x), x.label(), repr(y.scope), str(draw(y).text()))
    rows = verify.compare({name: ([1.0], [2.0]), f"{name}2": ([1.0], [1.0, 2.0])})
    yield from (str(rows), rows._repr_html_(), str(rows[0]))
    y.backward()
    with pytest.raises(FreedGraphError) as freed:
        y.backward()
    with pytest.raises(FloatingPointError) as bad, tg.detect_nan(), tg.scope(name):
        x / 0.0
    with pytest.raises(TypeError) as dropped:
        np.asarray(x)
    layer = module_with(name)
    with pytest.raises(NotImplementedError) as undefined:
        layer()
    with pytest.raises(ValueError, match="shape") as shape:
        layer.load_state_dict({k: np.ones(7) for k in layer.state_dict()})
    with pytest.raises(KeyError) as missing:
        layer.load_state_dict({})
    yield repr(layer)
    errors = (freed, bad, dropped, undefined, shape, missing)
    yield from (str(error.value) for error in errors)


@pytest.mark.slow
def test_no_name_reaches_a_terminal_as_it_is():
    for name in hostile_names(500):
        for text in shown(name):
            assert_shows_nothing_that_acts(text)


def test_ordinary_names_are_shown_as_they_are():
    texts = list(shown("encoder.0.weight"))
    assert "tensor 'encoder.0.weight'" in texts
    assert sum("encoder.0.weight" in text for text in texts) >= 8
