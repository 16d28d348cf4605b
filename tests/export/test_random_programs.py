"""Random programs in ONNX Runtime, with their gradients, for batches of any size."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_runtime import run, session

import tinygrad_ce as tg
from tinygrad_ce.export.onnx_files import dumps

EXAMPLES = int(os.environ.get("RANDOM_GRAPHS") or 0)  # see conftest.py


def random_programs():
    """The module that makes programs of a list of numbers, for the compiler."""
    path = Path(__file__).parents[1] / "compiler/test_random_programs.py"
    spec = importlib.util.spec_from_file_location("random_programs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PROGRAMS = random_programs()
KINDS = len(PROGRAMS.UNARY) + len(PROGRAMS.BINARY)


SINGLE = {k for k, f in enumerate(PROGRAMS.UNARY) if f(tg.Tensor(np.ones((2, 2)))).dtype == "f4"}


def assert_agrees(found, expected, within):
    expected = np.asarray(expected.data)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    scale = max(1, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(found / scale, expected / scale, 0, within)


@settings(max_examples=EXAMPLES or 40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, KINDS - 1), st.integers(0), st.integers(0)), min_size=1, max_size=8
    ),
    st.sampled_from([np.float32, np.float64]),
)
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_any_program_and_its_gradient(choices, dtype):
    f = PROGRAMS.composed(choices)

    def both(x, y):
        loss, last, middle = f(x, y)
        gradients = tg.grad(lambda x, y: f(x, y)[0], (0, 1))(x, y)
        return {
            "loss": loss,
            "last": last,
            "middle": middle,
            "dx": gradients[0],
            "dy": gradients[1],
        }

    rng = np.random.default_rng(0)

    def arguments(n):
        return rng.normal(size=(n, 3)).astype(dtype), rng.normal(size=3).astype(dtype)

    try:
        runner, sizes = session(dumps(both, arguments(5))), (5, 2, 8)
    except ValueError:  # a number of elements that is N², say
        runner, sizes = session(dumps(both, arguments(5), fixed_batch=True)), (5,)
    within = 1e-5 if dtype is np.float32 or SINGLE & {kind for kind, _, _ in choices} else 1e-13
    for n in sizes:
        given = arguments(n)
        found = run(runner, *given)
        for name, expected in both(*map(tg.Tensor, given)).items():
            assert_agrees(found[name], expected, within)
