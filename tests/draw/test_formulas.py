"""Formulas come from values and rules alone: they read well, and compute what the rules compute."""

import math
import operator
import re
from functools import partial

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import symbolic
from tinygrad_ce.draw.formulas import evaluate, latex, letters, rule_formula, symbols, value_formula
from tinygrad_ce.draw.interactive.steps import Trace
from tinygrad_ce.engine import kernels, primitives
from tinygrad_ce.engine.graph import topological_order
from tinygrad_ce.engine.kernels import ARRAY_SLOT, unbroadcast
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply

TABLE = {v.name: v for v in vars(primitives).values() if isinstance(v, Primitive)}
RULES = [
    (name, i)
    for name, entry in TABLE.items()
    for i, _ in enumerate(letters(entry).inputs)
    if rule_formula(entry, i) is not None
]


def parameter(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name)


def steps_of(*outputs):
    return Trace(topological_order(*outputs), outputs).data()["steps"]


# ── They read like the formulas of a book ─────────────────────────────────────────────────────────

AS_IN_A_BOOK = {
    "add": (r"a + b", "g", "g"),
    "subtract": (r"a - b", "g", "-g"),
    "multiply": (r"a\,b", r"g\,b", r"g\,a"),
    "divide": (r"\frac{a}{b}", r"\frac{g}{b}", r"-\frac{g\,y}{b}"),
    "negative": ("-x", "-g"),
    "scalar_power": ("x^n", r"g\,n\,x^{n - 1}"),
    "power": ("a^b", r"g\,b\,a^{b - 1}", r"g\,y\,\log a"),
    "matmul": (r"a\,b", r"g\,b^\top", r"a^\top\,g"),
    "exp": ("e^x", r"g\,y"),
    "float_power": ("a^b", r"g\,b\,a^{b - 1}", r"g\,y\,\log a"),
    "remainder": (
        r"\operatorname{mod}(a, b)",
        "g",
        r"-g\,\lfloor \frac{a}{b} \rfloor",
    ),
    "exp2": ("2^x", r"g\,y\,\log 2"),
    "log2": (r"\log_2 x", r"\frac{g}{x\,\log 2}"),
    "log10": (r"\log_{10} x", r"\frac{g}{x\,\log 10}"),
    "cbrt": (r"\operatorname{cbrt} x", r"\frac{g}{3\,y^2}"),
    "tan": (r"\tan x", r"g\,(1 + y^2)"),
    "arcsin": (r"\arcsin x", r"\frac{g}{\sqrt{1 - x^2}}"),
    "arccos": (r"\arccos x", r"-\frac{g}{\sqrt{1 - x^2}}"),
    "arctan": (r"\arctan x", r"\frac{g}{1 + x^2}"),
    "sinh": (r"\sinh x", r"g\,\cosh x"),
    "cosh": (r"\cosh x", r"g\,\sinh x"),
    "arcsinh": (r"\operatorname{arcsinh} x", r"\frac{g}{\sqrt{1 + x^2}}"),
    "arccosh": (r"\operatorname{arccosh} x", r"\frac{g}{\sqrt{x^2 - 1}}"),
    "arctanh": (r"\operatorname{arctanh} x", r"\frac{g}{1 - x^2}"),
    "hypot": (r"\sqrt{a^2 + b^2}", r"g\,\frac{a}{y}", r"g\,\frac{b}{y}"),
    "arctan2": (
        r"\operatorname{arctan2}(a, b)",
        r"\frac{g\,b}{a^2 + b^2}",
        r"-\frac{g\,a}{a^2 + b^2}",
    ),
    "logaddexp2": (
        r"\log_2(2^a + 2^b)",
        r"g\,e^{a\,\log 2 - y\,\log 2}",
        r"g\,e^{b\,\log 2 - y\,\log 2}",
    ),
    "prod": (r"\operatorname{prod} x", r"g \prod_{j \ne i} x_j"),
    "cumprod": (
        r"\operatorname{cumprod} x",
        r"\sum_{j \ge i} g_j \prod_{k \le j, k \ne i} x_k",
    ),
    "expm1": ("e^x - 1", r"g\,(y + 1)"),
    "log": (r"\log x", r"\frac{g}{x}"),
    "log1p": (r"\log(1 + x)", r"\frac{g}{1 + x}"),
    "sqrt": (r"\sqrt{x}", r"\frac{g}{2\,y}"),
    "root": (r"x^{\frac{1}{n}}", r"g\,\frac{y^{1 - n}}{n}"),
    "sin": (r"\sin x", r"g\,\cos x"),
    "cos": (r"\cos x", r"-g\,\sin x"),
    "erf": (r"\operatorname{erf} x", r"g\,\frac{2}{\sqrt{\pi}}\,e^{-x^2}"),
    "tanh": (r"\tanh x", r"g\,(1 - y^2)"),
    "sigmoid": (r"\sigma(x)", r"g\,y\,(1 - y)"),
    "relu": (r"\max(x, 0)", r"g\,[x > 0]"),
    "abs": (r"\lvert x \rvert", r"g\,\operatorname{sign} x"),
    "clip": (r"\min(\max(x, l), h)", r"g\,[l \le x \le h]"),
    "logaddexp": (r"\log(e^a + e^b)", r"g\,e^{a - y}", r"g\,e^{b - y}"),
    "where": (r"c \;?\; a : b", None, r"g\,[c]", r"g\,[\lnot c]"),
    "maximum": (
        r"\max(a, b)",
        r"g\,[a > b] + \frac{g}{2}\,[a = b]",
        r"g\,[b > a] + \frac{g}{2}\,[a = b]",
    ),
    "minimum": (
        r"\min(a, b)",
        r"g\,[a < b] + \frac{g}{2}\,[a = b]",
        r"g\,[b < a] + \frac{g}{2}\,[a = b]",
    ),
    "sum": (r"\sum x", "g"),
    "mean": (r"\frac{\sum x}{n}", r"\frac{g}{n}"),
    "max": (r"\max x", r"\frac{g\,[x = y]}{\sum [x = y]}"),
    "min": (r"\min x", r"\frac{g\,[x = y]}{\sum [x = y]}"),
    "cumsum": (r"\sum_{j \le i} x_j", r"\sum_{j \ge i} g_j"),
    "einsum": (
        r"\sum_j a_{ij}\,b_{jk}",
        r"\sum_k g_{ik}\,b_{jk}",
        r"\sum_i g_{ik}\,a_{ij}",
    ),
    "broadcast_to": ("x", "g"),
    "reshape": ("x", "g"),
    "transpose": (r"x^\top", r"g^\top"),
    "astype": ("x", "g"),
    "identity": ("x", "g"),
    "concatenate": ("[a, b]", "g_a", "g_b"),
    "getitem": ("x[i]", r"g \text{ at } [i]", None),
    "scatter": (r"x \text{ at } [i]", "g[i]", None),
    "less_equal": (r"a \le b", None, None),
    "logical_and": (r"a \land b", None, None),
    "logical_not": (r"\lnot x", None),
    "isnan": (r"\operatorname{isnan} x", None),
    "stop_gradient": ("x", None),
    "argmax": (r"\operatorname{argmax} x", None),
    "max_constant": (r"\max x", None),
}


@pytest.mark.parametrize("name", AS_IN_A_BOOK)
def test_a_formula_reads_as_in_a_book(name):
    entry = TABLE[name]
    rules = [rule_formula(entry, i) for i in range(len(letters(entry).inputs))]
    shown = (latex(value_formula(entry)), *(tree and latex(tree) for tree in rules))
    assert shown == AS_IN_A_BOOK[name]


def test_every_primitive_with_a_derivative_is_in_the_book():
    assert {name for name, entry in TABLE.items() if entry.differentiable} <= set(AS_IN_A_BOOK)


def test_the_parameters_of_a_call_count_where_they_change_the_formula():
    assert latex(rule_formula(primitives.clip, 0, (0.5, None))) == r"g\,[x \ge l]"
    assert latex(rule_formula(primitives.scalar_power, 0, (0,))) == "0"
    assert latex(value_formula(primitives.einsum, ("i,i->i",))) == r"a_i\,b_i"
    assert latex(rule_formula(primitives.einsum, 0, ("ij->i",), 1)) == "g_i"
    assert latex(rule_formula(primitives.einsum, 2, ("i,i,i->",), 3)) == r"g\,a_i\,b_i"
    assert latex(value_formula(primitives.concatenate, (-1,), 3)) == "[a, b, c]"


# ── They compute what the rules compute ───────────────────────────────────────────────────────────

# Shapes of a and b that broadcast against each other in every position.
SHAPES = [
    ((2, 3), (2, 3)),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((3,), (2, 3)),
    ((2, 3), ()),
    ((), ()),
]
PARAMS = {
    "scalar_power": (3,),
    "root": (3,),
    "clip": (0.4, 1.2),
    "broadcast_to": ((4, 2, 3),),
    "astype": (np.dtype("float64"),),
    "reshape": ((6,),),
    "transpose": ((1, 0),),
}


DOMAINS = {
    "arcsin": lambda x: x / 2,
    "arccos": lambda x: x / 2,
    "arctanh": lambda x: x / 2,
    "arccosh": lambda x: x + 1,
}


def arrays_for(entry, rng, shapes):
    """Random inputs, some of which tie, and parameters, and the axis of sums."""
    n = len(letters(entry).inputs)
    arrays = [np.asarray(rng.choice([0.3, 0.5, 0.8, 1.1, 1.3], shape)) for shape in shapes]
    if entry.name == "where":
        return [arrays[0] > 0.6, *arrays], (), ...
    if "keepdims" in entry.params:
        return [rng.choice([0.5, 0.7], (2, 3))], (1, True), 1
    if entry.name in DOMAINS:
        arrays = [DOMAINS[entry.name](array) for array in arrays]
    if n == 1 and entry.name in PARAMS:
        arrays = [rng.uniform(0.2, 1.5, (2, 3))]
    return arrays[:n], PARAMS.get(entry.name, ()), ...


def on_arrays(tree, env, axis):
    """`evaluate` for what is about whole arrays too."""
    if tree == ("transposed", ("var", "g")):
        return env["g"].T
    if tree[0] == "matmul":
        left, right = (
            np.swapaxes(env[t[1][1]], -1, -2) if t[0] == "transposed" else env[t[1]]
            for t in tree[1:]
        )
        return left @ right
    return evaluate(tree, env, axis)


MOVERS = ("prod", "cumprod", "cumsum", "einsum", "concatenate", "getitem", "scatter")
WHOLE = ("matmul", "reshape", "transpose", *MOVERS)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "place"), [rule for rule in RULES if rule[0] not in MOVERS])
def test_a_formula_computes_what_its_rule_computes(name, place, shapes):
    check_rule(name, place, shapes, rule_formula(TABLE[name], place, PARAMS.get(name, ())))


def check_rule(name, place, shapes, tree):
    entry = TABLE[name]
    rng = np.random.default_rng(0)
    if name == "matmul":
        shapes = ((4, 2, 3), (3, 5))
    arrays, params, axis = arrays_for(entry, rng, shapes)
    y = np.asarray(entry.value(*arrays, *params))
    g = rng.normal(size=y.shape)
    expected = entry.rules[place](g, y, *arrays, *params)
    found = letters(entry)
    env = {"g": g, "y": y} | dict(zip(found.inputs, arrays, strict=True))
    env |= dict(zip(found.params, params, strict=False)) | {"n": 3}
    actual = on_arrays(tree, env, axis)
    assert actual is not None
    if name == "reshape":
        actual = actual.reshape(expected.shape)
    target = arrays[place].shape
    if name not in ("broadcast_to", "reshape", "transpose") and "keepdims" not in entry.params:
        actual, expected = (unbroadcast(np.asarray(v), target) for v in (actual, expected))
    np.testing.assert_allclose(np.broadcast_to(actual, expected.shape), expected, rtol=1e-12)


VALUES = [
    name
    for name, entry in TABLE.items()
    if entry.elementwise
    and name not in ("astype", "identity", "stop_gradient", "isfinite", "rounding_error")
]


@pytest.mark.parametrize("name", VALUES)
def test_the_formula_of_a_value_computes_it(name):
    entry = TABLE[name]
    arrays, params, _ = arrays_for(entry, np.random.default_rng(0), ((2, 3), (3,)))
    if name.startswith("logical"):
        arrays = [array > 0.6 for array in arrays]
    found = letters(entry)
    env = dict(zip(found.inputs, arrays, strict=True)) | dict(
        zip(found.params, params, strict=True)
    )
    actual = evaluate(value_formula(entry, params), env)
    np.testing.assert_allclose(actual, entry.value(*arrays, *params), rtol=1e-12)


@pytest.mark.parametrize("subscripts", ["ij,jk->ik", "i,i->", "i,j->ij", "ij,ij->ij", "ij,i->j"])
@pytest.mark.parametrize("place", [0, 1])
def test_the_formula_of_a_contraction_computes_it(subscripts, place):
    rng = np.random.default_rng(0)
    entry, sizes = primitives.einsum, {"i": 2, "j": 3, "k": 4}
    terms, _ = subscripts.split("->")
    arrays = [rng.normal(size=[sizes[c] for c in term]) for term in terms.split(",")]
    y = np.asarray(entry.value(*arrays, subscripts))
    g = rng.normal(size=y.shape)
    env = dict(zip("gab", (g, *arrays), strict=True))
    tree = rule_formula(entry, place, (subscripts,))
    product = tree[2] if tree[0] == "sum" else tree
    factors = product[1:] if product[0] == "times" else (product,)
    labels = [t[2][1] if t[0] == "sub" else "" for t in factors]
    operands = [env[t[1][1] if t[0] == "sub" else t[1]] for t in factors]
    written = {label for term in labels for label in term}
    own = terms.split(",")[place]
    spread = [c for c in own if c not in written]
    operands += [np.ones(sizes[c]) for c in spread]
    actual = np.einsum(f"{','.join(labels + spread)}->{own}", *operands)
    rules = list(entry.rules_for((*arrays, subscripts)))
    expected = rules[place](g, y, *arrays, subscripts)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    summed = tree[1][1] if tree[0] == "sum" else ""
    assert set(summed) == written - set(own)


def test_the_formula_of_a_cumulative_sum_computes_it():
    tree = rule_formula(primitives.cumsum, 0)
    g = np.random.default_rng(0).normal(size=5)
    (_, (_, j, sign, i), (_, body, index)) = tree
    assert (j, sign, i, body, index) == (("sym", "j"), "≥", ("sym", "i"), ("var", "g"), j)
    actual = [g[i:].sum() for i in range(5)]
    (rule,) = primitives.cumsum.rules
    np.testing.assert_allclose(actual, rule(g, np.cumsum(g), g, -1), rtol=1e-12)


def test_a_gradient_at_an_index_is_zeros_elsewhere():
    index = (np.array([0, 0, 2]), (ARRAY_SLOT,))
    g = np.array([1.0, 10.0, 100.0])
    (rule,) = primitives.getitem.rules
    np.testing.assert_array_equal(rule(g, g, np.zeros(4), *index), kernels.scatter(g, *index, (4,)))


# ── The checks above find mistakes ────────────────────────────────────────────────────────────────

WRONG = {
    "__mul__": ("multiply", 0, lambda a, b: a + b),
    "__neg__": ("subtract", 1, lambda a: a),
    "__truediv__": ("log", 0, lambda a, b: a * b),
    "__rsub__": ("sigmoid", 0, lambda a, b: a - b),
    "__add__": ("expm1", 0, lambda a, b: a - b),
    "__pow__": ("scalar_power", 0, lambda a, b: a * b),
    "__gt__": ("relu", 0, lambda a, b: a < b),
    "__eq__": ("max", 0, lambda a, b: a > b),
    "__le__": ("clip", 0, lambda a, b: a >= b),
    "sum": ("max", 0, lambda a, *_, **__: a.astype(float)),
    "transpose": ("transpose", 0, lambda a, *_: a),
}


@pytest.mark.parametrize("method", WRONG)
def test_a_wrong_operator_of_symbols_is_found(method, monkeypatch):
    name, place, does = WRONG[method]
    monkeypatch.setattr(symbols.Symbol, method, does)
    symbols._rule_formula.cache_clear()
    try:
        wrong = rule_formula(TABLE[name], place, PARAMS.get(name, ()))
    finally:
        symbols._rule_formula.cache_clear()
    monkeypatch.undo()
    with pytest.raises((AssertionError, ValueError)):
        check_rule(name, place, SHAPES[0], wrong)


# ── Of one's own primitives ───────────────────────────────────────────────────────────────────────


def own(value, *rules, **options):
    return Primitive("own", "own", value, *rules, **options)


def of_rule(rule, value=lambda x: x):
    return latex(rule_formula(own(value, rule), 0))


def test_rules_of_ones_own_write_their_formulas():
    assert of_rule(lambda g, y, x: g * 3 * x * x) == r"3\,g\,x^2"
    assert of_rule(lambda g, y, x: np.multiply(g, np.arctan(x))) == r"g\,\arctan x"
    assert of_rule(lambda g, y, x: np.cos(x) * g) == r"(\cos x)\,g"
    assert of_rule(lambda g, y, x: g * np.where(x > 0, 2, x)) == r"g\,(x > 0 \;?\; 2 : x)"
    assert of_rule(lambda g, y, x: (g / x) ** 2) == r"(\frac{g}{x})^2"
    assert of_rule(lambda g, y, x: g - (x - 1)) == "g - (x - 1)"
    assert latex(value_formula(own(lambda x: x * x * x))) == "x^3"


def test_arguments_have_their_first_letters_unless_these_are_taken():
    rule = lambda g, y, gain, left, low: g * gain * left  # noqa: E731
    entry = own(lambda gain, left, low: gain * left * low, rule, rule, rule)
    assert letters(entry).inputs == ("gain", "left", "low")
    assert latex(rule_formula(entry, 0)) == r"g\,\text{gain}\,\text{left}"


@pytest.mark.parametrize(
    "rule",
    [
        lambda g, y, x: g * np.asarray(x),
        lambda g, y, x: g * float(x),
        lambda g, y, x: g if x > 0 else -g,
        lambda g, y, x: next(g for _ in x),
        lambda g, y, x: np.linalg.inv(x) * g,
        lambda g, y, x: np.add.accumulate(g),
        lambda g, y, x: np.exp(g, out=x),
        lambda g, y, x: g * np.ones(3),
        lambda g, y, x: g * np.nan,
        lambda g, y, x: g.no_such_thing,
        lambda g, y, x: 1 / 0,
        lambda g, y, x: "text",
    ],
)
def test_a_rule_that_symbols_cannot_run_is_named(rule):
    assert of_rule(rule) == r"g\,\frac{\partial \text{own}}{\partial x}"
    assert evaluate(rule_formula(own(abs, rule), 0), {"g": 1.0, "x": 1.0}) is None


def test_a_value_that_symbols_cannot_run_is_named():
    entry = Primitive("a_b", "ab", lambda x: np.array([float(v) for v in x]))
    assert latex(value_formula(entry)) == r"\text{a\_b} x"


@pytest.mark.parametrize(
    ("value", "rules", "formulas"),
    [
        (operator.neg, (), ["-x"]),
        (np.add, (None, lambda *given: given[0]), ["a + b", None, "g"]),
        (lambda *given: given[0], (lambda g, *rest: g,), ["x", "g"]),
        (partial(np.add, 1), (lambda g, y, x: g,), ["1 + x", "g"]),
        (math.exp, (lambda g, y, x: g * y,), [r"\operatorname{own} x", r"g\,y"]),
    ],
)
def test_functions_of_any_signature_have_formulas(value, rules, formulas):
    entry, n = own(value, *rules), max(len(rules), 1)
    trees = [
        value_formula(entry, (), n),
        *(rule_formula(entry, i, (), n) for i in range(len(rules))),
    ]
    assert [tree and latex(tree) for tree in trees] == formulas


def test_a_formula_can_be_given_in_latex():
    entry = own(abs, lambda g, y, x: g * float(x), latex=(r"\oint x", r"\sum g_x \text{ at } 2"))
    assert latex(value_formula(entry)) == r"\oint x"
    assert latex(rule_formula(entry, 0), {"x": "W"}) == r"\sum g_W \text{ at } 2"


# ── In the trace of a graph ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", sorted({name for name, _ in RULES} - set(WHOLE)))
def test_numbers_are_filled_into_formulas_of_elements(name):
    entry = TABLE[name]
    x = parameter([[0.3, 0.7, 0.2], [0.9, 0.4, 0.7]], "x")
    b = parameter([[0.5, 0.7, 0.8], [0.1, 0.6, 0.2]], "b")
    if name in DOMAINS:
        x = parameter(DOMAINS[name](x.data), "x")
    params = PARAMS | {"clip": (0.25, 0.75), "astype": (np.dtype("float32"),)}
    inputs = [x, b][: len(letters(entry).inputs)]
    if name == "where":
        inputs = [tg.Tensor([[True, False, True]] * 2), x, b]
    y = apply(entry, *inputs, params=(1, False) if "axis" in entry.params else params.get(name, ()))
    weights = np.random.default_rng(0).normal(size=y.shape)
    steps = steps_of((y * weights.astype(y.dtype)).sum())
    back = [s for s in steps if s["kind"] == "add" and s["vars"]["y"]["id"] == f"t{len(inputs)}"]
    assert len(back) == sum(t.requires_grad for t in inputs)
    assert all(step["filled"] for step in back)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (lambda x: x, lambda g, y, x: g * 3.0 if isinstance(x, np.ndarray) else g * 2.0),
        (lambda x: np.full_like(x, x.sum()), lambda g, y, x: g.sum() + 0 * x),  # a sum over what?
        (lambda x: x, lambda g, y, x: g * x.T),
    ],
)
def test_a_formula_that_does_not_agree_is_not_filled_in(value, rule):
    out = apply(own(value, rule), parameter([1.0, 2.0])).sum()
    back = [step.get("filled") for step in steps_of(out) if step["kind"] == "add"]
    assert back == [True, False]


def test_a_value_of_another_shape_than_its_formula_is_not_filled_in():
    entry = own(
        lambda x: np.concatenate([x, x]) if isinstance(x, np.ndarray) else x,
        lambda g, y, x: g[:2],
    )
    out = apply(entry, parameter([1.0, 2.0])).sum()
    first = next(step for step in steps_of(out) if step["kind"] == "value")
    assert not first["filled"]


def test_comparisons_that_were_recorded_are_computed_on_the_page_too():
    x = parameter([1.0, -2.0], "x")
    with symbolic.recording():
        y = tg.where(x > 0, x, 0.0).sum()
    data = Trace(topological_order(y), [y]).data()
    (greater,) = [node for node in data["nodes"] if node.get("primitive") == "greater"]
    (step,) = [s for s in data["steps"] if s.get("to") == greater["id"]]
    assert step["filled"]
    assert data["arrays"][greater["value"]]["data"] == [True, False]


def test_names_of_arguments_are_not_taken_by_parameters():
    a, b = parameter([1.0, 2.0], "first"), parameter([3.0], "second")
    step = next(s for s in steps_of(tg.concatenate([a, b]).sum()) if s["kind"] == "value")
    assert [step["vars"][c]["name"] for c in "ab"] == ["first", "second"]


# ── The chain rule in LaTeX ───────────────────────────────────────────────────────────────────────


def chain_rule_of(output):
    return Trace(topological_order(output), [output]).data()["nodes"][0]["latex"]


def test_chain_rule_in_latex_is_the_sum_of_the_contributions():
    z = parameter([2.0, 1.0, 0.1], "z")
    loss = z.exp().sum().log() - z[0]
    assert chain_rule_of(loss) == (
        r"\frac{\partial L}{\partial z} = \frac{\partial L}{\partial t_{4}} \text{ at } [\text{0}]"
        r" + \frac{\partial L}{\partial t_{1}}\,t_{1}"
    )


def test_chain_rule_sums_once_over_what_was_broadcast():
    x = parameter([1.0, 2.0], "x")
    assert chain_rule_of(x.broadcast_to(3, 2).sum()) == (
        r"\frac{\partial L}{\partial x} = \textstyle\sum \frac{\partial L}{\partial t_{1}}"
    )


@pytest.mark.parametrize("name", ["}{\\input{x}", "%", "a_b^c", "$x$", "~", "#&"])
def test_names_do_no_harm_in_latex(name):
    text = chain_rule_of(parameter(1.0, name) * 2.0)
    inside = re.sub(r"\\text(backslash|asciitilde|asciicircum)\{\}|\\[{}#$%&_]", "", text)
    assert inside.count("{") == inside.count("}")
    assert not re.search(r"[#$%&~]|\\input", inside)


def test_numbered_names_are_in_latex_what_every_latex_can_set():
    text = chain_rule_of(parameter(2.0, "weight") * parameter(3.0, "weight"))
    assert r"\text{weight$_1$}" in text
    assert not re.search("[₀-₉]", text)
