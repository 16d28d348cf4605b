"""Every public function with every argument that does not fit: refused by us, or right.

A row of the table below has valid arguments of a function, and of which kind each is. Each argument
is replaced by each of the values of malformed.py, one at a time. The result may be

* that of the valid arguments, where it is the same in another form;
* another, where the value is one that this kind of argument can have;
* or an exception that we raise ourselves, which says what was given or what was expected.

Nothing else: no error from inside of NumPy, no result of what is no argument, nothing changed
before an error, and no call without an end. A public name without a row fails.
"""

# ruff: noqa: PLW0108 (the names of a lambda's arguments are those of the row)

import contextlib
import copy
import dis
import importlib
import inspect
import math
import operator
import pathlib
import signal
from dataclasses import is_dataclass
from types import ModuleType

import malformed
import numpy as np
import pytest
from malformed import DIFFERENTIABLE, NO_NUMBERS, NUMBERS, SAME

import tinygrad_ce as tg
from tinygrad_ce import (
    closed_form,
    data,
    distributed,
    draw,
    nn,
    optim,
    symbolic,
    train,
    verify,
)
from tinygrad_ce import functional as F
from tinygrad_ce.compiler import Compiled
from tinygrad_ce.engine import Primitive, apply, topological_order

PACKAGE = str(pathlib.Path(tg.__file__).parent)
MODULES = [
    "functional",
    "closed_form",
    "nn",
    "optim",
    "data",
    "train",
    "distributed",
    "compiler",
    "onnx",
    "draw",
    "symbolic",
    "verify",
    "engine",
]
SECONDS = 10  # for one call

# Never called by a user: results and errors, whose constructors take what we give them; what
# subclasses override; and what NumPy or other parts of the package call.
RESULTS = (
    verify.Comparison, verify.Comparisons, verify.Worst, verify.GradientCheck,
    verify.DerivativeCheck, draw.Drawing, symbolic.Proof, symbolic.Step, BaseException,
)  # fmt: skip
INTERNAL = {
    "derive", "set_value", "cotangent", "update", "rules_for", "__primitive__", "__array_ufunc__",
    "__array_function__", "__array__", "__reduce__", "__hash__", "__setattr__", "__get__",
    "__init_subclass__", "__init__", "__call__", "__format__", "__exit__", "__dir__", "run",
    "__delattr__", "gather", "map", "check_replicas", "make_step",
}  # fmt: skip

# ── Kinds of arguments ────────────────────────────────────────────────────────────────────────────


class Kind:
    """What an argument is: which values it can have, and words that its errors use."""

    def __init__(self, may_be, *words, asked=False):
        self.may_be, self.words = may_be, words
        self.asked = asked  # whether it is asked for its index or truth, or to compare itself

    def __call__(self, valid):
        """An argument of this kind: a value, or a function that makes one."""
        make = valid if inspect.isfunction(valid) else lambda: copy.copy(valid)
        return Argument(self, make)


class Argument:
    def __init__(self, kind, make):
        self.kind, self.make = kind, make


def is_named(*groups):
    names = set().union(*groups)
    return lambda value, name: name in names


def is_whole(least=-math.inf, most=math.inf):
    """Integers, also NumPy's, and what has `__index__` as these have; no booleans."""

    def may_be(value, name):
        kinds = int | np.integer | np.ndarray | tg.Tensor
        if not isinstance(value, kinds) or isinstance(value, bool | np.ma.MaskedArray):
            return False
        try:
            return least <= operator.index(value) <= most
        except (TypeError, ValueError):
            return False

    return may_be


def is_real(least=-math.inf, most=math.inf, exclusive=False):
    def may_be(value, name):
        if isinstance(value, np.ma.MaskedArray):
            return False
        if isinstance(value, np.ndarray | tg.Tensor):
            if value.shape or value.dtype.kind not in "iuf":
                return False
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            return False
        if isinstance(value, np.complexfloating):
            return False
        return least < value < most if exclusive else least <= value <= most

    return may_be


def is_several(least, most, kind):
    """Numbers in a sequence of a length."""

    def may_be(value, name):
        if not isinstance(value, list | tuple | range | bytearray | np.ndarray | tg.Tensor):
            return name == "memoryview"
        try:
            array = np.array(value)
        except Exception:
            return False
        typed = array.dtype.kind == "O" or np.issubdtype(array.dtype, kind)
        return typed and array.ndim == 1 and least <= len(array) <= most

    return may_be


def either(*kinds):
    return lambda value, name: any(may_be(value, name) for may_be in kinds)


def is_none(value, name):
    return value is None


def is_a(*types):
    return lambda value, name: isinstance(value, types)


def nothing(value, name):
    return False


# What Python says when both operands have returned NotImplemented, as they should.
OPERATORS_OF_PYTHON = (
    "unsupported operand type", "not supported between instances", "can only concatenate",
    "can't concat", "only integer Tensors can be an index", "exponent must be an integer",
)  # fmt: skip
INTEGERS = [
    "uint8", "int8", "uint64", "one more row", "objects", "masked without a mask", "bytearray",
]  # fmt: skip
# Whose own operators take anything.
OWN_OPERATORS = ["Fraction", "dtype", "dtype of dates"]
ARRAYS_OF_ANYTHING = [
    "dates", "time differences", "complex array", "objects", "strings", "records", "list with None",
    "list of strings", "table",
]  # fmt: skip
COMMON_WORDS = (
    "a floating one",
    "sequence",
    "between 0 and 1",
    "floating point",
    "real numbers",
    "does not fit",
    "mask",
    "shape",
)

array_like = is_named(SAME, NUMBERS, ["freed Tensor"])
seeds = either(is_whole(0), is_none, is_a(np.random.Generator))

anything = Kind(lambda value, name: True, "floating point", "normal of", asked=True)
numbers = Kind(array_like, "real numbers", "floating point", "logits")
tensors = Kind(is_named(SAME, NUMBERS, DIFFERENTIABLE), "real numbers", "floating point", "shape")
plain = Kind(array_like, "real numbers", "shape", "needs no gradient", "drop its gradient")
operands = Kind(is_named(SAME, NUMBERS, DIFFERENTIABLE, ["10**30", "-10**30"]), "shape")
trained = Kind(array_like, "class", "rows", "label", "training set")
evaluated = Kind(is_named(SAME, NUMBERS, DIFFERENTIABLE), "class", "rows", "label")
exact = Kind(is_named(SAME, NUMBERS, [
    "complex", "complex array", "Decimal", "Fraction", "10**30", "-10**30", "objects",
    ]), "SymPy", "shape")  # fmt: skip
any_rows = Kind(is_named(SAME, NUMBERS, ARRAYS_OF_ANYTHING), "rows", "label", "scalar", "class")
bound = Kind(is_named(SAME, NUMBERS, ["None", "10**30", "-10**30"]), "a bound", "bounds of clip")
labels = Kind(array_like, "labels", "target", "integers", "real numbers", "shape")
rows = Kind(array_like, "real numbers", "rows", "shape", "label", "scalar", "class")
gradient = Kind(
    is_named(SAME, NUMBERS, DIFFERENTIABLE), "gradient", "cotangent", "shape", "real numbers"
)
integers = Kind(array_like, "integer", "indices", "real numbers")
index = Kind(
    is_named(SAME, NUMBERS, ["None", "Ellipsis", "slice"]), "index", "indices", "real numbers"
)
# An index is what has __index__, whatever else it is.
axis = Kind(is_whole(), "axis", "axes", asked=True)
axis_or_none = Kind(either(is_whole(), is_none, is_a(np.ma.MaskedArray)), "axis", asked=True)
axes = Kind(either(axis_or_none.may_be, is_named(["empty tuple"])), "axis", "axes", asked=True)
shape = Kind(
    either(
        is_whole(),
        is_named(["range", "empty tuple", "empty list", "empty"], SAME),
        is_named(INTEGERS),
    ),
    "shape",
    "axis",
    asked=True,
)
flag = Kind(is_a(bool, np.bool_), "True or False")
some_axes = Kind(either(axes.may_be, is_named(["empty list"])), "axis", asked=True)
keepdims = Kind(either(is_a(bool, np.bool_), is_whole()), "keepdims", asked=True)
count_ = Kind(is_whole(1, 2**40), "integer", "at least")
whole = Kind(is_whole(), "integer")
seed = Kind(seeds, "seed", "np.random.Generator")
a_generator = Kind(is_a(np.random.Generator), "np.random.Generator")
probability = Kind(is_real(0, 1), "probability", "between 0 and 1", "number")
share = Kind(is_real(0, 1, exclusive=True), "between 0 and 1", "number")
at_least_0 = Kind(is_real(0, 1.8e308), "number")
below_1 = Kind(is_real(0, 0.999999), "number")
real = Kind(is_real(), "number")
a_name = Kind(is_a(str), "a str", "name")
a_name_or_none = Kind(is_a(str, type(None)), "a str", "name")
a_choice = Kind(nothing, "one of", " or ")
a_path = Kind(is_a(), "ends in", "path")
a_function = Kind(
    is_named(["lambda", "builtin", "class", "class Tensor", "bound method", "ufunc", "Module"]),
    "function", "callable",
)  # fmt: skip
a_tensor = Kind(is_a(tg.Tensor), "Tensor")
tensor_list = Kind(nothing, "Tensor", "tensors", "sequence")
array_list = Kind(
    is_named(SAME, NUMBERS, DIFFERENTIABLE, ["ragged", "ragged arrays"]),
    "axis", "tensor", "tangent", "sequence",
)  # fmt: skip
parameters = Kind(nothing, "parameter")
a_module = Kind(is_a(nn.Module), "Module", "module")
an_optimizer = Kind(nothing, "Optimizer", "optimizer")
a_dtype = Kind(
    lambda value, name: name in ("class", "None", "dtype", "np.float16"), "dtype", "real numbers"
)
names = Kind(nothing, "name")

# ── Valid arguments ───────────────────────────────────────────────────────────────────────────────

M = np.array([[0.5, 1.0, 2.0], [0.25, 0.125, 1.5]])
V = np.array([1.0, 2.0, 0.5])
LABELS = np.array([2, 0])
X4 = np.random.default_rng(0).normal(size=(6, 4))
Y4 = np.array([0, 1, 2, 0, 1, 2])


def t(x=M, **options):
    return tg.Tensor(x, requires_grad=True, **options)


def network(dtype=np.float64):
    return nn.MLP([4, 3], rng=0, dtype=dtype)


ROWS = {}


def row(name, function, /, **arguments):
    ROWS[name] = (function, arguments)


def rows_of(names, function, /, **arguments):
    for name in names.split():
        row(name, function(name), **arguments)


def public(name):
    return operator.attrgetter(name)(tg)


# Tensor
row(
    "Tensor", lambda data, **o: tg.Tensor(data, **o),
    data=tensors(M), requires_grad=flag(True), dtype=a_dtype(np.float32), name=a_name_or_none("x"),
    copy=flag(True),
)  # fmt: skip


def method(name, /, **arguments):
    row(
        f"Tensor.{name}",
        lambda **given: getattr(given.pop("self"), name)(*given.values()),
        self=Argument(None, t),
        **arguments,
    )


for name in [
    "add",
    "sub",
    "mul",
    "truediv",
    "pow",
    "and",
    "or",
    "lt",
    "le",
    "gt",
    "ge",
    "eq",
    "ne",
    "matmul",
]:
    boolean = name in ("and", "or")
    valid = np.eye(3, dtype=bool) if boolean else np.eye(3)
    make = (lambda v=valid: tg.Tensor(v)) if boolean else (lambda v=valid: t(v))
    compared = [*NO_NUMBERS] if name in ("eq", "ne") else ["10**30", "-10**30"]
    compared += OWN_OPERATORS
    kind = Kind(is_named(SAME, NUMBERS, DIFFERENTIABLE, compared), " of ", "matmul", asked=True)
    function = getattr(operator, f"__{name}__")
    row(f"Tensor.__{name}__", lambda self, other, f=function: f(self, other),
        self=Argument(None, make), other=kind(valid))  # fmt: skip
    if name not in ["lt", "le", "gt", "ge", "eq", "ne"]:
        row(f"Tensor.__r{name}__", lambda self, other, f=function: f(other, self),
            self=Argument(None, make), other=kind(valid))  # fmt: skip

method("__getitem__", index=index(np.array([0, 1])))
for name in ["sum", "max", "min", "mean"]:
    method(name, axis=axes(0), keepdims=keepdims(True))
for name in ["argmax", "argmin"]:
    method(name, axis=axis_or_none(0), keepdims=keepdims(True))
for name in ["var", "std"]:
    row(f"Tensor.{name}", lambda self, name=name, **o: getattr(self, name)(**o),
        self=Argument(None, t), axis=axes(0), keepdims=keepdims(True), ddof=real(1))  # fmt: skip
method("cumsum", axis=axis_or_none(0))
method("clip", min=bound(0.0), max=bound(M + 1))
method("reshape", shape=shape((3, 2)))
method("transpose", axes=Kind(either(shape.may_be, is_none), "axis", "axes")((1, 0)))
method("swapaxes", a=axis(0), b=axis(1))
method("expand_dims", axis=some_axes(0))
method("squeeze", axis=some_axes(None))
method("broadcast_to", shape=shape((2, 2, 3)))
method("astype", dtype=a_dtype(np.float32))
row("Tensor.backward", lambda y, **o: y.backward(**o),
    y=Argument(None, lambda: t() * 2), gradient=gradient(M), retain_graph=flag(True))  # fmt: skip
for name in ("data", "grad", "requires_grad"):
    row(f"Tensor.{name}=", lambda self, value, name=name: setattr(self, name, value),
        self=Argument(None, t),
        value={"data": gradient(M), "grad": Kind(either(gradient.may_be, is_none), "gradient")(M),
               "requires_grad": flag(True)}[name])  # fmt: skip

# Functions of several Tensors
row("scope", lambda name: tg.scope(name).run(t, (), {}).name, name=a_name("layer"))
row("where", tg.where, condition=tensors(M > 1), a=operands(M), b=operands(M + 1))
rows_of("maximum minimum logaddexp", public, a=operands(M), b=operands(M + 1))
row("matmul", tg.matmul, a=tensors(M), b=tensors(M.T))
row("concatenate", tg.concatenate, tensors=array_list([M, M]), axis=axis_or_none(0))
row("stack", tg.stack, tensors=array_list([M, M]), axis=axis(0))
row("einsum", lambda subscripts, x: tg.einsum(subscripts, x),
    subscripts=Kind(nothing, "einsum")("ij->j"), x=tensors(M))  # fmt: skip
row("norm", tg.norm, x=tensors(M), ord=Kind(either(is_real(), is_none), "norm")(1), axis=axes(0),
    keepdims=keepdims(False))  # fmt: skip
row("sort", tg.sort, x=tensors(M), axis=axis_or_none(0))
row("split", tg.split, x=tensors(M), axis=axis(1),
    sections=Kind(either(is_whole(1), is_named(["range", "empty list", "empty tuple", "empty",
                                                "bytearray"], INTEGERS, SAME, NUMBERS)), "sections",
                  "integer", "parts")([1]))  # fmt: skip
row("take_along_axis", tg.take_along_axis, x=tensors(M), indices=integers(np.array([[0], [1]])),
    axis=axis_or_none(1))  # fmt: skip
row("sample", lambda method, n: tg.sample(method, n),
    method=Kind(nothing, "np.random.Generator")(np.random.default_rng(0).normal),
    n=Argument(None, lambda: 1.0))  # fmt: skip

# Transforms
f = Argument(a_function, lambda: lambda x: (x[0] if type(x) is list else x * x).sum())
trees = Kind(either(tensors.may_be, is_named(["ragged arrays"])), *tensors.words)
argnums = Kind(either(is_whole(), is_named(["empty tuple"])), "argnums")
rows_of("grad value_and_grad jacobian hessian",
        lambda name: lambda f, argnums, x: public(name)(f, argnums)(x),
        f=f, argnums=argnums(0), x=trees(V))  # fmt: skip
row("elementwise_grad", lambda f, argnums, x: tg.elementwise_grad(f, argnums)(x),
    f=f, argnums=argnums(0), x=trees(V))  # fmt: skip
row("vjp", lambda f, x, cotangent: tg.vjp(f, x)[1](cotangent),
    f=Argument(a_function, lambda: lambda x: x[0] if type(x) is list else x * x), x=trees(V),
    cotangent=Kind(tensors.may_be, "gradient", "cotangent", "shape")(V))  # fmt: skip
row("jvp", lambda f, args, tangents: tg.jvp(f, args, tangents),
    f=Argument(a_function, lambda: lambda x: x * x), args=array_list([V]),
    tangents=array_list([V]))  # fmt: skip
row("hvp", tg.hvp, f=f, x=trees(V), v=trees(V))


def _gradients(tensors):
    return tg.gradients((tensors[0] if type(tensors) is list and tensors else t()) * 2, tensors, M)


row("gradients", lambda output, cotangent, create_graph: tg.gradients(
        output, [topological_order(output)[0]] if type(output) is tg.Tensor else [t()], cotangent,
        create_graph),
    output=Kind(is_a(tg.Tensor), "Tensor")(lambda: t() * 2),
    cotangent=Kind(tensors.may_be, "gradient", "cotangent", "shape")(M),
    create_graph=flag(False))  # fmt: skip
row("gradients of", _gradients, tensors=Kind(
    is_named(["empty list", "empty tuple", "empty", "no rows"]), "Tensor", "tensors", "gradient",
)(lambda: [t()]))  # fmt: skip
row("no_grad.__call__", lambda function: tg.no_grad()(function),
    function=Argument(a_function, lambda: lambda: None))  # fmt: skip

# Verification
row("compare", tg.compare, actual=anything(M), expected=anything(M), name=a_name("W"),
    tolerance=Kind(either(is_none, is_real(0)), "number")(1e-3),
    scale=Kind(either(is_none, array_like), "real numbers", "scale")(1.0))  # fmt: skip
row("verify.table", verify.table, comparisons=Kind(
    is_named(["empty list", "empty tuple", "empty", "no rows", "empty str"]),
    "Comparison")(lambda: [tg.compare(M, M)]))  # fmt: skip
row("gradcheck", lambda f, x, **o: tg.gradcheck(f, x, **o), f=f, x=anything(V),
    order=Kind(is_whole(1, 2), "1 or 2")(1), method=a_choice("auto"),
    rtol=Kind(either(is_none, is_real(0)), "number")(1e-6))  # fmt: skip
row("verify.check_cross_entropy", verify.check_cross_entropy, logits=numbers(M),
    target=labels(LABELS))  # fmt: skip
row("verify.check_four_ways", verify.check_four_ways, logits=numbers(M), target=labels(LABELS))
row("verify.check_network", verify.check_network, model=a_module(network), X=rows(X4),
    y=labels(Y4))  # fmt: skip
row("verify.check_random_logits", verify.check_random_logits, n_sets=count_(1), seed=seed(0))

# Functional
rows_of("functional.softmax functional.log_softmax", public, x=tensors(M), axis=axis(-1))
row("functional.logsumexp", F.logsumexp, x=tensors(M), axis=axis(-1), keepdims=flag(False))
row("functional.one_hot", F.one_hot, target=labels(LABELS), n_classes=count_(3),
    dtype=a_dtype(np.float32))  # fmt: skip
row("functional.cross_entropy", F.cross_entropy, logits=tensors(M), target=labels(LABELS),
    axis=axis(-1), weight=Kind(either(tensors.may_be, is_none), "weights")(V),
    ignore_index=Kind(either(is_whole(), is_none), "ignore_index")(-100),
    label_smoothing=Kind(is_real(0, 1), "label_smoothing")(0.1), reduction=a_choice("mean"),
    check_targets=flag(False))  # fmt: skip
rows_of("functional.naive_cross_entropy functional.shifted_cross_entropy "
        "functional.margin_cross_entropy", public, logits=tensors(M),
        target=labels(LABELS))  # fmt: skip
row("functional.calculate_cross_entropy", F.calculate_cross_entropy, y_true=tensors(M),
    y_predicted=tensors(M))  # fmt: skip
row("functional.gelu", F.gelu, x=tensors(M), approximate=a_choice("tanh"))
row("functional.dropout", F.dropout, x=tensors(M), p=probability(0.0),
    rng=a_generator(lambda: np.random.default_rng(0)), training=flag(True))  # fmt: skip

# Layers
row("nn.Linear", nn.Linear, n_in=count_(4), n_out=count_(3), bias=flag(True), rng=seed(0),
    dtype=a_dtype(np.float32))  # fmt: skip
row("nn.BatchNorm1d", nn.BatchNorm1d, n=count_(4), eps=at_least_0(1e-5), momentum=probability(0.1),
    dtype=a_dtype(np.float32))  # fmt: skip
row("nn.Embedding", nn.Embedding, n_tokens=count_(4), dim=count_(3), rng=seed(0),
    dtype=a_dtype(np.float32))  # fmt: skip
row("nn.Dropout", nn.Dropout, p=probability(0.5), rng=seed(0))
row("nn.MLP", nn.MLP, sizes=Kind(is_several(2, 99, np.integer), "size", "integer")([4, 3]),
    activation=a_choice("relu"), rng=seed(0), dtype=a_dtype(np.float32))  # fmt: skip
row("nn.Sequential", lambda layer: nn.Sequential(layer), layer=a_module(lambda: nn.Tanh()))
layers = {
    "Linear": lambda: nn.Linear(3, 2, rng=0, dtype=float), "Tanh": nn.Tanh, "ReLU": nn.ReLU,
    "BatchNorm1d": lambda: nn.BatchNorm1d(3, dtype=float), "Sigmoid": nn.Sigmoid,
    "Dropout": lambda: nn.Dropout(0.0, rng=0),
    "Sequential": lambda: nn.Sequential(nn.Linear(3, 2, rng=0, dtype=float)),
}  # fmt: skip
for name, make in layers.items():
    row(f"nn.{name}.forward", lambda layer, x: layer(x), layer=Argument(None, make), x=tensors(M))
row("nn.Embedding.forward", lambda layer, tokens: layer(tokens),
    layer=Argument(None, lambda: nn.Embedding(4, 2, rng=0)), tokens=integers(LABELS))  # fmt: skip
row("nn.Sequential.__getitem__", lambda i: nn.Sequential(nn.Tanh())[i], i=Kind(
    either(is_whole(), is_a(bool, np.ma.MaskedArray, slice)), asked=True)(0))  # fmt: skip
row("nn.Module.train", lambda training: network().train(training), training=flag(True))
row("nn.Module.training=", lambda v: setattr(network(), "training", v), v=flag(True))


def _load(state=None, weight=None):
    layer = nn.Linear(3, 2, bias=False, rng=0, dtype=float)
    layer.load_state_dict({"weight": weight} if state is None else state)


row("nn.Module.load_state_dict", _load, state=Kind(nothing, "state")(
    lambda: {"weight": M.T.copy()}))  # fmt: skip
row("nn.Module.load_state_dict of", _load, weight=Kind(array_like, "weight")(M.T))

# Optimizers
settings = {
    "lr": at_least_0(0.1), "momentum": at_least_0(0.9), "eps": at_least_0(1e-8),
    "weight_decay": at_least_0(0.1),
    "betas": Kind(is_several(2, 2, np.number), "betas")((0.9, 0.99)),
}  # fmt: skip
for kind, known in {
    optim.Optimizer: "lr weight_decay",
    optim.SGD: "lr momentum weight_decay",
    optim.Adam: "lr betas eps weight_decay",
    optim.AdamW: "lr betas eps weight_decay",
}.items():
    chosen = {name: settings[name] for name in known.split()}
    row(f"optim.{kind.__name__}", kind, params=parameters(lambda: [t()]), **chosen)
    for name, argument in chosen.items():
        row(f"optim.{kind.__name__}.{name}=",
            lambda value, kind=kind, name=name: setattr(kind([t()], lr=0.1), name, value),
            value=argument)  # fmt: skip
row("optim.Adam.beta", lambda beta: optim.Adam([t()], betas=(0.9, beta)), beta=below_1(0.99))

# Losses, activations, initializations, schedules and clipping
S = optim.lr_scheduler
PROBABILITIES = np.array([[0.5, 0.25, 1.0], [0.25, 0.125, 0.0]])
reduction = {"reduction": a_choice("sum")}
weights = Kind(either(tensors.may_be, is_none), "weight", "shape", "broadcast")
two = {"prediction": tensors(M), "target": tensors(M)}
probabilities = Kind(tensors.may_be, *tensors.words, "not between 0 and 1")
rows_of("functional.mse_loss functional.l1_loss", public, **two, **reduction)
row("functional.huber_loss", F.huber_loss, **two, **reduction, delta=at_least_0(1.0))
row("functional.binary_cross_entropy", F.binary_cross_entropy,
    probability=probabilities(PROBABILITIES), target=probabilities(PROBABILITIES),
    weight=weights(V), **reduction)  # fmt: skip
row("functional.binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits,
    logits=tensors(M), target=probabilities(PROBABILITIES), weight=weights(V),
    pos_weight=weights(V), **reduction)  # fmt: skip
row("functional.kl_div", F.kl_div, log_probs=tensors(M), target=tensors(M), **reduction,
    log_target=flag(True))  # fmt: skip
row("functional.nll_loss", F.nll_loss, log_probs=tensors(M), target=labels(LABELS), axis=axis(-1),
    weight=weights(V), ignore_index=Kind(either(is_whole(), is_none), "ignore_index")(-100),
    **reduction)  # fmt: skip
rows_of("functional.relu functional.tanh functional.sigmoid functional.silu", public, x=tensors(M))
row("functional.leaky_relu", F.leaky_relu, x=tensors(M), negative_slope=real(0.1))
row("functional.elu", F.elu, x=tensors(M), alpha=real(1.0))
row("functional.softplus", F.softplus, x=tensors(M), beta=at_least_0(2.0))

layers = {
    "LayerNorm": lambda: nn.LayerNorm(3, dtype=float), "Flatten": nn.Flatten, "SiLU": nn.SiLU,
    "LeakyReLU": nn.LeakyReLU, "ELU": nn.ELU, "GELU": nn.GELU, "Softplus": nn.Softplus,
    "Softmax": nn.Softmax, "LogSoftmax": nn.LogSoftmax,
}  # fmt: skip
for name, make in layers.items():
    row(f"nn.{name}.forward", lambda layer, x: layer(x), layer=Argument(None, make), x=tensors(M))
row("nn.LayerNorm", nn.LayerNorm, shape=Kind(
    either(is_whole(1, 2**40), is_named(INTEGERS)), "length", "shape", "axis")(3),
    eps=at_least_0(1e-5), bias=flag(True), dtype=a_dtype(np.float32))  # fmt: skip
row("nn.LeakyReLU", nn.LeakyReLU, negative_slope=real(0.1))
row("nn.ELU", nn.ELU, alpha=real(1.0))
row("nn.GELU", nn.GELU, approximate=a_choice("tanh"))
row("nn.Softplus", nn.Softplus, beta=at_least_0(1.0))
rows_of("nn.Softmax nn.LogSoftmax", public, axis=whole(-1))
row("nn.ModuleList", nn.ModuleList, modules=Kind(
    is_named(["empty list", "empty tuple", "empty dict", "empty str", "empty", "no rows"]),
    "ModuleList", "iterable")(lambda: [nn.Tanh()]))  # fmt: skip
row("nn.ModuleList.append", lambda module: nn.ModuleList().append(module),
    module=a_module(nn.Tanh()))  # fmt: skip
row("nn.Module.apply", lambda function: network().apply(function),
    function=Argument(a_function, lambda: lambda layer: None))  # fmt: skip
for name in ("MSELoss", "L1Loss"):
    row(f"nn.{name}", getattr(nn, name), **reduction)
    row(f"nn.{name}.forward", lambda prediction, target, name=name: getattr(nn, name)()(
        prediction, target), **two)  # fmt: skip
row("nn.HuberLoss.forward", lambda prediction, target: nn.HuberLoss()(prediction, target), **two)
row("nn.KLDivLoss.forward", lambda log_probs, target: nn.KLDivLoss()(log_probs, target),
    log_probs=tensors(M), target=tensors(M))  # fmt: skip
row("nn.BCELoss.forward", lambda probability, target: nn.BCELoss()(probability, target),
    probability=probabilities(PROBABILITIES), target=probabilities(PROBABILITIES))  # fmt: skip
row("nn.BCEWithLogitsLoss.forward", lambda logits, target: nn.BCEWithLogitsLoss()(logits, target),
    logits=tensors(M), target=probabilities(PROBABILITIES))  # fmt: skip
row("nn.CrossEntropyLoss.forward", lambda logits, target: nn.CrossEntropyLoss()(logits, target),
    logits=tensors(M), target=labels(LABELS))  # fmt: skip
row("nn.NLLLoss.forward", lambda log_probs, target: nn.NLLLoss()(log_probs, target),
    log_probs=tensors(M), target=labels(LABELS))  # fmt: skip
rows_of("nn.CrossEntropyLoss nn.NLLLoss nn.HuberLoss nn.BCELoss nn.BCEWithLogitsLoss nn.KLDivLoss",
        public, **reduction)  # fmt: skip

an_init = Kind(is_a(tg.Tensor), "Tensor", "tensor", "fans", "leaf", "rng")
square = lambda: tg.Tensor(np.zeros((2, 3)), requires_grad=True)  # noqa: E731
for name, known in {
    "constant_": {"value": real(0.5)},
    "uniform_": {"a": real(0.0), "b": Kind(is_real(0), "number", "at most b")(1.0)},
    "normal_": {"mean": real(0.0), "std": at_least_0(1.0)},
    "xavier_uniform_": {"gain": real(1.0)}, "xavier_normal_": {"gain": at_least_0(1.0)},
    "kaiming_uniform_": {"a": real(0.0), "mode": a_choice("fan_in")},
    "kaiming_normal_": {"nonlinearity": a_choice("relu")}, "orthogonal_": {"gain": real(1.0)},
}.items():  # fmt: skip
    extra = {} if name == "constant_" else {"rng": seed(0)}
    row(f"nn.init.{name}", getattr(nn.init, name), tensor=Argument(None, square), **known, **extra)
row("nn.from_torch", nn.from_torch, state=Kind(nothing, "state", "missing")(
    lambda: network().state_dict()), model=Kind(nothing, "Module", "missing")(network))  # fmt: skip
row("nn.to_torch", lambda model: len(nn.to_torch(model)), model=a_module(network))

settings |= {"alpha": probability(0.9), "lr_decay": at_least_0(0.1)}
for kind, known in {
    optim.RMSprop: "lr alpha eps weight_decay momentum", optim.Adagrad: "lr lr_decay eps",
}.items():  # fmt: skip
    chosen = {name: settings[name] for name in known.split()}
    row(f"optim.{kind.__name__}", kind, params=parameters(lambda: [t()]), **chosen)
    for name, argument in chosen.items():
        row(f"optim.{kind.__name__}.{name}=",
            lambda value, kind=kind, name=name: setattr(kind([t()], lr=0.1), name, value),
            value=argument)  # fmt: skip
row("optim.ParameterGroups", optim.ParameterGroups, groups=Kind(nothing, "group", "parameter")(
    lambda: [optim.SGD([t()], 0.1)]))  # fmt: skip
row("optim.ParameterGroups.load_state_dict", lambda state: optim.ParameterGroups(
    [optim.SGD([tg.Tensor(1.0, requires_grad=True)], 0.1)]).load_state_dict(state),
    state=Kind(nothing, "state", "groups")(lambda: optim.ParameterGroups(
        [optim.SGD([tg.Tensor(1.0, requires_grad=True)], 0.1)]).state_dict()))  # fmt: skip
no_parts = ["empty list", "empty tuple", "empty dict", "empty str", "empty", "no rows"]
clipped = Kind(is_named(no_parts, DIFFERENTIABLE, ["Tensor", "computed Tensor"]), "parameter")
row("optim.clip_grad_norm_", lambda params, max_norm, norm_type: optim.clip_grad_norm_(
    params, max_norm, norm_type), params=clipped(lambda: [t()]), max_norm=at_least_0(1.0),
    norm_type=Kind(is_real(0, math.inf), "number", "above 0")(2.0))  # fmt: skip
row("optim.clip_grad_value_", optim.clip_grad_value_, params=clipped(lambda: [t()]),
    clip_value=at_least_0(1.0))  # fmt: skip


def _schedule(kind, **fixed):
    return lambda **given: kind(optim.SGD([t()], 0.1), **fixed, **given).optimizer.lr


row("optim.lr_scheduler.StepLR", _schedule(S.StepLR), step_size=count_(3), gamma=at_least_0(0.5))
row("optim.lr_scheduler.ExponentialLR", _schedule(S.ExponentialLR), gamma=at_least_0(0.5))
row("optim.lr_scheduler.LinearLR", _schedule(S.LinearLR), start_factor=probability(0.5),
    end_factor=probability(1.0), total_iters=count_(3))  # fmt: skip
row("optim.lr_scheduler.CosineAnnealingLR", _schedule(S.CosineAnnealingLR), T_max=count_(3),
    eta_min=at_least_0(0.0))  # fmt: skip
row("optim.lr_scheduler.OneCycleLR", _schedule(S.OneCycleLR), max_lr=at_least_0(1.0),
    total_steps=count_(9), pct_start=probability(0.3), anneal_strategy=a_choice("cos"),
    div_factor=at_least_0(5.0), final_div_factor=at_least_0(9.0))  # fmt: skip
row("optim.lr_scheduler.ReduceLROnPlateau", _schedule(S.ReduceLROnPlateau), mode=a_choice("min"),
    factor=below_1(0.5), patience=Kind(is_whole(0, 2**62), "integer")(3),
    threshold=at_least_0(0.1), threshold_mode=a_choice("rel"),
    cooldown=Kind(is_whole(0, 2**62), "integer")(1), min_lr=at_least_0(0.0),
    eps=at_least_0(0.0))  # fmt: skip

# Tensors from shapes
rows_of("zeros ones", public, shape=shape((2, 3)), dtype=a_dtype(np.float32),
        requires_grad=flag(True), name=a_name_or_none("x"))  # fmt: skip
row("full", tg.full, shape=shape((2, 3)), fill_value=plain(1.0), dtype=a_dtype(np.float32),
    requires_grad=flag(True), name=a_name_or_none("x"))  # fmt: skip
size = Kind(is_whole(0, 2**40), "integer", "at least")
row("eye", tg.eye, n=size(2), m=Kind(either(size.may_be, is_none), "integer")(3), k=whole(0),
    dtype=a_dtype(np.float32))  # fmt: skip
row("arange", tg.arange, start=real(0), stop=Kind(either(is_real(), is_none), "number")(3),
    step=real(1), dtype=a_dtype(np.float32))  # fmt: skip

# Data and training
row("data.feature_names", data.feature_names, name=a_choice("iris"))
row("data.train_test_split", data.train_test_split, X=any_rows(X4), y=any_rows(Y4),
    test_size=share(0.5),
    rng=seed(0))  # fmt: skip
row("data.minibatches", lambda *a, **o: list(data.minibatches(*a, **o)), X=any_rows(X4),
    y=any_rows(Y4),
    batch_size=count_(2), rng=seed(0), drop_last=flag(False))  # fmt: skip


def _path_of_rows():
    pathlib.Path("rows.csv").write_text("a,k\n1,x\n2,y\n")
    return "rows.csv"


def _path_of_a_model():
    nn.save("model.safetensors", network())
    return "model.safetensors"


a_file = Kind(is_a(str), "path", "folder", "file")
row("data.read_csv", lambda path, target: data.read_csv(path, target=target),
    path=a_file(_path_of_rows), target=Kind(nothing, "column", "name")("k"))  # fmt: skip
row("nn.load", nn.load, path=a_file(_path_of_a_model))


def _fit(model, optimizer=None, **o):
    parameters = model.parameters() if isinstance(model, nn.Module) else [t()]
    return train.fit(model, optimizer or optim.SGD(parameters, lr=0.1), **o)


row("train.fit", _fit, model=a_module(network), X=trained(X4), y=labels(Y4),
    epochs=Kind(is_whole(1, 100), "integer", "at least")(1), batch_size=count_(3), rng=seed(0),
    progress=flag(False))  # fmt: skip
row("train.fit on a test set", _fit, model=Argument(None, network), X=Argument(None, lambda: X4),
    y=Argument(None, lambda: Y4), epochs=Argument(None, lambda: 1),
    batch_size=Argument(None, lambda: 3), rng=Argument(None, lambda: 0),
    X_test=rows(X4), y_test=labels(Y4))  # fmt: skip
TRAINED = network()
row("train.fit with", lambda optimizer: train.fit(
        TRAINED, optimizer, X4, Y4, epochs=1, batch_size=2, rng=0),
    optimizer=an_optimizer(lambda: optim.SGD(TRAINED.parameters(), 0.1)))  # fmt: skip
rows_of("train.evaluate train.accuracy", public, model=a_module(network), X=evaluated(X4),
        y=labels(Y4))  # fmt: skip
row("train.predict", train.predict, model=a_module(network), X=evaluated(X4))
row("train.confusion_matrix", train.confusion_matrix, y=labels(Y4), predicted=labels(Y4),
    n_classes=Kind(either(is_none, is_whole(1, 2**40)), "integer", "at least")(3))  # fmt: skip

# Training in shards
row("distributed.Shards", lambda n: distributed.Shards(n).n,
    n=Kind(is_whole(1, 2**40), "number of shards", "power of two")(4))  # fmt: skip
row("distributed.ShardedGradients", lambda model: distributed.ShardedGradients(
        model, distributed.Shards(2)), model=a_module(network))  # fmt: skip
row("distributed.ShardedGradients.__call__", lambda **o: distributed.ShardedGradients(
        network(), distributed.Shards(2))(**o), X=trained(X4), y=labels(Y4))  # fmt: skip

# Closed forms
reduction = a_choice("sum")
rows_of("closed_form.softmax", public, logits=numbers(M))
rows_of("closed_form.softmax_jacobian closed_form.cross_entropy_hessian", public, logits=numbers(V))
row("closed_form.nll_grad", closed_form.nll_grad, probs=numbers(M), target=labels(LABELS),
    reduction=reduction)  # fmt: skip
rows_of("closed_form.cross_entropy closed_form.cross_entropy_grad", public, logits=numbers(M),
        target=labels(LABELS), reduction=reduction,
        weight=Kind(either(array_like, is_none), "weights", "real numbers")(V),
        ignore_index=Kind(either(is_whole(), is_none), "ignore_index")(-100),
        label_smoothing=Kind(is_real(0, 1), "label_smoothing")(0.1))  # fmt: skip
row("closed_form.batch_norm_grad", closed_form.batch_norm_grad, dout=numbers(M), x=numbers(M),
    gamma=numbers(V), eps=at_least_0(1e-5), ddof=Kind(is_whole(0), "ddof")(1))  # fmt: skip


# Compiler
def _compiled(step=None, x=M, **options):
    return tg.compile(step or (lambda x: x * 2), **options)(x)


row("compile", lambda step, fast, verify: tg.compile(step, fast=fast, verify=verify),
    step=Argument(Kind(either(a_function.may_be, is_none), "function"), lambda: lambda x: x * 2),
    fast=flag(False),
    verify=Kind(either(is_none, is_whole(0)), "integer", "verify")(2))  # fmt: skip
row("compiler.Compiled", Compiled, step=Argument(a_function, lambda: lambda x: x * 2),
    fast=flag(False),
    verify=Kind(either(is_none, is_whole(0)), "integer", "verify")(2))  # fmt: skip
row("compiler.Compiled.__call__", lambda x: tg.compile(lambda x: x * 2)(x), x=Kind(
    lambda value, name: not isinstance(value, np.ma.MaskedArray), "argument", "unsupported",
    "real numbers", asked=True)(M))  # fmt: skip


def _save_source(path):
    compiled = tg.compile(lambda x: x * 2)
    compiled(M)
    compiled.save(path)


row("compiler.Compiled.save", _save_source,
    path=Kind(is_a(str), "path", "folder", "write")("step.py"))  # fmt: skip

# ONNX
an_example = Kind(array_like, "real numbers", "example")
a_new_path = Kind(is_a(str), "path", "folder", "write")
row("onnx.export", lambda model, path, example, fixed_batch: tg.onnx.export(
        model, path, example, fixed_batch=fixed_batch),
    model=Argument(a_function, lambda: lambda x: x * 2), path=a_new_path("x.onnx"),
    example=an_example(M), fixed_batch=flag(True))  # fmt: skip
row("onnx.export_step", lambda step, path, example, fixed_batch: tg.onnx.export_step(
        step, path, example, fixed_batch=fixed_batch),
    step=Argument(a_function, lambda: lambda x: x * 2), path=a_new_path("x.onnx"),
    example=an_example(M), fixed_batch=flag(True))  # fmt: skip

# Drawing
row("draw.draw", lambda tensor, **o: tg.draw(tensor, **o).text(), tensor=Kind(
        is_a(tg.Tensor), "Tensor")(lambda: (t() * 2).sum()),
    depth=Kind(either(is_none, is_whole(1)), "depth")(1), direction=a_choice("LR"),
    values=flag(True), grads=flag(True), theme=a_choice("auto"))  # fmt: skip
row("Drawing.save", lambda path: tg.draw(t()).save(path), path=a_path(lambda: "x.dot"))
row("Drawing.svg", lambda width: tg.draw(t()).svg(width),
    width=Kind(either(is_none, is_real(0)), "number")(600.0))  # fmt: skip
row("Drawing.page", lambda height: tg.draw(t()).page(height)._repr_html_(), height=count_(600))
row("draw.remember_lines.__call__", lambda function: draw.remember_lines()(function),
    function=Argument(a_function, lambda: lambda: None))  # fmt: skip


# Symbolic
def _expressions(symbol):
    x = t()
    return symbolic.expressions((x * 2).sum(), {x: symbol})


row("symbolic.expressions", symbolic.expressions, output=a_tensor(lambda: t() * 2),
    symbols=Kind(nothing, "symbols")(lambda: {t(): "z"}))  # fmt: skip
row("symbolic.expressions of", _expressions, symbol=Kind(
    either(is_a(str), exact.may_be), "symbols", "SymPy")("z"))  # fmt: skip
row("symbolic.prove", symbolic.prove, n_classes=Kind(is_whole(1, 7), "n_classes")(1),
    target=Kind(is_whole(0), "target", "label")(0), of=a_choice("gradient"),
    loss=Argument(a_function, lambda: F.cross_entropy))  # fmt: skip
row("symbolic.prove_equal", symbolic.prove_equal, actual=exact(V), expected=exact(V))

# The engine
row("engine.Primitive", lambda name, symbol, value, rule, params: Primitive(
        name, symbol, value, rule, params=params),
    name=a_name("twice"), symbol=a_name("2x"), value=Argument(a_function, lambda: lambda x: 2 * x),
    rule=Argument(Kind(either(a_function.may_be, is_none), "function"),
                  lambda: lambda g, y, x: 2 * g),
    params=Kind(is_named(["empty tuple"]), "params")(("axis",)))  # fmt: skip
row("engine.apply", lambda primitive, x: apply(primitive, x), primitive=Kind(nothing, "Primitive")(
    lambda: Primitive("twice", "2x", lambda x: 2 * x, lambda g, y, x: 2 * g)),
    x=a_tensor(t))  # fmt: skip
row("engine.topological_order",
    lambda output, grad_only: topological_order(output, grad_only=grad_only),
    output=a_tensor(t), grad_only=flag(False))  # fmt: skip


# ── Functions whose arguments say by their names what they are ────────────────────────────────────

MASK = M > 0.5
INCREASING = np.array([0.0, 1.0, 2.0])
numbers_or_none = Kind(either(operands.may_be, is_none), "real numbers", "shape", "axis")
dtype_or_none = Kind(either(a_dtype.may_be, is_none), "dtype", "real numbers")
real_or_none = Kind(either(is_real(), is_none), "number")
whole_or_none = Kind(either(is_whole(), is_none), "integer")


def each(names, argument):
    return dict.fromkeys(names.split(), argument)


BY_NAME = {
    **each("x a b x1 x2 a1 a2 m p A y v arr element test_elements ar z", operands(M)),
    **each("prediction target probability logits log_probs", operands(M / 4)),
    **each("values weights prepend append posinf neginf left right", numbers_or_none(M)),
    **each("keepdims returned rowvar bias equal_nan assume_unique invert return_index "
                    "return_inverse return_counts sorted endpoint requires_grad log_target "
                    "centered nesterov sparse copy", flag(False)),
    **each("axis axisa axisb axisc axis1 axis2", axis(-1)),
    **each("k n m_ decimals offset shift", whole(1)),
    **each("rtol atol discont period eps beta delta min_delta "
                    "lr_decay initial_accumulator_value", at_least_0(0.5)),
    **each("dx alpha negative_slope", real(0.5)),
    **each("dtype", dtype_or_none(np.float64)),
    "where": Kind(tensors.may_be, "where", "mask", "boolean")(MASK),
    "initial": numbers_or_none(0.5), "ddof": real(0), "reduction": a_choice("sum"),
    "name": a_name_or_none("x"), "q": Kind(array_like, "quantile")(0.5),
    "method": a_choice("linear"), "side": a_choice("left"), "indexing": a_choice("xy"),
    "order": a_choice("C"), "mode": a_choice("raise"), "weight": numbers_or_none(M),
    "condition": operands(MASK), "pos_weight": numbers_or_none(V),
    "shape": shape((2, 3)), "fill_value": operands(1.0), "tup": array_list([M, M]),
    "approximate": a_choice("none"), "f": f, "argnums": argnums(0), "bins": operands(INCREASING),
    "indices": integers(np.array([0, 1])), "repeats": shape(2), "reps": shape(2),
}  # fmt: skip


def by_name(names, first=None, without="", **given):
    """Rows of functions whose parameters are those above, but for those that are given."""
    for name in names.split():
        function = public(name)
        parameters = inspect.signature(function).parameters
        arguments = {
            each: given.get(each) or BY_NAME[each]
            for each in parameters
            if each not in without.split()
        }
        row(name, function, **arguments)


by_name("exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan arcsin arccos arctan arctan2 "
        "sinh cosh tanh arcsinh arccosh arctanh absolute square reciprocal hypot logaddexp2 sinc "
        "sign floor ceil trunc rint isfinite isinf isnan isclose allclose array_equal nonzero "
        "ravel")  # fmt: skip
by_name("sum prod mean max min ptp cumsum cumprod nansum nanprod nanmean nanmax nanmin median "
        "any all count_nonzero average argsort", axis=axes(-1))  # fmt: skip
by_name("var std", without="mean correction", axis=axes(-1))
by_name("nanvar nanstd quantile percentile", axis=axes(-1))
by_name("functional.mse_loss functional.l1_loss functional.huber_loss "
        "functional.binary_cross_entropy functional.binary_cross_entropy_with_logits "
        "functional.kl_div functional.relu functional.leaky_relu functional.elu functional.silu "
        "functional.softplus functional.sigmoid functional.tanh")  # fmt: skip


# Of layers and losses
module_arguments = {
    "negative_slope": real(0.5), "alpha": real(0.5), "beta": Kind(is_real(), "number")(1.0),
    "axis": axis(-1), "delta": at_least_0(1.0), "shape": shape((3,)), "eps": at_least_0(1e-5),
    "bias": flag(True), "dtype": a_dtype(np.float64), "label_smoothing": probability(0.1),
    "ignore_index": Kind(either(is_whole(), is_none), "ignore_index")(-100),
    "weight": numbers_or_none(V), "pos_weight": numbers_or_none(V),
    "modules": Kind(is_named(["empty list", "empty tuple"]), "Module")(lambda: [nn.Tanh()]),
}  # fmt: skip
by_name("nn.LeakyReLU nn.ELU nn.GELU nn.Softplus nn.Softmax nn.LogSoftmax nn.LayerNorm "
        "nn.CrossEntropyLoss nn.NLLLoss nn.MSELoss nn.L1Loss nn.HuberLoss nn.BCELoss "
        "nn.BCEWithLogitsLoss nn.KLDivLoss nn.ModuleList", **module_arguments)  # fmt: skip
for name in ["LeakyReLU", "ELU", "GELU", "SiLU", "Softplus", "Softmax", "LogSoftmax", "Flatten"]:
    row(f"nn.{name}.forward", lambda layer, x: layer(x), x=tensors(M),
        layer=Argument(None, getattr(nn, name)))  # fmt: skip
row("nn.LayerNorm.forward", lambda layer, x: layer(x), x=tensors(M),
    layer=Argument(None, lambda: nn.LayerNorm(3, dtype=float)))  # fmt: skip
for name in ["MSELoss", "L1Loss", "HuberLoss", "BCELoss", "BCEWithLogitsLoss", "KLDivLoss"]:
    row(f"nn.{name}.forward", lambda layer, z, y: layer(z, y), z=operands(M / 4), y=operands(M / 4),
        layer=Argument(None, getattr(nn, name)))  # fmt: skip
for name in ["CrossEntropyLoss", "NLLLoss"]:
    row(f"nn.{name}.forward", lambda layer, z, y: layer(z, y), z=operands(M), y=labels(LABELS),
        layer=Argument(None, getattr(nn, name)))  # fmt: skip
row("functional.nll_loss", F.nll_loss, log_probs=tensors(-M), target=labels(LABELS),
    axis=axis(-1), weight=numbers_or_none(V), ignore_index=module_arguments["ignore_index"],
    reduction=a_choice("sum"))  # fmt: skip
row("nn.ModuleList.append", lambda module: nn.ModuleList([nn.Tanh()]).append(module),
    module=a_module(lambda: nn.Tanh()))  # fmt: skip
row("nn.ModuleList.__getitem__", lambda i: nn.ModuleList([nn.Tanh()])[i], i=Kind(
    either(is_whole(), is_a(bool, np.ma.MaskedArray, slice)), asked=True)(0))  # fmt: skip
row("nn.Module.apply", lambda function: network().apply(function),
    function=Argument(a_function, lambda: lambda module: None))  # fmt: skip
row("nn.from_torch", nn.from_torch, state=Kind(nothing, "state")(
    lambda: nn.to_torch(network())), model=a_module(network))  # fmt: skip
row("nn.to_torch", nn.to_torch, model=a_module(network))
row("nn.save", lambda path, model: nn.save(path, model), path=Kind(is_a(str), "path", "folder")(
    "m.npz"), model=a_module(network))  # fmt: skip

# Of optimizers
row("optim.RMSprop", optim.RMSprop, params=parameters(lambda: [t()]), lr=at_least_0(0.1),
    alpha=probability(0.9), eps=at_least_0(1e-8), weight_decay=at_least_0(0.1),
    momentum=at_least_0(0.9), centered=flag(False))  # fmt: skip
row("optim.Adagrad", optim.Adagrad, params=parameters(lambda: [t()]), lr=at_least_0(0.1),
    lr_decay=at_least_0(0.1), weight_decay=at_least_0(0.1),
    initial_accumulator_value=at_least_0(0.1), eps=at_least_0(1e-8))  # fmt: skip


def with_gradient():
    x = t()
    x.grad = M
    return [x]


row("optim.clip_grad_norm_", optim.clip_grad_norm_, params=Kind(
    is_named(["Tensor", *NUMBERS, *DIFFERENTIABLE]), "parameter")(lambda: tuple(with_gradient())),
    max_norm=at_least_0(1.0),
    norm_type=Kind(is_real(0, math.inf), "norm_type", "norm")(2.0))  # fmt: skip
row("optim.clip_grad_value_", optim.clip_grad_value_, params=Kind(
    either(is_named(["empty list", "empty tuple"]), is_a(tg.Tensor)), "parameter")(with_gradient),
    clip_value=at_least_0(1.0))  # fmt: skip


# Of data and training
standardizer = data.Standardizer().fit(X4)
row("data.Standardizer.fit", lambda X: data.Standardizer().fit(X), X=evaluated(X4))
row("data.Standardizer.transform", standardizer.transform, X=rows(X4))
row("data.Standardizer.inverse", standardizer.inverse, X=rows(X4))
row("train.EarlyStopping", train.EarlyStopping, patience=count_(3), min_delta=at_least_0(0.0),
    monitor=a_choice("loss"), restore_best=flag(True))  # fmt: skip

# ── Which rows there have to be ───────────────────────────────────────────────────────────────────


def public_functions():
    """All functions, classes and methods that take an argument, by the name of a user."""
    found, seen = [], set()
    for module in ["", *MODULES]:
        home = importlib.import_module(f"tinygrad_ce.{module}".rstrip("."))
        for name in home.__all__:
            thing = getattr(home, name)
            if isinstance(thing, ModuleType) or not callable(thing) or id(thing) in seen:
                continue
            seen.add(id(thing))
            path = f"{module}.{name}".lstrip(".")
            if not isinstance(thing, type):
                found.append(path) if takes_something(thing, 0) else None
                continue
            if not issubclass(thing, RESULTS) and takes_something(thing, 0):
                found.append(path)
            found += [f"{path}.{each}" for each in methods_of(thing)]
    return found


def methods_of(kind):
    for name, member in vars(kind).items():
        if name in INTERNAL or is_dataclass(kind) or (name[0] == "_" and name[:2] != "__"):
            continue
        if isinstance(member, property):
            if member.fset:
                yield f"{name}="
        elif inspect.isfunction(member) and takes_something(member, 1):
            yield name


def takes_something(function, self):
    parameters = inspect.signature(function).parameters.values()
    return len([p for p in parameters if p.annotation != "Never"]) > self


# ── Functions and methods that take more than one array, or a sequence of them ────────────────────

sequence = Kind(
    is_named(SAME, NUMBERS, DIFFERENTIABLE, ["ragged", "ragged arrays"]),
    "sequence", "axis", "tensor", "shape", "real numbers",
)  # fmt: skip
places = Kind(
    either(array_like, is_a(slice)),
    "integer",
    "indices",
    "real numbers",
    "shape",
    "out of",
    "bounds",
)
widths = Kind(array_like, "pad_width", "integer", "real numbers", "shape")
chosen_axis = axis_or_none(0)
on_axis = Kind(tensors.may_be, *tensors.words, "axis")

row("polyval", tg.polyval, p=tensors(V), x=tensors(M))
row("corrcoef", tg.corrcoef, x=tensors(M), y=numbers_or_none(M), rowvar=flag(True))
row("searchsorted", tg.searchsorted, a=tensors(INCREASING), v=tensors(M), side=a_choice("left"),
    sorter=Kind(either(array_like, is_none), "integer", "sorter")(None))  # fmt: skip
row("digitize", tg.digitize, x=tensors(M), bins=tensors(INCREASING),
    right=flag(False))  # fmt: skip
row("array", tg.array, data=Kind(sequence.may_be, "real numbers", "shape", "length")(M),
    dtype=dtype_or_none(np.float64),
    ndmin=Kind(is_whole(0, 64), "integer", "ndmin")(2))  # fmt: skip
row("linspace", tg.linspace, start=operands(0.5), stop=operands(2.0),
    num=Kind(is_whole(0, 2**20), "integer", "num")(5), endpoint=flag(True), retstep=flag(False),
    dtype=dtype_or_none(np.float64), axis=axis(0))  # fmt: skip
for name in ("vstack", "hstack"):
    row(name, public(name), tup=sequence([M, M]), dtype=dtype_or_none(np.float64))
rows_of("dstack column_stack", public, tup=sequence([M, M]))
rows_of("atleast_1d atleast_2d atleast_3d", lambda name: lambda x: public(name)(x), x=tensors(M))
row("block", tg.block, arrays=Kind(sequence.may_be, *sequence.words, "none empty")(M))
row("meshgrid", lambda x, **o: tg.meshgrid(x, V, **o), x=operands(V), copy=flag(True),
    sparse=flag(False), indexing=a_choice("ij"))  # fmt: skip
row("broadcast_arrays", lambda x: tg.broadcast_arrays(x, 1.0), x=operands(M))
row("pad", tg.pad, array=tensors(M), pad_width=widths(1), mode=a_choice("constant"),
    constant_values=Kind(operands.may_be, "constant_values", "shape")(0.5),
    reflect_type=a_choice("even"))  # fmt: skip
row("delete", tg.delete, arr=tensors(M), obj=places(0), axis=chosen_axis)
some_integers = Kind(
    either(shape.may_be, is_none, is_named(["no rows", "one more axis", "one more row"])),
    "shift", "axis", "kth", asked=True,
)  # fmt: skip
row("roll", tg.roll, a=tensors(M), shift=some_integers(1), axis=some_integers(0))
row("diagonal", tg.diagonal, a=tensors(M), offset=whole(0), axis1=axis(0), axis2=axis(1))
row("trace", tg.trace, a=tensors(M), offset=whole(0), axis1=axis(0), axis2=axis(1),
    dtype=dtype_or_none(np.float64))  # fmt: skip
row("compress", tg.compress, condition=tensors([True, False]),
    a=tensors(M), axis=chosen_axis)  # fmt: skip
row("select", tg.select, condlist=Kind(sequence.may_be, "condition", "shape")([M > 1]),
    choicelist=sequence([M]), default=operands(0.0))  # fmt: skip
row("cross", tg.cross, a=tensors(M), b=tensors(V), axisa=axis(-1), axisb=axis(-1), axisc=axis(-1),
    axis=axis_or_none(None))  # fmt: skip
rows_of("no_grad detect_nan draw.remember_lines", public,
        function=Argument(Kind(either(a_function.may_be, is_none), "function"),
                          lambda: lambda: None))  # fmt: skip

rows_of("dot vdot inner outer kron", public, a=tensors(V), b=tensors(V))
row("tensordot", tg.tensordot, a=tensors(M), b=tensors(M.T), axes=some_integers(1))
row("append", tg.append, arr=on_axis(M), values=tensors(M), axis=chosen_axis)
row("insert", tg.insert, arr=tensors(M), obj=places(0), values=tensors(1.0), axis=chosen_axis)
times = Kind(array_like, "repeat", "integers")
row("repeat", tg.repeat, a=tensors(M), repeats=times(2), axis=chosen_axis)
row("tile", tg.tile, A=tensors(M), reps=some_integers(2))
row("take", tg.take, a=tensors(M), indices=integers(np.array([0, 1])), axis=chosen_axis,
    mode=a_choice("wrap"))  # fmt: skip
row("flip", tg.flip, m=tensors(M), axis=axes(0))
row("rot90", tg.rot90, m=tensors(M), k=whole(1), axes=Kind(
    is_several(2, 2, np.integer), "axis", "axes", asked=True)((0, 1)))  # fmt: skip
row("moveaxis", tg.moveaxis, a=tensors(M), source=some_integers(0), destination=some_integers(1))
rows_of("tril triu", public, m=tensors(M), k=whole(1))
row("diag", tg.diag, v=tensors(V), k=whole(1))
row("diff", tg.diff, a=tensors(M), n=Kind(is_whole(0), "integer", "n")(1), axis=axis(-1),
    prepend=numbers_or_none(M), append=numbers_or_none(M))  # fmt: skip
row("trapezoid", tg.trapezoid, y=on_axis(M), x=numbers_or_none(M), dx=operands(0.5), axis=axis(-1))
row("unwrap", tg.unwrap, p=on_axis(M), discont=real_or_none(1.0), axis=axis(-1),
    period=Kind(is_real(0, exclusive=True), "number")(6.0))  # fmt: skip
row("interp", tg.interp, x=tensors(M), xp=tensors(INCREASING), fp=tensors(INCREASING),
    left=numbers_or_none(0.0), right=numbers_or_none(1.0),
    period=Kind(either(is_none, is_real()), "number", "period")(None))  # fmt: skip
any_real = Kind(either(is_real(-math.inf, math.inf), is_none), "number")
row("nan_to_num", tg.nan_to_num, x=tensors(M), copy=flag(True), nan=any_real(0.5),
    posinf=any_real(1.0), neginf=any_real(-1.0))  # fmt: skip
either_bound = Kind(either(bound.may_be, is_named(DIFFERENTIABLE)), *bound.words)
row("clip", lambda a, a_min, a_max: tg.clip(a, a_min, a_max), a=tensors(M), a_min=either_bound(0.0),
    a_max=either_bound(1.0))  # fmt: skip
row("round", tg.round, a=tensors(M), decimals=whole(1))
row("isin", tg.isin, element=tensors(M), test_elements=tensors(V), assume_unique=flag(False),
    invert=flag(True))  # fmt: skip
row("unique", tg.unique, ar=tensors(M), return_index=flag(False), return_inverse=flag(False),
    return_counts=flag(False), axis=axis_or_none(0), equal_nan=flag(True),
    sorted=flag(True))  # fmt: skip
row("cov", tg.cov, m=tensors(M), y=numbers_or_none(M), rowvar=flag(True), bias=flag(False),
    ddof=Kind(either(is_none, is_real()), "ddof", "number")(1))  # fmt: skip
shape_or_none = Kind(either(shape.may_be, is_none), *shape.words, asked=True)
row("full_like", tg.full_like, a=tensors(M), fill_value=operands(1.0), dtype=dtype_or_none(
    np.float64), shape=shape_or_none((2, 3)))  # fmt: skip
rows_of("zeros_like ones_like", public, a=tensors(M), dtype=dtype_or_none(np.float64),
        shape=shape_or_none((2, 3)))  # fmt: skip

# Methods, of which the function has its row
METHODS = "prod cumprod ptp any all round argsort dot take repeat trace diagonal"
of_methods = BY_NAME | {
    "axis": axes(-1), "b": tensors(M.T), "decimals": whole(1), "offset": whole(0),
    "axis1": axis(0), "axis2": axis(1), "repeats": times(2),
}  # fmt: skip
for name in METHODS.split():
    _, *others = inspect.signature(public(name)).parameters
    row(f"Tensor.{name}", lambda self, name=name, **o: getattr(self, name)(**o),
        self=Argument(None, t), **{other: of_methods[other] for other in others})  # fmt: skip
row("Tensor.ravel", lambda order: t().ravel(order), order=a_choice("F"))
row("Tensor.searchsorted", lambda **o: tg.Tensor(INCREASING).searchsorted(**o), v=tensors(M),
    side=a_choice("left"))  # fmt: skip
method("compress", condition=ROWS["compress"][1]["condition"], axis=chosen_axis)
row("Tensor.argpartition", lambda self, **o: self.argpartition(**o), self=Argument(None, t),
    kth=some_integers(1), axis=axis_or_none(-1))  # fmt: skip
row("Tensor.__dlpack__", lambda copy: type(tg.Tensor(M).__dlpack__(copy=copy)), copy=Kind(
    is_named(["None", "True", "np.True_"]), "copy", "memory", "True or False")(True))  # fmt: skip

# Operators that are no functions of two arrays alone
by_operand = Kind(operands.may_be, " of ", "shape", asked=True)
# Whose own % puts a Tensor into a text.
formats = Kind(either(operands.may_be, is_a(str, bytes, bytearray)), " of ", "shape", asked=True)(
    np.eye(3)[:2] + 1
)
for name in ("mod", "floordiv", "divmod"):
    function = divmod if name == "divmod" else getattr(operator, name)
    left = Argument(None, lambda: t(M + 1))
    right = by_operand(np.eye(3)[:2] + 1)
    row(f"Tensor.__{name}__", lambda self, other, f=function: f(self, other), self=left,
        other=right)  # fmt: skip
    row(f"Tensor.__r{name}__", lambda self, other, f=function: f(other, self), self=left,
        other=formats if name == "mod" else right)  # fmt: skip
for name in ("iadd", "isub", "imul", "itruediv", "ipow", "imatmul"):
    function = getattr(operator, name)
    row(f"Tensor.__{name}__", lambda self, other, f=function: f(self, other),
        self=Argument(None, lambda: tg.Tensor(np.eye(3) + 1)),
        other=ROWS[f"Tensor.__{name[1:]}__"][1]["other"])  # fmt: skip

# Not of a class but of its subclasses, always refused, or of objects that we make and return.
WITHOUT_A_ROW = {
    "nn.Module.forward", "Tensor.__setitem__", "optim.Optimizer.__getitem__",
    "optim.Optimizer.__setitem__", "optim.ParameterGroups.__getattr__", "nn.Checkpoint",
    "data.as_table", "data.Table", "data.Encoder", "data.NumberColumn", "data.CategoryColumn",
    "train.History", "train.EarlyStopping.restore", "train.Training",
}  # fmt: skip


def test_every_public_function_has_a_row():
    missing = [n for n in public_functions() if n not in ROWS and n not in WITHOUT_A_ROW]
    assert not missing
    assert not WITHOUT_A_ROW & ROWS.keys()
    assert not WITHOUT_A_ROW - {*public_functions()}


def test_there_are_enough_malformed_values():
    assert len(malformed.ALL) >= 60


# ── The matrix ────────────────────────────────────────────────────────────────────────────────────


class Endless(BaseException):
    pass


@contextlib.contextmanager
def ended_in_time():
    def stop(*_):
        raise Endless

    if not hasattr(signal, "SIGALRM"):  # Windows: CI's own limit of time has to do
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def raised_by_us(error):
    """Whether it comes from a raise statement of the package, or of the caller's own function."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    if code.co_filename == __file__:
        return True
    ours = code.co_filename.startswith(PACKAGE)
    return ours and dis.opname[code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"


def says_something(error, value, name, kind):
    """Whether a message has what was given, or what was expected."""
    text = str(error)
    given = [name.split("_")[0], type(value).__name__, *kind.words, *COMMON_WORDS]
    for attribute in ("dtype", "shape"):
        with contextlib.suppress(Exception):
            given.append(str(getattr(value, attribute)))
    with contextlib.suppress(Exception):
        given.append(repr(value)[:10])
    return len(text) > 12 and any(word and word in text for word in given)


def bits(x, depth=4):
    """What an argument holds, to see whether it has changed."""
    if isinstance(x, np.ma.MaskedArray):
        return bits(np.ma.getdata(x)), bits(np.ma.getmaskarray(x))
    if isinstance(x, np.ndarray):
        return str(x.dtype), x.shape, x.tobytes() if x.dtype.kind != "O" else len(x.flat)
    if isinstance(x, tg.Tensor):
        grad = x.grad
        return bits(x.data), x.requires_grad, None if grad is None else bits(grad)
    if isinstance(x, nn.Module):
        return x.training, [(name, bits(p)) for name, p in x._named_tensors()]
    if isinstance(x, optim.Optimizer):
        return [(name, bits(value)) for name, value in vars(x).items()]
    if type(x) in (list, tuple, dict) and depth:
        return [bits(part, depth - 1) for part in (x.values() if type(x) is dict else x)]
    return id(x)


def numbers_in(result):
    """What a result holds, in float64."""
    if isinstance(result, tg.Tensor):
        result = result.data
    if isinstance(result, list | tuple) and result:
        return [numbers_in(part) for part in result]
    try:
        return np.array(result, np.float64)
    except (TypeError, ValueError):
        return None


def same(result, other):
    a, b = numbers_in(result), numbers_in(other)
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return all(map(same, a, b))
    if a is None or b is None:
        return type(result) is type(other)
    return np.allclose(a, b, equal_nan=True) if a.shape == b.shape else False


ERRORS = (
    TypeError, ValueError, IndexError, KeyError, OverflowError, RuntimeError, OSError,
    FloatingPointError, BufferError, verify.GradcheckError,
)  # fmt: skip


def problem_with(function, arguments, name, case):
    """What is wrong with how a function takes one malformed argument; None if nothing is."""
    given = {key: argument.make() for key, argument in arguments.items()}
    kind, valid = arguments[name].kind, given[name]
    value = malformed.ALL[case](valid)
    given[name] = value
    may_be = value is valid or kind.may_be(value, case)
    before = {key: bits(x) for key, x in given.items()}
    try:
        with ended_in_time():
            result = function(**given)
    except Endless:
        return "has no end"
    except Exception as error:
        if callable(value) and may_be and kind is not a_tensor:
            return None  # raised by what was given
        what = f"{type(error).__name__}: {error}"[:200]
        if type(error) is malformed.HostileError and kind.asked:
            return None
        if not isinstance(error, (*ERRORS, MemoryError) if kind.asked else ERRORS):
            return f"raises {what}"
        if type(error) is TypeError and any(s in str(error) for s in OPERATORS_OF_PYTHON):
            return None
        if isinstance(error, OSError) and error.filename:
            return None
        if not raised_by_us(error):
            return None if type(error) is MemoryError else f"does not refuse: {what}"
        if not says_something(error, value, name, kind):
            return f"says too little: {what}"
        if isinstance(error, FloatingPointError):
            return None  # the training has begun
        if any(bits(x) != before[key] for key, x in given.items() if type(x) is not tg.Tensor):
            return "was changed, or has changed something, before it raised"
        return None
    if not may_be:
        return f"gives {type(result).__name__} {str(result)[:80] if case != 'no repr' else ''}"
    if case in SAME and value is not valid and not (kind.asked and case == "memoryview"):
        again = {key: argument.make() for key, argument in arguments.items()}
        if isinstance(again[name], np.ndarray | list) and not same(result, function(**again)):
            return "gives another result than for the same numbers in another form"
    return None if bits(value) == before[name] else "was changed"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ROWS)
def test_refuses_what_does_not_fit(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function, arguments = ROWS[name]
    function(**{key: argument.make() for key, argument in arguments.items()})
    problems = []
    for key, argument in arguments.items():
        if argument.kind is None:
            continue
        for case in malformed.ALL:
            problem = problem_with(function, arguments, key, case)
            if problem:
                problems.append(f"{key}={case}: {problem}")
    assert not problems, f"{len(problems)} problems\n" + "\n".join(problems)
