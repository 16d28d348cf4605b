"""A program as a function: it reads what is needed, calls the source, and leaves the results."""

from __future__ import annotations

import builtins
import linecache
import os
from collections.abc import Callable
from functools import partial
from itertools import chain, count
from keyword import iskeyword
from operator import is_, setitem
from threading import RLock
from typing import Any
from weakref import WeakSet, finalize

import numpy as np

from ..engine.graph import Node
from .arguments import Slot, rebuild
from .codegen.printer import Source
from .guards import MISSING, StateRef, condition, is_same
from .ir import Op, Program
from .primitives import check_count, verified

_number = count(1).__next__

GUARD_FAILED = object()


class Replay:
    """A recording as a function.

    `call` takes the values of the arguments, and returns those of the results, or GUARD_FAILED;
    `rebuild` makes of these what the step returned.
    """

    def __init__(
        self,
        source: Source,
        program: Program,
        result: Any,
        turn: Any,
        load: Callable[[], Callable[..., Any]] | None = None,
    ) -> None:
        self.source = source
        self.rebuild = _rebuilder(result)
        load = load or partial(defined, self.compiled(), source.name)
        self._frozen = program.frozen_leaves
        self._guards = program.guards
        self.calls = 0  # after the first
        self.net: Any = None  # what verifies the next calls, see verification.py
        self._driver = _Driver(load, turn)
        self.call = self._driver.function(source, program)

    def compiled(self) -> Any:
        """Return the code of the source, which is Python's."""
        file = f"<tinygrad_ce {self.source.name} {_number()}>"  # for tracebacks and debuggers
        lines = self.source.text.splitlines(keepends=True)
        linecache.cache[file] = (len(self.source.text), None, lines, file)
        finalize(self, linecache.cache.pop, file, None)
        return builtins.compile(self.source.text, file, "exec")

    def run_by(self, function: Callable[..., Any]) -> None:
        """Let another function of the same arguments do the next calls."""
        self._driver.namespace["step"] = function

    def failing(self) -> list[str]:
        """What is no longer as it was at the recording."""
        refs = [(ref, x) for ref, x in self._guards if not isinstance(x, StateRef)]
        found = [ref.describe() for ref, expected in refs if not is_same(ref.content, expected)]
        return found + [f"the value of {leaf.label()}" for leaf in self.changed()]

    def changed(self) -> list[Node]:
        """The leaves that were taken for constants, and have been assigned since."""
        return [leaf for leaf, value in self._frozen if leaf._value is not value]


def _rebuilder(result: Any) -> Callable[[Any], Any]:
    """From the values that a replay returns, what the step returns, with new Tensors."""
    # One Tensor, or a tuple of them, is by far the most frequent (tests/benchmarks, 4-16-3).
    if isinstance(result, Slot):
        fill = result.fill
        return lambda values: fill(values[0])
    return partial(rebuild, result)


class _Driver:
    """Writes the function that reads what a step needs, calls it, and leaves what it has made.

    The letters in its text: x is an argument, v a value that is read, k the value that the last
    call left there, g a generator, r a result, w a value that is written, o the owner of an
    attribute, c what a guard expects, and f the value of a frozen leaf.
    """

    def __init__(self, load: Callable[[], Callable[..., Any]], turn: Any) -> None:
        step = load()
        self.namespace: dict[str, Any] = {"GUARD_FAILED": GUARD_FAILED, "fits": _fits, "step": step}
        self.namespace |= {
            "is_": is_,
            "is_same": is_same,
            "set_attribute": object.__setattr__,
        }
        self.namespace |= {"set_item": setitem, "chain": chain}
        self.namespace |= {"load": load, "free": [step], "turn": turn}
        self.owners: dict[int, str] = {}

    def function(self, source: Source, program: Program) -> Callable[..., Any]:
        """The function: takes the values of the arguments, returns those of the results."""
        arguments = [f"x{i}" for i in range(len(program.arguments))]
        results = [f"r{i}" for i in range(len(program.results))]
        written = {id(op): f"w{i}" for i, op in enumerate(program.written)}
        generators = {f"g{i}": g for i, g in enumerate(source.generators)}
        self.namespace |= generators
        lines = []
        guards = self.guards(program)
        if guards:
            lines += [f"    if not ({' and '.join(guards)}):", "        return GUARD_FAILED"]
        read: dict[Any, str] = {}
        for i, op in enumerate(program.reads):
            assert op.state is not None
            read[op.state.identity] = f"v{i}"
            lines += [f"    v{i} = {self.text(op.state)}"]
            if op.kind == "number":
                self.namespace[f"type_{i}"] = type(op.state.content)
                lines += [f"    if type(v{i}) is not type_{i}: return GUARD_FAILED"]
            else:
                self.namespace |= {f"op_{i}": op, f"k{i}": MISSING}
                lines += [f"    if v{i} is not k{i} and not fits(v{i}, op_{i}):"]
                lines += ["        return GUARD_FAILED"]
        if lines:
            lines = ["    try:", *("    " + line for line in lines)]
            lines += ["    except (AttributeError, LookupError, ValueError): return GUARD_FAILED"]
        out = "".join(f"{name}, " for name in [*results, *written.values()])
        given = ", ".join([*arguments, *read.values(), *generators])
        run = [f"    {out}= step({given})" if out else f"    step({given})"]
        run = _in_memory_of_its_own(run) if source.keeps else run
        masks = any(op.primitive is verified and op.params[0] is check_count for op in program.ops)
        lines += _unless_a_mask_differs(run, list(generators)) if masks else run
        remembered = {}
        for ref, new in program.writes:
            if ref.identity in read and new is not None and new.kind != "number":
                remembered[read[ref.identity].replace("v", "k")] = written[id(new)]
        if program.writes or program.settings:
            lines += [f"    assignments = {self.writes(program, written)}"]
            unchanged = self.unchanged(program, read)
            if unchanged:  # from here to the end of any(), CPython runs no handler of a signal
                lines += [f"    if {' and '.join(unchanged)}:", "        any(assignments)"]
                lines = ["    while True:", *("    " + line for line in [*lines, "        break"])]
            else:
                lines += ["    any(assignments)"]
        lines += [f"    {k} = {w}" for k, w in remembered.items()]
        lines += [f"    return {''.join(f'{r}, ' for r in results) or '()'}"]
        if program.writes or program.settings:
            lines = ["    with turn:", *("    " + line for line in lines)]
        if remembered:
            lines = [f"    global {', '.join(remembered)}", *lines]
        exec("\n".join([f"def call({', '.join(arguments)}):", *lines]), self.namespace)
        call: Callable[..., Any] = self.namespace["call"]
        return call

    def guards(self, program: Program) -> list[str]:
        """What must be as it was when the step was recorded."""
        found = []
        for i, (ref, expected) in enumerate(program.guards):
            self.namespace[f"c{i}"] = expected
            if isinstance(expected, StateRef):
                found.append(f"{self.text(ref)} == {self.text(expected)}")
            elif expected is MISSING and ref.own:
                found.append(f"{ref.attribute!r} not in {self.owner(vars(ref.owner))}")
            elif expected is MISSING and ref.in_dict:
                found.append(f"{ref.key!r} not in {self.owner(ref.owner)}")
            elif expected is MISSING:
                found.append(f"not hasattr({self.owner(ref.owner)}, {ref.attribute!r})")
            elif isinstance(ref.owner, Node):
                found.append(f"{self.text(ref)} is c{i}")
            else:
                found.append(condition(self.text(ref), f"c{i}", expected))
        known = {ref.identity for ref, _ in program.guards}
        for op in program.reads:
            if op.state is not None and op.state.attribute == "_value":
                leaf = op.state.owner
                if StateRef(leaf, "_requires_grad").identity not in known:
                    found.append(f"{self.owner(leaf)}._requires_grad is {leaf._requires_grad}")
        for i, (leaf, value) in enumerate(program.frozen_leaves):
            self.namespace[f"f{i}"] = value
            found.append(f"{self.owner(leaf)}._value is f{i}")
            found.append(f"{self.owner(leaf)}._requires_grad is {leaf._requires_grad}")
        return list(dict.fromkeys(found))

    def unchanged(self, program: Program, read: dict[Any, str]) -> list[str]:
        """Whether nobody has assigned what this call has read, and is about to assign.

        The handler of a signal can, as it does not wait for its turn.
        """
        return [
            f"{self.text(ref)} is {read[ref.identity]}"
            for ref, _ in program.writes
            if ref.identity in read and isinstance(ref.owner, Node)
        ]

    def writes(self, program: Program, written: dict[int, str]) -> str:
        """What leaves all that was made in its place, in one call in C of `any`."""
        attributes: list[tuple[str, ...]] = []
        items: list[tuple[str, ...]] = []
        for ref, new in program.writes:
            w = "None" if new is None else written[id(new)]
            owner = self.owner(ref.owner)
            if not ref.attribute:
                items.append((owner, repr(ref.key), w))
            elif ref.key is None:
                attributes.append((owner, repr(ref.attribute), w))
            else:
                items.append((self.text(StateRef(ref.owner, ref.attribute)), repr(ref.key), w))
        for i, (ref, value) in enumerate(program.settings):
            self.namespace[f"s{i}"] = value
            attributes.append((self.owner(ref.owner), repr(ref.attribute), f"s{i}"))
        maps = []
        for setter, rows in (("set_attribute", attributes), ("set_item", items)):
            if rows:
                columns = (f"({', '.join(column)},)" for column in zip(*rows, strict=True))
                maps.append(f"map({setter}, {', '.join(columns)})")
        return maps[0] if len(maps) == 1 else f"chain({', '.join(maps)})"

    def text(self, ref: StateRef) -> str:
        """What is written to read it or to assign it."""
        if ref.attribute == "__dict__":
            return f"[*vars({self.owner(ref.owner)})]"
        if ref.in_dict:
            return f"{self.owner(ref.owner)}.get({ref.key!r})"
        owner = self.owner(ref.owner)
        if ref.own:
            return f"vars({owner}).get({ref.attribute!r})"
        name = ref.attribute
        plain = name.isascii() and name.isidentifier() and not iskeyword(name)
        text = f"{owner}.{name}" if plain else f"vars({owner})[{name!r}]"
        return text if ref.key is None else f"{text}[{ref.key}]"

    def owner(self, owner: Any) -> str:
        """The name of an object in the function's namespace."""
        name = self.owners.setdefault(id(owner), f"o{len(self.owners)}")
        self.namespace[name] = owner
        return name


def _fits(value: Any, op: Op) -> bool:
    """Whether a value is of the kind for which the source was written."""
    if op.kind == "scalar":
        return isinstance(value, np.generic) and value.dtype == op.dtype
    if not isinstance(value, np.ndarray) or (value.dtype, value.shape) != (op.dtype, op.shape):
        return False
    return bool(value.flags.c_contiguous) if op.in_c_order else value.strides == op.strides


def defined(code: Any, name: str) -> Callable[..., Any]:
    """The function of a module, with memory of its own."""
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    function: Callable[..., Any] = namespace[name]
    return function


def _in_memory_of_its_own(run: list[str]) -> list[str]:
    """A call by a module that no other thread uses, nor the call that a signal has interrupted."""
    lines = ["    try: step = free.pop()", "    except IndexError: step = load()"]
    return [*lines, "    try:", *("    " + line for line in run), "    finally: free.append(step)"]


def _unless_a_mask_differs(run: list[str], generators: list[str]) -> list[str]:
    """A call that fails like a guard where a mask has another number of True, and draws nothing."""
    states = [f"{g}.bit_generator.state" for g in generators]
    lines = [f"    before = [{', '.join(states)}]", "    try:", *("    " + line for line in run)]
    lines += ["    except ValueError as error:"]
    lines += ["        if not str(error).startswith('mask with'): raise"]
    lines += [f"        {state} = before[{i}]" for i, state in enumerate(states)]
    return [*lines, "        return GUARD_FAILED"]


# ── Locks ─────────────────────────────────────────────────────────────────────────────────────────

_locks: WeakSet[Any] = WeakSet()


def lock_of_process() -> Any:
    """Return a lock that one thread can take twice, and that nobody holds in a forked child."""
    lock = RLock()
    _locks.add(lock)
    return lock


def _release_in_child() -> None:
    for lock in list(_locks):
        lock._at_fork_reinit()  # as threading and logging do


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)
