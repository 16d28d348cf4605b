"""The table of exports: each primitive in ONNX Runtime, beside the engine."""

import importlib.util
import re
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy_cases import CASES as NUMPY_CASES
from onnx_runtime import run, session

import tinygrad_ce as tg
from tinygrad_ce.compiler import primitives as compilers
from tinygrad_ce.engine import linear_algebra
from tinygrad_ce.engine import primitives as p
from tinygrad_ce.engine.constant_functions import CONSTANTS
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply
from tinygrad_ce.export.onnx_files import dumps
from tinygrad_ce.export.onnx_primitives import REFUSED, TABLE

WITHIN = {np.float32: 1e-6, np.float64: 1e-14}
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-9, -1e-9, np.inf, -np.inf, np.nan, 1e30, 7.0]


def cases_of_primitives():
    """The functions and arguments by which tests/engine/test_primitives.py covers the table."""
    path = Path(__file__).parents[1] / "engine/test_primitives.py"
    spec = importlib.util.spec_from_file_location("cases_of_primitives", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CASES


def primitives_in(module):
    return {x for x in vars(module).values() if isinstance(x, Primitive)}


ALL = primitives_in(p) | primitives_in(linear_algebra) | {*CONSTANTS.values()}
ELEMENTWISE = sorted((x for x in TABLE if x.elementwise), key=lambda x: x.name)


def assert_agrees(found, expected, within, scale=1.0):
    """As large an error as `within`, in units of the largest number or of `scale`."""
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
        return
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[~finite], expected[~finite])
    largest = max(scale, np.abs(expected[finite]).max(initial=0))
    np.testing.assert_allclose(found[finite] / largest, expected[finite] / largest, 0, within)


def with_gradients(f, n, dtype):
    """The value of a function of n Tensors, and its gradients for a cotangent, in a dict."""

    def value_and_gradients(*tensors):
        def total(*given):
            y = f(*given)
            return (y * np.cos(np.arange(y.size)).reshape(y.shape).astype(dtype)).sum()

        y = f(*tensors)
        gradients = tg.grad(total, tuple(range(n)))(*tensors)
        return {"y": y} | {f"gradient_{i}": g for i, g in enumerate(gradients)}

    return value_and_gradients


def check_value_and_gradients(f, arguments, dtype):
    arguments = [np.asarray(a, dtype) for a in arguments]
    both = with_gradients(f, len(arguments), dtype)
    found = run(dumps(both, tuple(arguments), fixed_batch=True), *arguments)
    for name, expected in both(*map(tg.Tensor, arguments)).items():
        assert_agrees(found[name], np.asarray(expected.data), WITHIN[dtype])


# ── All of them ───────────────────────────────────────────────────────────────────────────────────


def test_each_primitive_has_an_entry_or_a_reason():
    own = {compilers.copied, compilers.as_python_number}
    assert {*TABLE, *REFUSED} == ALL | own
    assert not TABLE.keys() & REFUSED.keys()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("f", "arguments"), cases_of_primitives())
def test_value_and_gradient_of_each_primitive_are_the_engines(f, arguments, dtype):
    check_value_and_gradients(f, arguments, dtype)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [pytest.param(c, id=f"{i}: {c.code}") for i, c in enumerate(NUMPY_CASES)]
)
def test_functions_of_numpy_are_exported_or_refused_by_the_name_of_a_primitive(case):
    try:
        check_value_and_gradients(case.function, case.arguments, np.float64)
        return
    except ValueError as error:
        refusal = str(error)
    assert re.search(r"the primitive (\w+):", refusal)[1] in {x.name for x in REFUSED}


@pytest.mark.parametrize("primitive", REFUSED, ids=lambda x: x.name)
def test_what_is_refused_is_refused_by_name_and_nothing_is_written(primitive, tmp_path):
    square = np.eye(3) + 0.1
    params = {
        "cholesky": (False,), "eigh": ("L",), "eigvalsh": ("L",), "pinv": (1e-15, False),
        "argpartition": (1, -1),
    }.get(primitive.name, ())  # fmt: skip
    integers = primitive.name in ("bitwise_count", "gcd", "lcm", "left_shift", "right_shift")
    x = square.astype(np.int64) if integers else square
    two = primitive.name in ("solve", "nextafter", "gcd", "lcm", "left_shift", "right_shift")
    given = (x, x) if two else (x,)

    def f(*tensors):
        return apply(primitive, *tensors, params=params)

    with pytest.raises(ValueError, match=f"the primitive {primitive.name}: "):
        tg.onnx.export(f, tmp_path / "x.onnx", given, fixed_batch=True)
    assert [*tmp_path.iterdir()] == []


def test_ones_own_primitive_is_refused_by_name():
    cube = Primitive("cube", "x³", lambda x: x**3, lambda g, y, x: 3 * g * x * x)
    with pytest.raises(ValueError, match="the primitive cube: it is not in the table"):
        dumps(partial(apply, cube), np.ones(3))


# ── Element by element ────────────────────────────────────────────────────────────────────────────

OF_INTEGERS = {"logical_and", "logical_or", "logical_not", "bitwise_xor"}
OF_BOOLEANS = OF_INTEGERS | {"logical_xor", "where", "equal", "not_equal", "maximum", "minimum"}
PARAMS = {"scalar_power": (3,), "root": (3,), "clip": (-0.5, 0.5), "astype": (np.dtype("f4"),)}
INSIDE = {"arcsin": 1, "arccos": 1, "arctanh": 1}  # where a function is real
FROM_1 = {"arccosh"}
POSITIVE = {"power", "float_power", "log", "log2", "log10", "log1p", "sqrt", "root"}


def n_arguments(primitive):
    if primitive.name in ("where", "clip"):
        return {"where": 3, "clip": 1}[primitive.name]
    known = {"heaviside": 2, "logical_xor": 2, "bitwise_xor": 2, "rounding_error": 2}
    if primitive.rules:
        return len(primitive.rules)
    two = {"floor_divide", "less", "less_equal", "greater", "greater_equal", "equal", "not_equal",
           "logical_and", "logical_or"}  # fmt: skip
    return 2 if primitive.name in two else known.get(primitive.name, 1)


def shapes(rng, n):
    """Shapes that broadcast, the first of them with the batch."""
    full = [5, *rng.integers(1, 4, size=2)]
    found = [tuple(full)]
    for _ in range(n - 1):
        shape = [m if rng.random() < 0.6 else 1 for m in full]
        found.append(tuple(shape[rng.integers(0, 3) :]))
    return found


def draw(rng, primitive, shape, dtype):
    name = primitive.name
    if name in OF_INTEGERS:
        return rng.integers(-9, 9, shape)
    if dtype not in (np.float32, np.float64):
        return rng.integers(0 if np.dtype(dtype).kind == "u" else -9, 9, shape).astype(dtype)
    low, high = (0.1, 3.0) if name in POSITIVE else (1.0, 4.0) if name in FROM_1 else (-3.0, 3.0)
    low, high = (-0.99, 0.99) if name in INSIDE else (low, high)
    return rng.uniform(low, high, shape).astype(dtype)


def function_of(primitive):
    params = PARAMS.get(primitive.name, ())
    if primitive is p.where:
        return lambda c, a, b: apply(primitive, c > 0, a, b)
    return partial(apply, primitive, params=params)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("primitive", ELEMENTWISE, ids=lambda x: x.name)
def test_elementwise_primitives_broadcast_and_take_batches_of_any_size(primitive, dtype):
    rng = np.random.default_rng(len(primitive.name))
    f = function_of(primitive)
    for _ in range(3):
        first, *others = shapes(rng, n_arguments(primitive))
        rest = [draw(rng, primitive, shape, dtype) for shape in others]
        content = None
        for n in (5, 1, 8):
            x = draw(rng, primitive, (n, *first[1:]), dtype)
            given = [r if len(r.shape) < 3 or len(r) == 1 else np.resize(r, (n, *r.shape[1:]))
                     for r in rest]  # fmt: skip
            content = content or dumps(f, (x, *given))
            (found,) = run(content, x, *given).values()
            assert_agrees(found, f(tg.Tensor(x), *map(tg.Tensor, given)).data, WITHIN[dtype])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("primitive", ELEMENTWISE, ids=lambda x: x.name)
def test_elementwise_primitives_agree_at_infinities_zeros_and_nan(primitive, dtype):
    if primitive.name in OF_INTEGERS:
        return
    values = np.array(SPECIAL, dtype)
    columns = np.meshgrid(*[values] * min(n_arguments(primitive), 2))
    columns = [x.ravel() for x in columns] + [values[:1]] * (n_arguments(primitive) - len(columns))
    f = function_of(primitive)
    with np.errstate(all="ignore"):
        expected = np.asarray(f(*map(tg.Tensor, columns)).data)
        content = dumps(f, tuple(columns), fixed_batch=True)
    (found,) = run(content, *columns).values()
    np.testing.assert_array_equal(found.dtype, expected.dtype)
    np.testing.assert_allclose(found, expected, 10 * WITHIN[dtype], 1e-30)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int8, np.uint8, bool])
@pytest.mark.parametrize("primitive", ELEMENTWISE, ids=lambda x: x.name)
def test_integers_and_booleans_are_computed_as_numpy_does_or_refused(primitive, dtype):
    rng = np.random.default_rng(3)
    n = n_arguments(primitive)
    given = [rng.integers(0 if dtype in (bool, np.uint8) else -5, 9, 12).astype(dtype)
             for _ in range(n)]  # fmt: skip
    f = function_of(primitive)
    try:
        with np.errstate(all="ignore"):
            expected = np.asarray(f(*map(tg.Tensor, given)).data)
            content = dumps(f, tuple(given), fixed_batch=True)
    except (TypeError, ValueError):  # NumPy refuses, or there is no operator
        return
    (found,) = run(content, *given).values()
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, 1e-5 if expected.dtype == np.float32 else 1e-13)


# ── Indices ───────────────────────────────────────────────────────────────────────────────────────


def random_index(rng, shape):
    """Integers, slices in both directions, new axes, dots, arrays and masks."""
    index, axis, dots = [], 0, False
    while axis < len(shape):
        n = shape[axis]
        kind = rng.choice(["int", "slice", "new", "dots", "array", "array", "mask", "end"])
        if kind == "end":
            break
        if kind == "new":
            index.append(None)
            if len(index) > 6:
                break
        elif kind == "dots" and not dots:
            dots = True
            index.append(...)
            axis += int(rng.integers(0, len(shape) - axis + 1))
        elif kind == "slice":
            ends = [None if rng.random() < 0.3 else int(rng.integers(-n - 1, n + 2)) for _ in "ab"]
            index.append(slice(*ends, int(rng.choice([-2, -1, 1, 2]))))
            axis += 1
        elif kind == "array":
            size = [(2, 1), (3,), ()][rng.integers(0, 3)]
            index.append(np.asarray(rng.integers(-n, n, size)))
            axis += 1
        elif kind == "mask":
            mask = np.zeros(n, bool)
            mask[rng.permutation(n)[:3]] = True
            index.append(mask)
            axis += 1
        elif kind == "int":
            index.append(int(rng.integers(-n, n)))
            axis += 1
    return tuple(index)


@pytest.mark.parametrize("seed", range(60))
def test_random_indices_pick_and_add_what_numpy_does(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(3, 6, rng.integers(1, 4)))
    x = rng.normal(size=shape)
    for _ in range(4):
        index = random_index(rng, shape)
        try:
            x[index]
        except (IndexError, ValueError):
            continue
        check_value_and_gradients(lambda x, index=index: x[index] * 2, [x], np.float64)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_many_additions_to_one_place_are_all_made(dtype):
    rows = np.random.default_rng(0).integers(0, 3, 20_000)
    x = np.array([[1, 2], [3, 4], [5, 6]], dtype)
    content = dumps(tg.grad(lambda t: (t[rows] * t[rows]).sum()), x, fixed_batch=True)
    for node in onnx.load_from_string(content).graph.node:  # which adds on several threads at once
        assert node.op_type != "ScatterND" or not node.attribute
    (found,) = run(session(content, threads=4), x).values()
    np.testing.assert_array_equal(found, 2 * np.bincount(rows)[:, None] * x)
