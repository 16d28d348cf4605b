"""What is an array of numbers, and what is refused, wherever one is given."""

import math
from functools import partial

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import closed_form, nn, optim, train
from tinygrad_ce import functional as F
from tinygrad_ce.arguments import as_numbers

NO_NUMBERS = {
    "masked": np.ma.array([1.0, 2.0], mask=[0, 1]),
    "dates": np.array(["2020", "2021"], "M8[Y]"),
    "time differences": np.array([1, 2], "m8[s]"),
    "strings": ["1", "2"],
    "complex": np.array([1 + 5j, 2]),
    "None": [None, 1.0],
    "records": np.zeros(2, [("a", float)]),
}


def _weight(value):
    layer = nn.Linear(1, 2, bias=False, rng=0)
    layer.load_state_dict({"weight": value})


def _two():
    return tg.Tensor([1.0, 2.0], requires_grad=True)


TAKERS = {
    "data": tg.Tensor,
    "grad": lambda g: setattr(_two(), "grad", g),
    "assigned data": lambda g: setattr(_two(), "data", g),
    "cotangent": (_two() * 1.0).backward,
    "state": _weight,
    "index": lambda g: _two()[g],
    "labels": partial(F.cross_entropy, np.zeros((2, 3))),
    "closed form": closed_form.softmax,
    "bound": lambda g: _two().clip(g, None),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("given", NO_NUMBERS)
def test_refuses_what_is_no_array_of_numbers(given, taker):
    with pytest.raises(TypeError):
        TAKERS[taker](NO_NUMBERS[given])


@pytest.mark.parametrize(
    ("given", "dtype"),
    [(1e300, np.float32), (-1, np.uint8), (300, np.uint8), (0.5, np.int64), (np.nan, np.int64)],
)
def test_refuses_a_number_that_does_not_fit(given, dtype):
    with pytest.raises(OverflowError, match=r"a state: .* does not fit"):
        as_numbers([given], "a state", dtype)


@pytest.mark.parametrize("convert", [float, int, complex, np.float64, math.exp])
def test_a_conversion_warns_of_a_lost_gradient(convert):
    total = _two().sum()
    with pytest.warns(UserWarning, match=r"t\.item\(\)"):
        convert(total)
    assert total.item() == 3
    assert convert(total.detach()) == convert(3.0)


def test_evaluating_puts_back_the_mode_of_each_module():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.BatchNorm1d(3), nn.Linear(3, 2, rng=1))
    parts = [part for _, part in model.named_children()]
    parts[1].eval()
    train.evaluate(model, np.zeros((2, 2), np.float32), np.array([0, 1]))
    assert [part.training for part in parts] == [True, False, True]


def test_an_update_keeps_the_dtype_whatever_the_state_was_restored_from():
    w = tg.Tensor(np.ones(2, np.float32), requires_grad=True)
    adam = optim.Adam([w])
    adam.m = [np.zeros(2)]
    w.grad = np.ones(2)
    adam.step()
    assert w.dtype == w.grad.dtype == np.float32


def test_a_compiled_step_gives_an_assigned_gradient_the_dtype_of_its_tensor():
    w = tg.Tensor(np.ones(2, np.float32), requires_grad=True)

    @tg.compile
    def step(x, scale):
        w.grad = None
        (w * x).sum().backward()
        w.grad = w.grad * scale

    step(np.ones(2, np.float32), np.float64(0.3))
    assert w.grad.dtype == np.float32
