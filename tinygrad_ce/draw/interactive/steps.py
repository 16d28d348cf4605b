r"""The trace of a graph: its values in order, then every contribution to a gradient, as plain data.

This is what the page steps through, and what it offers as JSON. For each step it holds the formula
of the primitive, what the variables in it are, and whether numbers may be filled in: they may where
the formula, computed on the arrays, gives what the engine has computed.
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
from ...engine.names import printable
from ...engine.primitives import Primitive, getitem
from ...engine.tensor import Tensor
from ...engine.transforms import gradients
from .. import formatting as text
from .. import formulas
from ..diagram import kind_of
from ..formulas import Tree
from ..names import Names, expression, scope_results
from ..source_lines import assigned_names, line_of
from .array_pool import Pool
from .contributions import Contribution, contributions

Array = NDArray[Any]
Step = dict[str, Any]

# The gradient of a cross-entropy is looked for at tensors up to this size.
MAX_LOGITS = 100_000


class Trace:
    """The steps through a graph: all its tensors in order of creation, and those that were drawn.

    The gradients of these are followed if each has one element and one of them depends on a tensor
    that requires a gradient.
    """

    def __init__(
        self, nodes: Sequence[Tensor], outputs: Sequence[Tensor], names: Names | None = None
    ) -> None:
        self.nodes, self.outputs, self.walked = nodes, outputs, set(outputs)
        given = {t.index: str(t.name) for t in nodes if t.name} if names is None else names
        self.given = given
        self.pool = Pool()
        self.id = {node: f"t{i}" for i, node in enumerate(nodes)}
        self.names = self._name_all()
        # As they were when they were used: a leaf can have got another value since.
        self.values: dict[Tensor, Any] = {node: node.data for node in nodes}
        for node in nodes:
            for source, argument in zip(node.inputs or (), node._arguments, strict=False):
                self.values[source] = np.asarray(argument)
        self.gradients: dict[Tensor, Any] = {}
        # From each output: the gradient there at first, and the contributions.
        self.walks: dict[Tensor, tuple[Any, list[Contribution]]] = {}
        self.to: dict[Tensor, list[Contribution]] = {node: [] for node in nodes}
        if all(output.size == 1 for output in outputs):
            for output in filter(lambda output: output.requires_grad, outputs):
                seed, before = output.cotangent(), self.gradients.get(output)
                walk = contributions(output, self.gradients)
                self.walks[output] = seed if before is None else before + seed, walk
                for c in walk:
                    self.to[c.source].append(c)

    def _name_all(self) -> dict[Tensor, str]:
        """Names as they are given, numbered; else short expressions; else what DOT calls them."""
        given = [printable(self.given.get(t.index, ""), 24) for t in self.nodes]
        names = dict(zip(self.nodes, text.number_duplicates(given), strict=True))

        def name_of(source: Tensor) -> str:
            is_number = source.primitive is None and source.ndim == 0
            return names[source] or (text.number(source.data[()]) if is_number else "")

        results, written = scope_results(self.nodes), []
        internal = assigned_names(self.nodes, in_package=True)
        for node in self.nodes:
            names[node] = (
                names[node]
                or expression(node, name_of, *results.get(node, ()))
                or internal.get(node.index, "")
            )
            written.append(names[node])
        numbered = zip(self.nodes, text.number_duplicates(written), strict=True)
        return {node: name or self.id[node] for node, name in numbered}

    def data(self) -> dict[str, Any]:
        """All of it, in what JSON knows: dicts, lists, text and finite numbers."""
        return {
            "outputs": [self.id[output] for output in self.outputs],
            "differentiated": bool(self.walks),
            "nodes": [self._node(node) for node in self.nodes],
            "steps": list(self._steps()),
            "logits": list(self._logits()),
            "arrays": self.pool.entries,
        }

    def _node(self, node: Tensor) -> dict[str, Any]:
        primitive, inputs = node.primitive, node.inputs or ()
        scopes = node.scope.path.split("/") if node.scope else []
        known: dict[str, Any] = {
            "id": self.id[node],
            "name": self.names[node],
            "label": printable(self.given.get(node.index, ""), 200),
            "kind": kind_of(node, node in self.walked, node.index in self.given).name.lower(),
            "shape": node.shape,
            "dtype": str(node.dtype),
            "value": self.pool.add(self.values[node]),
            "gradient": self.pool.add(self.gradients.get(node)),
            "wanted": node.requires_grad,
            "inputs": [self.id[source] for source in inputs],
            "scope": list(map(printable, scopes)),
            "latex": chain_rule(node, self),
        }
        if line := line_of(node):
            known["line"] = printable(line, 300)
        if primitive is not None:
            params = text.params(primitive.params, node.params)
            known |= {
                "primitive": primitive.name,
                "symbol": primitive.symbol,
                "params": f"[{_index(node, self)}]" if primitive is getitem else params,
                "formula": formulas.write(_formula(node)),
                "rules": [
                    rule and formulas.write(rule)
                    for rule in (_formula(node, i) for i in range(len(inputs)))
                ],
            }
        return known

    def _steps(self) -> Iterator[Step]:
        yield {"kind": "given"}
        for node in self.nodes:
            if node.primitive is not None:
                found = _Bindings(node, self).explain(_formula(node), np.asarray(self.values[node]))
                yield {"kind": "value", "to": self.id[node], **found}
        for output, (seed, walk) in self.walks.items():
            yield {"kind": "seed", "to": self.id[output], "after": self.pool.add(seed)}
            yield from map(self._backward, walk)

    def _backward(self, c: Contribution) -> Step:
        tree, value = _formula(c.node, c.place), _formula(c.node)
        raw = np.asarray(c.from_rule)
        step = {"kind": "add", "from": self.id[c.node], "to": self.id[c.source], "place": c.place}
        for name in ("gradient", "from_rule", "added", "before", "after"):
            step[name] = self.pool.add(getattr(c, name))
        step |= _Bindings(c.node, self, c.gradient).explain(tree, raw, c.place)
        if value[0] == "pow":  # instead of y = eˣ, eˣ: it says more, and takes no more room
            step["in_numbers"] = step["formula"]
            step["formula"] = formulas.write(formulas.replace(tree, {"y": value}))
        if raw.shape != (shape := c.source.shape):
            new = raw.ndim - len(shape)
            sizes = (0,) * new + shape
            step["summed"] = [i for i, n in enumerate(raw.shape) if sizes[i] != n]
        return step

    def _logits(self) -> Iterator[dict[str, Any]]:
        """The tensors whose gradient is softmax − one-hot, beside the closed form."""
        after: set[Tensor] = set()  # what is computed from such a tensor is not looked at
        for node in self.nodes if len(self.walks) == 1 else ():
            gradient = self.gradients.get(node)
            if gradient is None or not 1 <= node.ndim <= 2 or node.size > MAX_LOGITS:
                continue
            if not after.isdisjoint(node.inputs or ()):
                after.add(node)
            elif match := _softmax_minus_one_hot(self.values[node], np.asarray(gradient)):
                after.add(node)
                arrays, rows = match
                numbers = {name: self.pool.add(array) for name, array in arrays.items()}
                largest = float(np.max(np.abs(arrays["difference"])))
                known = {"node": self.id[node], **numbers, "largest": largest, "rows": rows}
                known["is_cross_entropy"] = self._is_cross_entropy(node, arrays["one_hot"], rows)
                yield known | self._two_paths(node, arrays["softmax"], arrays["one_hot"], rows)

    def _is_cross_entropy(self, logits: Tensor, one_hot: Array, rows: int) -> bool:
        """Whether the output is log Σ exp(z) − z at the label, the mean or the sum of all rows."""
        (output,) = self.walks
        z, reduction = self.values[logits], "mean" if rows > 1 else "sum"
        loss = closed_form.cross_entropy(z, one_hot.argmax(-1), reduction)
        close = 1e3 * float(np.finfo(z.dtype).eps)
        return bool(np.allclose(output.data, loss, rtol=close, atol=close))

    def _two_paths(self, logits: Tensor, p: Array, y: Array, rows: int) -> dict[str, Any]:
        """Along which contributions softmax comes, and along which one − one-hot: why it is p − y.

        Contributions meet where a tensor that the logits lead to is used more than once. Each of
        them is passed on to the logits by itself, and has to equal its part, or nothing is said.
        """
        meeting = logits
        while len(self.to[meeting]) == 1:
            meeting = self.to[meeting][0].node
        closed = {"softmax": p / rows, "one_hot": -y / rows}
        tolerance = 64 * float(np.finfo(p.dtype).eps) / rows
        sums: dict[str, Any] = {}
        through: dict[str, list[Tensor]] = {"softmax": [], "one_hot": []}
        for c in self.to[meeting]:
            arrived = c.added
            if meeting is not logits:
                (arrived,) = gradients(meeting, [logits], c.added)
            is_label = np.allclose(arrived, closed["one_hot"], rtol=0, atol=tolerance)
            which = "one_hot" if is_label and "one_hot" not in sums else "softmax"
            sums[which] = arrived if which not in sums else sums[which] + arrived
            through[which] += self._path(c.node)
        if len(sums) < 2 or not np.allclose(
            sums["softmax"], closed["softmax"], rtol=0, atol=tolerance
        ):
            return {}
        common = set(through["softmax"]) & set(through["one_hot"])
        paths = {
            which: {
                "array": self.pool.add(sums[which]),
                "through": [
                    t.primitive.name for t in path[::-1] if t.primitive and t not in common
                ],
            }
            for which, path in through.items()
        }
        return {"meeting": self.id[meeting], "paths": paths}

    def _path(self, node: Tensor) -> list[Tensor]:
        """This node and those after it, as long as there is one way on to the output."""
        path = [node]
        while len(self.to[path[-1]]) == 1:
            path.append(self.to[path[-1]][0].node)
        return path


def _formula(node: Tensor, place: int | None = None) -> Any:
    """The formula of the value of a node, or of the rule of an argument."""
    assert node.primitive is not None
    call = node.params, len(node.inputs or ())
    if place is None:
        return formulas.value_formula(node.primitive, *call)
    return formulas.rule_formula(node.primitive, place, *call)


class _Bindings:
    """What the variables in the formulas of a primitive are at one node."""

    def __init__(self, node: Tensor, trace: Trace, gradient: Any = None) -> None:
        assert node.primitive is not None
        self.node, self.trace, self.gradient = node, trace, gradient
        self.primitive: Primitive = node.primitive
        self.inputs = node.inputs or ()
        letters = formulas.letters(self.primitive, len(self.inputs))
        self.tensors = dict(zip(letters.inputs, self.inputs, strict=False))
        self.params = dict(zip(letters.params, node.params, strict=False))
        self.shape: tuple[int, ...] = node.shape
        self.axis: Any = ...
        self.reduces = {"axis", "keepdims"} <= set(self.primitive.params)
        if self.reduces:
            full, self.axis = self.inputs[0].shape, node.params[0]
            self.params = {"n": count_along(full, self.axis)}
            # With the axes that were reduced back in it.
            self.shape = np.any(np.broadcast_to(True, full), axis=self.axis, keepdims=True).shape

    def explain(self, tree: Tree, found: Array, place: int | None = None) -> Step:
        """How a value or what a rule returned has come about."""
        step: Step = {"formula": formulas.write(tree), "vars": self._variables()}
        name = self.primitive.name
        if place is None and self.reduces:
            return step | {"form": "reduce"}
        if name == "matmul":
            return step | {"form": name if place is None else f"{name}{place}"}
        if name in ("getitem", "reshape", "transpose") and not place:
            # For each element of what only moves them, the place in the input that it came from.
            places = np.arange(self.inputs[0].size).reshape(self.inputs[0].shape)
            moved = np.asarray(self.primitive.value(places, *self.node._arguments[1:])).ravel()
            return step | {"form": "moves", "moves": self.trace.pool.add(moved)}
        return step | {"filled": self._agrees(tree, found)}

    def _variables(self) -> dict[str, dict[str, Any]]:
        """For the page: the name, the array and the shape that it is used in."""
        trace, y = self.trace, self.node

        def variable(t: Tensor, value: Any, shape: tuple[int, ...]) -> dict[str, Any]:
            array = trace.pool.add(value)
            return {"name": trace.names[t], "array": array, "shape": shape, "id": trace.id[t]}

        found = {c: variable(t, trace.values[t], t.shape) for c, t in self.tensors.items()}
        found["y"] = variable(y, trace.values[y], self.shape)
        if self.gradient is not None:
            found["g"] = variable(y, self.gradient, self.shape)
        for letter, value in self.params.items():
            if isinstance(value, int | float):
                found[letter] = {"number": value if math.isfinite(value) else str(value)}
        return found

    @np.errstate(all="ignore")
    def _agrees(self, tree: Tree, found: Array) -> bool:
        """Whether the formula, computed on the arrays, gives what the engine has found."""
        values, shape = self.trace.values, self.shape
        env = {letter: np.asarray(values[t]) for letter, t in self.tensors.items()}
        env["y"] = np.asarray(values[self.node]).reshape(shape)
        if self.gradient is not None:
            env["g"] = np.asarray(self.gradient).reshape(shape)
        value = formulas.evaluate(tree, env | self.params, self.axis)
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


def _index(node: Tensor, trace: Trace) -> str:
    """An index as one would write it, with the names of the arrays in it."""
    arrays = iter((node.inputs or ())[1:])
    parts = []
    for part in node.params[0]:
        array = next(arrays) if part is ARRAY_SLOT else None
        if array is None:
            parts.append(text.index_part(part))
        else:
            plain = array.ndim == 0 and array.index not in trace.given
            parts.append(text.number(array.data[()]) if plain else trace.names[array])
    return ", ".join(parts)


@np.errstate(all="ignore")
def _softmax_minus_one_hot(z: Array, g: Array) -> tuple[dict[str, Array], int] | None:
    """If g is softmax(z) − one-hot, divided by 1 or by the number of rows: these, and by what."""
    if not g.any() or z.shape[-1] < 2 or z.dtype.kind != "f" or not np.isfinite(g).all():
        return None
    p = closed_form.softmax(z)
    y = np.zeros_like(p)
    np.put_along_axis(y, np.argmin(g, -1)[..., None], 1, -1)  # at the label, g is negative
    n = z.shape[0] if z.ndim > 1 else 1
    for rows in dict.fromkeys((n, 1)):
        closed = (p - y) / rows
        if np.allclose(g, closed, rtol=0, atol=64 * float(np.finfo(z.dtype).eps) / rows):
            return {"softmax": p, "one_hot": y, "closed": closed, "difference": g - closed}, rows
    return None


def chain_rule(node: Tensor, trace: Trace) -> str:
    """∂L/∂node as the sum of its contributions, in LaTeX."""
    terms = ["1"] * (node in trace.walks) + [_term(c, trace) for c in trace.to[node]]
    shown = " + ".join(terms).replace("+ -", "- ")
    return f"{_derivative(node, trace)} = {shown}" if terms else ""


def _term(c: Contribution, trace: Trace) -> str:
    bindings = _Bindings(c.node, trace)
    names = {letter: _latex_name(t, trace) for letter, t in bindings.tensors.items()}
    names |= {k: text.number(v) for k, v in bindings.params.items() if isinstance(v, int | float)}
    if "index_template" in bindings.primitive.params:
        names["i"] = formulas.latex_text(_index(c.node, trace))
    names |= {"y": _latex_name(c.node, trace), "g": _derivative(c.node, trace)}
    term = formulas.latex(_formula(c.node, c.place), names)
    return rf"\textstyle\sum {term}" if np.shape(c.from_rule) != c.source.shape else term


def _derivative(node: Tensor, trace: Trace) -> str:
    return rf"\frac{{\partial L}}{{\partial {_latex_name(node, trace)}}}"


def _latex_name(node: Tensor, trace: Trace) -> str:
    """A name in LaTeX: a letter as it is, more as text; a constant without one is its number."""
    name = trace.names[node]
    if node.primitive is None and node.index not in trace.given and node.ndim == 0:
        number = text.number(node.data[()])
        return f"({number})" if number.startswith("-") else number
    if node.index not in trace.given:
        return f"t_{{{trace.id[node][1:]}}}"
    is_letter = len(name) == 1 and name.isascii() and name.isalpha()
    return name if is_letter else formulas.latex_text(name)
