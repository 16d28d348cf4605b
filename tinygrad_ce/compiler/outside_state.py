"""What a step reads, relies on and writes outside of its graph: attributes, objects, optimizers.

What can be different at the next call is read again, or is a condition, or is refused; what the
step assigns is noted, and put back when the recording is over.
"""

from __future__ import annotations

from array import array
from collections import Counter, UserDict, UserList, deque
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from ..engine.context import no_grad
from ..engine.graph import Node
from ..engine.hooks import Recorder
from ..engine.tensor import Tensor, apply, constant
from ..nn import Module
from ..optim.state import Stateful
from .guards import MISSING, PLAIN, Key, StateRef, attribute_of, is_same, snapshot
from .primitives import as_python_number

MUTABLE = (list, dict, set, deque, UserDict, UserList, bytearray, array)


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


class StateRecorder(Recorder):
    """Follows what a step has to do with what is outside of it, values and gradients aside."""

    def __init__(self, inputs: list[Tensor], borrowed: Sequence[Tensor] = ()) -> None:
        self.recording = Recording(inputs)
        self.recording.start = constant(0).index  # what was made before has a smaller index
        self._inputs = set(inputs)
        self._borrowed = set(borrowed)
        self._kept: dict[Key, tuple[StateRef, Tensor, Tensor]] = {}  # as first read, and now
        self._guards: dict[Key, tuple[StateRef, Any]] = {}
        self._containers: list[tuple[Any, Any, Any]] = []  # which it could change, and copies
        self._named: list[tuple[StateRef, Any]] = []  # what the step's code names
        self._settings: dict[Key, tuple[StateRef, Any]] = {}  # attributes, and what they were
        self._switches: dict[Node, tuple[bool, int]] = {}  # as it was before a switch
        self._switched: set[Key] = set()
        self._created: dict[int, Any] = {}  # Modules and optimizers that the step has made
        self._refusal: RecordingError | None = None

    def refuse(self, message: str) -> NoReturn:
        """Raise an error, and once more in the end, if the step goes on after it."""
        self._refusal = self._refusal or RecordingError(message)
        raise self._refusal

    def _refuse_borrowed(self, leaf: Node, attribute: str) -> None:
        if leaf in self._borrowed:
            self.refuse(
                f".{attribute} of {leaf.label()}, an argument, was assigned while the step is "
                "recorded, and a replay would leave the caller's Tensor as it is: assign to a "
                "Tensor that is made outside of the step, or to a copy, tg.Tensor(x)"
            )

    def _is_inside(self, node: Node) -> bool:
        return node.index >= self.recording.start and node not in self._inputs

    def _is_outside(self, node: Node) -> bool:
        return not self._is_inside(node) and node not in self._inputs

    def current(self, tensor: Tensor) -> Tensor:
        """What has computed the value that a Tensor has now: a leaf may have been assigned."""
        found = self.recording.source_of(tensor, tensor._value)
        assert isinstance(found, Tensor)
        return found

    # ── Conditions ────────────────────────────────────────────────────────────────────────────

    def depends_on(self, owner: object, attribute: str) -> None:
        """Record again once an attribute, such as whether a Module is in training, has changed."""
        self.guard(StateRef(owner, attribute))

    def name(self, refs: list[StateRef]) -> None:
        """Record again once one of the objects that the step's code names is another one."""
        self._named = [(ref, ref.content) for ref in refs if ref.attribute != "__dict__"]
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
                if isinstance(content, MUTABLE):
                    self._containers.append((content, snapshot(content), copy(content)))
        elif self._is_outside(owner) and ref.identity not in self._switched:
            self._guards[ref.identity] = ref, content

    def switching(self, leaf: Node) -> None:
        """Remember whether a leaf required a gradient before it is assigned."""
        self._refuse_borrowed(leaf, "requires_grad")
        self._switches.setdefault(leaf, (leaf._requires_grad, leaf._tracked_since))
        self._switched.add(StateRef(leaf, "_requires_grad").identity)

    # ── Attributes of Modules and optimizers ──────────────────────────────────────────────────

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
            found = self._read_list(owner, name)
            return tuple(self.returning(x) if type(x._value) is np.ndarray else x for x in found)
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
        """Give all attributes and objects what they had before."""
        for leaf, (required, since) in self._switches.items():
            leaf._requires_grad, leaf._tracked_since = required, since
        for ref, value in [*self._settings.values(), *self._named]:
            if ref.content is not value:
                ref.restore(value)
        for container, before, held in self._containers:
            if not is_same(container, before):
                if isinstance(container, bytearray | array):
                    container[:] = held
                    continue
                container.clear()
                getattr(container, "extend" if hasattr(container, "extend") else "update")(held)

    def finish(self, result: Any) -> Recording:
        """Return the recording, with what the step has written."""
        if self._refusal is not None:
            raise self._refusal
        self._check_unchanged()
        for ref, first, now in self._kept.values():
            if now is not first:
                self.recording.writes.append((ref, now))
        for ref, before in self._settings.values():
            self._finish_setting(ref, ref, before)
        for leaf, (required, _) in self._switches.items():
            if self._is_outside(leaf):
                ref = StateRef(leaf, "_requires_grad")
                self._finish_setting(StateRef(leaf, "requires_grad"), ref, required)
        self.recording.guards += self._guards.values()
        self.recording.result = result
        return self.recording

    def _finish_setting(self, ref: StateRef, guarded: StateRef, before: Any) -> None:
        """Let each call assign what the step has, unless it is that already."""
        if not is_same(guarded.content, before):
            self.recording.settings.append((ref, guarded.content))
        elif guarded.identity not in self._guards:
            self._guards[guarded.identity] = guarded, before

    def _check_unchanged(self) -> None:
        """Refuse a step that changes what its code names, or lists and dicts that it reads."""
        changed = [ref.describe() for ref, before in self._named if ref.content is not before]
        for container, before, _ in self._containers:
            if not is_same(container, before):
                changed.append(f"a {type(container).__name__}")
        if changed:
            self.refuse(
                f"the step changes {' and '.join(changed)} outside, and a replay would not: return "
                "what it makes, and append or assign it after the call"
            )
