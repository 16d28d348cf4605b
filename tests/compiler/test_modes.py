"""Compiled steps inside of modes, and modes inside of compiled steps."""

from unittest.mock import Mock

import numpy as np
import pytest
from bits import assert_same_bits

import tinygrad_ce as tg
from tinygrad_ce.compiler import RecordingError
from tinygrad_ce.draw import remember_lines
from tinygrad_ce.draw.source_lines import line_of
from tinygrad_ce.engine.context import observing
from tinygrad_ce.engine.hooks import Observer
from tinygrad_ce.symbolic import recording

A, B = np.array([1.0, 2.0]), np.array([10.0, 20.0])
MODES = [remember_lines, tg.detect_nan, tg.no_grad, lambda: tg.scope("inside")]


class Names(Observer):
    """Notes the names of the primitives that it sees."""

    def __init__(self):
        self.seen = []

    def forward(self, node, primitive, arguments):
        self.seen.append(primitive.name)


def test_no_grad_and_detect_nan_are_respected():
    f = tg.compile(lambda x: x.log())
    with tg.no_grad():
        assert f(np.ones(2)).data.tolist() == [0, 0]
    with tg.detect_nan(), pytest.raises(FloatingPointError):
        f(np.array([1.0, 0.0]))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", ["with", "decorator"])
def test_what_is_computed_in_a_mode_inside_of_a_step_is_computed_at_each_call(mode, form):
    def inside(x):
        with mode():
            return x * 2.0

    double = inside if form == "with" else mode()(lambda x: x * 2.0)
    step = tg.compile(lambda x: double(x) + 0.0)
    for x in (A, B, A):
        assert_same_bits(step(x), tg.Tensor(2 * x))


@pytest.mark.parametrize("outer", MODES)
@pytest.mark.parametrize("inner", MODES)
def test_modes_inside_of_a_step_nest(outer, inner):
    @tg.compile
    def step(x):
        with outer(), inner():
            y = x * 2.0
        return y + 0.0

    for x in (A, B):
        assert_same_bits(step(x), tg.Tensor(2 * x))


def test_remember_lines_is_also_a_decorator():
    @remember_lines()
    def double(x):
        return x * 2.0

    assert "return x * 2.0" in line_of(double(tg.Tensor(A)))
    assert line_of(tg.Tensor(A) * 2.0) == ""


def test_recording_is_also_a_decorator_and_keeps_what_has_no_derivative():
    @recording()
    def positive(x):
        return x > 0

    assert positive(tg.Tensor(A)).inputs
    assert not (tg.Tensor(A) > 0).inputs
    with pytest.raises(RuntimeError, match="read inside of recording"):
        recording()(lambda x: x.data)(tg.Tensor(A))


@pytest.mark.parametrize(
    "modes", [(remember_lines, tg.detect_nan), (tg.detect_nan, remember_lines)]
)
def test_detect_nan_and_remember_lines_are_active_at_once(modes):
    outer, inner = modes
    with outer(), inner():
        x = tg.Tensor(A) * 2.0
        with pytest.raises(FloatingPointError, match="log made"):
            (tg.Tensor(A) - A).log()
    assert "x = tg.Tensor(A) * 2.0" in line_of(x)


def test_a_step_that_is_called_while_an_observer_looks_on_is_run_itself():
    calls = Mock()

    @tg.compile(verify=0)
    def step(x):
        calls()
        return (x * 2.0).exp()

    step(A)
    recorded, names = calls.call_count, Names()
    with observing(names):
        got = step(A)
    assert names.seen == ["multiply", "exp"]
    assert calls.call_count == recorded + 1
    assert_same_bits(got, step(A))
    assert calls.call_count == recorded + 1


def test_what_a_recording_refuses_is_refused_in_a_mode_too():
    @tg.compile
    def step(x):
        with remember_lines():
            return x * float(x.sum())

    with pytest.raises(RecordingError, match="was read while the step is recorded"):
        step(A)
    assert_same_bits(tg.compile(lambda x: x * 2.0)(A), tg.Tensor(2 * A))


def test_a_step_inside_of_another_is_a_part_of_it():
    inner = tg.compile(lambda x, bias: x * 2.0 + bias)
    outer = tg.compile(lambda x: inner(x, bias=np.ones(2)) + inner(x + 1.0, A))
    for x in (A, B, A):
        assert_same_bits(outer(x), outer._step(tg.Tensor(x)))
        assert_same_bits(outer(x), tg.Tensor(2 * x + 1 + (2 * (x + 1) + A)))
