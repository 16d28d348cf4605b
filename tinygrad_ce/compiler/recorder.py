"""Recording: run a step once, and note all that a replay must repeat.

While a `Recorder` is in the mode, every operation on Tensors keeps what made it, whether or not a
gradient passes through it: masks, comparisons, labels used as indices. backward() passes Tensors
back, so that the gradients have a graph themselves, and an optimizer runs its update on Tensors.
Nothing outside has changed when the recording is over: what the step has assigned is noted as a
write, and the old values are put back.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engine.backprop import backpropagate
from ..engine.context import no_grad, recording_with
from ..engine.graph import Node
from ..engine.hooks import Recorder
from ..engine.kernels import ARRAY_SLOT
from ..engine.primitives import stop_gradient
from ..engine.tensor import Tensor, apply, constant
from ..optim import Optimizer
from .primitives import sampled, verified


class RecordingError(RuntimeError):
    """The step does something that a replay could not repeat."""


Key = tuple[int, str, int | None]


@dataclass(frozen=True, eq=False)
class StateRef:
    """What is kept outside of the step, and is read or written by each call."""

    owner: Any  # a leaf or an optimizer
    attribute: str
    key: int | None = None  # the number of a parameter, where the attribute is a list
    shared: bool = False  # whether it is read for others in the list too, that are the same number

    @property
    def identity(self) -> Key:
        """Equal for two that refer to the same."""
        return (id(self.owner), self.attribute, self.key)

    @property
    def content(self) -> Any:
        """What is there now."""
        found = getattr(self.owner, self.attribute)
        return found if self.key is None else found[self.key]


@dataclass
class Recording:
    """What a step did: its inputs and result, and what it read, wrote and relied on outside.

    `gradients` has, for each step of a backward pass, the index at which it began, the node and its
    gradient, with None at the end; `versions` the Tensors that a leaf was assigned, by leaf and
    value; `start` the index from which on nodes are the step's own.
    """

    inputs: list[Tensor]
    result: Any = None
    reads: dict[Node, StateRef] = field(default_factory=dict)
    writes: list[tuple[StateRef, Tensor | None]] = field(default_factory=list)
    effects: list[Tensor] = field(default_factory=list)  # checks and draws
    guards: list[tuple[StateRef, Any]] = field(default_factory=list)  # a value, or a StateRef
    gradients: list[tuple[int, Node, Node | None]] = field(default_factory=list)
    versions: dict[tuple[int, int], Node] = field(default_factory=dict)
    start: int = 0

    def source_of(self, source: Node, value: Any) -> Node:
        """What computed the value that a leaf had when it was used: the leaf may be assigned."""
        return self.versions.get((id(source), id(value)), source)


class StepRecorder(Recorder):
    """What Tensors and optimizers report to while a step is recorded."""

    def __init__(self, inputs: list[Tensor]) -> None:
        self.recording = Recording(inputs)
        self.recording.start = constant(0).index  # what was made before has a smaller index
        self._inputs = set(inputs)
        self._old_values: dict[Node, Any] = {}
        self._assigned: dict[Node, Tensor] = {}
        self._gradients: dict[Node, Tensor | None] = {}
        self._old_gradients: dict[Node, Tensor | None] = {}
        self._kept: dict[Key, tuple[StateRef, Tensor, Tensor]] = {}  # as first read, and now
        self._guards: set[Key] = set()
        self._generators: dict[Any, tuple[Any, Any]] = {}  # the states before and after its draws

    # ── Reading and assigning ─────────────────────────────────────────────────────────────────

    def reading(self, node: Node) -> None:
        """Refuse to give out a value that will be another one at the next call."""
        if node.primitive is None and self._is_inside(node):
            return  # a constant, which the step has made itself
        raise RecordingError(
            f"the value of {node.label()} was read while the step is recorded, and would stay "
            "what it is now at all later calls: return the tensor from the step and read it "
            "there, and choose by np.where(condition, a, b) in place of an if"
        )

    def _is_inside(self, node: Node) -> bool:
        return node.index >= self.recording.start and node not in self._inputs

    def copied(self, new: Node, source: Node) -> None:
        """Remember that the value of a leaf has been copied from a Tensor."""
        assert isinstance(source, Tensor)
        with no_grad():
            detached = source.detach()
            if detached.dtype != new.dtype:
                detached = detached.astype(new.dtype)
        new.primitive = stop_gradient
        new.inputs = (detached,)
        new._arguments = (detached._value,)
        new.index = constant(0).index

    def assign(self, leaf: Node, value: Any) -> None:
        """Let a leaf have a new value from here on."""
        if not isinstance(value, Tensor):
            raise RecordingError(
                f"{leaf.label()} was assigned an array while the step is recorded, which would be "
                "the same at all later calls: assign a Tensor that the step has computed"
            )
        self._old_values.setdefault(leaf, leaf._value)
        leaf._value = value._value
        self._assigned[leaf] = value
        self.recording.versions[id(leaf), id(value._value)] = value

    def checking(self, check: Any, x: Node, args: Any, options: Any) -> None:
        """Repeat a check of a value at each call."""
        assert isinstance(x, Tensor)
        with no_grad():
            node = apply(verified, x, params=(check, args, tuple(options.items())))
        self.recording.effects.append(node)

    def depends_on(self, owner: object, attribute: str) -> None:
        """Record again once an attribute, such as whether a Module is in training, has changed."""
        ref = StateRef(owner, attribute)
        if ref.identity not in self._guards:
            self._guards.add(ref.identity)
            self.recording.guards.append((ref, ref.content))

    # ── Random numbers ────────────────────────────────────────────────────────────────────────

    def sample(self, method: Any, args: Sequence[Any], options: dict[str, Any]) -> Tensor:
        """Draw by a method of a generator, again at each call."""
        generator: np.random.Generator = method.__self__
        bits = generator.bit_generator
        before, after = self._generators.get(bits) or (bits.state,) * 2
        self._generators[bits] = before, after
        self._check_undisturbed(bits)
        arrays: list[Tensor] = []
        positional = tuple(_kept_argument(a, arrays) for a in args)
        named = tuple((name, _kept_argument(a, arrays)) for name, a in options.items())
        with no_grad():
            params = (generator, method.__name__, positional, named)
            node = apply(sampled, *arrays, params=params)
        self._generators[bits] = before, bits.state
        self.recording.effects.append(node)
        return node

    def _check_undisturbed(self, bits: Any) -> None:
        """Refuse numbers that were drawn beside `sample`: they would be the same at all calls."""
        if not _equal_states(bits.state, self._generators[bits][1]):
            raise RecordingError(
                "a generator has been drawn from both by tg.sample and directly while the step is "
                "recorded, and a replay would repeat only the former: draw all by tg.sample"
            )

    # ── Gradients ─────────────────────────────────────────────────────────────────────────────

    def gradient_of(self, node: Node) -> Tensor | None:
        """The gradient that has been accumulated in a node so far."""
        if node not in self._gradients:
            before = None
            if not self._is_inside(node):
                if node._grad is None:
                    self.depends_on(node, "_grad")
                else:
                    before = self._read(StateRef(node, "_grad"))
            self._gradients[node] = self._old_gradients[node] = before
        return self._gradients[node]

    def set_gradient(self, node: Node, gradient: Any) -> None:
        """Let a node have another gradient, or None."""
        if gradient is not None and not isinstance(gradient, Tensor):
            gradient = Tensor(gradient, dtype=node.dtype)
        elif gradient is not None and gradient.dtype != node.dtype:
            gradient = gradient.astype(node.dtype)
        if gradient is not None and gradient.shape != node.shape:
            raise ValueError(
                f"a gradient has the shape of its tensor: {node.label()} has shape "
                f"{node.shape}, the gradient {gradient.shape}"
            )
        self._gradients[node] = gradient

    def zero_grad(self, parameters: Sequence[Node]) -> None:
        """Clear the gradients of parameters."""
        for parameter in parameters:
            self._gradients[parameter] = None

    def backward(self, output: Node, gradient: Any) -> None:
        """Pass Tensors back from the output, and accumulate them."""
        assert isinstance(output, Tensor)
        seed = gradient if isinstance(gradient, Tensor) else constant(output.cotangent(gradient))
        if seed.shape != output.shape:
            raise ValueError(
                f"the gradient of {output.label()} must have its shape {output.shape}, "
                f"got {seed.shape}"
            )
        if seed.dtype != output.dtype:
            seed = seed.astype(output.dtype)
        with no_grad():
            for node, g in backpropagate(output, seed, create_graph=True).items():
                before = self.gradient_of(node)
                self._gradients[node] = g if before is None else before + g

    def passing(self, node: Node, gradient: Node | None) -> None:
        """Remember whose gradient g is: what is recorded next passes it on from there.

        Without a gradient, the walk has come to its end.
        """
        self.recording.gradients.append((constant(0).index, node, gradient))

    # ── Optimizers ────────────────────────────────────────────────────────────────────────────

    def optimizer_step(self, optimizer: Optimizer) -> None:
        """Run the update of an optimizer on Tensors."""
        outside = {"params", *optimizer.scalar_state, *optimizer.per_parameter_state}
        for name in vars(optimizer):
            if name not in outside:
                self.depends_on(optimizer, name)
        traced_copy = copy.copy(optimizer)
        parameters = [_Parameter(p, self.gradient_of(p)) for p in optimizer.params]
        traced_copy.params = parameters  # type: ignore[assignment]
        for name in optimizer.scalar_state:
            setattr(traced_copy, name, self._read(StateRef(optimizer, name)))
        for name in optimizer.per_parameter_state:
            setattr(traced_copy, name, self._read_list(optimizer, name))
        with no_grad():
            traced_copy.update_parameters()
        for parameter, p in zip(parameters, optimizer.params, strict=True):
            if parameter._value is not p:
                p.set_value(parameter._value)
        for name in optimizer.scalar_state:
            self._write(StateRef(optimizer, name), getattr(traced_copy, name))
        for name in optimizer.per_parameter_state:
            for i, value in enumerate(getattr(traced_copy, name)):
                self._write(StateRef(optimizer, name, i), value)

    def _read(self, ref: StateRef) -> Tensor:
        """What is kept outside, as a Tensor."""
        if ref.identity not in self._kept:
            leaf = constant(ref.content)
            self.recording.reads[leaf] = ref
            self._kept[ref.identity] = (ref, leaf, leaf)
        return self._kept[ref.identity][2]

    def _read_list(self, owner: Any, attribute: str) -> list[Tensor]:
        """What is kept for each parameter, with equal counts read once, as long as they are equal.

        So what is made from a count is computed once, and not for each parameter.
        """
        contents = getattr(owner, attribute)
        number = Counter(x for x in contents if type(x) is int)
        firsts: dict[int, StateRef] = {}
        found = []
        for i, x in enumerate(contents):
            shared = type(x) is int and number[x] > 1
            ref = StateRef(owner, attribute, i, shared)
            first = firsts.setdefault(x, ref) if shared else ref
            if first is not ref and ref.identity not in self._kept:
                _, leaf, _ = self._kept[first.identity]
                self._kept[ref.identity] = (ref, leaf, leaf)
                self.recording.guards.append((ref, first))
            found.append(self._read(ref))
        return found

    def _write(self, ref: StateRef, value: Tensor) -> None:
        _, first, _ = self._kept[ref.identity]
        self._kept[ref.identity] = (ref, first, value)

    # ── The end ───────────────────────────────────────────────────────────────────────────────

    def put_back(self) -> None:
        """Give all leaves the values that they had before, and generators their states."""
        for leaf, value in self._old_values.items():
            leaf._value = value
        for bits, (before, _) in self._generators.items():
            bits.state = before

    def finish(self, result: Any) -> Recording:
        """Return the recording, with what the step has written."""
        for bits in self._generators:
            self._check_undisturbed(bits)
        writes = self.recording.writes
        for leaf, tensor in self._assigned.items():
            if not self._is_inside(leaf):
                writes.append((StateRef(leaf, "_value"), tensor))
        for node, gradient in self._gradients.items():
            unchanged = node in self._old_gradients and self._old_gradients[node] is gradient
            if not unchanged and not self._is_inside(node):
                writes.append((StateRef(node, "_grad"), gradient))
        writes += [(ref, now) for ref, first, now in self._kept.values() if now is not first]
        self.recording.result = result
        return self.recording


def _kept_argument(x: Any, arrays: list[Tensor]) -> Any:
    """An argument of a draw, with arrays put into the list and a slot in the place of each."""
    if isinstance(x, np.ndarray):
        arrays.append(constant(np.array(x)))
        return ARRAY_SLOT
    if type(x) in (tuple, list):
        return type(x)(_kept_part(part) for part in x)
    return _kept_part(x)


def _kept_part(x: Any) -> Any:
    if type(x) in (tuple, list):
        return type(x)(map(_kept_part, x))
    if x is None or isinstance(x, bool | int | float | str | np.generic | np.dtype):
        return x
    if isinstance(x, type) and (x in (bool, int, float) or issubclass(x, np.generic)):
        return np.dtype(x)
    raise RecordingError(
        f"a draw got {x!r}, which cannot be written out: its arguments are numbers, strings, "
        "shapes, dtypes and arrays"
    )


def _equal_states(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal_states(a[key], b[key]) for key in a)
    return np.array_equal(a, b)


class _Parameter:
    """What an optimizer sees of a parameter."""

    def __init__(self, parameter: Tensor, gradient: Tensor | None) -> None:
        self._value = parameter
        self._grad = gradient


def record(step: Callable[..., Any], inputs: list[Tensor], args: Any, kwargs: Any) -> Recording:
    """Run a step on Tensors, and note what it did.

    Parameters
    ----------
    step
        A function.
    inputs
        The Tensors among its arguments whose values will be others at the next call.
    args, kwargs
        Its arguments.

    >>> x = Tensor([1.0, 2.0])
    >>> record(lambda x: (x * x).sum(), [x], (x,), {}).result
    Tensor(5., from sum)
    """
    recorder = StepRecorder(inputs)
    try:
        with recording_with(recorder):
            return recorder.finish(step(*args, **kwargs))
    finally:
        recorder.put_back()
