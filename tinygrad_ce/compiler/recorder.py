"""Recording: run a step once, and note all that a replay must repeat.

While a `Recorder` is in the mode, every operation on Tensors keeps what made it, whether or not a
gradient passes through it: masks, comparisons, labels used as indices. backward() passes Tensors
back, so that the gradients have a graph themselves, and an optimizer runs its update on Tensors.
Nothing outside has changed when the recording is over: what the step has assigned is noted as a
write, and the old values are put back.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from ..engine.array_types import Arguments
from ..engine.backprop import backpropagate
from ..engine.context import MODE, no_grad, observing, recording_with
from ..engine.graph import FreedGraphError, Node
from ..engine.hooks import Observer, Recorder
from ..engine.kernels import ARRAY_SLOT
from ..engine.primitives import Primitive, getitem, stop_gradient
from ..engine.tensor import Tensor, apply, constant
from ..nn import Module
from ..optim import Optimizer
from ..optim.state import Stateful
from .guards import (
    MISSING,
    PLAIN,
    Key,
    StateRef,
    attribute_of,
    is_same,
    named_by,
    snapshot,
    watch_attributes,
)  # fmt: skip
from .primitives import as_python_number, check_count, sampled, verified
from .primitives import copied as in_memory_of_its_own
from .side_effects import Replacements, refuse_side_effects


class RecordingError(RuntimeError):
    """The step does something that a replay could not repeat."""


@dataclass
class Recording:
    """What a step did: its inputs and result, and what it read, wrote and relied on outside.

    `gradients` has, for each step of a backward pass, the index at which it began, the node and its
    gradient, with None at the end; `versions` the Tensors that a leaf was assigned, by leaf and
    value; `assigned` the last of them; `made` the indices of all nodes that were computed, and
    `start` the index from which on nodes are the step's own. `arrays` has the nodes that are arrays
    where nothing is recorded: gradients, the state of optimizers, and what is computed of these;
    `accumulated` those that the step has made and that have a gradient in the end.
    """

    inputs: list[Tensor]
    result: Any = None
    reads: dict[Node, StateRef] = field(default_factory=dict)
    writes: list[tuple[StateRef, Tensor | None]] = field(default_factory=list)
    settings: list[tuple[StateRef, Any]] = field(default_factory=list)  # writes of plain values
    effects: list[Tensor] = field(default_factory=list)  # checks and draws
    guards: list[tuple[StateRef, Any]] = field(default_factory=list)  # a snapshot, or a StateRef
    gradients: list[tuple[int, Node, Node | None]] = field(default_factory=list)
    versions: dict[tuple[int, int], Node] = field(default_factory=dict)
    assigned: dict[Node, Tensor] = field(default_factory=dict)
    made: set[int] = field(default_factory=set)
    arrays: set[Node] = field(default_factory=set)
    accumulated: set[Node] = field(default_factory=set)
    start: int = 0

    def source_of(self, source: Node, value: Any) -> Node:
        """What computed the value that a leaf had when it was used: the leaf may be assigned."""
        return self.versions.get((id(source), id(value)), source)


class StepRecorder(Recorder):
    """What Tensors and optimizers report to while a step is recorded."""

    def __init__(self, inputs: list[Tensor], borrowed: Sequence[Tensor] = ()) -> None:
        self.recording = Recording(inputs)
        self.recording.start = constant(0).index  # what was made before has a smaller index
        self._inputs = set(inputs)
        self._borrowed = set(borrowed)
        self._old_values: dict[Node, Any] = {}
        self._assigned: dict[Node, Tensor] = {}
        self._gradients: dict[Node, Tensor | None] = {}
        self._old_gradients: dict[Node, Tensor | None] = {}
        self._kept: dict[Key, tuple[StateRef, Tensor, Tensor]] = {}  # as first read, and now
        self._guards: dict[Key, tuple[StateRef, Any]] = {}
        self._containers: list[tuple[Any, Any]] = []  # which the step could change, and copies
        self._named: list[tuple[StateRef, Any]] = []  # what the step's code names
        self._settings: dict[Key, tuple[StateRef, Any]] = {}  # attributes, and what they were
        self._switches: dict[Node, tuple[bool, int]] = {}  # as it was before a switch
        self._switched: set[Key] = set()
        self._created: dict[int, Any] = {}  # Modules and optimizers that the step has made
        self._freed: set[int] = set()  # the indices of nodes whose graph backward() has freed
        self._passed: list[int] = []
        self._refusal: RecordingError | None = None
        self._generators: dict[Any, tuple[Any, Any]] = {}  # the states before and after its draws

    def refuse(self, message: str) -> NoReturn:
        """Raise an error, and once more in the end, if the step goes on after it."""
        self._refusal = self._refusal or RecordingError(message)
        raise self._refusal

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

    def _is_inside(self, node: Node) -> bool:
        return node.index >= self.recording.start and node not in self._inputs

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

    def current(self, tensor: Tensor) -> Tensor:
        """What has computed the value that a Tensor has now: a leaf may have been assigned."""
        found = self.recording.source_of(tensor, tensor._value)
        assert isinstance(found, Tensor)
        return found

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

    def _refuse_borrowed(self, leaf: Node, attribute: str) -> None:
        if leaf in self._borrowed:
            self.refuse(
                f".{attribute} of {leaf.label()}, an argument, was assigned while the step is "
                "recorded, and a replay would leave the caller's Tensor as it is: assign to a "
                "Tensor that is made outside of the step, or to a copy, tg.Tensor(x)"
            )

    # ── Conditions ────────────────────────────────────────────────────────────────────────────

    def depends_on(self, owner: object, attribute: str) -> None:
        """Record again once an attribute, such as whether a Module is in training, has changed."""
        self.guard(StateRef(owner, attribute))

    def name(self, refs: list[StateRef]) -> None:
        """Record again once one of the objects that the step's code names is another one."""
        self._named = [(ref, ref.content) for ref in refs]
        for ref in refs:
            self.guard(ref)

    def guard(self, ref: StateRef) -> None:
        """Record again once what is there is no longer what it is now."""
        owner, content = ref.owner, ref.content
        if ref.identity in self._guards or ref.identity in self._settings:
            return
        if not isinstance(owner, Node):
            if id(owner) not in self._created:
                self._guards[ref.identity] = ref, snapshot(content)
                if type(content) in (list, dict, set, deque):
                    self._containers.append((content, snapshot(content)))
        elif self._is_outside(owner) and ref.identity not in self._switched:
            self._guards[ref.identity] = ref, content

    def switching(self, leaf: Node) -> None:
        """Remember whether a leaf required a gradient before it is assigned."""
        self._refuse_borrowed(leaf, "requires_grad")
        self._switches.setdefault(leaf, (leaf._requires_grad, leaf._tracked_since))
        self._switched.add(StateRef(leaf, "_requires_grad").identity)

    def _state_of(self, owner: Any) -> tuple[str, ...]:
        """The attributes that are read at each call."""
        kind = type(owner)
        if not issubclass(kind, Stateful):
            return ()
        return (*kind.scalar_state, *kind.per_parameter_state)

    def attribute_read(self, owner: Any, name: str, value: Any) -> Any:
        """Return an attribute of a Module or optimizer: what changes, as Tensors."""
        if id(owner) in self._created or (name[:2] == "__" and name != "__dict__"):
            return value
        if name == "forward":
            self.guard(StateRef(owner, name, own=True))
        if isinstance(owner, Stateful) and name in type(owner).scalar_state:
            return self._read(StateRef(owner, name))
        if isinstance(owner, Stateful) and name in type(owner).per_parameter_state:
            found = tuple(self._read_list(owner, name))
            self.returning([x for x in found if type(x._value) is np.ndarray])
            return found
        is_property = isinstance(getattr(type(owner), name, None), property)
        attributes = attribute_of(owner, "__dict__")
        if name == "__dict__":
            before = {x: self._settings.get((id(owner), x, None)) for x in attributes}
            names = [x for x, set_ in before.items() if set_ is None or set_[1] is not MISSING]
            self._guards.setdefault((id(owner), name, None), (StateRef(owner, name), names))
            for each in names:
                if each not in self._state_of(owner):
                    self.depends_on(owner, each)
        elif name in attributes:
            self.depends_on(owner, name)
        elif isinstance(value, PLAIN) and not is_property:
            self.depends_on(owner, name)  # which the class has, as long as the object does not
        return value

    def may_assign(self, owner: Any, name: str, value: Any) -> bool:
        """Take note of what is assigned to a Module or optimizer; say whether to assign it now."""
        attributes = attribute_of(owner, "__dict__")
        if isinstance(getattr(type(owner), name, None), property):
            return True  # which assigns in its turn
        if not attributes and name != "_training":
            self._created[id(owner)] = owner  # nothing has been assigned to it before
        if id(owner) in self._created:
            return True
        if isinstance(owner, Stateful) and name in type(owner).scalar_state:
            value = self.current(value) if isinstance(value, Tensor) else constant(value)
            if isinstance(value._value, np.generic):  # which would count as much as arrays
                with no_grad():
                    value = apply(as_python_number, value)
            if type(value._value) not in (bool, int, float):
                self._refuse_attribute(owner, name, value._value)
            self._read(StateRef(owner, name))
            self._write(StateRef(owner, name), value)
            return False
        kept = isinstance(value, Tensor | Module)
        if kept and isinstance(value, Tensor):
            kept = not self._is_inside(value) and value not in self._inputs
        if kept and id(value) in self._created:
            kept = False
        state = isinstance(owner, Stateful) and name in type(owner).per_parameter_state
        if state or not (kept or isinstance(value, PLAIN)):
            self._refuse_attribute(owner, name, value)
        self._settings.setdefault(
            (id(owner), name, None), (StateRef(owner, name), attributes.get(name, MISSING))
        )
        return True

    def _refuse_attribute(self, owner: Any, name: str, value: Any) -> None:
        self.refuse(
            f"{type(owner).__name__}.{name} was assigned {type(value).__name__} while the step is "
            "recorded, which a replay would not repeat: return it from the step and assign it "
            "there; or keep it in a Tensor made outside, and assign its .data"
        )

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
        gradient = self._gradients[node]
        if gradient is not None:
            self.returning([gradient])
        return gradient

    def returning(self, nodes: Sequence[Node]) -> None:
        """Remember that without a recorder these are arrays."""
        self.recording.arrays.update(nodes)

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
        contents = attribute_of(owner, attribute)
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

    def _write(self, ref: StateRef, value: Any) -> None:
        value = self.current(value) if isinstance(value, Tensor) else constant(value)
        _, first, _ = self._kept[ref.identity]
        self._kept[ref.identity] = (ref, first, value)

    # ── The end ───────────────────────────────────────────────────────────────────────────────

    def put_back(self) -> None:
        """Give all leaves and attributes what they had before, and generators their states."""
        for leaf, value in self._old_values.items():
            leaf._value = value
        for leaf, (required, since) in self._switches.items():
            leaf._requires_grad, leaf._tracked_since = required, since
        for ref, value in [*self._settings.values(), *self._named]:
            if ref.content is not value:
                ref.restore(value)
        for container, before in self._containers:
            if not is_same(container, before):
                container.clear()
                getattr(container, "extend" if hasattr(container, "extend") else "update")(before)
        for bits, (before, _) in self._generators.items():
            bits.state = before

    def finish(self, result: Any) -> Recording:
        """Return the recording, with what the step has written."""
        if self._refusal is not None:
            raise self._refusal
        for bits in self._generators:
            self._check_undisturbed(bits)
        self._check_unchanged()
        writes = self.recording.writes
        for leaf, tensor in self._assigned.items():
            if self._is_outside(leaf):
                writes.append((StateRef(leaf, "_value"), tensor))
        for node, gradient in self._gradients.items():
            unchanged = node in self._old_gradients and self._old_gradients[node] is gradient
            if not unchanged and self._is_outside(node):
                writes.append((StateRef(node, "_grad"), gradient))
        for ref, first, now in self._kept.values():
            if now is not first:
                writes.append((ref, now))
        for ref, before in self._settings.values():
            self._finish_setting(ref, ref, before)
        for leaf, (required, _) in self._switches.items():
            if self._is_outside(leaf):
                ref = StateRef(leaf, "_requires_grad")
                self._finish_setting(StateRef(leaf, "requires_grad"), ref, required)
        self.recording.guards += self._guards.values()
        self.recording.made |= {node.index for node in self._inputs}
        self.recording.assigned = self._assigned
        accumulated = {node for node, g in self._gradients.items() if g is not None}
        self.recording.accumulated = {node for node in accumulated if self._is_inside(node)}
        self.recording.result = result
        return self.recording

    def _is_outside(self, node: Node) -> bool:
        return not self._is_inside(node) and node not in self._inputs

    def _finish_setting(self, ref: StateRef, guarded: StateRef, before: Any) -> None:
        """Let each call assign what the step has, unless it is that already."""
        if not is_same(guarded.content, before):
            self.recording.settings.append((ref, guarded.content))
        elif guarded.identity not in self._guards:
            self._guards[guarded.identity] = guarded, before

    def _check_unchanged(self) -> None:
        """Refuse a step that changes what its code names, or lists and dicts that it reads."""
        changed = [ref.describe() for ref, before in self._named if ref.content is not before]
        for container, before in self._containers:
            if not is_same(container, before):
                changed.append(f"a {type(container).__name__}")
        if changed:
            self.refuse(
                f"the step changes {' and '.join(changed)} outside, and a replay would not: return "
                "what it makes, and append or assign it after the call"
            )


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
