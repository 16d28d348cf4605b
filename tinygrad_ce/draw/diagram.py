"""What is drawn: the boxes, ovals and arrows of a graph, before any thought of how they look.

A `Picture` is plain data, made in passes over the nodes in order of creation, without recursion.
Its numbers (box t7, oval p7, scope s2) count the nodes and scopes of the whole graph, whatever is
folded: they are the same from run to run, and the same however the graph is folded.

**Where a tensor is drawn.** What was computed stands in the frame of the scope that computed it. A
leaf stands where it is used: a Linear's weight inside the Linear, since nothing else uses it. Two
exceptions keep the inputs of a scope in sight: a named leaf without gradient is an input, and
stands outside of all scopes; and where a scope would have no arrow coming in, such as a softmax of
logits that are leaves themselves, its leaves stand outside of it.

**A folded scope** is one box, with what it computes for others behind it, like a large primitive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from numpy.typing import NDArray

from ..engine.graph import FreedGraphError, Scope, topological_order
from ..engine.primitives import Primitive
from ..engine.tensor import Tensor
from ..engine.transforms import gradients_where_reached
from . import formatting as text

# More tensors than this are refused: nobody could read them, and laying them out takes long.
MAX_TENSORS = 2_000

# With more than this, scopes are folded unless a depth is given.
MAX_OPEN = 500

# With this many boxes and ovals, a layout need not be the best; with the second number, less so.
LARGE = 150
VERY_LARGE = 600

# Scopes nested deeper than this are folded: Graphviz walks nested clusters by recursion.
MAX_NESTING = 32


class Kind(Enum):
    """What a tensor is to the graph."""

    PARAMETER = auto()
    INPUT = auto()
    CONSTANT = auto()
    INTERMEDIATE = auto()
    OUTPUT = auto()


@dataclass(eq=False, slots=True)
class Region:
    """A scope as it is drawn: an open frame, or folded to one box.

    `size` counts the tensors in it, `fed` tells whether an arrow comes in from outside, `times`
    how many scopes alike it stands for.
    """

    number: int
    name: str
    outer: Region | None
    level: int
    folded: bool
    size: int = 0
    fed: bool = False
    times: int = 1

    @property
    def id(self) -> str:
        """What it is called in DOT."""
        return f"s{self.number}"


@dataclass(eq=False, slots=True)
class Box:
    """A tensor, and in which frame it is drawn; `gradient` is None where no gradient reaches it.

    `name` is the tensor's own, numbered where others of the graph have it too: two layers have a
    weight each, and a Tensor does not know of which layer it is.
    """

    number: int
    tensor: Tensor
    kind: Kind
    region: Region | None
    name: str
    gradient: NDArray[Any] | None = None

    @property
    def id(self) -> str:
        """What it is called in DOT."""
        return f"t{self.number}"


@dataclass(eq=False, slots=True)
class Oval:
    """One application of a primitive, with the number of the tensor that it made."""

    number: int
    primitive: Primitive
    params: tuple[Any, ...]
    region: Region | None

    @property
    def id(self) -> str:
        """What it is called in DOT."""
        return f"p{self.number}"


@dataclass(frozen=True, slots=True)
class Arrow:
    """From a tensor to what uses it, or from what made a tensor to the tensor.

    `argument` says which argument the tensor is, where that matters and is not plain to see;
    `differentiable` tells whether a gradient can come back this way, `makes` whether the tensor is
    the result, `enters` whether the arrow leads into the frame of a scope. `uses` names what it
    stands for: p3.0 is argument 0 of primitive p3, p3.y its result; into a folded scope, there can
    be several.
    """

    source: str
    target: str
    argument: str = ""
    differentiable: bool = True
    makes: bool = False
    enters: bool = False
    uses: str = field(default="", compare=False)


@dataclass(slots=True)
class Picture:
    """All that is drawn.

    `size` counts the tensors of the graph, the folded ones too; `differentiated` tells whether
    there are gradients of the outputs; `inside` in which folded scope a tensor or a primitive is;
    `depth` the depth at which it was folded unasked, or None.
    """

    outputs: list[Tensor]
    size: int
    boxes: list[Box] = field(default_factory=list)
    ovals: list[Oval] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    differentiated: bool = False
    inside: dict[str, str] = field(default_factory=dict)
    depth: int | None = None

    @property
    def effort(self) -> dict[str, str]:
        """What Graphviz is told of a large picture: a limit to its search for the best layout.

        `mclimit` is for the search for fewer crossings. A tensor that a hundred layers use takes a
        minute to place without it, and two seconds with it, and the picture is none the worse. Of a
        tangle of 500 tensors, a limit of 0.03 leaves a tenth more crossings than 0.3, in a third of
        the time. A lower `nslimit` would save nothing more, and tangle what is orderly.
        """
        folds = sum(region.folded for region in self.regions)
        parts = len(self.boxes) + len(self.ovals) + folds
        if parts < LARGE:
            return {}
        return {"nslimit": "1", "nslimit1": "1", "mclimit": "0.1" if parts < VERY_LARGE else "0.03"}


def picture_of(
    outputs: Sequence[Tensor],
    depth: int | None = None,
    *,
    folds: frozenset[str] | None = None,
    gradients: bool = True,
) -> Picture:
    """The picture of the graph behind some tensors, its scopes folded from level `depth` on.

    Parameters
    ----------
    outputs
        The tensors.
    depth
        Scopes at this level are folded. By default none, unless there are more than
        `MAX_OPEN` tensors; then those from the level on that it takes to come below.
    folds
        The ids of the scopes to fold, in the place of `depth`.
    gradients
        Whether gradients are wanted.

    Raises
    ------
    FreedGraphError
        A part of the graph was freed by backward().
    ValueError
        There is more to draw than `MAX_TENSORS`.
    """
    nodes = nodes_behind(outputs)
    unasked = None
    if depth is None and folds is None:
        depth = unasked = _depth_to_be_legible(nodes)
    regions = _Regions(MAX_NESTING if depth is None else min(depth, MAX_NESTING), folds)
    made_in = [regions.of(node.scope) for node in nodes]
    certain = sum(
        node.primitive is not None and (region is None or not region.folded)
        for node, region in zip(nodes, made_in, strict=True)
    )
    _refuse_too_many(outputs[0], len(nodes), certain, depth)
    places = _Places(nodes, made_in, outputs, merge=folds is None)
    picture = Picture(list(outputs), len(nodes), depth=unasked)
    picture.regions = [region for region in regions.all if region.size]
    picture.boxes = places.boxes()
    _refuse_too_many(outputs[0], len(nodes), len(picture.boxes), depth)
    picture.ovals = places.ovals()
    picture.arrows = places.arrows()
    picture.inside = places.inside()
    if gradients and differentiable(outputs):
        picture.differentiated = True
        _add_gradients(outputs, picture.boxes)
    return picture


def differentiable(outputs: Sequence[Tensor]) -> bool:
    """Whether gradients of these outputs can be drawn: of numbers, one of which requires one."""
    return all(output.size == 1 for output in outputs) and any(
        output.requires_grad for output in outputs
    )


def _depth_to_be_legible(nodes: Sequence[Tensor]) -> int | None:
    """The depth at which at most `MAX_OPEN` tensors stay open; None if all can, or none helps."""
    if len(nodes) <= MAX_OPEN:
        return None
    levels = Counter(_level(node.scope) for node in nodes if node.primitive is not None)
    deepest = max(levels, default=0)
    for depth in range(min(deepest, MAX_NESTING), 0, -1):
        if sum(n for level, n in levels.items() if level < depth) <= MAX_OPEN:
            return depth
    return 1 if deepest else None


def _level(scope: Scope | None) -> int:
    level = 0
    while scope is not None and level <= MAX_NESTING:
        level, scope = level + 1, scope.parent
    return level


def nodes_behind(outputs: Sequence[Tensor]) -> list[Tensor]:
    """All tensors of the graph behind some, in order of creation."""
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


def _add_gradients(outputs: Sequence[Tensor], boxes: Sequence[Box]) -> None:
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


# ── Scopes ────────────────────────────────────────────────────────────────────────────────────────


class _Regions:
    """The region of each scope, and of scopes inside a folded one: that one."""

    def __init__(self, depth: int, folds: frozenset[str] | None) -> None:
        self.depth = depth
        self.folds = folds
        self.all: list[Region] = []
        self._known: dict[int, Region] = {}

    def of(self, scope: Scope | None) -> Region | None:
        unknown = []
        while scope is not None and id(scope) not in self._known:
            unknown.append(scope)
            scope = scope.parent
        region = None if scope is None else self._known[id(scope)]
        for scope in reversed(unknown):
            region = self._inside(region, scope)
            self._known[id(scope)] = region
        return region

    def _inside(self, outer: Region | None, scope: Scope) -> Region:
        if outer is not None and outer.folded:
            return outer
        level = 1 if outer is None else outer.level + 1
        folded = level >= self.depth
        if self.folds is not None and not folded:
            folded = f"s{len(self._known)}" in self.folds
        region = Region(len(self._known), scope.name, outer, level, folded)
        self.all.append(region)
        return region


def _outward(region: Region | None, until: Region | None = None) -> Iterator[Region]:
    """This region and those around it, from the inside out, up to but not including `until`."""
    while region is not None and region is not until:
        yield region
        region = region.outer


def _common(a: Region | None, b: Region | None) -> Region | None:
    """The innermost region around both."""
    while a is not b:
        if b is None or (a is not None and a.level >= b.level):
            assert a is not None
            a = a.outer
        else:
            b = b.outer
    return a


def _alike_as_one(nodes: Sequence[Tensor], made_in: list[Region | None]) -> list[Region | None]:
    """Of folded scopes that follow one another and are alike, the first stands for all.

    Alike are scopes of one name inside one scope, that compute the same primitives on the same
    shapes. What is computed between them keeps them apart: they would be drawn in a circle.
    """
    runs: list[tuple[Region | None, list[Any]]] = []
    for node, region in zip(nodes, made_in, strict=True):
        if node.primitive is None:
            continue
        if not runs or runs[-1][0] is not region:
            runs.append((region, []))
        runs[-1][1].append((node.primitive.name, node.shape))
    entered = Counter(id(region) for region, _ in runs)
    stands_for: dict[int, Region] = {}
    last: tuple[Region, list[Any]] | None = None
    for region, made in runs:
        if region is None or not region.folded or entered[id(region)] > 1:
            last = None
        elif last is not None and _alike(last[0], region) and last[1] == made:
            last[0].times += 1
            stands_for[id(region)] = last[0]
        else:
            last = (region, made)
    return [region and stands_for.get(id(region), region) for region in made_in]


def _alike(a: Region, b: Region) -> bool:
    return a.name == b.name and a.outer is b.outer


# ── Which tensor is drawn where ───────────────────────────────────────────────────────────────────


class _Places:
    """The nodes of a graph, each with the region that it belongs to."""

    def __init__(
        self,
        nodes: list[Tensor],
        made_in: list[Region | None],
        outputs: Sequence[Tensor],
        merge: bool,
    ) -> None:
        self.nodes = nodes
        number = {id(node): i for i, node in enumerate(nodes)}
        self.sources = [tuple(number[id(s)] for s in node.inputs or ()) for node in nodes]
        self.outputs = {number[id(output)] for output in outputs}
        self.kind = [kind_of(node, i in self.outputs) for i, node in enumerate(nodes)]
        self.region = made_in
        self._put_leaves_where_they_are_used()
        self._keep_leaves_in_sight()
        if merge:
            self.region = _alike_as_one(nodes, self.region)
        for region in self.region:
            for around in _outward(region):
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
        """Into the innermost region around all uses; inputs stand outside of all."""
        placed: set[int] = set()
        for source, user in self._uses():
            if self._movable(source):
                region = self.region[user]
                if source in placed:
                    region = _common(self.region[source], region)
                self.region[source] = region
                placed.add(source)
        self.region = [
            None if kind is Kind.INPUT else region
            for kind, region in zip(self.kind, self.region, strict=True)
        ]

    def _keep_leaves_in_sight(self) -> None:
        """Where no arrow would come into a region, its leaves move out of it.

        Not so plain numbers, nor what was computed in the region without a gradient.
        """
        for source, user in self._uses():
            inside, outside = self.region[user], self.region[source]
            if inside is not outside and not self._movable(source):
                for region in _outward(inside, _common(inside, outside)):
                    region.fed = True
        for i, node in enumerate(self.nodes):
            number = node.ndim == 0 and self.kind[i] is Kind.CONSTANT
            if self._movable(i) and node.scope is None and not number:
                self.region[i] = next((r for r in _outward(self.region[i]) if r.fed), None)

    def _hidden(self) -> list[bool]:
        """Which tensors are inside a folded region, and used nowhere else."""
        hidden = [region is not None and region.folded for region in self.region]
        for output in self.outputs:
            hidden[output] = False
        for source, user in self._uses():
            if self.region[source] is not self.region[user]:
                hidden[source] = False
        return hidden

    def inside(self) -> dict[str, str]:
        """In which folded region each tensor and primitive is that is not drawn itself."""
        found = {}
        for i, hidden in enumerate(self.hidden):
            if (fold := self._fold(i)) is not None:
                found[f"p{i}"] = fold.id
                if hidden:
                    found[f"t{i}"] = fold.id
        return found

    def _fold(self, i: int) -> Region | None:
        """The folded region that the i-th node belongs to, if it belongs to one."""
        region = self.region[i]
        return region if region is not None and region.folded else None

    def _frame(self, i: int) -> Region | None:
        """The open region in which the i-th node is drawn."""
        fold = self._fold(i)
        return self.region[i] if fold is None else fold.outer

    # ── What is drawn ─────────────────────────────────────────────────────────────────────────

    def boxes(self) -> list[Box]:
        names = text.told_apart([text.visible(str(node.name or "")) for node in self.nodes])
        return [
            Box(i, node, self.kind[i], self._frame(i), names[i])
            for i, node in enumerate(self.nodes)
            if not self.hidden[i]
        ]

    def ovals(self) -> list[Oval]:
        return [
            Oval(i, node.primitive, node.params, self.region[i])
            for i, node in enumerate(self.nodes)
            if node.primitive is not None and self._fold(i) is None
        ]

    def arrows(self) -> list[Arrow]:
        """Arrows in order of creation and of arguments; into a folded scope, one from each box."""
        drawn: list[Arrow] = []
        into_folds: dict[Arrow, list[str]] = {}
        for i, node in enumerate(self.nodes):
            if node.primitive is None:
                continue
            fold = self._fold(i)
            if fold is None:
                drawn += self._arguments(i, node.primitive)
            else:
                for arrow in self._into(fold, i):
                    if arrow not in into_folds:
                        into_folds[arrow] = []
                        drawn.append(arrow)
                    into_folds[arrow].append(arrow.uses)
            if not self.hidden[i]:
                maker = f"p{i}" if fold is None else fold.id
                made = Arrow(maker, f"t{i}", "", node.requires_grad, makes=True, uses=f"p{i}.y")
                drawn.append(made)
        return [
            replace(arrow, uses=" ".join(into_folds[arrow])) if arrow in into_folds else arrow
            for arrow in drawn
        ]

    def _arguments(self, i: int, primitive: Primitive) -> Iterator[Arrow]:
        """The arrows into an oval, one for each argument."""
        sources = self.sources[i]
        for place, source in enumerate(sources):
            distinct = len(set(sources)) > 1
            letter = _argument(primitive, place, len(sources)) if distinct else ""
            yield self._use(source, f"p{i}", self.region[i], f"p{i}.{place}", letter)

    def _into(self, fold: Region, i: int) -> Iterator[Arrow]:
        """The arrows into a folded region that a node in it brings along."""
        for place, source in enumerate(self.sources[i]):
            if self.region[source] is not fold:
                yield self._use(source, fold.id, fold.outer, f"p{i}.{place}")

    def _use(
        self, source: int, user: str, frame: Region | None, uses: str, letter: str = ""
    ) -> Arrow:
        enters = _common(self._frame(source), frame) is not frame
        differentiable = self.nodes[source].requires_grad
        return Arrow(f"t{source}", user, letter, differentiable, enters=enters, uses=uses)


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
    """What to write at the arrow of an argument, in the letters of the primitive's formula."""
    if primitive.name in _SYMMETRIC:
        return ""
    if "index_template" in primitive.params:
        return "i" if place else ""
    if primitive.name == "where":
        return "cab"[place]
    return "ab"[place] if number == 2 else str(place + 1)
