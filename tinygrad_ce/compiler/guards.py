"""What a step relies on outside of itself, and whether that is still as it was."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from ..engine.context import active_recorder
from ..engine.graph import Node
from ..nn import Module
from ..optim import Optimizer

MISSING = object()  # in place of a value where there is none
PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype)
CONTAINERS = (list, tuple, dict, set, deque)
DEEPEST = 4  # containers in containers that are compared by what they hold

Key = tuple[int, str, Any]
attribute_of = object.__getattribute__  # which tells no recorder


@dataclass(frozen=True, eq=False)
class StateRef:
    """What is kept outside of the step, and is read or written by each call."""

    owner: Any  # a leaf, an optimizer, a Module, a closure's cell, the globals of a function
    attribute: str  # nothing for what a dict holds
    key: Any = None  # the number of a parameter, where the attribute is a list; a name in a dict
    shared: bool = False  # whether it is read for others in the list too, that are the same number

    @property
    def identity(self) -> Key:
        """Equal for two that refer to the same."""
        return (id(self.owner), self.attribute, self.key)

    @property
    def content(self) -> Any:
        """What is there now, or MISSING."""
        if not self.attribute:
            return self.owner.get(self.key, MISSING)
        try:
            found = attribute_of(self.owner, self.attribute)
            return found if self.key is None else found[self.key]
        except (AttributeError, IndexError, ValueError):  # ValueError: of an empty cell
            return MISSING

    def restore(self, value: Any) -> None:
        """Put back what was there, or MISSING."""
        if not self.attribute:
            self.owner[self.key] = value
        elif value is MISSING:
            object.__delattr__(self.owner, self.attribute)
        elif self.key is None:
            object.__setattr__(self.owner, self.attribute, value)
        else:
            attribute_of(self.owner, self.attribute)[self.key] = value

    def describe(self) -> str:
        """Return what to call it in a message."""
        if isinstance(self.owner, Node):
            return f"{self.attribute.strip('_')} of {self.owner.label()}"
        if not self.attribute:
            return f"the global {self.key!r}"
        if self.attribute == "cell_contents":
            return f"a variable of an outer function, now {type(self.content).__name__}"
        index = "" if self.key is None else f"[{self.key}]"
        return f"{type(self.owner).__name__}.{self.attribute}{index}"


def snapshot(value: Any, depth: int = 0) -> Any:
    """Return a value as it is now: with copies of containers and of arrays."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in CONTAINERS and depth < DEEPEST:
        if type(value) is dict:
            return {key: snapshot(part, depth + 1) for key, part in value.items()}
        return type(value)([snapshot(part, depth + 1) for part in value])
    return value


def is_same(value: Any, expected: Any, depth: int = 0) -> bool:
    """Whether a value is as its snapshot: numbers and arrays by their bits, objects themselves."""
    if type(value) is not type(expected):
        return False
    if isinstance(value, np.ndarray):
        return same_bits(value, expected)
    if type(value) in CONTAINERS and depth < DEEPEST:
        if len(value) != len(expected):
            return False
        if type(value) is set:
            return bool(value == expected)
        if type(value) is dict:
            if not is_same([*value], [*expected], depth + 1):
                return False
            value, expected = value.values(), expected.values()
        return all(is_same(a, b, depth + 1) for a, b in zip(value, expected, strict=True))
    if value is expected:
        return True
    if isinstance(value, float | complex):
        return same_bits(value, expected)
    return isinstance(value, PLAIN) and bool(value == expected)


def same_bits(a: Any, b: Any) -> bool:
    """Whether two arrays or numbers are the same, signs of zeros included; nan is nan."""
    a, b = np.asarray(a), np.asarray(b)
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    if a.dtype.kind not in "fc":
        return bool((a == b).all())
    signs = np.signbit(a.real) == np.signbit(b.real)
    return bool((((a == b) & signs) | (np.isnan(a) & np.isnan(b))).all())


def condition(ref: str, expected: str, value: Any) -> str:
    """Return Python's text for: what is there is as it was. The value is the one expected."""
    if type(value) is list and value and all(isinstance(x, Node | Module) for x in value):
        return f"len({ref}) == {len(value)} and all(map(is_, {ref}, {expected}))"
    if isinstance(value, bool | None):
        return f"{ref} is {expected}"
    if isinstance(value, PLAIN):
        return f"({ref} is {expected} or is_same({ref}, {expected}))"
    mutable = isinstance(value, np.ndarray) or type(value) in CONTAINERS
    return f"is_same({ref}, {expected})" if mutable else f"{ref} is {expected}"


# ── What a step's code names ──────────────────────────────────────────────────────────────────────


def named_by(step: Any, arguments: Iterable[Any] = ()) -> list[StateRef]:
    """Return the globals, variables of outer functions and attributes that a step's code names.

    Functions that it names are looked into in their turn, those of libraries are not.
    """
    found: dict[Key, StateRef] = {}
    seen: set[int] = set()
    todo: list[Any] = [step]
    while todo:
        value = todo.pop()
        if isinstance(value, MethodType):
            todo += [value.__func__]
            continue
        function = getattr(value, "__wrapped__", value)
        if not isinstance(function, FunctionType) or id(function) in seen or _is_ours(function):
            continue
        seen.add(id(function))
        names = _names(function.__code__)
        refs = [StateRef(cell, "cell_contents") for cell in function.__closure__ or ()]
        refs += [StateRef(function.__globals__, "", name) for name in sorted(names)]
        owners = [*(ref.content for ref in refs), getattr(step, "__self__", None), *arguments]
        for owner in owners:
            attributes = getattr(owner, "__dict__", None)
            if attributes is None or isinstance(owner, ModuleType | type | FunctionType):
                continue
            if not isinstance(owner, Module | Optimizer):
                plain = {x for x in names if isinstance(getattr(type(owner), x, owner), PLAIN)}
                known = plain | (names & attributes.keys())
                refs += [StateRef(owner, name) for name in sorted(known)]
            if not _is_ours(type(owner)):
                todo += [getattr(type(owner), name, None) for name in {*names, "forward"}]
        for ref in refs:
            content = ref.content
            if content is MISSING or _is_ours(content):
                continue
            if isinstance(content, ModuleType | type | BuiltinFunctionType | np.ufunc):
                continue
            found[ref.identity] = ref
            todo.append(content)
    return list(found.values())


def _is_ours(value: Any) -> bool:
    module = getattr(value, "__module__", None)
    if not isinstance(value, type | FunctionType) or not isinstance(module, str):
        return False
    return module.partition(".")[0] in ("tinygrad_ce", "numpy")


def _names(code: CodeType) -> set[str]:
    """The names in a code and in those inside of it, such as lambdas."""
    inner = [_names(part) for part in code.co_consts if isinstance(part, CodeType)]
    return set(code.co_names).union(*inner)


# ── Attributes of Modules and optimizers ──────────────────────────────────────────────────────────


@contextmanager
def watching(recorder: Any) -> Iterator[None]:
    """Tell a recorder which attributes of Modules and optimizers are read and assigned.

    Their classes are changed meanwhile, since a method `__getattribute__` would cost each eager
    step a third of its time. Steps of other threads go through it, and are not followed.
    """

    def read(self: Any, name: str) -> Any:
        active: Any = active_recorder()
        if active is not recorder:
            return attribute_of(self, name)
        try:
            value = attribute_of(self, name)
        except AttributeError:
            active.depends_on(self, name)  # which it lacks
            raise
        return recorder.attribute_read(self, name, value)

    def assigning(assign: Any) -> Any:
        def assign_attribute(self: Any, name: str, value: Any) -> None:
            active: Any = active_recorder()
            if active is not recorder or recorder.may_assign(self, name, value):
                assign(self, name, value)

        return assign_attribute

    before = {kind: kind.__setattr__ for kind in (Module, Optimizer)}
    try:
        for kind, assign in before.items():
            setattr(kind, "__getattribute__", read)  # noqa: B010
            setattr(kind, "__setattr__", assigning(assign))  # noqa: B010
        yield
    finally:
        for kind, assign in before.items():
            delattr(kind, "__getattribute__")
            setattr(kind, "__setattr__", assign)  # noqa: B010
