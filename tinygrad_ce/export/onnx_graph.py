"""A graph of ONNX as it is written: nodes, constants, and the names of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from ..engine.names import printable
from .recorded import Length

OPSET, IR_VERSION = 19, 9  # of 2023: operators on texts are the newest that is needed
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
BOOL, INT64 = np.dtype(bool), np.dtype(np.int64)
MOST = 2**62  # an end of a slice that is behind every element
LONGEST_NAME = 120
INLINE = 64  # elements of a constant that is compared with those that are there already

BOOLEAN = {
    "And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Not",
    "Or", "Xor",
}  # fmt: skip
INDICES = {"ArgMax", "ArgMin", "NonZero", "Shape"}


class Value:
    """A result in a graph, in expressions: numbers take the dtype of what they are used with."""

    __slots__ = ("constant", "dtype", "graph", "name")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, graph: Graph, name: str, dtype: Any, constant: Any = None) -> None:
        self.graph, self.name, self.dtype = graph, name, np.dtype(dtype)
        self.constant = constant  # an array, where the value is known

    def astype(self, dtype: Any) -> Value:
        """The same in another dtype."""
        dtype = np.dtype(dtype)
        if dtype == self.dtype:
            return self
        if self.constant is not None:
            with np.errstate(all="ignore"):
                return self.graph.constant(self.constant.astype(dtype))
        return self.graph.Cast(self, to=onnx().helper.np_dtype_to_tensor_dtype(dtype))

    def _with(self, kind: str, other: Any, swapped: bool = False) -> Value:
        given = (other, self) if swapped else (self, other)
        return self.graph.node(kind, *given)

    def __add__(self, other: Any) -> Value:
        return self._with("Add", other)

    def __sub__(self, other: Any) -> Value:
        return self._with("Sub", other)

    def __rsub__(self, other: Any) -> Value:
        return self._with("Sub", other, True)

    def __mul__(self, other: Any) -> Value:
        return self._with("Mul", other)

    def __truediv__(self, other: Any) -> Value:
        return self._with("Div", other)

    def __rtruediv__(self, other: Any) -> Value:
        return self._with("Div", other, True)

    def __neg__(self) -> Value:
        return self.graph.Neg(self)

    def __lt__(self, other: Any) -> Value:
        return self._with("Less", other)

    def __gt__(self, other: Any) -> Value:
        return self._with("Greater", other)

    def __eq__(self, other: Any) -> Value:  # type: ignore[override]
        return self._with("Equal", other)

    def __and__(self, other: Value) -> Value:
        return self._with("And", other)

    def __or__(self, other: Value) -> Value:
        return self._with("Or", other)

    def __invert__(self) -> Value:
        return self.graph.Not(self)

    __radd__, __rmul__ = __add__, __mul__


class Graph:
    """Nodes and constants; ``graph.Exp(x)`` adds a node and returns its result.

    The same operation on the same values is one node.

    Attributes
    ----------
    nodes, constants, inputs, outputs
        As ONNX has them, in order.
    scope
        What the next nodes are named for.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.scope = ""
        self._taken: set[str] = set()
        self._known: dict[Any, Value] = {}
        self._batch: Value | None = None

    def free_name(self, name: str) -> str:
        """The name if it is free, else with a number; in it, only what can be printed."""
        base = found = printable(name, LONGEST_NAME) or "x"
        number = 1
        while found in self._taken:
            number += 1
            found = f"{base}_{number}"
        self._taken.add(found)
        return found

    def __getattr__(self, kind: str) -> Callable[..., Value]:
        if not kind[0].isupper():
            raise AttributeError(kind)
        return partial(self.node, kind)

    def node(self, kind: str, *given: Any, **attributes: Any) -> Value:
        """Add a node; numbers take the dtype of the first Value, but for a condition."""
        return self.outputs_of(kind, 1, *given, **attributes)[0]

    def outputs_of(self, kind: str, n: int, *given: Any, **attributes: Any) -> list[Value]:
        """Add a node with some outputs."""
        dtype = next(x.dtype for x in given[kind == "Where" :] if isinstance(x, Value))
        values = [
            x if isinstance(x, Value | None) else self.constant(np.asarray(x, dtype)) for x in given
        ]
        names = ["" if x is None else x.name for x in values]
        key = (kind, *names, repr(sorted(attributes.items())))
        if n == 1 and key in self._known:
            return [self._known[key]]
        outputs = [self.free_name(f"{self.scope}{kind}") for _ in range(n)]
        self.nodes.append(
            onnx().helper.make_node(kind, names, outputs, name=outputs[0], **attributes)
        )
        if kind in BOOLEAN:
            dtype = BOOL
        elif kind in INDICES:
            dtype = INT64
        elif kind == "Cast":
            dtype = onnx().helper.tensor_dtype_to_np_dtype(attributes["to"])
        found = [Value(self, name, dtype) for name in outputs]
        self._known[key] = found[0]
        return found

    def constant(self, value: Any, name: str = "") -> Value:
        """Add a constant, which has the name of its own if one is given."""
        array = np.asarray(value)
        small = not name and array.size <= INLINE
        key = (array.dtype, array.shape, array.tobytes()) if small else None
        if key in self._known:
            return self._known[key]
        found = self.free_name(name or "constant")
        if array.dtype.kind == "U":
            array = array.astype(object)
        self.constants.append(onnx().numpy_helper.from_array(np.array(array, order="C"), found))
        constant = Value(self, found, array.dtype, array if small else None)
        if key is not None:
            self._known[key] = constant
        return constant

    # ── Inputs and outputs ────────────────────────────────────────────────────────────────────

    def input(self, name: str, dtype: Any, shape: Sequence[Any], default: Any = None) -> Value:
        """Add an input, which can have a value that it has if it is not given."""
        found = self.free_name(name)
        self.inputs.append(_typed(found, dtype, shape))
        if default is not None:
            array = np.array(default, dtype, order="C")
            self.constants.append(onnx().numpy_helper.from_array(array, found))
        value = Value(self, found, dtype)
        if self._batch is None and shape and isinstance(shape[0], Length):
            self._batch = self.Shape(value, start=0, end=1)
        return value

    def output(self, value: Value, name: str, shape: Sequence[Any]) -> str:
        """Add an output, and return its name."""
        found = self.free_name(name)
        self.nodes.append(onnx().helper.make_node("Identity", [value.name], [found], name=found))
        self.outputs.append(_typed(found, value.dtype, shape))
        return found

    # ── Shapes ────────────────────────────────────────────────────────────────────────────────

    def integers(self, values: Sequence[int | Length]) -> Value:
        """A vector of integers, of which some depend on the size of the batch."""
        if not any(isinstance(x, Length) for x in values):
            return self.constant(np.array(values, np.int64).reshape(-1))
        parts = [
            self.length(x) if isinstance(x, Length) else self.constant(np.array([x], np.int64))
            for x in values
        ]
        return self.Concat(*parts, axis=0) if len(parts) > 1 else parts[0]

    def length(self, length: Length) -> Value:
        """factor · N + offset, as a vector of one element."""
        assert self._batch is not None
        n = self._batch
        n = n * length.factor if length.factor != 1 else n
        return n + length.offset if length.offset else n

    def reshape(self, x: Value, shape: Sequence[int | Length]) -> Value:
        """The same elements in another shape."""
        unknown = [i for i, n in enumerate(shape) if isinstance(n, Length)]
        if len(unknown) == 1 and 0 not in shape:  # the length that follows from the others
            return self.Reshape(
                x, self.integers([-1 if i in unknown else n for i, n in enumerate(shape)])
            )
        return self.Reshape(x, self.integers(shape), allowzero=int(0 in shape))

    def expand(self, x: Value, shape: Sequence[int | Length]) -> Value:
        """The same, repeated to a shape."""
        if 0 in shape:  # of which ONNX Runtime makes 1
            return self.zeros(shape, x.dtype)
        return self.Expand(x, self.integers(shape))

    def zeros(self, shape: Sequence[int | Length], dtype: Any) -> Value:
        """Zeros of a shape."""
        zero = onnx().numpy_helper.from_array(np.zeros(1, dtype))
        made = self.ConstantOfShape(self.integers(shape), value=zero)
        return Value(self, made.name, dtype)

    def arange(self, n: int | Length, step: int = 1) -> Value:
        """0, step, 2·step, ..., n of them."""
        if not isinstance(n, Length):
            return self.constant(np.arange(n, dtype=np.int64) * step)
        zero, one = (self.constant(np.int64(x)) for x in (0, 1))
        counted = self.Range(zero, self.Reshape(self.length(n), self.integers([])), one)
        return counted * step if step != 1 else counted

    # ── The end ───────────────────────────────────────────────────────────────────────────────

    def model(self, name: str, texts: dict[str, str]) -> bytes:
        """The file, once ONNX's checker has found it whole.

        Raises
        ------
        ValueError
            The checker has found a fault, or the file would be larger than 2 GB.
        """
        helper = onnx().helper
        nodes, constants = self._used()
        graph = helper.make_graph(nodes, printable(name), self.inputs, self.outputs, constants)
        model = helper.make_model(
            graph,
            producer_name="tinygrad_ce",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        helper.set_model_props(model, texts)
        try:
            onnx().checker.check_model(model, full_check=True)
            content: bytes = model.SerializeToString()
        except Exception as error:  # of protobuf and of the checker, which have no common class
            raise ValueError(f"{printable(name)} makes no file of ONNX: {error}") from error
        return content

    def _used(self) -> tuple[list[Any], list[Any]]:
        """The nodes and constants from which outputs are made, and the defaults of inputs."""
        needed = {x.name for x in (*self.inputs, *self.outputs)}
        nodes = []
        for node in reversed(self.nodes):
            if not needed.isdisjoint(node.output):
                needed.update(node.input)
                nodes.append(node)
        return nodes[::-1], [x for x in self.constants if x.name in needed]


def _typed(name: str, dtype: Any, shape: Sequence[Any]) -> Any:
    kind = np.dtype(dtype)
    helper = onnx().helper
    number = (
        onnx().TensorProto.STRING if kind.kind in "OU" else helper.np_dtype_to_tensor_dtype(kind)
    )
    return helper.make_tensor_value_info(
        name, number, [str(n) if isinstance(n, Length) else n for n in shape]
    )


def onnx() -> Any:
    """The package of this name, or an ImportError that says how to install it."""
    try:
        return import_module("onnx")
    except ImportError:
        raise ImportError(
            'onnx writes the file, and is not installed: pip install "tinygrad-ce[onnx]"'
        ) from None
