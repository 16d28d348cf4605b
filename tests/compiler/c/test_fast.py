"""C with last digits that may differ: how many of them, and on how many threads."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from bits import assert_same_bits

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce.verify import decimal_reference

FUNCTIONS = {
    "exp": (np.exp, -105, 88.7, -746, 709.7),
    "tanh": (np.tanh, -12, 12, -22, 22),
    "sigmoid": (lambda t: t.sigmoid(), -104, 90, -745, 740),
    "log": (np.log, 0, 3e38, 0, 1e308),
}


def exact(name, value):
    """The function of a number, with 50 digits."""
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = 50
        context.Emin, context.Emax = -(10**6), 10**6
        x = Decimal(value)
        if name == "log":
            return x.ln()
        if name == "exp":
            return x.exp()
        if name == "sigmoid":
            return 1 / (1 + (-x).exp())
        if abs(x) < Decimal("1e-9"):
            return x - x**3 / 3
        return 1 - 2 / ((2 * x).exp() + 1)


def ulps(found, expected, dtype):
    """By how many units in the last place a number is away from what it should be."""
    from decimal import Decimal

    info = np.finfo(dtype)
    _, exponent = np.frexp(float(expected))
    unit = Decimal(2) ** (max(int(exponent) - 1, info.minexp) - info.nmant)
    return abs(Decimal(float(found)) - expected) / unit


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_right_to_two_ulps(name, dtype):
    f, *ranges = FUNCTIONS[name]
    low, high = ranges[:2] if dtype == np.float32 else ranges[2:]
    rng = np.random.default_rng(0)
    if name == "log":
        x = np.exp(rng.uniform(-80, 80, 1500))
        x = np.concatenate([x, 1 + rng.normal(size=1500) * 10.0 ** rng.uniform(-7, -1, 1500)])
        x = np.append(x, [np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max])
    else:
        x = np.concatenate([rng.uniform(low, high, 1500), rng.normal(size=1500)])
        x = np.append(x, rng.normal(size=500) * 10.0 ** rng.uniform(-8, 1, 500))
    x = x.astype(dtype)
    compiled = tg.compile(f, backend="c", fast=True)
    found = compiled(tg.Tensor(x)).data
    assert f"fast_{name}_" in compiled.source
    worst = max(
        ulps(y, exact(name, v), dtype)
        for v, y in zip(x.tolist(), found.tolist(), strict=True)
        if np.isfinite(y)
    )
    assert worst <= 2, f"{worst} ulps"
    assert np.isfinite(found).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_not_finite(name, dtype):
    f = FUNCTIONS[name][0]
    x = np.array([np.nan, np.inf, -np.inf, 0.0, 1e30, -1e30], dtype)
    compiled = tg.compile(f, backend="c", fast=True)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(compiled(x).data, f(tg.Tensor(x)).data, rtol=1e-6)


ALL_KINDS = """
import numpy as np, tinygrad_ce as tg
np.seterr(all="ignore")
for dtype in (np.float32, np.float64):
    info = np.finfo(dtype)
    x = [0, info.smallest_subnormal, info.tiny, 1, 80, 200, 800, info.max, np.inf, np.nan]
    x = np.array([*x, *np.negative(x)], dtype).repeat(9)
    for f in (np.exp, np.log, np.tanh, lambda t: t.sigmoid()):
        step = tg.compile(f, backend="c", fast=True)
        step(x)
        assert "fast_" in step.source
"""


@pytest.mark.slow
def test_no_number_makes_what_c_leaves_undefined():
    """nan included, which has no integer part, and whose bits are those of no exponent."""
    flags = "-O1 -fsanitize=undefined,float-cast-overflow -fno-sanitize-recover=all"
    command = [sys.executable, "-W", "error", "-c", ALL_KINDS]
    subprocess.run(command, env=os.environ | {"CFLAGS": flags}, check=True)


def loss_and_gradient(logits, y):
    return tg.value_and_grad(lambda z: F.cross_entropy(np.tanh(z * 3), y))(logits)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(200, 300), (3000, 12), (40000, 2)])
@pytest.mark.parametrize("fast", [False, True])
def test_no_bit_depends_on_the_number_of_threads(shape, fast):
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=shape), rng.integers(0, shape[1], shape[0])
    results = []
    for threads in (1, 2, 3):
        compiled = tg.compile(loss_and_gradient, backend="c", fast=fast, threads=threads)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            results.append([compiled(tg.Tensor(logits), y) for _ in range(3)])
        assert ("omp parallel" in compiled.source) == (threads > 1)
    for result in results[1:]:
        assert_same_bits(result, results[0])
    if not fast:
        assert_same_bits(results[0][0], loss_and_gradient(tg.Tensor(logits), y))


def test_cross_entropy_in_fast_c_is_right():
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(30, 400)) * 5, rng.integers(0, 400, 30)
    compiled = tg.compile(F.cross_entropy, backend="c", fast=True)
    losses = [
        decimal_reference.cross_entropy(row, int(k)) for row, k in zip(logits, y, strict=True)
    ]
    expected = float(sum(losses) / len(losses))
    np.testing.assert_allclose(float(compiled(logits, y)), expected, rtol=1e-14)
