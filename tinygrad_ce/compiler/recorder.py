"""Recording: run a step once, and note all that a replay must repeat.

While a `Recorder` is in the mode, every operation on Tensors keeps what made it, whether or not a
gradient passes through it: masks, comparisons, labels used as indices. backward() passes Tensors
back, so that the gradients have a graph themselves, and an optimizer runs its update on Tensors.
Nothing outside has changed when the recording is over: what the step has assigned is noted as a
write, and the old values are put back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..engine.array_types import Arguments
from ..engine.backprop import backpropagate
from ..engine.context import MODE, no_grad, observing, recording_with
from ..engine.graph import FreedGraphError, Node
from ..engine.hooks import Observer, Recorder
from ..engine.kernels import ARRAY_SLOT
from ..engine.primitives import Primitive, getitem, stop_gradient
from ..engine.tensor import Tensor, apply, constant
from ..optim import Optimizer
from .guards import (
    MISSING,
    StateRef,
    attribute_of,
    named_by,
    watch_attributes,
)  # fmt: skip
from .outside_state import Recording, RecordingError, StateRecorder
from .primitives import check_count, sampled, verified
from .primitives import copied as in_memory_of_its_own
from .side_effects import Replacements, refuse_side_effects


class StepRecorder(StateRecorder):
    """What Tensors and optimizers report to while a step is recorded."""

    def __init__(self, inputs: list[Tensor], borrowed: Sequence[Tensor] = ()) -> None:
        super().__init__(inputs, borrowed)
        self._old_values: dict[Node, Any] = {}
        self._assigned: dict[Node, Tensor] = {}
        self._gradients: dict[Node, Tensor | None] = {}
        self._old_gradients: dict[Node, Tensor | None] = {}
        self._freed: set[int] = set()  # the indices of nodes whose graph backward() has freed
        self._passed: list[int] = []
        self._generators: dict[Any, tuple[Any, Any]] = {}  # the states before and after its draws

    # ── Reading and assigning ─────────────────────────────────────────────────────────────────

    def reading(self, node: Node) -> None:
        """Refuse to give out a value that will be another one at the next call."""
        is_leaf = node.primitive is None and node not in self._assigned
        if is_leaf and self._is_inside(node):
            return  # a constant, which the step has made itself
        self.refuse(
            f"the value of {node.label()} was read while the step is recorded, and would stay "
            "what it is now at all later calls: return the tensor from the step and read it "
            "there, and choose by np.where(condition, a, b) in place of an if"
        )

    def leaving(self, inner: Recorder) -> None:
        """Refuse another recorder: what it is told of, a replay would not know."""
        self.refuse(
            f"{type(inner).__name__} cannot record inside of a step that is recorded: "
            "enter it around the call of the compiled step, or call the step uncompiled"
        )

    def copied(self, new: Node, source: Node) -> None:
        """Remember that the value of a leaf has been copied from a Tensor."""
        assert isinstance(source, Tensor)
        source = self.current(source)
        with no_grad():
            if isinstance(source._value, np.ndarray) and not source._value.flags.c_contiguous:
                source = apply(in_memory_of_its_own, source)
            value = source.detach() if source.dtype == new.dtype else source.astype(new.dtype)
        self._let_be(new, value)
        self.recording.made.add(new.index)

    def becoming_leaf(self, node: Node) -> None:
        """Part a node that needs no gradient, and would be a leaf, from what has computed it."""
        if node.primitive is not None and not node._requires_grad:
            computed = constant(node._value)
            computed.primitive, computed._arguments = node.primitive, node._arguments
            setattr(computed, "inputs", node.inputs)  # noqa: B010
            computed.index, computed.scope = node.index, node.scope
            node.primitive, node.inputs, node._arguments = None, (), ()
            self._let_be(node, computed)

    def _let_be(self, leaf: Node, value: Tensor) -> None:
        """Remember which Tensor has computed what a leaf holds from here on."""
        leaf._value = value._value
        self._assigned[leaf] = value
        self.recording.versions[id(leaf), id(value._value)] = value

    def arguments_of(self, node: Node) -> Arguments:
        """Put what was assigned to a leaf, or a copy of what it was, in place of its values."""
        if all(x._value is v for x, v in zip(node.inputs or (), node._arguments, strict=False)):
            return node.current_arguments()
        if MODE.get().grad:
            return node.current_arguments()  # which refuses it
        found: list[Any] = list(node._arguments)
        for i, source in enumerate(node.inputs or ()):
            version = self.recording.source_of(source, found[i])
            if version is source and source._value is not found[i]:
                copy = version = constant(found[i])
                copy.primitive, copy._arguments = stop_gradient, (found[i],)
                setattr(copy, "inputs", (source,))  # noqa: B010
            found[i] = version
        return tuple(found)

    def assign(self, leaf: Node, value: Any) -> None:
        """Let a leaf have a new value from here on."""
        if not isinstance(value, Tensor):
            self.refuse(
                f"{leaf.label()} was assigned an array while the step is recorded, which would be "
                "the same at all later calls: assign a Tensor that the step has computed"
            )
        self._refuse_borrowed(leaf, "data")
        value = self.current(value)
        old = self._old_values.get(leaf, leaf._value)
        if value._value is old or (id(leaf), id(value._value)) in self.recording.versions:
            value = _same_in_another_array(value)  # so that it is known which of the two is used
        self._old_values.setdefault(leaf, leaf._value)
        self._let_be(leaf, value)

    def checking(self, check: Any, x: Node, args: Any, options: Any) -> None:
        """Repeat a check of a value at each call."""
        assert isinstance(x, Tensor)
        with no_grad():
            node = apply(verified, x, params=(check, args, tuple(options.items())))
        self.recording.effects.append(node)

    # ── Random numbers ────────────────────────────────────────────────────────────────────────

    def masking(self, mask: Node) -> None:
        """Record again for another number of True in a mask, which is the length of x[mask]."""
        self.checking(check_count, mask, (int(np.count_nonzero(mask._value)),), {})

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
            self.refuse(
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

    def returning(self, node: Node) -> Node:
        """Return the same under a number of its own, which is an array without a recorder."""
        assert isinstance(node, Tensor)
        with no_grad():
            alias = node.detach()
        self.recording.arrays.add(alias)
        return alias

    def set_gradient(self, node: Node, gradient: Any) -> None:
        """Let a node have another gradient, or None."""
        self._refuse_borrowed(node, "grad")
        if gradient is not None and not isinstance(gradient, Tensor):
            gradient = Tensor(gradient, dtype=node.dtype)
        if gradient is not None and gradient.shape != node.shape:
            raise ValueError(
                f"a gradient has the shape of its tensor: {node.label()} has shape "
                f"{node.shape}, the gradient {gradient.shape}"
            )
        self._gradients[node] = None if gradient is None else self._cast(gradient, node)

    def _cast(self, gradient: Tensor, node: Node) -> Tensor:
        """A gradient of a node, in the dtype of that."""
        with no_grad():
            same = gradient.dtype == node.dtype
            return self.current(gradient) if same else gradient.astype(node.dtype)

    def zero_grad(self, parameters: Sequence[Node]) -> None:
        """Clear the gradients of parameters."""
        for parameter in parameters:
            self._gradients[parameter] = None

    def backward(self, output: Node, gradient: Any, retain_graph: bool) -> None:
        """Pass Tensors back from the output, and accumulate them."""
        assert isinstance(output, Tensor)
        with no_grad():
            given = isinstance(gradient, Tensor)
            seed = gradient.detach() if given else constant(output.cotangent(gradient))
        if seed.shape != output.shape:
            raise ValueError(
                f"the gradient of {output.label()} must have its shape {output.shape}, "
                f"got {seed.shape}"
            )
        seed = self._cast(seed, output)
        del self._passed[:]
        with no_grad():
            for node, g in backpropagate(output, seed, create_graph=True).items():
                before = self.gradient_of(node)
                self._gradients[node] = g if before is None else before + g
        if not retain_graph:
            self._freed.update(self._passed)

    def passing(self, node: Node, gradient: Node | None) -> None:
        """Remember whose gradient g is: what is recorded next passes it on from there.

        Without a gradient, the walk has come to its end.
        """
        self.recording.gradients.append((constant(0).index, node, gradient))
        if gradient is None:
            self._depends_on_leaves(node)
        elif node.index in self._freed:
            raise FreedGraphError(node)
        elif node.primitive is not None:
            self._passed.append(node.index)

    def _depends_on_leaves(self, output: Node) -> None:
        """Record again once a leaf outside of which it was made is frozen, or no longer."""
        todo, seen = [output], {output}
        while todo:
            node = todo.pop()
            if node.primitive is None:
                self.depends_on(node, "_requires_grad")
            new = [x for x in node.inputs or () if x not in seen]
            seen.update(new)
            todo += new

    # ── Optimizers ────────────────────────────────────────────────────────────────────────────

    def optimizer_step(self, optimizer: Optimizer) -> None:
        """Run the update of an optimizer on Tensors."""
        kind, attributes = type(optimizer), attribute_of(optimizer, "__dict__")
        state = {"params", *kind.scalar_state, *kind.per_parameter_state}
        for name in {"params", *attributes} - (state - {"params"}):
            self.depends_on(optimizer, name)
        traced_copy = object.__new__(kind)
        self._created[id(traced_copy)] = traced_copy
        traced = attribute_of(traced_copy, "__dict__")
        traced.update(attributes)
        params = attributes["params"]
        parameters = traced["params"] = [_Parameter(p, self.gradient_of(p)) for p in params]
        created = id(optimizer) in self._created  # whose state nobody knows but the step
        for name in kind.scalar_state:
            value = attributes[name]
            traced[name] = _as_node(value) if created else self._read(StateRef(optimizer, name))
        for name in kind.per_parameter_state:
            listed = attributes[name]
            traced[name] = [*map(_as_node, listed)] if created else self._read_list(optimizer, name)
        with no_grad():
            traced_copy.update_parameters()
        for parameter, p in zip(parameters, params, strict=True):
            if parameter._value is not p:
                p.set_value(parameter._value)
        if created:
            attributes.update((name, traced[name]) for name in traced.keys() - {"params"})
            return
        for name in kind.scalar_state:
            self._write(StateRef(optimizer, name), traced[name])
        for name in kind.per_parameter_state:
            for i, value in enumerate(traced[name]):
                self._write(StateRef(optimizer, name, i), value)
        for name in traced.keys() - state:
            if traced[name] is not attributes.get(name, MISSING):
                self.may_assign(optimizer, name, traced[name])
                attributes[name] = traced[name]

    # ── The end ───────────────────────────────────────────────────────────────────────────────

    def put_back(self) -> None:
        """Give all leaves and attributes what they had before, and generators their states."""
        for leaf, value in self._old_values.items():
            leaf._value = value
        super().put_back()
        for bits, (before, _) in self._generators.items():
            bits.state = before

    def finish(self, result: Any) -> Recording:
        """Return the recording, with what the step has written."""
        recording = self.recording
        for leaf, tensor in self._assigned.items():
            if self._is_outside(leaf):
                recording.writes.append((StateRef(leaf, "_value"), tensor))
        for node, gradient in self._gradients.items():
            unchanged = node in self._old_gradients and self._old_gradients[node] is gradient
            if not unchanged and self._is_outside(node):
                recording.writes.append((StateRef(node, "_grad"), gradient))
        recording.made |= {node.index for node in self._inputs}
        recording.assigned = self._assigned
        accumulated = {node for node, g in self._gradients.items() if g is not None}
        recording.accumulated = {node for node in accumulated if self._is_inside(node)}
        super().finish(result)
        for bits in self._generators:
            self._check_undisturbed(bits)
        return recording


class _Watch(Observer):
    """Sees each node that a recorded step computes."""

    def __init__(self, recorder: StepRecorder) -> None:
        self.made = recorder.recording.made
        self.recorder = recorder

    def forward(self, node: Node, primitive: Primitive, arguments: Arguments) -> None:
        """Keep its number, and look at the masks among its indices."""
        self.made.add(node.index)
        arrays = self.recorder.recording.arrays
        if not arrays.isdisjoint(node.inputs or ()):
            rest = arrays.symmetric_difference(node.inputs or ()) - arrays
            if all(type(x._value) in (bool, int, float) for x in rest):
                arrays.add(node)
        if primitive is getitem:
            for mask in (node.inputs or ())[1:]:
                if mask.dtype == bool:
                    self.recorder.masking(mask)


def _same_in_another_array(tensor: Tensor) -> Tensor:
    value = tensor._value.copy("K") if tensor.ndim else tensor._value.copy()
    other = constant(value)
    other.primitive, other.inputs, other._arguments = stop_gradient, (tensor,), (tensor._value,)
    return other


def _as_node(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else constant(x)


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


def record(
    step: Callable[..., Any],
    inputs: list[Tensor],
    args: Any,
    kwargs: Any,
    borrowed: Sequence[Tensor] = (),
) -> Recording:
    """Run a step on Tensors, and note what it did.

    Parameters
    ----------
    step
        A function.
    inputs
        The Tensors among its arguments whose values will be others at the next call.
    args, kwargs
        Its arguments.
    borrowed
        The inputs that stand for Tensors of the caller.

    >>> x = Tensor([1.0, 2.0])
    >>> record(lambda x: (x * x).sum(), [x], (x,), {}).result
    Tensor(5., from sum)
    """
    recorder = StepRecorder(inputs, borrowed)
    replaced = Replacements()
    try:
        try:
            recorder.name(named_by(step, [*args, *kwargs.values()]))
            with recording_with(recorder), observing(_Watch(recorder)):
                watch_attributes(recorder, replaced)
                refuse_side_effects(recorder.refuse, replaced)
                return recorder.finish(step(*args, **kwargs))
        finally:
            replaced.undo()
            recorder.put_back()
    finally:  # once more, as an interruption can come in the midst of it
        replaced.undo()
        recorder.put_back()
