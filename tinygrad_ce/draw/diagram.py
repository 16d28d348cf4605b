"""What is drawn: boxes of tensors, primitives and edges, before any thought of how they look.

A `Diagram` is plain data, made in passes over the nodes in order of creation, without recursion.
Its numbers (box t7, oval p7, scope s2) count the nodes and scopes of the whole graph, whatever is
folded: they are the same from run to run, and the same however the graph is folded.

**Where a tensor is drawn.** What was computed is in the frame of the scope that computed it. A
leaf is where it is used: a Linear's weight inside the Linear, since nothing else uses it. Two
exceptions keep the inputs of a scope in sight: a named leaf without gradient is an input, and is
outside of all scopes; and where a scope would have no edge coming in, such as a softmax of logits
that are leaves themselves, its leaves are outside of it.

**A folded scope** is one box, with what it computes for others after it, like a large primitive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from numpy.typing import NDArray

from ..engine.graph import FreedGraphError, topological_order
from ..engine.primitives import Primitive
from ..engine.tensor import Tensor
from ..engine.transforms import gradients_where_reached
from . import formatting as text
from .scopes import (
    MAX_NESTING,
    ScopeFrame,
    ScopeFrames,
    enclosing,
    innermost_common,
    legible_depth,
    merge_repeats,
)

# More tensors than this are refused: nobody could read them, and laying them out takes long.
MAX_TENSORS = 2_000

# With this many boxes and primitives, a layout need not be the best; with the second number, less.
LARGE = 150
VERY_LARGE = 600


class Kind(Enum):
    """What a tensor is to the graph."""

    PARAMETER = auto()
    INPUT = auto()
    CONSTANT = auto()
    INTERMEDIATE = auto()
    OUTPUT = auto()


@dataclass(eq=False, slots=True)
class TensorBox:
    """A tensor, and in which frame it is drawn; `gradient` is None where no gradient reaches it.

    `name` is the tensor's own, numbered where others of the graph have it too: two layers have a
    weight each, and a Tensor does not know of which layer it is.
    """

    number: int
    tensor: Tensor
    kind: Kind
    frame: ScopeFrame | None
    name: str
    gradient: NDArray[Any] | None = None

    @property
    def id(self) -> str:
        """What it is called in DOT."""
        return f"t{self.number}"


@dataclass(eq=False, slots=True)
class OpNode:
    """One application of a primitive, with the number of the tensor that it made."""

    number: int
    primitive: Primitive
    params: tuple[Any, ...]
    frame: ScopeFrame | None

    @property
    def id(self) -> str:
        """What it is called in DOT."""
        return f"p{self.number}"


@dataclass(frozen=True, slots=True)
class Edge:
    """From a tensor to what uses it, or from what made a tensor to the tensor.

    `argument` says which argument the tensor is, where that matters and is not plain to see;
    `differentiable` tells whether a gradient can come back this way, `makes` whether the tensor is
    the result, `enters` whether the edge leads into the frame of a scope. `uses` names the uses
    that it represents: p3.0 is argument 0 of primitive p3, p3.y its result; into a folded scope,
    there can be several.
    """

    source: str
    target: str
    argument: str = ""
    differentiable: bool = True
    makes: bool = False
    enters: bool = False
    uses: str = field(default="", compare=False)


@dataclass(slots=True)
class Diagram:
    """All that is drawn.

    `size` counts the tensors of the graph, the folded ones too; `differentiated` tells whether
    there are gradients of the outputs; `folded_into` in which folded scope a tensor or a primitive
    is; `automatic_depth` is the depth at which it was folded unasked, or None.
    """

    outputs: list[Tensor]
    size: int
    boxes: list[TensorBox] = field(default_factory=list)
    ops: list[OpNode] = field(default_factory=list)
    frames: list[ScopeFrame] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    differentiated: bool = False
    folded_into: dict[str, str] = field(default_factory=dict)
    automatic_depth: int | None = None

    @property
    def layout_limits(self) -> dict[str, str]:
        """What Graphviz is told of a large diagram: limits to its search for the best layout.

        `mclimit` is for the search for fewer crossings: without it, a tensor that a hundred layers
        use takes a minute to place. A lower `nslimit` would save nothing more, and tangle what is
        orderly.
        """
        folds = sum(frame.folded for frame in self.frames)
        parts = len(self.boxes) + len(self.ops) + folds
        if parts < LARGE:
            return {}
        return {"nslimit": "1", "nslimit1": "1", "mclimit": "0.1" if parts < VERY_LARGE else "0.03"}


def diagram_of(
    outputs: Sequence[Tensor],
    depth: int | None = None,
    *,
    gradients: bool = True,
) -> Diagram:
    """Return the diagram of the graph of some tensors, its scopes folded from level `depth` on.

    Parameters
    ----------
    outputs
        The tensors.
    depth
        Scopes at this level are folded. By default none, unless there are more than
        `scopes.MAX_OPEN` tensors; then those from the level on that it takes to come below.
    gradients
        Whether gradients are wanted.

    Raises
    ------
    FreedGraphError
        A part of the graph was freed by backward().
    ValueError
        There is more to draw than `MAX_TENSORS`.
    """
    nodes = nodes_of(outputs)
    unasked = legible_depth(nodes) if depth is None else None
    depth = depth or unasked
    frames = ScopeFrames(MAX_NESTING if depth is None else min(depth, MAX_NESTING))
    made_in = [frames.of(node.scope) for node in nodes]
    certain = sum(
        node.primitive is not None and (frame is None or not frame.folded)
        for node, frame in zip(nodes, made_in, strict=True)
    )
    _refuse_too_many(outputs[0], len(nodes), certain, depth)
    placement = _Placement(nodes, made_in, outputs)
    diagram = Diagram(list(outputs), len(nodes), automatic_depth=unasked)
    diagram.frames = [frame for frame in frames.all if frame.size]
    diagram.boxes = placement.boxes()
    _refuse_too_many(outputs[0], len(nodes), len(diagram.boxes), depth)
    diagram.ops = placement.ops()
    diagram.edges = placement.edges()
    diagram.folded_into = placement.folded_into()
    if gradients and differentiable(outputs):
        diagram.differentiated = True
        _add_gradients(outputs, diagram.boxes)
    return diagram


def differentiable(outputs: Sequence[Tensor]) -> bool:
    """Whether gradients of these outputs can be drawn: of numbers, one of which requires one."""
    return all(output.size == 1 for output in outputs) and any(
        output.requires_grad for output in outputs
    )


def nodes_of(outputs: Sequence[Tensor]) -> list[Tensor]:
    """Return all tensors of the graph of some, in order of creation."""
    try:
        return topological_order(*outputs)
    except FreedGraphError as error:
        remedy = "draw before backward(), or call backward(retain_graph=True)"
        raise FreedGraphError(error.node, remedy) from None


def _refuse_too_many(output: Tensor, size: int, shown: int, depth: int | None) -> None:
    if shown <= MAX_TENSORS:
        return
    which = "" if depth is None else f", {shown:,} of them outside of what depth={depth} folds"
    raise ValueError(
        f"the graph of {output.label()} has {size:,} tensors{which}; more than {MAX_TENSORS:,} "
        "cannot be laid out legibly: draw a smaller part (an intermediate tensor, fewer steps), "
        "or fold its scopes with depth=1, which needs parts computed inside tg.scope(...)"
    )


def _add_gradients(outputs: Sequence[Tensor], boxes: Sequence[TensorBox]) -> None:
    """The gradients of the output, or of the sum of several: what backward() of each adds up."""
    wanted = [box for box in boxes if box.tensor.requires_grad]
    for output in outputs:
        if not output.requires_grad:
            continue
        found = gradients_where_reached(output, [box.tensor for box in wanted])
        for box, gradient in zip(wanted, found, strict=True):
            if gradient is not None and box.gradient is not None:
                gradient = box.gradient + gradient
            box.gradient = box.gradient if gradient is None else gradient


# ── Which tensor is drawn where ───────────────────────────────────────────────────────────────────


class _Placement:
    """The nodes of a graph, each with the frame that it belongs to."""

    def __init__(
        self,
        nodes: list[Tensor],
        made_in: list[ScopeFrame | None],
        outputs: Sequence[Tensor],
    ) -> None:
        self.nodes = nodes
        number = {id(node): i for i, node in enumerate(nodes)}
        self.sources = [tuple(number[id(s)] for s in node.inputs or ()) for node in nodes]
        self.outputs = {number[id(output)] for output in outputs}
        self.kind = [kind_of(node, i in self.outputs) for i, node in enumerate(nodes)]
        self.frame = made_in
        self._put_leaves_where_they_are_used()
        self._keep_leaves_in_sight()
        self.frame = merge_repeats(nodes, self.frame)
        for frame in self.frame:
            for around in enclosing(frame):
                around.size += 1
        self.hidden = self._hidden()

    def _uses(self) -> Iterator[tuple[int, int]]:
        """The numbers of an input and of the node it is an input of, in order of arguments."""
        for user, sources in enumerate(self.sources):
            for source in sources:
                yield source, user

    def _movable(self, i: int) -> bool:
        return self.nodes[i].primitive is None and self.kind[i] is not Kind.INPUT

    def _put_leaves_where_they_are_used(self) -> None:
        """Into the innermost frame around all uses; inputs are outside of all."""
        placed: set[int] = set()
        for source, user in self._uses():
            if self._movable(source):
                frame = self.frame[user]
                if source in placed:
                    frame = innermost_common(self.frame[source], frame)
                self.frame[source] = frame
                placed.add(source)
        self.frame = [
            None if kind is Kind.INPUT else frame
            for kind, frame in zip(self.kind, self.frame, strict=True)
        ]

    def _keep_leaves_in_sight(self) -> None:
        """Where no edge would come into a frame, its leaves move out of it.

        Not so plain numbers, nor what was computed in the frame without a gradient.
        """
        for source, user in self._uses():
            inside, outside = self.frame[user], self.frame[source]
            if inside is not outside and not self._movable(source):
                for frame in enclosing(inside, innermost_common(inside, outside)):
                    frame.has_input = True
        for i, node in enumerate(self.nodes):
            number = node.ndim == 0 and self.kind[i] is Kind.CONSTANT
            if self._movable(i) and node.scope is None and not number:
                self.frame[i] = next((r for r in enclosing(self.frame[i]) if r.has_input), None)

    def _hidden(self) -> list[bool]:
        """Which tensors are inside a folded frame, and used nowhere else."""
        hidden = [frame is not None and frame.folded for frame in self.frame]
        for output in self.outputs:
            hidden[output] = False
        for source, user in self._uses():
            if self.frame[source] is not self.frame[user]:
                hidden[source] = False
        return hidden

    def folded_into(self) -> dict[str, str]:
        """In which folded frame each tensor and primitive is that is not drawn itself."""
        found = {}
        for i, hidden in enumerate(self.hidden):
            if (fold := self._fold(i)) is not None:
                found[f"p{i}"] = fold.id
                if hidden:
                    found[f"t{i}"] = fold.id
        return found

    def _fold(self, i: int) -> ScopeFrame | None:
        """The folded frame that the i-th node belongs to, if it belongs to one."""
        frame = self.frame[i]
        return frame if frame is not None and frame.folded else None

    def _frame(self, i: int) -> ScopeFrame | None:
        """The open frame in which the i-th node is drawn."""
        fold = self._fold(i)
        return self.frame[i] if fold is None else fold.outer

    # ── What is drawn ─────────────────────────────────────────────────────────────────────────

    def boxes(self) -> list[TensorBox]:
        names = text.number_duplicates(
            [text.printable(str(node.name or "")) for node in self.nodes]
        )
        return [
            TensorBox(i, node, self.kind[i], self._frame(i), names[i])
            for i, node in enumerate(self.nodes)
            if not self.hidden[i]
        ]

    def ops(self) -> list[OpNode]:
        return [
            OpNode(i, node.primitive, node.params, self.frame[i])
            for i, node in enumerate(self.nodes)
            if node.primitive is not None and self._fold(i) is None
        ]

    def edges(self) -> list[Edge]:
        """Edges in order of creation and of arguments; into a folded scope, one from each box."""
        drawn: list[Edge] = []
        into_folds: dict[Edge, list[str]] = {}
        for i, node in enumerate(self.nodes):
            if node.primitive is None:
                continue
            fold = self._fold(i)
            if fold is None:
                drawn += self._arguments(i, node.primitive)
            else:
                for edge in self._into(fold, i):
                    if edge not in into_folds:
                        into_folds[edge] = []
                        drawn.append(edge)
                    into_folds[edge].append(edge.uses)
            if not self.hidden[i]:
                maker = f"p{i}" if fold is None else fold.id
                made = Edge(maker, f"t{i}", "", node.requires_grad, makes=True, uses=f"p{i}.y")
                drawn.append(made)
        return [
            replace(edge, uses=" ".join(into_folds[edge])) if edge in into_folds else edge
            for edge in drawn
        ]

    def _arguments(self, i: int, primitive: Primitive) -> Iterator[Edge]:
        """The edges into a primitive, one for each argument."""
        sources = self.sources[i]
        for place, source in enumerate(sources):
            distinct = len(set(sources)) > 1
            letter = _argument(primitive, place, len(sources)) if distinct else ""
            yield self._use(source, f"p{i}", self.frame[i], f"p{i}.{place}", letter)

    def _into(self, fold: ScopeFrame, i: int) -> Iterator[Edge]:
        """The edges into a folded frame that a node in it brings along."""
        for place, source in enumerate(self.sources[i]):
            if self.frame[source] is not fold:
                yield self._use(source, fold.id, fold.outer, f"p{i}.{place}")

    def _use(
        self, source: int, user: str, frame: ScopeFrame | None, uses: str, letter: str = ""
    ) -> Edge:
        enters = innermost_common(self._frame(source), frame) is not frame
        differentiable = self.nodes[source].requires_grad
        return Edge(f"t{source}", user, letter, differentiable, enters=enters, uses=uses)


def kind_of(node: Tensor, is_output: bool) -> Kind:
    """What a tensor is to the graph."""
    if is_output:
        return Kind.OUTPUT
    if node.primitive is not None:
        return Kind.INTERMEDIATE
    if node.requires_grad:
        return Kind.PARAMETER
    return Kind.INPUT if node.name else Kind.CONSTANT


_SYMMETRIC = frozenset(
    ("add", "multiply", "maximum", "minimum", "equal", "not_equal", "logical_and", "logical_or")
)


def _argument(primitive: Primitive, place: int, number: int) -> str:
    """What to write at the edge of an argument, in the letters of the primitive's formula."""
    if primitive.name in _SYMMETRIC:
        return ""
    if "index_template" in primitive.params:
        return "i" if place else ""
    if primitive.name == "where":
        return "cab"[place]
    return "ab"[place] if number == 2 else str(place + 1)
