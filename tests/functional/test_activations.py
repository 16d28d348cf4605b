"""Activations."""

import math

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F


def test_gelu_is_x_times_the_normal_distribution_function():
    x = np.linspace(-6, 6, 121)
    exact = np.array([v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x])
    np.testing.assert_allclose(F.gelu(x).data, exact, rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(F.gelu(x, "tanh").data, exact, rtol=0, atol=5e-4)
    assert F.gelu(x.astype(np.float32)).dtype == np.float32
    for approximate in ("none", "tanh"):
        assert tg.gradcheck(lambda x, a=approximate: F.gelu(x, a), x[::10], order=2)
    with pytest.raises(ValueError, match="none, tanh"):
        F.gelu(x, "erf")


def test_gelu_opens_a_scope_of_its_name():
    assert F.gelu(tg.Tensor([1.0, 2.0])).scope.path == "gelu"


def test_integers_are_refused():
    with pytest.raises(TypeError, match="floating point, got int64"):
        F.gelu(np.array([1, 2]))
