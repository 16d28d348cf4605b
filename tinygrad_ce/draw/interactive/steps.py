r"""The trace of a graph: its values in order, then every contribution to a gradient, as plain data.

This is what the page steps through, and what it offers as JSON. For each step it holds the formula
that the primitive's rule has written (formulas.py), what the variables in it are, and whether
numbers may be filled in: they may where the formula, computed on the arrays, gives what the engine
has computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import closed_form
from ...engine.axes import count_along
from ...engine.kernels import ARRAY_SLOT
from ...engine.primitives import Primitive, getitem
from ...engine.tensor import Tensor
from .. import formatting as text
from .. import formulas
from ..diagram import kind_of
from ..formulas import Tree
from ..source_lines import line_of
from .array_pool import Pool
from .contributions import Contribution, contributions

Array = NDArray[Any]
Step = dict[str, Any]
Variable = dict[str, Any]

# The gradient of a cross-entropy is looked for at tensors up to this size.
MAX_LOGITS = 100_000


class Trace:
    """The steps through a graph.

    Parameters
    ----------
    nodes
        All tensors of the graph, in order of creation.
    outputs
        Those that were drawn. Their gradients are followed if each has one element and one of
        them depends on a tensor that requires a gradient.
    """

    def __init__(self, nodes: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        self.nodes = nodes
        self.outputs = outputs
        self._output_set = set(outputs)
        self.pool = Pool()
        self.id = {node: f"t{i}" for i, node in enumerate(nodes)}
        self.names = _names(nodes, self.id)
        self.values = _values(nodes)
        self.walk: list[Contribution] = []
        self.gradients: dict[Tensor, Any] = {}
        self.seeds: list[tuple[int, Tensor, Any]] = []
        if all(output.size == 1 for output in outputs):
            for output in outputs:
                if output.requires_grad:
                    self._walk_from(output)
        self._to: dict[Tensor, list[Contribution]] = {}
        for c in self.walk:
            self._to.setdefault(c.source, []).append(c)

    def _walk_from(self, output: Tensor) -> None:
        arrived = dict(self.gradients)
        self.walk += contributions(output, arrived)
        before = self.gradients.get(output)
        seed = output.cotangent()
        self.seeds.append((len(self.walk), output, seed if before is None else before + seed))
        self.gradients = arrived

    def walk_to(self, node: Tensor) -> list[Contribution]:
        """The contributions to the gradient of a node, in order."""
        return self._to.get(node, [])

    # ── As plain data ─────────────────────────────────────────────────────────────────────────

    def data(self) -> dict[str, Any]:
        """All of it, in what JSON knows: dicts, lists, text and finite numbers."""
        steps = list(self._steps())
        return {
            "outputs": [self.id[output] for output in self.outputs],
            "differentiated": bool(self.seeds),
            "nodes": [self._node(node) for node in self.nodes],
            "steps": steps,
            "logits": list(self._logits()),
            "arrays": self.pool.entries,
        }

    def _node(self, node: Tensor) -> dict[str, Any]:
        primitive = node.primitive
        gradient = self.gradients.get(node)
        known: dict[str, Any] = {
            "id": self.id[node],
            "name": self.names[node],
            "label": text.printable(str(node.name or ""), 200),
            "kind": kind_of(node, node in self._output_set).name.lower(),
            "shape": node.shape,
            "dtype": str(node.dtype),
            "value": self.pool.add(self.values[node]),
            "gradient": None if gradient is None else self.pool.add(gradient),
            "wanted": node.requires_grad,
            "inputs": [self.id[source] for source in node.inputs or ()],
            "scope": [text.printable(name) for name in node.scope.path.split("/")]
            if node.scope
            else [],
            "latex": chain_rule(node, self),
        }
        if line := line_of(node):
            known["line"] = text.printable(line, 300)
        if primitive is not None:
            known |= {
                "primitive": primitive.name,
                "symbol": primitive.symbol,
                "params": self._params(node, primitive),
                "formula": _value_formula(node),
                "rules": [_rule_formula(node, i) for i in range(len(node.inputs or ()))],
            }
        return known

    def _params(self, node: Tensor, primitive: Primitive) -> str:
        if primitive is getitem:
            return f"[{index_of(node, self.names)}]"
        return text.params(primitive.params, node.params)

    def _steps(self) -> Iterator[Step]:
        yield {"kind": "given"}
        for node in self.nodes:
            if node.primitive is not None:
                yield self._forward(node, node.primitive)
        done = 0
        for end, output, seed in self.seeds:
            yield {"kind": "seed", "to": self.id[output], "after": self.pool.add(seed)}
            for c in self.walk[done:end]:
                yield self._backward(c)
            done = end

    def _forward(self, node: Tensor, primitive: Primitive) -> Step:
        step: Step = {"kind": "value", "to": self.id[node]}
        bindings = _Bindings(node, self)
        tree = _value_formula(node)
        step |= {"formula": tree, "in_numbers": tree, "vars": bindings.variables()}
        value = np.asarray(self.values[node])
        if "axis" in primitive.params and "keepdims" in primitive.params:
            step["form"] = "reduce"
        elif primitive.name == "matmul":
            step["form"] = "matmul"
        elif (moves := _moves(node, 0)) is not None:
            step |= {"form": "moves", "moves": self.pool.add(moves)}
        else:
            step["filled"] = _agrees(tree, bindings, value)
        return step

    def _backward(self, c: Contribution) -> Step:
        node, primitive = c.node, c.node.primitive
        assert primitive is not None
        bindings = _Bindings(node, self, c.gradient)
        tree = _rule_formula(node, c.place)
        assert tree is not None
        raw = np.asarray(c.from_rule)
        step: Step = {
            "kind": "add",
            "from": self.id[node],
            "to": self.id[c.source],
            "place": c.place,
            "gradient": self.pool.add(c.gradient),
            "from_rule": self.pool.add(raw),
            "added": self.pool.add(c.added),
            "before": None if c.before is None else self.pool.add(c.before),
            "after": self.pool.add(c.after),
            "formula": _with_value_written_out(tree, node),
            "in_numbers": tree,
            "vars": bindings.variables(),
        }
        if raw.shape != c.source.shape:
            step["summed"] = _summed_axes(raw.shape, c.source.shape)
        if primitive.name == "matmul":
            step["form"] = f"matmul{c.place}"
        elif (moves := _moves(node, c.place)) is not None:
            step |= {"form": "moves", "moves": self.pool.add(moves)}
        else:
            step["filled"] = _agrees(tree, bindings, raw)
        return step

    # ── What has come out ─────────────────────────────────────────────────────────────────────

    def _logits(self) -> Iterator[dict[str, Any]]:
        """The tensors whose gradient is softmax − one-hot, beside the closed form."""
        found: set[Tensor] = set()
        if len(self.seeds) != 1:
            return
        for node in self.nodes:
            gradient = self.gradients.get(node)
            if gradient is None or not 1 <= node.ndim <= 2 or node.size > MAX_LOGITS:
                continue
            if _descends_from(node, found):
                found.add(node)
                continue
            match = _softmax_minus_one_hot(np.asarray(self.values[node]), np.asarray(gradient))
            if match is not None:
                found.add(node)
                p, y, closed, rows = match
                yield {
                    "node": self.id[node],
                    "softmax": self.pool.add(p),
                    "one_hot": self.pool.add(y),
                    "closed": self.pool.add(closed),
                    "difference": self.pool.add(np.asarray(gradient) - closed),
                    "largest": float(np.max(np.abs(gradient - closed))),
                    "rows": rows,
                }


# ── Names ─────────────────────────────────────────────────────────────────────────────────────────


def _names(nodes: Sequence[Tensor], ids: dict[Tensor, str]) -> dict[Tensor, str]:
    """What each tensor is called in formulas: its name, numbered if others have it, or its id."""
    names = [text.printable(str(node.name), 24) if node.name else ids[node] for node in nodes]
    return dict(zip(nodes, text.number_duplicates(names), strict=True))


def _values(nodes: Sequence[Tensor]) -> dict[Tensor, Any]:
    """The value of each tensor as it was when it was used: a leaf can have got another since."""
    values = {node: node.data for node in nodes}
    for node in nodes:
        for source, argument in zip(node.inputs or (), node._arguments, strict=False):
            values[source] = np.asarray(argument)
    return values


# ── Formulas ──────────────────────────────────────────────────────────────────────────────────────


def _value_formula(node: Tensor) -> Tree:
    assert node.primitive is not None
    return formulas.value_formula(node.primitive, node.params, len(node.inputs or ()))


def _rule_formula(node: Tensor, place: int) -> Tree | None:
    assert node.primitive is not None
    return formulas.rule_formula(node.primitive, place, node.params, len(node.inputs or ()))


def _with_value_written_out(tree: Tree, node: Tensor) -> Tree:
    """With y = eˣ in a rule, write eˣ: it says more, and takes no more room."""
    value = _value_formula(node)
    written: Tree = formulas.replace(tree, {"y": value}) if value[0] == "pow" else tree
    return written


class _Bindings:
    """What the variables in the formulas of a primitive are at one node."""

    def __init__(self, node: Tensor, trace: Trace, gradient: Any = None) -> None:
        self.node = node
        self.trace = trace
        self.gradient = gradient
        self.primitive = node.primitive
        assert self.primitive is not None
        inputs = node.inputs or ()
        self.reduces = {"axis", "keepdims"} <= set(self.primitive.params)
        letters = formulas.letters(self.primitive, len(inputs))
        self.tensors = dict(zip(letters.inputs, inputs, strict=False))
        self.params = dict(zip(letters.params, node.params, strict=False))
        if self.reduces:
            self.params = {"n": count_along(inputs[0].shape, node.params[0])}

    def kept_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a result, with the axes that were reduced back in it."""
        if not self.reduces:
            return shape
        (source,) = self.node.inputs or ()
        axis = self.node.params[0]
        axes = range(source.ndim) if axis is None else np.atleast_1d(axis) % max(source.ndim, 1)
        return tuple(1 if i in axes else n for i, n in enumerate(source.shape))

    def variables(self) -> dict[str, Variable]:
        """For the page: the name, the array and the shape that it is used in."""
        trace, found = self.trace, {}
        for letter, t in self.tensors.items():
            found[letter] = self._variable(trace.names[t], trace.values[t], t.shape, trace.id[t])
        y = self.node
        shape = self.kept_shape(y.shape)
        found["y"] = self._variable(trace.names[y], trace.values[y], shape, trace.id[y])
        if self.gradient is not None:
            found["g"] = self._variable(trace.names[y], self.gradient, shape, trace.id[y])
        for letter, value in self.params.items():
            if isinstance(value, int | float):
                found[letter] = {"number": value if math.isfinite(value) else str(value)}
        return found

    def _variable(self, name: str, value: Any, shape: tuple[int, ...], id: str) -> Variable:
        return {"name": name, "array": self.trace.pool.add(value), "shape": shape, "id": id}

    def arrays(self) -> dict[str, Any]:
        """For `formulas.evaluate`: the arrays, in shapes that broadcast against each other."""
        trace = self.trace
        found: dict[str, Any] = {k: np.asarray(trace.values[t]) for k, t in self.tensors.items()}
        shape = self.kept_shape(self.node.shape)
        found["y"] = np.asarray(trace.values[self.node]).reshape(shape)
        if self.gradient is not None:
            found["g"] = np.asarray(self.gradient).reshape(shape)
        return found | self.params


@np.errstate(all="ignore")
def _agrees(tree: Tree, bindings: _Bindings, found: Array) -> bool:
    """Whether the formula, computed on the arrays, gives what the engine has found."""
    axis = bindings.node.params[0] if bindings.reduces else ...
    value = formulas.evaluate(tree, bindings.arrays(), axis)
    if value is None:
        return False
    try:
        full = np.broadcast_to(np.asarray(value), found.shape)
    except ValueError:
        return False
    if found.dtype.kind != "f":
        return np.array_equal(full, found)
    close = 1e3 * float(np.finfo(found.dtype).eps)
    return bool(np.allclose(full, found, rtol=close, atol=close * 1e-3, equal_nan=True))


def _summed_axes(raw: tuple[int, ...], shape: tuple[int, ...]) -> list[int]:
    new = len(raw) - len(shape)
    return [i for i, n in enumerate(raw) if i < new or (shape[i - new] == 1 and n != 1)]


# ── Where elements go ─────────────────────────────────────────────────────────────────────────────

_MOVERS = frozenset(("getitem", "reshape", "transpose"))


def _moves(node: Tensor, place: int) -> Array | None:
    """For each element of what only moves elements, the place in the input that it came from."""
    primitive, inputs = node.primitive, node.inputs or ()
    assert primitive is not None
    if primitive.name not in _MOVERS or place:
        return None
    source = inputs[0]
    places = np.arange(source.size).reshape(source.shape)
    index = node._arguments[1:]
    if primitive is getitem:
        return np.asarray(getitem.value(places, *index)).ravel()
    return np.asarray(primitive.value(places, *index)).ravel()


def index_of(node: Tensor, names: dict[Tensor, str]) -> str:
    """An index as one would write it, with the names of the arrays in it."""
    pattern = node.params[0]
    arrays = iter((node.inputs or ())[1:])
    parts = []
    for part in pattern:
        array = next(arrays) if part is ARRAY_SLOT else None
        if array is None:
            parts.append(text.index_part(part))
        elif array.ndim == 0 and not array.name:
            parts.append(text.number(array.data[()]))
        else:
            parts.append(names[array])
    return ", ".join(parts)


# ── Softmax − one-hot ─────────────────────────────────────────────────────────────────────────────


def _descends_from(node: Tensor, found: set[Tensor]) -> bool:
    return any(source in found for source in node.inputs or ())


@np.errstate(all="ignore")
def _softmax_minus_one_hot(z: Array, g: Array) -> tuple[Array, Array, Array, int] | None:
    """Whether g is softmax(z) − one-hot, divided by 1 or by the number of rows; and if so, these.

    The label of a row is where its gradient is negative.
    """
    if not z.size or z.shape[-1] < 2 or z.dtype.kind != "f" or not np.isfinite(g).all():
        return None
    p = closed_form.softmax(z)
    y = np.zeros_like(p)
    np.put_along_axis(y, np.argmin(g, -1)[..., None], 1, -1)
    n = z.shape[0] if z.ndim > 1 else 1
    for rows in dict.fromkeys((n, 1)):
        closed = (p - y) / rows
        if np.allclose(g, closed, rtol=0, atol=64 * float(np.finfo(z.dtype).eps) / rows):
            return p, y, closed, rows
    return None


# ── The chain rule in LaTeX ───────────────────────────────────────────────────────────────────────


def chain_rule(node: Tensor, trace: Trace) -> str:
    r"""∂L/∂node as the sum of its contributions, in LaTeX.

    >>> from tinygrad_ce.engine.graph import topological_order
    >>> a = Tensor(3.0, requires_grad=True, name="a")
    >>> y = a * a
    >>> print(chain_rule(a, Trace(topological_order(y), [y])))
    \frac{\partial L}{\partial a} = \frac{\partial L}{\partial t_{1}}\,a + ...
    """
    terms = [_term(c, trace) for c in trace.walk_to(node)]
    if any(output is node for _, output, _ in trace.seeds):
        terms.insert(0, "1")
    if not terms:
        return ""
    return f"{_derivative(node, trace)} = {' + '.join(terms)}".replace("+ -", "- ")


def _term(c: Contribution, trace: Trace) -> str:
    primitive, tree = c.node.primitive, _rule_formula(c.node, c.place)
    assert primitive is not None
    assert tree is not None
    bindings = _Bindings(c.node, trace)
    names = {letter: _latex_name(t, trace) for letter, t in bindings.tensors.items()}
    names |= {k: text.number(v) for k, v in bindings.params.items() if isinstance(v, int | float)}
    if "index_template" in primitive.params:
        names["i"] = formulas.latex_text(index_of(c.node, trace.names))
    names["y"] = _latex_name(c.node, trace)
    names["g"] = _derivative(c.node, trace)
    term = formulas.latex(tree, names)
    return rf"\textstyle\sum {term}" if np.shape(c.from_rule) != c.source.shape else term


def _derivative(node: Tensor, trace: Trace) -> str:
    return rf"\frac{{\partial L}}{{\partial {_latex_name(node, trace)}}}"


def _latex_name(node: Tensor, trace: Trace) -> str:
    """A name in LaTeX: a letter as it is, more as text.

    A constant without a name is its number.
    """
    if node.primitive is None and not node.name and node.ndim == 0:
        number = text.number(node.data[()])
        return f"({number})" if number.startswith("-") else number
    if not node.name:
        return f"t_{{{trace.id[node][1:]}}}"
    name = trace.names[node]
    if len(name) == 1 and name.isascii() and name.isalpha():
        return name
    return formulas.latex_text(name)
