"""Mutations: does the suite notice when the package is wrong?

    python tests/mutations.py [-k PART OF A NAME] [--jobs 2] [--list]

Each mutation is one small mistake in one place: a sign, a copy that is forgotten, an axis that is
ignored. The script makes it in a copy of the package, and runs the tests that lie near it, then
the others. It ends with status 1 if a mutation survives. A mutation whose text no longer occurs
exactly once in its file is an error, so that none can go stale.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tinygrad_ce"
TIMEOUT = 240  # seconds, after which a mutation that makes a test run for ever counts as noticed

# Taken on all mutations: quick, and together they see everything that is mutated here.
TESTS = [
    "engine/test_primitives.py",
    "engine/test_backprop.py",
    "engine/test_tensor.py",
    "engine/test_transforms.py",
    "functional/test_functional.py",
    "test_nn.py",
    "verify/test_finite_differences.py",
    "verify/test_comparison.py",
    "engine/test_nan_detection.py",
    "guarantees/test_guarantees.py",
    "engine/test_random_graphs.py",
]
# Not worth their time here, or bound to notice any change of the text.
LEFT_OUT = ["million", "20000", "thousand_random_sets", "twenty_processes", "exactly_once"]


class Mutation(NamedTuple):
    """A mistake: in this file, this text is replaced. `near` are the tests to run first."""

    name: str
    file: str
    old: str
    new: str
    near: tuple[str, ...] = ()


def of(file: str, *near: str):
    """A maker of mutations of one file."""

    def make(name: str, old: str, new: str, first: str = "") -> Mutation:
        return Mutation(name, file, old, new, ((first,) if first else ()) + near)

    return make


table = of("engine/primitives.py", "engine/test_primitives.py")
walk = of("engine/backprop.py", "engine/test_backprop.py")
tensor = of("engine/tensor.py", "engine/test_tensor.py", "guarantees/test_guarantees.py")
mode = of("engine/context.py", "engine/test_tensor.py", "guarantees/test_guarantees.py")
operation = of("engine/operations.py", "engine/test_primitives.py", "engine/test_tensor.py")
transform = of("engine/transforms.py", "engine/test_transforms.py")
function = of("functional/losses.py", "functional/test_functional.py")
target = of("functional/validation.py", "functional/test_functional.py")
layer = of("nn.py", "test_nn.py")
optimizer = of("optim.py", "test_nn.py")
checker = of("verify/finite_differences.py", "verify/test_finite_differences.py")
comparer = of("verify/comparison.py", "verify/test_comparison.py")
watch = of("engine/nan_detection.py", "engine/test_nan_detection.py")
COMPILER = (
    "compiler/test_api.py",
    "compiler/test_corners.py",
    "compiler/test_row_blocks.py",
    "compiler/test_random_programs.py",
)
compiler_pass = of("compiler/passes.py", *COMPILER)
placing = of("compiler/memory.py", *COMPILER)
blocking = of("compiler/row_blocks.py", *COMPILER)
replaying = of("compiler/runtime.py", *COMPILER)
recording = of("compiler/recorder.py", *COMPILER)
naming = of("compiler/codegen/naming.py", *COMPILER)
printing = of("compiler/codegen/printer.py", *COMPILER)

MUTATIONS = [
    # ── The table: rules ──────────────────────────────────────────────────────────────────────────
    table("subtract: sign", "lambda g, y, a, b: -g,  ", "lambda g, y, a, b: g,  "),
    table(
        "multiply: the other factor", "lambda g, y, a, b: g * a,   ", "lambda g, y, a, b: g * b,   "
    ),
    table("divide: sign", "lambda g, y, a, b: -g * y / b", "lambda g, y, a, b: g * y / b"),
    table("divide: by the numerator", "lambda g, y, a, b: -g * y / b", "lambda g, y, a, b: -g / b"),
    table("power: exponent", "x ** (n - 1)) if", "x ** n) if"),
    table("power: factor", "g * (n * x **", "g * (x **"),
    table("power: slope of x⁰ at 0", "if n else np.zeros_like(g)", "if True else g"),
    table("pow: at b = 0", "np.where(b == 0, 1, b - 1)", "(b - 1)"),
    table("pow: slope at 0⁰", "np.where(b == 0, 0, g * b", "np.where(b != b, 0, g * b"),
    table("pow: log 0", "np.log(np.where(a == 0, 1, a))", "np.log(a)"),
    table("matmul: transpose of all axes, left", "_matmul(g, b.mT)", "_matmul(g, b.T)"),
    table("matmul: transpose of all axes, right", "_matmul(a.mT, g)", "_matmul(a.T, g)"),
    table("expm1: as exp", "lambda g, y, x: g * (y + 1)", "lambda g, y, x: g * y"),
    table("log1p: as log", "g / (1 + x)", "g / x"),
    table("sqrt: factor", "g / (2 * y)", "g / y"),
    table("sin: sign", "lambda g, y, x: g * np.cos(x)", "lambda g, y, x: -g * np.cos(x)"),
    table("cos: sign", "lambda g, y, x: -g * np.sin(x)", "lambda g, y, x: g * np.sin(x)"),
    table("erf: factor", "2 / math.sqrt(math.pi)", "1 / math.sqrt(math.pi)"),
    table("tanh: square", "g * (1 - y * y)", "g * (1 - y)"),
    table("sigmoid: sign", "g * y * (1 - y)", "g * y * (1 + y)"),
    table("sigmoid: overflow", "e = np.exp(_where(negative, x, -x))", "e = np.exp(-x)"),
    table("relu: slope at 0", "np.where(x > 0, g, 0)", "np.where(x >= 0, g, 0)"),
    table("relu: mask inverted", "np.where(x > 0, g, 0)", "np.where(x < 0, g, 0)"),
    table("abs: slope at 0", "g * np.sign(x)", "g * np.where(x < 0, -1, 1)"),
    table("clip: slope at the lower end", "else x >= lo", "else x > lo"),
    table("clip: slope at the upper end", "above & (x <= hi)", "above & (x < hi)"),
    table("logaddexp: arguments", "g * np.exp(a - y)", "g * np.exp(b - y)"),
    table("where: branches swapped", "np.where(c, g, 0)", "np.where(c, 0, g)"),
    table("where: mask ignored", "np.where(c, 0, g)", "g"),
    table("maximum: ties over-counted", "np.where(a == b, g / 2, 0)", "np.where(a == b, g, 0)"),
    table("maximum: ties dropped", "np.where(a == b, g / 2, 0)", "0"),
    table("max: ties over-counted", "x, axis, keepdims) / number, 0)", "x, axis, keepdims), 0)"),
    table("max: ties counted over all axes", ".sum(axis, keepdims=True)", ".sum(keepdims=True)"),
    table("mean: no divisor", "g / max(count_along(x.shape, axis), 1)", "g"),
    table("mean: divisor of all axes", "max(count_along(x.shape, axis), 1)", "max(x.size, 1)"),
    table(
        "mean: value over all axes",
        "_divide(total, count_along(x.shape, axis))",
        "_divide(total, x.size)",
    ),
    table(
        "mean: only the first of the axes",
        "math.prod([shape[a] for a in axis])",
        "math.prod([shape[a] for a in axis[:1]])",
    ),
    table("mean: half overflows", 'half = x.dtype.char == "e"', "half = False"),
    table(
        "sum: keepdims ignored",
        "if keepdims or not r.shape:",
        "if not r.shape:",
    ),
    table("sum: wrong axis put back", "shape[a] = 1", "shape[a - 1] = 1"),
    table("cumsum: not from the end", "cumsum(g[backwards], axis)[backwards]", "cumsum(g, axis)"),
    table("reshape: batch ignored", "(*g.shape[: g.ndim - y.ndim], *x.shape)", "x.shape"),
    table("transpose: not inverted", "batch + axes.index(i)", "batch + axes[i]"),
    table("transpose: batch ignored", "(batch + axes.index(i) for", "(axes.index(i) for"),
    table(
        "concatenate: always the first piece",
        "slice(ends[i], ends[i + 1])",
        "slice(ends[0], ends[1])",
    ),
    table("concatenate: piece too long", "slice(ends[i], ends[i + 1])", "slice(0, ends[i + 1])"),
    table(
        "cast: dtype kept",
        "lambda g, y, x, dtype: g.astype(x.dtype)",
        "lambda g, y, x, dtype: g.astype(np.float16).astype(x.dtype)",
    ),
    table("einsum: batch ignored", "batch = _unused(subscripts)[: g.ndim - y.ndim]", 'batch = ""'),
    table(
        "einsum: letters of the result in order",
        "->{batch}{terms[i]}",
        '->{batch}{"".join(sorted(terms[i]))}',
    ),
    table(
        "einsum: the operand itself", "strict=True)) if j != i]", "strict=True)) if j != i or i]"
    ),
    table("scatter: += in place of add.at", "np.add.at(out, index, g)", "out[index] += g"),
    table("scatter: masks alone", 'if array.dtype.kind != "b"', 'if array.dtype.kind == "b"'),
    table(
        "getitem: batch in front", "scatter(_batch_behind(g, batch), *_wider", "scatter(g, *_wider"
    ),
    table("getitem: Ellipsis over the batch", "if Ellipsis in pattern:", "if False:"),
    table(
        "scatter: batch ignored",
        "if not batch:\n        return getitem(g, *index)",
        "if True:\n        return getitem(g, *index)",
    ),
    table(
        "argsort: ties in any order", 'np.argsort(x, axis, kind="stable")', "np.argsort(x, axis)"
    ),
    table(
        "peak: of all axes",
        "_largest(x, axis, None, None, True, initial)",
        "_largest(x, None, None, None, True, initial)",
        "functional/test_functional.py",
    ),
    table("peak: of the first row", "x.argmax(-1) + row_starts(*x.shape)", "x.argmax(-1)"),
    table(
        "peak: -inf stays",
        "np.maximum(x.take(places), initial).reshape",
        "x.take(places).reshape",
        "functional/test_functional.py",
    ),
    table(
        "unbroadcast: the batch too", "axes = list(range(batch, new))", "axes = list(range(new))"
    ),
    table("unbroadcast: no axis of length 1", "if 1 in shape:", "if False:"),
    table("unbroadcast: no new axis", "axes = list(range(batch, new))", "axes = []"),
    table("warnings: a flood", 'np.errstate(divide="ignore", invalid="ignore")', "np.errstate()"),
    table("sign: of the gradient", "return np.sign(np.real(x))", "return np.sign(-np.real(x))"),
    # ── The walk ──────────────────────────────────────────────────────────────────────────────────
    walk(
        "overwritten, not added up",
        "gradients[source] = gradients[source] + d",
        "gradients[source] = d",
    ),
    walk(
        "the oldest first",
        "heappush(waiting, (-source.index, source))",
        "heappush(waiting, (source.index, source))",
    ),
    walk("no unbroadcast", "if d.shape != in_front + x.shape:", "if False:"),
    walk(
        "a use before requires_grad counts",
        "if rule is None or source._tracked_since > age:",
        "if rule is None or not source._requires_grad:",
        "guarantees/test_guarantees.py",
    ),
    walk("no cast", "if d.dtype is not x.dtype and d.dtype != x.dtype:", "if False:"),
    walk("nothing freed", "        if free:\n", "        if False:\n"),
    walk("always freed", "        if free:\n", "        if True:\n"),
    walk("inputs not freed", "node.inputs = None\n", "pass\n"),
    walk("arguments not freed", "node._arguments = ()\n", "pass\n"),
    walk(
        "a freed node is a leaf",
        "            if inputs is None:\n                raise",
        "            if False:\n                raise",
    ),
    walk(
        "a freed graph is listed",
        "        if inputs is None:\n            raise FreedGraphError(node)\n        todo",
        "        if inputs is None:\n            continue\n        todo",
        "guarantees/test_guarantees.py",
    ),
    walk(
        "constants too",
        "if rule is None or source._tracked_since > age:",
        "if rule is None:",
    ),
    walk(
        "every way",
        "ways = set(nodes_between(wanted, output)) if wanted else None",
        "ways = set(graph(output, grad_only=True)) if wanted else None",
        "guarantees/test_guarantees.py",
    ),
    walk(
        "leaves only",
        "if node._retains_grad if ways is None else node in keep:",
        "if False if ways is None else node in keep:",
    ),
    walk("warnings in a walk", '@np.errstate(all="ignore")\n', "", "engine/test_primitives.py"),
    walk(
        "nothing is watched",
        "watch, recorder = mode.watch,",
        "watch, recorder = None,",
        "engine/test_nan_detection.py",
    ),
    walk("graph: not sorted", "    nodes.sort(key=_creation)\n", ""),
    walk(
        "graph: shared nodes twice",
        "if id(node) in seen:\n            continue",
        "if False:\n            continue",
    ),
    # ── Tensors ───────────────────────────────────────────────────────────────────────────────────
    tensor("the input is not copied", "copy=copy or None", "copy=None"),
    tensor("an operand is not copied", "return constant(data.copy())", "return constant(data)"),
    tensor("an index is not copied", "array = np.array(index)\n", "array = np.asarray(index)\n"),
    tensor(
        "a cotangent is not copied",
        "g = np.array(gradient, dtype=dtype)[()]",
        "g = np.asarray(gradient, dtype=dtype)[()]",
        "engine/test_backprop.py",
    ),
    tensor(
        "an assigned gradient is not copied",
        "gradient = np.array(gradient, dtype=self.dtype)[()]",
        "gradient = np.asarray(gradient, dtype=self.dtype)[()]",
    ),
    tensor("no array is locked", "        owner.setflags(write=False)\n", ""),
    tensor("only the view is locked", "        owner = owner.base\n", "        break\n"),
    tensor(
        "an array is handed out, not a view",
        "_freeze(np.asarray(value)).view()",
        "_freeze(np.asarray(value))",
    ),
    tensor("gradients overwritten", "else _total(node._grad, g) for", "else g for"),
    tensor(
        "gradients added up in place",
        "else _total(node._grad, g) for",
        "else np.add(node._grad, g, out=np.asarray(node._grad)) for",
        "guarantees/test_guarantees.py",
    ),
    tensor(
        "gradients assigned one by one",
        "deque(map(_set_grad, gradients, totals), maxlen=0)",
        "for node, total in zip(gradients, totals): node._grad = total",
        "guarantees/test_guarantees.py",
    ),
    tensor(
        "gradients added up without a lock",
        "        with _ACCUMULATING:\n",
        "        if True:\n",
        "guarantees/test_guarantees.py",
    ),
    tensor(
        "bounds are not copied",
        "(np.array(b) if isinstance(b, np.ndarray | list) else b for b in (lo, hi))",
        "(lo, hi)",
        "guarantees/test_guarantees.py",
    ),
    tensor(
        "no_grad ignored",
        "if mode.grad and primitive.differentiable:",
        "if primitive.differentiable:",
    ),
    tensor("no scope", "node.scope = mode.scope\n", "node.scope = None\n"),
    tensor(
        "only the first input counts",
        "        for source in inputs:\n            if source._requires",
        "        for source in inputs[:1]:\n            if source._requires",
    ),
    tensor(
        "detach does not",
        "return apply_unary(p.stop_gradient, self)",
        "return self",
        "engine/test_backprop.py",
    ),
    tensor(
        "reflected operators are not", "else operator(other, self)", "else operator(self, other)"
    ),
    tensor("assignment of another dtype", "or value.dtype != self.dtype:", "or False:"),
    tensor("assignment of another shape", "if np.shape(value) != self.shape or", "if False or"),
    tensor(
        "a gradient of another shape is assigned",
        "if np.shape(gradient) != self.shape:",
        "if False:",
    ),
    tensor("a cotangent of another shape", "if g.shape != self.shape:", "if False:"),
    tensor("backward of many elements", "if self._value.size != 1:", "if self._value.size == 0:"),
    tensor("a graph of the gradient mixes values", "if source._value is not value:", "if False:"),
    tensor(
        "an array drops the gradient",
        'if self._requires_grad:\n            raise TypeError(\n                f"converting',
        'if False:\n            raise TypeError(\n                f"converting',
    ),
    tensor(
        "integers can require a gradient",
        'if dtype.kind != "f":\n        raise TypeError(\n            f"requires_grad',
        'if False:\n        raise TypeError(\n            f"requires_grad',
    ),
    tensor(
        "ddof ignored",
        "self.shape, axis) - ddof, 0)",
        "self.shape, axis), 0)",
        "engine/test_primitives.py",
    ),
    tensor(
        "std is var",
        "self.var(axis, keepdims, ddof=ddof).sqrt()",
        "self.var(axis, keepdims, ddof=ddof)",
    ),
    tensor(
        "argmin is argmax",
        "return apply_unary(p.argmin, self",
        "return apply_unary(p.argmax, self",
        "engine/test_primitives.py",
    ),
    tensor(
        "min is max",
        "return apply_unary(p.min_, self",
        "return apply_unary(p.max_, self",
        "engine/test_primitives.py",
    ),
    tensor(
        "integers get a gradient",
        'source = self if dtype.kind == "f" else self.detach()',
        "source = self",
    ),
    tensor("a copy drops the gradient", "grad = self._grad if leaf_grad else None", "grad = None"),
    tensor(
        "a copy of a node is a parameter",
        "leaf_grad = self._requires_grad and self.primitive is None",
        "leaf_grad = self._requires_grad",
    ),
    tensor("a list of Tensors is data", "any(isinstance(part, Tensor) for part in data)", "False"),
    tensor(
        "ufuncs take out=",
        '<= ({"axis", "keepdims"} if method == "reduce" else set()):',
        '<= {"axis", "keepdims", "out"}:',
    ),
    tensor(
        "matmul of vectors: wrong axis dropped",
        "y.shape[:-2] + (y.shape[-2],) * (a.ndim > 1)",
        "y.shape[:-2] + (y.shape[-2],) * (b.ndim > 1)",
        "engine/test_primitives.py",
    ),
    tensor(
        "a boolean of many elements",
        "    def __bool__(self) -> bool:\n        if self.size != 1:",
        "    def __bool__(self) -> bool:\n        if False:",
    ),
    tensor(
        "floats can be an index",
        'if self.dtype.kind not in "iu":\n            raise TypeError(f"only',
        'if False:\n            raise TypeError(f"only',
    ),
    # ── Modes ─────────────────────────────────────────────────────────────────────────────────────
    mode("never left", "not None\n        MODE.set(outer)\n", "not None\n"),
    mode(
        "not left by an exception",
        "not None\n        MODE.set(outer)\n",
        "not None\n        if exception[0] is None:\n            MODE.set(outer)\n",
    ),
    mode(
        "not left by a function that raises",
        "        try:\n            return function(*args, **kwargs)\n"
        "        finally:\n            MODE.set(outer)\n",
        "        result = function(*args, **kwargs)\n"
        "        MODE.set(outer)\n        return result\n",
    ),
    mode(
        "left for good",
        "not None\n        MODE.set(outer)\n",
        "not None\n        MODE.set(Mode(True, None, None))\n",
        "engine/test_random_graphs.py",
    ),
    mode(
        "no_grad stops the watch",
        "Mode(False, outer.scope, outer, outer.watch,",
        "Mode(False, outer.scope, outer, None,",
        "engine/test_nan_detection.py",
    ),
    mode(
        "scopes stop the watch",
        "Mode(outer.grad, inner, outer, outer.watch,",
        "Mode(outer.grad, inner, outer, None,",
        "engine/test_nan_detection.py",
    ),
    mode("scopes record", "Mode(outer.grad, inner, outer,", "Mode(True, inner, outer,"),
    mode("no_grad leaves the scope", "Mode(False, outer.scope, outer,", "Mode(False, None, outer,"),
    mode("scopes have no parent", "Scope(self.name, outer.scope)", "Scope(self.name, None)"),
    mode(
        "transforms do not record under no_grad",
        "Mode(True, outer.scope, outer,",
        "Mode(outer.grad, outer.scope, outer,",
        "engine/test_transforms.py",
    ),
    mode(
        "generators are decorated",
        "if _suspends(function):",
        "if False:",
        "guarantees/test_guarantees.py",
    ),
    # ── Operations ────────────────────────────────────────────────────────────────────────────────
    operation("minimum is maximum", "return apply(p.minimum,", "return apply(p.maximum,"),
    operation(
        "concatenate: axis counted from the front",
        "params=(from_the_end(axis, parts[0].ndim),)",
        "params=(axis,)",
    ),
    operation("stack: other shapes", "if len({part.shape for part in parts}) > 1:", "if False:"),
    operation(
        "stack: axis",
        "[part.expand_dims(axis) for part in parts], axis)",
        "[part.expand_dims(axis) for part in parts], 0)",
    ),
    operation(
        "split: unequal parts",
        "if sections < 1 or n % sections:",
        "if sections < 1:",
        "guarantees/test_guarantees.py",
    ),
    operation(
        "split: one cut too few",
        "for i in range(1, int(sections))]",
        "for i in range(2, int(sections))]",
    ),
    operation(
        "take_along_axis: all axes", "    index[along] = places\n", "    index[-1] = places\n"
    ),
    operation(
        "sort: along the last axis",
        "return take_along_axis(whole, argsort(whole, axis), axis)",
        "return take_along_axis(whole, argsort(whole, axis), -1)",
    ),
    operation(
        "norm: slope at 0",
        "positive = where(zero, 1, total)",
        "positive = total",
        "guarantees/test_guarantees.py",
    ),
    operation(
        "norm: least is largest",
        "return v.abs().min(axis, keepdims)",
        "return v.abs().max(axis, keepdims)",
    ),
    operation("norm: no root", "else positive ** (1 / power))", "else positive)"),
    operation(
        "einsum: implicit result not in order",
        "for c in sorted(set(left))",
        "for c in sorted(set(left))[::-1]",
    ),
    operation(
        "einsum: a diagonal of other lengths",
        "if len(lengths) > 1:",
        "if False:",
        "guarantees/test_guarantees.py",
    ),
    operation(
        "hstack: along the first axis", "min(1, as_tensor(next(iter(tensors))).ndim - 1)", "0"
    ),
    # ── Transforms ────────────────────────────────────────────────────────────────────────────────
    transform("variables are confused", "return apply(p.identity, argument)", "return argument"),
    transform(
        "nobody outside", "outside = MODE.get().recorder is not None or (", "outside = False and ("
    ),
    transform(
        "gradients are shared",
        "else [g if g is None else np.array(g) for g in found]",
        "else found",
        "engine/test_backprop.py",
    ),
    transform(
        "one that is not reached is left out",
        "_zeros(t, create_graph) if g is None else g for g, t in zip(found, tensors, strict=True)",
        "g for g in found if g is not None",
        "engine/test_backprop.py",
    ),
    transform(
        "no gradient to a tangent",
        "further = pull.outside or any(map(_is_open, directions))",
        "further = pull.outside",
        "guarantees/test_guarantees.py",
    ),
    transform(
        "no gradient to a cotangent",
        "further = self.outside or _is_open(cotangent)",
        "further = self.outside",
        "guarantees/test_guarantees.py",
    ),
    transform("jvp: the last tangent alone", "else along + (g * v).sum()", "else (g * v).sum()"),
    transform(
        "jacobian: parts of one row", "rows = max(1, MAX_BATCH // max(largest, 1))", "rows = 2"
    ),
    transform(
        "hessian: other blocks",
        "jacobian(grad(f, i), argnums) for i in argnums",
        "jacobian(grad(f, argnums[0]), argnums) for i in argnums",
    ),
    transform("grad of many elements", "        if y.size != 1:", "        if False:"),
    transform("constants are not Tensors", "as_tensor(a) if isinstance(a, _NUMERIC) else a", "a"),
    transform("tangents of another shape", "if x.shape != v.shape:", "if False:"),
    transform("an argument that is not there", "if not -len(args) <= i < len(args):", "if False:"),
    # ── Softmax and cross-entropy ─────────────────────────────────────────────────────────────────
    function(
        "softmax: axis",
        "return e / e.sum(axis, keepdims=True)",
        "return e / e.sum(-1, keepdims=True)",
    ),
    function(
        "log_softmax: axis",
        "shifted.exp().sum(axis, keepdims=True).log()",
        "shifted.exp().sum(-1, keepdims=True).log()",
    ),
    function(
        "logsumexp: peak not added",
        ".sum(axis, keepdims=True).log() + peak",
        ".sum(axis, keepdims=True).log()",
    ),
    function(
        "cross_entropy: no peak",
        "    shifted = z - _peak(z, -1)\n    log_sum",
        "    shifted = z\n    log_sum",
    ),
    function(
        "cross_entropy: mean is sum",
        "return losses.mean() if of_rows is None",
        "return losses.sum() if of_rows is None",
    ),
    function(
        "cross_entropy: sum is mean",
        '    if reduction == "sum":\n        return losses.sum()',
        '    if reduction == "sum":\n        return losses.mean()',
    ),
    function(
        "cross_entropy: unweighted mean", "else losses.sum() / of_rows.sum()", "else losses.mean()"
    ),
    function(
        "cross_entropy: smoothing",
        "(1 - epsilon) * y + epsilon / n_classes",
        "(1 - epsilon) * y + epsilon",
    ),
    function(
        "cross_entropy: ignored rows count",
        "        losses = where(keep, losses, 0)\n",
        "        losses = losses * 1\n",
    ),
    function(
        "cross_entropy: 0 times infinity",
        "where((q == 0) & (surprise == np.inf), 0, surprise)",
        "surprise",
    ),
    target("labels: off by one", "read.item(read.argmax()) >= n:", "read.item(read.argmax()) > n:"),
    target("labels: negative ones wrap around", 'dtype.str.replace("i", "u")', "dtype.str"),
    # ── Layers and optimizers ─────────────────────────────────────────────────────────────────────
    layer("Linear: no bias", "return y if self.bias is None else y + self.bias", "return y"),
    layer("Dropout: also in evaluation", "training=self.training)", "training=True)"),
    function(
        "dropout: keeps what it should drop", "else float) >= p", "else float) < p", "test_nn.py"
    ),
    function("dropout: no scale", "(1 / (1 - p) if p < 1 else 0.0)", "1.0", "test_nn.py"),
    layer("a shared parameter twice", "and id(value) not in seen", ""),
    layer("a state that does not fit", "if own.keys() != state.keys():", "if False:"),
    optimizer("SGD: up the slope", "return value - self.lr * g", "return value + self.lr * g"),
    optimizer(
        "SGD: weight decay grows",
        "return g + self.weight_decay * value",
        "return g - self.weight_decay * value",
    ),
    optimizer(
        "SGD: momentum",
        "self._momentum * self.velocity[i] + g",
        "self.momentum * (self.velocity[i] + g)",
    ),
    optimizer(
        "SGD: a velocity without momentum",
        "if momentum and not self.velocity:",
        "if not self.velocity:",
        "guarantees/test_guarantees.py",
    ),
    optimizer("Adam: no bias correction of m", "root / (1 - beta1**t)", "root"),
    optimizer("Adam: no bias correction of v", "root = (1 - beta2**t) ** 0.5", "root = 1.0"),
    optimizer("Adam: no bias correction of ε", "self.eps * root", "self.eps"),
    optimizer("Adam: step not counted", "self.t[i] = self.t[i] + 1", "1"),
    optimizer("Adam: g for g²", "(1 - beta2) * (g * g)", "(1 - beta2) * g"),
    optimizer("Adam: ε in the root", "(np.sqrt(v) + eps)", "np.sqrt(v + eps)"),
    optimizer(
        "AdamW: decay not decoupled from lr",
        "value - self.lr * self.weight_decay * value",
        "value - self.weight_decay * value",
    ),
    optimizer("a parameter twice", "< len(self.params):", "< 0:"),
    optimizer(
        "gradients are not cleared", "            parameter._grad = None\n", "            pass\n"
    ),
    # ── Checkers ──────────────────────────────────────────────────────────────────────────────────
    checker(
        "gradcheck: nan passes",
        "wrong = ~(np.abs(actual - expected) <= limit)",
        "wrong = np.abs(actual - expected) > limit",
    ),
    checker("gradcheck: float32", "if array.dtype in (np.float16, np.float32):", "if False:"),
    checker("gradcheck: no second order", "    if order == 2:\n", "    if False:\n"),
    checker("gradcheck: loose", "16 * EPS * float", "1e10 * EPS * float"),
    checker(
        "gradcheck: no weights",
        "return lambda *xs: (f(*xs) * weights).sum()",
        "return lambda *xs: f(*xs).sum()",
    ),
    comparer("compare: broadcasts", "    if a.shape != b.shape:\n", "    if False:\n"),
    comparer(
        "compare: nan is close",
        "bool(np.all(difference <= limit))",
        "not np.any(difference > limit)",
    ),
    comparer(
        "compare: byte order",
        'x.astype(x.dtype.newbyteorder("="))',
        "x",
        "guarantees/test_guarantees.py",
    ),
    comparer("compare: dtypes", "    if a.dtype != b.dtype:\n", "    if False:\n"),
    watch(
        "forward: what was given counts",
        "if bad is not None and _all_finite(arguments):",
        "if bad is not None:",
    ),
    watch("backward: not watched", "bad = _not_finite(d)", "bad = None"),
    watch(
        "nan passes",
        "bad = array[~np.isfinite(array)]",
        "bad = array[np.isinf(array)]",
        "guarantees/test_guarantees.py",
    ),
    # ── The compiler ──────────────────────────────────────────────────────────────────────────────
    compiler_pass(
        "constants: whatever their dtype",
        "(type(value), array.dtype, array.shape, array.tobytes())",
        "(array.shape, array.tobytes())",
    ),
    compiler_pass(
        "equal operations: a product of itself",
        "if of_itself.get(id(op)) is False and _is_product_of_itself(op):",
        "if False:",
    ),
    compiler_pass(
        "broadcasts: whatever the dtype",
        "if _promoted(cores) != _promoted(op.inputs):",
        "if False:",
    ),
    compiler_pass(
        "broadcasts: whatever the order of axes",
        'if any(x.kind == "array" and not (_is_spread(x) or x.in_c_order) for x in op.inputs):',
        "if False:",
    ),
    compiler_pass(
        "scatters: onto -0",
        "and once and positive.get(id(rest)):",
        "and once:",
    ),
    compiler_pass(
        "scatters: from the end",
        "if not known or any((column < 0).any() for column in known):",
        "if not known:",
    ),
    compiler_pass(
        "scatters: a place twice",
        "return len(np.unique(np.stack(known, 1), axis=0)) == known[0].size",
        "return True",
    ),
    compiler_pass(
        "indices: unchecked",
        "if not all(_in_range(index, n, bounds.get(id(index))) for index, n in limits):",
        "if False:",
    ),
    compiler_pass(
        "rows: an index of bits",
        'return index.kind == "array" and index.dtype.kind in "iu" and index.dtype != np.uint64',
        'return index.kind == "array"',
    ),
    compiler_pass(
        "means: of integers",
        'if op.primitive is not p.mean or kinds not in ({("array", "f")}, {("array", "d")}):',
        'if op.primitive is not p.mean or op.kind != "array":',
    ),
    placing("results: written over", "last_use[id(owner)] = NEVER", "pass"),
    placing(
        "over an operand: that is a view of another",
        "if all(y is x or owner not in owners[id(y)] for y in op.inputs):",
        "if True:",
    ),
    placing("over an operand: an argument", "and owner.primitive is not None and", "and"),
    placing("results: that are arguments", "plan.copied.add(id(op))", "pass"),
    placing(
        "over an operand: needed for other rows",
        "if victim is not None and id(victim) not in shared.get(id(op), ()):",
        "if victim is not None:",
    ),
    placing(
        "buffers: needed for the next block",
        "end = number[id(loop_at[end].ops[-1])]  # needed for each block",
        "pass",
    ),
    placing("spares: blocks", "elif memory is first and memory.size", "elif memory.size"),
    placing("spares: that are held", "arrays.pop(holders.index(nobody))", "arrays.pop(0)"),
    placing("spares: read-only", "array.setflags(write=True)", "pass"),
    placing("spares: the older", "[array, *arrays[:1]]", "[*arrays[:1], array]"),
    blocking(
        "any order of axes",
        "ordered = op.primitive in EXACT or all(y.in_c_order for y in op.inputs)",
        "ordered = True",
    ),
    blocking(
        "sums in another dtype",
        "and last and not converts",
        "and last",
    ),
    blocking("a vector as long as the rows", "and vector != (n,)", ""),
    blocking("results: left out", "kept = outlast | inside & self.wanted", "kept = outlast"),
    blocking("effects: in any order", "level = effects = max(level, effects)", "pass"),
    blocking("labels: before they are checked", "checked[id(op.inputs[0])] = level", "pass"),
    replaying("values: of any shape", "and not fits({v}, op_{v}):", "and False:"),
    replaying("constants: that have been assigned", "._value is f{i}", "._value is not None"),
    replaying("gradients: whoever needs one", "is {leaf._requires_grad}", "is not None"),
    recording(
        "counts: equal for ever",
        "self.recording.conditions.append((place, first))",
        "pass",
    ),
    recording("gradients: whatever is there", 'self.depends_on(node, "_grad")', "pass"),
    recording(
        "leaves: left as they became", "            leaf._value = value\n", "            pass\n"
    ),
    naming(
        "names of the module's own",
        "return name not in self.taken and not (op.is_constant and name == self.function)",
        "return True",
    ),
    naming(
        "the target as the operand",
        "if not self.is_free(name, op) or until > i or held:",
        "if not self.is_free(name, op) or until > i:",
    ),
    printing(
        "blocks: the last is full",
        "partly = self.loop is not None and self.loop.n % self.loop.block",
        "partly = False",
    ),
]


def stale(package: Path = PACKAGE) -> list[str]:
    """The mutations whose text does not occur exactly once in its file."""
    texts = {
        path.relative_to(package).as_posix(): path.read_text(encoding="utf-8")
        for path in package.rglob("*.py")
    }
    return [
        f"{m.file}: {m.name}: {texts[m.file].count(m.old)} places"
        for m in MUTATIONS
        if texts[m.file].count(m.old) != 1 or m.old == m.new
    ]


def copy_of_project(directory: Path) -> Path:
    """The package and its tests alone, so that what is imported can only be the copy."""
    directory.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("tinygrad_ce", "tests"):
        shutil.copytree(ROOT / name, directory / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", directory)
    return directory


RUN = """
import sys
import tinygrad_ce
if not tinygrad_ce.__file__.startswith(sys.argv[1]):
    sys.exit(f"tests would run on {tinygrad_ce.__file__}")
import pytest
sys.exit(pytest.main(sys.argv[2:]))
"""


def run_tests(copy: Path, files: list[str], *options: str) -> tuple[int, str]:
    """pytest on the copy: its exit status, and what it printed. 1 is a test that failed."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("RANDOM_GRAPHS", None)
    command = [
        sys.executable, "-c", RUN, str(copy),
        "-q", "-p", "no:cacheprovider", "--no-header", "--tb=line",
        "-k", " and ".join(f"not {name}" for name in LEFT_OUT),
        *options, *(f"tests/{file}" for file in files),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return 1, "took too long"
    return done.returncode, done.stdout + done.stderr


def killer(output: str) -> str:
    """The test that failed, from what pytest printed."""
    for line in output.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            return line.split(" - ")[0].removeprefix("FAILED ").removeprefix("tests/")
    return output.strip().splitlines()[-1] if output.strip() else "no output"


def attempt(mutation: Mutation, copy: Path, failing: list[str]) -> tuple[bool, str]:
    """Make the mistake, and say whether a test has noticed, and which."""
    path = copy / "tinygrad_ce" / mutation.file
    original = path.read_text(encoding="utf-8")
    path.write_text(original.replace(mutation.old, mutation.new), encoding="utf-8")
    options = ["-x", *(f"--deselect=tests/{name}" for name in failing)]
    try:
        near = list(dict.fromkeys(mutation.near))
        for files in (near, [file for file in TESTS if file not in near]):
            status, output = run_tests(copy, files, *options)
            if status == 1 or (status == 2 and "error" in output):
                return True, killer(output)
            if status != 0:
                raise SystemExit(f"{mutation.name}: pytest ended with {status}:\n{output}")
        return False, "SURVIVED"
    finally:
        path.write_text(original, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", metavar="TEXT", default="", help="only those with TEXT in file: name")
    parser.add_argument("--jobs", type=int, default=2, help="how many at the same time")
    parser.add_argument("--list", action="store_true", help="only list them")
    options = parser.parse_args()
    if problems := stale():
        print("These no longer occur exactly once:", *problems, sep="\n  ")
        return 2
    chosen = [m for m in MUTATIONS if options.k in f"{m.file}: {m.name}"]
    if options.list:
        print(*(f"{m.file}: {m.name}" for m in chosen), sep="\n")
        return 0
    begin = time.time()
    with tempfile.TemporaryDirectory() as temporary:
        copies: Queue[Path] = Queue()
        for i in range(options.jobs):
            copies.put(copy_of_project(Path(temporary).resolve() / str(i)))
        copy = copies.get()
        _, output = run_tests(copy, TESTS)
        copies.put(copy)
        failing = [
            line.split(" - ")[0].removeprefix("FAILED tests/")
            for line in output.splitlines()
            if line.startswith(("FAILED", "ERROR"))
        ]
        if failing:
            print("These fail without a mutation, and are left out:", *failing, sep="\n  ")
        elif " passed" not in output:
            print(output)
            return 2

        def work(mutation: Mutation) -> tuple[Mutation, bool, str]:
            copy = copies.get()
            try:
                killed, how = attempt(mutation, copy, failing)
            finally:
                copies.put(copy)
            mark = "killed  " if killed else "SURVIVED"
            print(f"{mark} {mutation.file}: {mutation.name}    {how if killed else ''}", flush=True)
            return mutation, killed, how

        with ThreadPoolExecutor(options.jobs) as pool:
            results = list(pool.map(work, chosen))
    survivors = [m for m, killed, _ in results if not killed]
    minutes = (time.time() - begin) / 60
    print(f"\n{len(results) - len(survivors)} of {len(results)} killed in {minutes:.1f} minutes")
    if survivors:
        print("survivors:", *(f"{m.file}: {m.name}" for m in survivors), sep="\n  ")
    return 1 if survivors or failing else 0


if __name__ == "__main__":
    sys.exit(main())
