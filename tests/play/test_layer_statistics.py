"""Saturated and dead units, histograms, and the ratio of update to data."""

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce.play.statistics import (
    ACTIVATIONS,
    BINS,
    SATURATED,
    derivative,
    histogram,
    layer_statistics,
    saturated,
    update_ratio,
)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_output_is_saturated_where_the_derivative_has_all_but_vanished(activation):
    x = tg.Tensor(np.random.default_rng(0).normal(0, 4, 1_000), requires_grad=True)
    y = getattr(x, activation)()
    y.sum().backward()
    steepest = 0.25 if activation == "sigmoid" else 1.0
    vanished = x.grad / steepest < 1 - SATURATED**2
    assert np.array_equal(saturated(activation, y.data), vanished)
    assert 0.1 < vanished.mean() < 0.9


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_derivative_is_that_of_backprop(activation):
    x = tg.Tensor(np.random.default_rng(0).normal(0, 2, (50, 4)), requires_grad=True)
    y = getattr(x, activation)()
    y.sum().backward()
    assert derivative(activation, y.data) == pytest.approx(x.grad, abs=1e-12)
    found = layer_statistics(activation, y.data)["derivative"]
    assert found == pytest.approx(x.grad.mean())


def test_a_unit_is_dead_if_it_is_saturated_for_every_example():
    y = np.array([[0.99, -0.99, 0.5], [0.98, 0.99, 0.99], [-1.0, 0.0, 0.5]])
    found = layer_statistics("tanh", y)
    assert found["dead"] == pytest.approx(1 / 3)
    assert found["saturated"] == pytest.approx(6 / 9)
    assert found["mean"] == pytest.approx(y.mean())
    assert found["std"] == pytest.approx(y.std())


@pytest.mark.parametrize("n", [0, 1, 7, 10_000])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_each_finite_number_is_in_one_bin(n, scale):
    numbers = np.random.default_rng(n).normal(0, scale, n)
    some = np.concatenate([numbers, [np.nan, np.inf, -np.inf]])
    found = histogram(some)
    assert sum(found["counts"]) == n
    assert len(found["counts"]) == BINS
    edges = np.linspace(found["low"], found["high"], BINS + 1)
    expected = np.histogram(numbers, edges)[0]
    assert np.abs(np.cumsum(found["counts"]) - np.cumsum(expected)).max() <= 1  # on an edge


def test_limits_of_a_histogram_hold_what_is_outside_in_the_last_bins():
    found = histogram(np.array([-2.0, -1.0, 0.999, 1.0, 5.0]), (-1.0, 1.0))
    assert (found["counts"][0], found["counts"][-1]) == (2, 3)


def test_the_ratio_of_update_to_data_is_that_of_makemore():
    rng = np.random.default_rng(1)
    weight, gradient = rng.normal(size=(20, 30)), rng.normal(size=(20, 30))
    found = update_ratio(weight, weight - 0.1 * gradient)
    assert found == pytest.approx(np.log10((0.1 * gradient).std() / weight.std()))
    assert update_ratio(weight, weight) is None
    assert update_ratio(np.ones((2, 2)), weight[:2, :2]) is None
    assert update_ratio(weight, np.full_like(weight, np.nan)) is None
