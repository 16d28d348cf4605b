"""The graph: nodes that remember how they were made, the scopes they were made in, and their order.

A `Tensor` is a Node with operators. Backprop and all readers of a graph need no more of it than
what is written down here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np

from ..arguments import check_flag, check_kind
from ..other_names import Size
from .array_types import Arguments, DType, Value
from .names import printable
from .primitives import Primitive

_creation = attrgetter("index")

AnyNode = TypeVar("AnyNode", bound="Node")  # a Tensor's inputs are Tensors, and so on


class Scope:
    """A named part of a computation: one call of a softmax, one layer.

    Every entry of ``with scope("softmax"):`` makes a new Scope, so two calls are two scopes of the
    same name. `parent` is the scope around it, or None.
    """

    __slots__ = ("__weakref__", "name", "parent")

    def __init__(self, name: str, parent: Scope | None) -> None:
        self.name = name
        self.parent = parent

    @property
    def path(self) -> str:
        """The names from the outermost scope to this one, joined by ``/``."""
        names = []
        scope: Scope | None = self
        while scope is not None:
            names.append(scope.name)
            scope = scope.parent
        return "/".join(reversed(names))

    def __repr__(self) -> str:
        return f"Scope({self.path!r})"


class Node:
    """A value that remembers how it was made.

    Attributes
    ----------
    primitive
        The entry in primitives.py that computed it, or None for a leaf.
    inputs
        The nodes it was made from, in the order of the arguments (a * a has two). None once
        backward() has freed the graph.
    params
        The parameters with which the primitive was called, such as an axis.
    scope
        The scope in which it was made, or None.
    index
        The number of its creation: larger than that of any of its inputs.
    requires_grad
        Whether gradients flow to it.
    """

    __slots__ = (
        "__weakref__",
        "_arguments",
        "_grad",
        "_requires_grad",
        "_retains_grad",
        "_tracked_since",
        "_value",
        "index",
        "inputs",
        "name",
        "primitive",
        "scope",
    )

    _value: Value  # an array, a NumPy scalar where it is 0-d, or a Python number
    _arguments: Arguments
    _grad: Value | None
    # The creation index from which on uses of this node pass a gradient to it; NEVER where none is
    # required. Backprop asks this once for each edge.
    _tracked_since: int
    _requires_grad: bool
    # Whether backward() stores the gradient here, though this is no leaf; None once it has used up
    # the graph, of which the inputs may still be there, for a drawing.
    _retains_grad: bool | None
    index: int
    inputs: tuple[Node, ...] | None
    name: str | None
    primitive: Primitive | None
    scope: Scope | None

    __hash__ = object.__hash__

    @property
    def params(self) -> Arguments:
        """The parameters with which the primitive was called, after its inputs."""
        return self._arguments[len(self.inputs or ()) :]

    @property
    def shape(self) -> tuple[int, ...]:
        """The length along each axis."""
        try:
            shape: tuple[int, ...] = self._value.shape
        except AttributeError:  # a Python number
            return ()
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return Size(math.prod(self.shape))

    @property
    def dtype(self) -> DType:
        """The NumPy dtype of the value."""
        try:
            dtype: DType = self._value.dtype
        except AttributeError:  # a Python number
            return np.result_type(self._value)
        return dtype

    def label(self) -> str:
        """Return what to call this node in a message."""
        if self.name is not None:
            return f"tensor '{printable(self.name, 80)}'"
        made = f"{self.primitive.name} result" if self.primitive else "tensor"
        return f"the {made} of shape {self.shape}"

    def current_arguments(self) -> Arguments:
        """Return the arguments with nodes in place of values, for rules that record a graph.

        Raises
        ------
        RuntimeError
            An input was assigned a new value after this node was computed from it.
        """
        inputs = self.inputs or ()
        for source, value in zip(inputs, self._arguments, strict=False):
            if source._value is not value:
                raise RuntimeError(
                    f"{source.label()} was assigned a new value after {self.label()} was computed "
                    "from it; a graph of the gradient would mix the two: compute the output again"
                )
        return inputs + self._arguments[len(inputs) :]


class FreedGraphError(RuntimeError):
    """The graph was freed by an earlier backward().

    >>> import tinygrad_ce as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> y.backward()
    >>> y.backward()
    Traceback (most recent call last):
        ...
    tinygrad_ce.engine.graph.FreedGraphError: the graph behind the multiply result of shape () has
    been freed by an earlier backward(), or a compiled step has kept none; call
    backward(retain_graph=True) the first time to walk it again, or compute the output again
    """

    def __init__(
        self,
        node: Node,
        remedy: str = "call backward(retain_graph=True) the first time to walk it again",
    ) -> None:
        self.node = node
        super().__init__(
            f"the graph behind {node.label()} has been freed by an earlier backward(), or a "
            f"compiled step has kept none; {remedy}, or compute the output again"
        )


def topological_order(*outputs: AnyNode, grad_only: bool = False) -> list[AnyNode]:
    """Return all nodes from which the outputs were made, inputs before what is made from them.

    Parameters
    ----------
    outputs
        Nodes.
    grad_only
        Leave out whatever needs no gradient.

    Raises
    ------
    FreedGraphError
        A part of the graph was freed by backward().

    Notes
    -----
    Inputs are made before what is made from them, so the order of creation is a topological one,
    and sorting by it replaces a depth-first search. No recursion: a graph may be a million deep.

    >>> import tinygrad_ce as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> [str(node.primitive) for node in topological_order((x * x).sum())]
    ['None', '<primitive multiply>', '<primitive sum>']
    """
    for node in outputs:
        check_kind("an output", node, Node, "a Tensor")
    check_flag("grad_only", grad_only)
    seen: set[int] = set()
    nodes: list[AnyNode] = []
    todo: list[Any] = [node for node in outputs if node._requires_grad or not grad_only]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        nodes.append(node)
        inputs = node.inputs
        if inputs is None or node._retains_grad is None:
            raise FreedGraphError(node)
        todo += [s for s in inputs if s._requires_grad] if grad_only else inputs
    nodes.sort(key=_creation)
    return nodes


def before_backward(*outputs: AnyNode) -> list[AnyNode]:
    """Return the outputs, and where backward() has used up their graph, copies with a whole graph.

    The copies have the values, names, scopes and numbers of the nodes. Leaves are copied only where
    they have been assigned another value since.

    Raises
    ------
    FreedGraphError
        The graph was too large to be kept.

    >>> import tinygrad_ce as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> y.backward()
    >>> before_backward(y)[0].inputs == (x, x)
    True
    """
    seen: dict[int, Any] = {}
    todo: list[Any] = [*outputs]
    while todo:
        node = todo.pop()
        if id(node) not in seen:
            if node.inputs is None:
                raise FreedGraphError(node)
            seen[id(node)] = node
            todo += node.inputs
    if all(node._retains_grad is not None for node in seen.values()):
        return [*outputs]
    copies: dict[tuple[int, int], Any] = {}  # by node and value
    for node in sorted(seen.values(), key=_creation):
        if node.primitive is None:
            copies[id(node), id(node._value)] = node
            continue
        copy = copies[id(node), id(node._value)] = _copy_of(node)
        pairs = list(zip(node.inputs, node._arguments, strict=False))
        for source, value in pairs:
            if (id(source), id(value)) not in copies:
                copies[id(source), id(value)] = earlier = _copy_of(source)
                earlier._value = value
        copy.inputs = tuple(copies[id(source), id(value)] for source, value in pairs)
    return [copies[id(node), id(node._value)] for node in outputs]


def _copy_of(node: AnyNode) -> AnyNode:
    copy = object.__new__(type(node))
    for slot in _COPIED:
        setattr(copy, slot, getattr(node, slot))
    copy._retains_grad = False
    return copy


_COPIED = frozenset(Node.__slots__) - {"__weakref__"}


def nodes_between(sources: Sequence[AnyNode], output: AnyNode) -> list[AnyNode]:
    """Return the nodes on paths from the sources to the output, both included, in order."""
    reached = {id(node) for node in sources}
    between = []
    for node in topological_order(output, grad_only=True):
        if id(node) in reached or any(id(source) in reached for source in node.inputs or ()):
            reached.add(id(node))
            between.append(node)
    return between
