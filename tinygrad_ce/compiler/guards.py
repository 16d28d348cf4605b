"""What a step relies on outside of itself, and whether that is still as it was."""

from __future__ import annotations

import builtins
from array import array
from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Iterable
from dataclasses import dataclass
from dis import get_instructions
from functools import partial
from operator import is_
from sys import builtin_module_names, modules
from sysconfig import get_paths
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any
from weakref import ReferenceType

import numpy as np

from ..engine.array_types import Array
from ..engine.context import active_recorder
from ..engine.graph import Node
from ..nn import Module
from ..optim.state import Stateful
from .side_effects import Replacements

MISSING = object()  # in place of a value where there is none
PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype)
CONTAINERS = (list, tuple, dict, set, deque)
FURTHER_CONTAINERS = (
    UserDict, UserList, ChainMap, MappingProxyType, bytearray, memoryview, array,
)  # fmt: skip
LONGEST = 1000  # elements of arrays that are compared, and of containers looked through
DEEPEST = 8  # containers in containers that are compared by what they hold

Key = tuple[int, str, Any]
attribute_of = object.__getattribute__  # which tells no recorder


@dataclass(frozen=True, eq=False)
class StateRef:
    """What is kept outside of the step, and is read or written by each call."""

    owner: Any  # a leaf, an optimizer, a Module, a closure's cell, the globals of a function
    attribute: str  # nothing for what a dict holds
    key: Any = None  # the number of a parameter, where the attribute is a list; a name in a dict
    shared: bool = False  # whether it is read for others in the list too, that are the same number
    own: bool = False  # what an object or a class holds itself, and does not inherit

    @property
    def identity(self) -> Key:
        """Equal for two that refer to the same."""
        return (id(self.owner), self.attribute, self.own or self.key)

    @property
    def in_dict(self) -> bool:
        """Whether it is what a dict holds; else an attribute, which may have any name."""
        return not self.attribute and isinstance(self.owner, dict)

    @property
    def content(self) -> Any:
        """What is there now, or MISSING; of all attributes at once, their names."""
        if self.attribute == "__dict__":
            return [*attribute_of(self.owner, "__dict__")]
        if self.in_dict:
            return self.owner.get(self.key, MISSING)
        if self.own:
            is_class = isinstance(self.owner, type)
            own = vars(self.owner) if is_class else attribute_of(self.owner, "__dict__")
            return own.get(self.attribute, MISSING)
        try:
            found = attribute_of(self.owner, self.attribute)
            return found if self.key is None else found[self.key]
        except (AttributeError, IndexError, ValueError):  # ValueError: of an empty cell
            return MISSING

    def restore(self, value: Any) -> None:
        """Put back what was there, or MISSING."""
        if self.in_dict:
            self.owner[self.key] = value
        elif isinstance(self.owner, type):
            setattr(self.owner, self.attribute, value)
        elif value is MISSING:
            attribute_of(self.owner, "__dict__").pop(self.attribute, None)
        elif self.key is None:
            object.__setattr__(self.owner, self.attribute, value)
        else:
            attribute_of(self.owner, self.attribute)[self.key] = value

    def describe(self) -> str:
        """Return what to call it in a message."""
        if isinstance(self.owner, Node):
            return f"{self.attribute.strip('_')} of {self.owner.label()}"
        if self.in_dict:
            return f"the global {self.key!r}"
        if self.attribute == "cell_contents":
            return f"a variable of an outer function, now {type(self.content).__name__}"
        index = "" if self.key is None else f"[{self.key}]"
        return f"{type(self.owner).__name__}.{self.attribute}{index}"


class ArraySnapshot:
    """The bits of an array, and how it lies in memory, on which sums depend."""

    __slots__ = ("bits", "bits_of", "layout")

    def __init__(self, array: Array) -> None:
        padded = array.dtype.char == "g"
        self.bits_of: Any = bits_of if padded else np.ndarray.tobytes
        self.bits = self.bits_of(array)
        self.layout = array.dtype, array.shape, array.strides

    def matches(self, value: Any) -> bool:
        """Whether a value is an array like this one."""
        # A copy of the bytes is found out to be the same in a tenth of the time of a comparison.
        return (
            isinstance(value, np.ndarray)
            and self.bits_of(value) == self.bits
            and (value.dtype, value.shape, value.strides) == self.layout
        )


class OtherSnapshot:
    """What is in a container of another type, as a list, dict, set or bytes, and its type."""

    __slots__ = ("kind", "parts")

    def __init__(self, kind: type, parts: Any) -> None:
        self.kind, self.parts = kind, parts


def _plain(value: Any) -> Any:
    """What is in a container of another type than Python's own; the value itself if it is none."""
    kind = type(value)
    if kind in CONTAINERS or not isinstance(value, (*CONTAINERS, *FURTHER_CONTAINERS)):
        return value
    if isinstance(value, bytearray | memoryview | array):
        return bytes(value)
    if isinstance(value, dict | UserDict | ChainMap | MappingProxyType):
        return dict(value)
    return set(value) if isinstance(value, set) else list(value)


def snapshot(value: Any, depth: int = 0) -> Any:
    """Return a value as it is now: with copies of containers and of arrays that are not large."""
    if isinstance(value, np.ndarray):
        return ArraySnapshot(value) if value.size <= LONGEST else value
    if depth >= DEEPEST:
        return value
    plain = _plain(value)
    if plain is not value:
        return OtherSnapshot(type(value), snapshot(plain, depth))
    if type(value) in CONTAINERS:
        if type(value) is dict:
            return {key: snapshot(part, depth + 1) for key, part in value.items()}
        parts = [snapshot(part, depth + 1) for part in value]
        unchanging = type(value) is tuple and all(map(is_, parts, value))
        return value if unchanging else type(value)(parts)
    return value


def is_same(value: Any, expected: Any, depth: int = 0) -> bool:
    """Whether a value is as its snapshot: numbers and arrays by their bits, objects themselves."""
    if type(expected) is ArraySnapshot:
        return expected.matches(value)
    if isinstance(value, np.ndarray):
        return value is expected or (value.size <= LONGEST and same_bits(value, expected))
    if type(expected) is OtherSnapshot:
        return type(value) is expected.kind and is_same(_plain(value), expected.parts, depth)
    if type(value) is not type(expected):
        return False
    if type(value) in CONTAINERS and depth < DEEPEST:
        if len(value) != len(expected):
            return False
        if type(value) is set:
            return bool(value == expected)
        if type(value) is dict:
            if not is_same([*value], [*expected]):
                return False
            value, expected = value.values(), expected.values()
        return all(is_same(a, b, depth + 1) for a, b in zip(value, expected, strict=True))
    if value is expected:
        return True
    if isinstance(value, float | complex):
        return same_bits(value, expected)
    return isinstance(value, PLAIN) and bool(value == expected)


def bits_of(value: Any) -> bytes | str:
    """Return what only equal bits share; a long double has bytes besides that hold anything."""
    array = np.asarray(value)
    return repr(array.tolist()) if array.dtype.char == "g" else array.tobytes()


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
    if isinstance(value, ArraySnapshot):
        return f"{expected}.matches({ref})"
    if isinstance(value, PLAIN):
        return f"({ref} is {expected} or is_same({ref}, {expected}))"
    if type(value) is tuple:  # the same one holds the same
        return f"({ref} is {expected} or is_same({ref}, {expected}))"
    mutable = type(value) in (*CONTAINERS, OtherSnapshot)
    return f"is_same({ref}, {expected})" if mutable else f"{ref} is {expected}"


# ── What a step's code names ──────────────────────────────────────────────────────────────────────


def named_by(step: Any, arguments: Iterable[Any] = ()) -> list[StateRef]:
    """Return the globals, variables of outer functions and attributes that a step's code names.

    Functions that it names, also in lists and dicts, are looked into in their turn, and so are the
    attributes and methods of objects, and the user's modules; those of libraries are not.
    """
    found: dict[Key, StateRef] = {}
    names: set[str] = set()
    objects: list[Any] = []
    seen: dict[int, Any] = {}
    todo: list[Any] = [step, *arguments]
    while todo:
        while todo:
            value = todo.pop()
            if id(value) in seen:
                continue
            seen[id(value)] = value
            todo.append(_attributes(value).get("__wrapped__"))
            if _is_library(value):
                continue
            refs: list[StateRef] = []
            if isinstance(value, MethodType):
                todo += [value.__func__, value.__self__]
            elif isinstance(value, staticmethod | classmethod):
                todo.append(value.__func__)
            elif isinstance(value, property):
                todo += [value.fget, value.fset]
            elif isinstance(value, partial):
                refs = [StateRef(value, name) for name in ("func", "args", "keywords")]
            elif isinstance(value, ReferenceType):
                todo.append(value())
            elif type(parts := _plain(value)) in CONTAINERS and len(parts) <= LONGEST:
                todo += parts.values() if isinstance(parts, dict) else parts
            if type(value) not in CONTAINERS:
                objects.append(value)
                if isinstance(value, FunctionType):
                    own = _names(value.__code__)
                    names |= own
                    refs = [StateRef(cell, "cell_contents") for cell in value.__closure__ or ()]
                    refs += [StateRef(value.__globals__, "", name) for name in sorted(own)]
                    refs += [StateRef(value, x) for x in DEFAULTS if getattr(value, x)]
                    todo += [modules.get(name) for name in own]  # which it imports
                    for name in _missing_globals(value):
                        ref = StateRef(value.__globals__, "", name)
                        found[ref.identity] = ref
            todo += _contents(refs, found)
        for value in objects:
            todo += _contents(_named_attributes(value, names), found)
        todo = [value for value in todo if id(value) not in seen]
    return list(found.values())


DEFAULTS = ("__defaults__", "__kwdefaults__")
# Methods that a step has no use for, or that name all attributes there are.
UNUSED = {"__init__", "__new__", "__del__", "__repr__", "__eq__", "__hash__", "__dict__"}
UNUSED |= {"__module__", "__doc__", "__slots__", "__weakref__", "__init_subclass__"}


def _missing_globals(function: FunctionType) -> list[str]:
    """The globals that a function names, and that are not there."""
    known = {*function.__globals__, *dir(builtins)}
    read = {x.argval for x in get_instructions(function) if x.opname == "LOAD_GLOBAL"}
    return sorted(read - known)


def _named_attributes(value: Any, names: set[str]) -> list[StateRef]:
    """Those of the attributes of an object and of its class that have one of these names."""
    is_class = isinstance(value, type)
    own = {} if is_class else _attributes(value)
    kinds = [x for x in (value if is_class else type(value)).__mro__ if not _is_library(x)]
    told = isinstance(value, Module | Stateful)  # of whose attributes the recorder is told
    special = _special_methods(kinds, names) - UNUSED
    asks = not names.isdisjoint(("hasattr", "getattr", "AttributeError"))
    names = {name for name in names if name[:2] != "__"} | special | {"forward"}
    refs = [] if told else [StateRef(value, name) for name in sorted(names & own.keys())]
    if asks and not told and not isinstance(value, FunctionType | ModuleType):
        holders = kinds if own is NO_DICT or is_class else [value, *kinds]
        refs += [StateRef(x, "__dict__") for x in holders]
    for name in sorted(names - own.keys()):
        kind = next((kind for kind in kinds if name in vars(kind)), None)
        if kind is not None:
            if isinstance(vars(kind)[name], MemberDescriptorType):
                refs.append(StateRef(value, name))
            else:
                refs.append(StateRef(kind, name, own=True))
                if not told and isinstance(vars(kind)[name], PLAIN):
                    refs.append(StateRef(value, name))
    return refs


def _special_methods(kinds: Iterable[type], names: set[str]) -> set[str]:
    """The methods of classes that Python calls unnamed, as for len(); and what else is named."""
    own = [pair for kind in kinds for pair in vars(kind).items() if pair[0][:2] == "__"]
    return {name for name, x in own if name in names or callable(x) or hasattr(x, "__get__")}


def _attributes(value: Any) -> dict[str, Any]:
    """What an object has in its own dict; nothing where it has none."""
    try:
        found: dict[str, Any] = attribute_of(value, "__dict__")
    except AttributeError:
        return NO_DICT
    return found


NO_DICT: dict[str, Any] = {}


def _contents(refs: list[StateRef], found: dict[Key, StateRef]) -> list[Any]:
    """What is there now where nothing was found before, but for what belongs to libraries."""
    new = {ref.identity: ref for ref in refs if ref.identity not in found}
    contents = {key: ref.content for key, ref in new.items()}
    kept = [key for key, x in contents.items() if not (x is MISSING or _is_library(x))]
    found.update((key, new[key]) for key in kept)
    return [contents[key] for key in kept]


LIBRARIES = ("tinygrad_ce", "numpy", "builtins")
PATHS = get_paths()
OF_PYTHON = PATHS["stdlib"], PATHS["platstdlib"]
INSTALLED = PATHS["purelib"], PATHS["platlib"]


def _is_library(value: Any) -> bool:
    """Whether it is a module, class or function, and none of the user's own."""
    if isinstance(value, FunctionType):
        return _is_of_library(str(value.__globals__.get("__name__")))
    if isinstance(value, type):
        return _is_of_library(str(value.__module__))
    if isinstance(value, ModuleType):
        file = str(getattr(value, "__file__", ""))
        return _is_of_library(value.__name__) or file.startswith(INSTALLED)
    return isinstance(value, BuiltinFunctionType | np.ufunc)


def _is_of_library(module: str) -> bool:
    if module.partition(".")[0] in (*LIBRARIES, *builtin_module_names):
        return True
    file = str(getattr(modules.get(module), "__file__", ""))
    return file.startswith(OF_PYTHON) and not file.startswith(INSTALLED)


def _names(code: CodeType) -> set[str]:
    """The names in a code, strings among them, and in those inside of it, such as lambdas."""
    inner = [_names(part) for part in code.co_consts if isinstance(part, CodeType)]
    texts = {x for x in code.co_consts if isinstance(x, str) and x.isidentifier()}
    return texts.union(code.co_names, *inner)


# ── Attributes of Modules and optimizers ──────────────────────────────────────────────────────────


def watch_attributes(recorder: Any, replaced: Replacements) -> None:
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

    for kind in (Module, Stateful):
        replaced.put(kind, "__getattribute__", read)
        replaced.put(kind, "__setattr__", assigning(kind.__setattr__))
