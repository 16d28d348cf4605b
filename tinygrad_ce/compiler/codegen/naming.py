"""Names: what each result is called in the source.

A name that the user gave comes first. What leaves a scope is called after it: the loss, the
probabilities, a hidden layer. A gradient is called like what it is the gradient of, with a d in
front, and a parameter's new value like the parameter. The rest is called after the primitive, and
a name is used again once what it stood for is not needed any more.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections import Counter
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

import numpy as np

from ...engine import primitives as p
from ..ir import Op, Program, is_range
from ..memory import Plan, is_view
from ..passes import add_at, add_at_flat, take
from ..recorder import sampled, verified

OF_SCOPE = {
    "Linear": "z", "Tanh": "h", "ReLU": "h", "Sigmoid": "h", "Dropout": "h", "dropout": "h",
    "cross_entropy": "loss",
    "softmax": "probs", "log_softmax": "log_probs", "Embedding": "vectors", "BatchNorm1d": "normed",
}  # fmt: skip
OF_LOGITS = {"cross_entropy", "softmax", "log_softmax", "logsumexp"}
IN_SOFTMAX = {
    p.exp: "counts", p.sum_: "counts_sum", p.matmul: "counts_sum", p.log: "log_sum",
    p.subtract: "shifted",
}  # fmt: skip
IN_DROPOUT = {
    ("dropout", p.greater_equal): "keep", ("dropout", p.astype): "mask",
    ("dropout", p.multiply): "mask",
}  # fmt: skip
OF_PRIMITIVE = {
    p.add: "total", p.subtract: "difference", p.multiply: "product", p.divide: "ratio",
    p.matmul: "product", p.sum_: "total", p.getitem: "picked", p.scatter: "spread",
    add_at: "total", add_at_flat: "total", take: "picked", p.where: "chosen",
    p.reshape: "reshaped", p.transpose: "transposed", p.concatenate: "joined", p.max_: "largest",
    p.min_: "smallest", p.power: "power", p.sqrt: "root", p.broadcast_to: "spread",
}  # fmt: skip
RESERVED = {*keyword.kwlist, *dir(builtins), "np", "math", "cache", "getrefcount"}


def named(
    program: Program, plan: Plan, arguments: list[str], function: str, taken: set[str]
) -> dict[int, str]:
    """A name for each operation, by its id.

    Parameters
    ----------
    program, plan
        The operations, and which of them write over an operand.
    arguments
        What the step calls its arguments.
    function
        The name of the function, which no constant of its module can have.
    taken
        The names that are not free at all.
    """
    bases: dict[int, str | None] = {id(op): op.name or _of_place(op) for op in program.ops}
    bases |= {id(op): name for op, name in zip(program.arguments, arguments, strict=True)}
    for found in (_of_logits(program), _of_scopes(program), _of_losses(program)):
        for key, name in found.items():
            bases[key] = bases[key] or name
    for op in program.ops:
        if op.is_constant and not bases[id(op)]:
            bases[id(op)] = _default(op)  # the module's own, and never anything else
    _name_stages(program, plan, bases)
    return _Namer(program, plan, bases, function, taken).names()


def last_mentions(program: Program) -> dict[int, int]:
    """The number of the last statement in which each operation can appear.

    A view or a number can stand where it is used, and what it is made of appears there too.
    """
    last: dict[int, int] = {}
    for i, op in reversed(list(enumerate(program.ops))):
        inlined = is_view(op) or op.kind != "array"
        where = last.get(id(op), i) if inlined else i
        for source in op.inputs:
            last[id(source)] = max(last.get(id(source), 0), where)
    place = {id(op): i for i, op in enumerate(program.ops)} if program.loops else {}
    for loop in program.loops:  # which needs for each block what comes from outside
        behind = place[id(loop.ops[-1])] + 1
        for op in program.ops[: place[id(loop.ops[0])]]:
            if last.get(id(op), 0) >= place[id(loop.ops[0])]:
                last[id(op)] = max(last[id(op)], behind)
    for op in program.wanted:
        last[id(op)] = len(program.ops)
    return last


# ── What results are called after ─────────────────────────────────────────────────────────────────


def _of_place(op: Op) -> str | None:
    if op.place is None:
        return None
    owner, attribute, key = op.place.owner, op.place.attribute, op.place.key
    if attribute == "_value":
        return owner.name or "state"
    if attribute == "_grad":
        return "d" + (owner.name or "state")
    if key is None or op.place.shared:
        return attribute
    return f"{attribute}_{owner.params[key].name or key}"


def _of_logits(program: Program) -> dict[int, str]:
    """What a softmax or a cross-entropy takes."""
    return {
        id(op.inputs[0]): "logits"
        for op in program.ops
        if op.primitive in (p.max_constant, p.argmax)
        if op.scope is not None and op.scope.name in OF_LOGITS
        if op.inputs[0].primitive is not None and op.inputs[0].scope is not op.scope
    }


def _of_scopes(program: Program) -> dict[int, str]:
    """What is used outside of the scope that it was made in, after the scope."""
    found: dict[int, str] = {}
    for op in program.ops:
        for source in op.inputs:
            if op.behind is None and op.scope is not source.scope:
                found |= _of_scope(source)
    for op in program.results:
        found |= _of_scope(op)
    return found


def _of_scope(op: Op) -> dict[int, str]:
    if op.primitive is None or op.scope is None or op.behind is not None:
        return {}
    return {id(op): OF_SCOPE.get(op.scope.name, _snake(op.scope.name))}


def _of_losses(program: Program) -> dict[int, str]:
    """What a cross-entropy takes the mean or the sum of."""
    return {
        id(op.inputs[0]): "losses"
        for op in program.ops
        if op.scope is not None and op.scope.name == "cross_entropy" and op.behind is None
        if op.kind != "array" and op.primitive in (p.mean, p.sum_)
        if op.inputs[0].primitive is not p.exp
    }


def _name_stages(program: Program, plan: Plan, bases: dict[int, str | None]) -> None:
    """Call a stage on the way to a result like the result that is written over it."""
    for op in reversed(program.ops):
        victim = continued(program, plan, op)
        if victim is None or bases[id(victim)] or victim.gradient_of:
            continue
        if op.primitive in (add_at, add_at_flat):
            victim.gradient_of = op.gradient_of
        elif victim.scope is op.scope and victim.behind is op.behind and not _in_softmax(victim):
            bases[id(victim)] = bases[id(op)]


def continued(program: Program, plan: Plan, op: Op) -> Op | None:
    """What an operation writes over, unless one of them is a block and the other a whole array."""
    victim = plan.over.get(id(op))
    for loop in program.loops if victim is not None else ():
        if (id(op) in loop.local) != (id(victim) in loop.local):
            return None
    return victim


def _default(op: Op) -> str:
    if op.primitive is verified:
        return "unsigned"
    if op.primitive is sampled:
        return str(op.params[1])
    if op.primitive is None:
        return "rows" if is_range(op.data) else _of_number(op.data)
    if op.scope is not None and (op.scope.name, op.primitive) in IN_DROPOUT:
        return IN_DROPOUT[op.scope.name, op.primitive]
    operands = [x for x in op.behind.inputs if not x.is_constant] if op.behind is not None else []
    if len(operands) == 1 and op.kind == "array":
        return "slope"
    if _in_softmax(op):
        return IN_SOFTMAX[op.primitive]
    of_update = op.scope is None and op.behind is None and op.kind == "array"
    if of_update and op.primitive is p.multiply:
        return "step"
    return OF_PRIMITIVE.get(op.primitive, op.primitive.name)


def _in_softmax(op: Op) -> bool:
    return op.scope is not None and op.scope.name in OF_LOGITS and op.primitive in IN_SOFTMAX


def _of_number(value: Any) -> str:
    """A name that says which number it is."""
    if not isinstance(value, np.ndarray) or value.shape:
        return "constant"
    known = {0: "zero", 1: "one", 2: "two", 0.5: "half"}
    number = value.item()
    text = re.sub(r"\W", "_", str(value.reshape(())[()]).replace("-", "_minus_").strip("_"))
    return known.get(number, f"c_{text}") if number == number else "nan"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _identifier(name: str) -> str:
    cleaned = re.sub(r"\W+", "_", name).strip("_") or "x"
    return f"x_{cleaned}" if cleaned[0].isdigit() else cleaned


# ── No name for two things at a time ──────────────────────────────────────────────────────────────


@dataclass
class _Namer:
    program: Program
    plan: Plan
    bases: dict[int, str | None]
    function: str
    taken: set[str]

    def names(self) -> dict[int, str]:
        """The names of all operations."""
        self.last = last_mentions(self.program)
        self.found: dict[int, str] = {}
        self.until: dict[str, int] = {}  # where the name is free again
        renewed = self.renewed()
        explicit = [op for op in self.program.ops if self.bases[id(op)] and id(op) not in renewed]
        self.number(explicit)
        first = {id(loop.ops[0]): loop for loop in self.program.loops}
        for i, op in enumerate(self.program.ops):
            if id(op) in first:  # arrays that are there from the first block on
                for x in first[id(op)].ops:
                    taken = id(x) in self.found or id(x) in renewed
                    if id(x) in first[id(op)].kept and not taken:
                        self.take(self.base(x), x, i)
            if id(op) in self.found:
                continue
            victim = continued(self.program, self.plan, op)
            if id(op) in renewed:
                self.found[id(op)] = self.found[id(renewed[id(op)])]
            elif victim is not None and op.gradient_of and victim.gradient_of is op.gradient_of:
                self.continue_with(victim, op, i)
            elif op.gradient_of or victim is None or not self.is_stage(victim) or _in_softmax(op):
                self.take(self.base(op), op, i)
            else:
                self.continue_with(victim, op, i)
        return self.found

    def base(self, op: Op) -> str:
        """What a result is called that has no name of its own."""
        return "d" + self.primal(op) if op.gradient_of else _identifier(_default(op))

    def is_stage(self, op: Op) -> bool:
        """Whether an operation has no name of its own to be found by."""
        return self.bases[id(op)] is None and not op.gradient_of

    def renewed(self) -> dict[int, Op]:
        """The new values of what was read from a place, once the old one is not needed any more."""
        read = {op.place.identity: op for op in self.program.reads if op.place is not None}
        order = {id(op): i for i, op in enumerate(self.program.ops)}
        found: dict[int, Op] = {}
        for place, op in self.program.writes:
            old = read.get(place.identity)
            if op is None or old is None or op.primitive is None or id(op) in found:
                continue
            if self.last.get(id(old), 0) <= order[id(op)]:
                found[id(op)] = old
        return found

    def number(self, ops: list[Op]) -> None:
        """Give these their own names, numbered where several are called the same."""
        groups: dict[int, int] = {}
        for op in ops:
            victim = continued(self.program, self.plan, op)
            continues = victim is not None and self.bases[id(victim)] == self.bases[id(op)]
            groups[id(op)] = groups.get(id(victim), id(op)) if continues else id(op)
        firsts = [op for op in ops if groups[id(op)] == id(op)]
        count = Counter(_identifier(self.bases[id(op)] or "") for op in firsts)
        for op in firsts:
            base = _identifier(self.bases[id(op)] or "")
            unique = count[base] == 1 and self.is_free(base, op)
            self.found[id(op)] = base if unique else self.numbered(base)[0]
            self.until[self.found[id(op)]] = len(self.program.ops)
        for op in ops:
            self.found[id(op)] = self.found[groups[id(op)]]

    def numbered(self, base: str, i: int = 0) -> tuple[str, int]:
        """The base with a number that is free at i, be it again, and the number."""
        lent = self.lent.setdefault(base, [])
        while lent and lent[0][0] < i:
            _, number = heappop(lent)
            name = f"{base}_{number}"
            if self.until[name] < i:
                return name, number
            heappush(lent, (self.until[name], number))  # what it stands for has been written over
        number = self.counters.get(base, 0) + 1
        while f"{base}_{number}" in self.until:
            number += 1
        self.counters[base] = number
        return f"{base}_{number}", number

    def is_free(self, name: str, op: Op) -> bool:
        """Whether the module itself does not need a name that an operation is to have."""
        return name not in self.taken and not (op.is_constant and name == self.function)

    def take(self, base: str, op: Op, i: int) -> None:
        """Use a name, again if what it stood for is not needed from here on."""
        name = base
        until = self.until.get(name, -1)
        # These make their result before they read what is put into it.
        held = until == i and op.primitive in (p.scatter, add_at, add_at_flat)
        end = self.last.get(id(op), i)
        if not self.is_free(name, op) or until > i or held:
            name, number = self.numbered(base, i)
            heappush(self.lent[base], (end, number))
        self.found[id(op)] = name
        self.until[name] = end

    def continue_with(self, victim: Op, op: Op, i: int) -> None:
        """Call a result like what it is written over."""
        name = self.found[id(op)] = self.found[id(victim)]
        self.until[name] = max(self.until[name], self.last.get(id(op), i))

    def primal(self, op: Op) -> str:
        """The name of that of which it is the gradient; the best, where there are several."""
        best = max(
            op.gradient_of,
            key=lambda node: (node.primitive is None, bool(self.bases.get(id(node)))),
        )
        return self.found.get(id(best)) or _identifier(_default(best))

    def __post_init__(self) -> None:
        self.counters: dict[str, int] = {}
        self.lent: dict[str, list[tuple[int, int]]] = {}  # numbers by where they are free again
