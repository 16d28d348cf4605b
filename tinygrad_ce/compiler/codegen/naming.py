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
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

import numpy as np

from ...engine import primitives as p
from ..ir import Op, Program, is_range
from ..memory import NEVER, Plan, is_view
from ..primitives import add_at, add_at_flat, sampled, verified
from .literals import identifier
from .literals import number as literal

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
RESERVED = {*keyword.kwlist, *dir(builtins), "np", "math", "cache", "getrefcount"}
FEW = 50  # numbers of a name that are used again; looking at all takes long where there are many


def assign_names(program: Program, plan: Plan, function: str) -> dict[Op, str]:
    """A name for each operation.

    Parameters
    ----------
    program, plan
        The operations, and which of them write over an operand.
    function
        The name of the function, which no constant of its module can have.
    """
    bases: dict[Op, str | None] = {op: op.name or _of_state(op) for op in program.ops}
    for found in (_of_logits(program), _of_scopes(program), _of_losses(program)):
        for key, name in found.items():
            bases[key] = bases[key] or name
    for op in program.ops:
        if op.is_constant and not bases[op]:
            bases[op] = _default(op)  # the module's own, and never anything else
    _name_stages(program, plan, bases)
    return _Namer(program, plan, bases, function).names()


def last_mentions(program: Program) -> dict[Op, int]:
    """The number of the last statement in which each operation can appear.

    A view or a number can be written where it is used, and what it is made of appears there too.
    """
    last: dict[Op, int] = {}
    for i, op in reversed(list(enumerate(program.ops))):
        inlined = is_view(op) or op.kind != "array"
        where = last.get(op, i) if inlined else i
        for source in op.inputs:
            last[source] = max(last.get(source, 0), where)
    place = {op: i for i, op in enumerate(program.ops)} if program.loops else {}
    for loop in program.loops:  # which needs for each block what comes from outside
        after = place[loop.ops[-1]] + 1
        for op in program.ops[: place[loop.ops[0]]]:
            if last.get(op, 0) >= place[loop.ops[0]]:
                last[op] = max(last[op], after)
    for op in program.wanted:
        last[op] = len(program.ops)
    return last


# ── What results are called after ─────────────────────────────────────────────────────────────────


def _of_state(op: Op) -> str | None:
    if op.state is None:
        return None
    owner, attribute, key = op.state.owner, op.state.attribute, op.state.key
    if attribute == "_value":
        return owner.name or "state"
    if attribute == "_grad":
        return f"d{owner.name or 'state'}"
    if key is None or op.state.shared:
        return attribute
    return f"{attribute}_{owner.params[key].name or key}"


def _of_logits(program: Program) -> dict[Op, str]:
    """What a softmax or a cross-entropy takes."""
    return {
        op.inputs[0]: "logits"
        for op in program.ops
        if op.primitive in (p.max_constant, p.argmax)
        if op.scope is not None and op.scope.name in OF_LOGITS
        if op.inputs[0].primitive is not None and op.inputs[0].scope is not op.scope
    }


def _of_scopes(program: Program) -> dict[Op, str]:
    """What is used outside of the scope that it was made in, after the scope."""
    found: dict[Op, str] = {}
    for op in program.ops:
        for source in op.inputs:
            if op.forward_op is None and op.scope is not source.scope:
                found |= _of_scope(source)
    for op in program.results:
        found |= _of_scope(op)
    return found


def _of_scope(op: Op) -> dict[Op, str]:
    if op.primitive is None or op.scope is None or op.forward_op is not None:
        return {}
    return {op: OF_SCOPE.get(op.scope.name, _snake(op.scope.name))}


def _of_losses(program: Program) -> dict[Op, str]:
    """What a cross-entropy takes the mean or the sum of."""
    return {
        op.inputs[0]: "losses"
        for op in program.ops
        if op.scope is not None and op.scope.name == "cross_entropy" and op.forward_op is None
        if op.kind != "array" and op.primitive in (p.mean, p.sum_)
        if op.inputs[0].primitive is not p.exp
    }


def _name_stages(program: Program, plan: Plan, bases: dict[Op, str | None]) -> None:
    """Call a stage on the way to a result like the result that is written over it."""
    for op in reversed(program.ops):
        reused = continued(program, plan, op)
        if reused is None or bases[reused] or reused.gradient_of:
            continue
        if op.primitive in (add_at, add_at_flat):
            reused.gradient_of = op.gradient_of
        elif (reused.scope, reused.forward_op) == (op.scope, op.forward_op):
            bases[reused] = None if _in_softmax(reused) else bases[op]


def continued(program: Program, plan: Plan, op: Op) -> Op | None:
    """What an operation writes over, unless one of them is a block and the other a whole array."""
    reused = plan.in_place_of.get(op)
    for loop in program.loops if reused is not None else ():
        if (op in loop.local) != (reused in loop.local):
            return None
    return reused


def _default(op: Op) -> str:
    if op.primitive is verified:
        return "unsigned"
    if op.primitive is sampled:
        return str(op.params[1])
    if op.primitive is None:
        return "rows" if is_range(op.data) else _of_number(op.data)
    if op.scope is not None and (op.scope.name, op.primitive) in IN_DROPOUT:
        return IN_DROPOUT[op.scope.name, op.primitive]
    operands = [x for x in op.forward_op.inputs if not x.is_constant] if op.forward_op else []
    if len(operands) == 1 and op.kind == "array":
        return "slope"
    if _in_softmax(op):
        return IN_SOFTMAX[op.primitive]
    of_update = op.scope is None and op.forward_op is None and op.kind == "array"
    if of_update and op.primitive is p.multiply:
        return "step"
    return op.facts.name or op.primitive.name


def _in_softmax(op: Op) -> bool:
    return op.scope is not None and op.scope.name in OF_LOGITS and op.primitive in IN_SOFTMAX


def _of_number(value: Any) -> str:
    """A name that says which number it is."""
    if not isinstance(value, np.ndarray) or value.shape:
        return "constant"
    known = {0: "zero", 1: "one", 2: "two", 0.5: "half"}
    number = value.item()
    text = re.sub(r"\W", "_", literal(value[()]).text.replace("-", "_minus_").strip("_"))
    return known.get(number, f"c_{text}") if number == number else "nan"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


# ── No name for two things at a time ──────────────────────────────────────────────────────────────


@dataclass
class _Namer:
    program: Program
    plan: Plan
    bases: dict[Op, str | None]
    function: str
    found: dict[Op, str] = field(default_factory=dict)
    until: dict[str, int] = field(default_factory=dict)  # the last statement that needs a name
    fresh: dict[str, int] = field(default_factory=dict)  # by base, the number for a new name

    def names(self) -> dict[Op, str]:
        """The names of all operations."""
        self.last = last_mentions(self.program)
        renewed = self.renewed()
        self.give_own([op for op in self.program.ops if self.bases[op]], renewed)
        first = {loop.ops[0]: loop for loop in self.program.loops}
        for i, op in enumerate(self.program.ops):
            if op in first:  # arrays that are there from the first block on
                for x in first[op].ops:
                    if x in first[op].kept and x not in self.found | renewed:
                        self.give(x, self.free_name(self.base(x), x, i), i)
            if op in self.found:
                continue
            reused = continued(self.program, self.plan, op)
            if op in renewed:
                self.found[op] = self.found[renewed[op]]
            elif reused is not None and self.is_stage(reused, op):
                self.give(op, self.found[reused], i)
            else:
                self.give(op, self.free_name(self.base(op), op, i), i)
        return self.found

    def base(self, op: Op) -> str:
        """What a result is called that has no name of its own."""
        return "d" + self.primal(op) if op.gradient_of else identifier(_default(op))

    def is_stage(self, reused: Op, op: Op) -> bool:
        """Whether what an operation writes over is a stage on the way to it, and called alike."""
        if op.gradient_of:
            return reused.gradient_of is op.gradient_of
        return self.bases[reused] is None and not reused.gradient_of and not _in_softmax(op)

    def renewed(self) -> dict[Op, Op]:
        """The new values of what was read from outside, once the old one is not needed any more."""
        read = {op.state.identity: op for op in self.program.reads if op.state is not None}
        order = {op: i for i, op in enumerate(self.program.ops)}
        found: dict[Op, Op] = {}
        for ref, op in self.program.writes:
            old = read.get(ref.identity)
            if op is None or old is None or op.primitive is None or op in found:
                continue
            if self.last.get(old, 0) <= order[op]:
                found[op] = old
        return found

    def give_own(self, ops: list[Op], renewed: dict[Op, Op]) -> None:
        """Give these their own names for good, numbered where several are called the same."""
        firsts: dict[Op, Op] = {}
        for op in ops:
            reused = continued(self.program, self.plan, op)
            if reused is not None and self.bases[reused] == self.bases[op]:
                firsts[op] = firsts.get(reused, op)
            elif op not in renewed:
                firsts[op] = op
        groups = Counter(identifier(self.bases[op] or "") for op in set(firsts.values()))
        for op in ops:
            if firsts.get(op) is op:
                base = identifier(self.bases[op] or "")
                self.give(op, self.free_name(base, op, -1, groups[base] > 1), NEVER)
            elif op in firsts and op not in renewed:
                self.found[op] = self.found[firsts[op]]

    def free_name(self, base: str, op: Op, i: int, numbered: bool = False) -> str:
        """The base if it is free for what statement i makes, else the base with a number."""
        # These make their result before they read what is put into it.
        latest = i - (op.primitive in (p.scatter, add_at, add_at_flat))
        for number in chain(range(numbered, FEW), count(self.fresh.get(base, FEW))):
            name = f"{base}_{number}" if number else base
            needed = name in RESERVED or (op.is_constant and name == self.function)
            if not needed and self.until.get(name, -NEVER) <= latest:
                if number >= FEW:
                    self.fresh[base] = number + 1
                return name
        raise AssertionError

    def give(self, op: Op, name: str, i: int) -> None:
        """Call a result by a name, which is taken as long as the result is needed."""
        self.found[op] = name
        self.until[name] = max(self.until.get(name, i), self.last.get(op, i), i)

    def primal(self, op: Op) -> str:
        """The name of that of which it is the gradient; the best, where there are several."""
        best = max(
            op.gradient_of,
            key=lambda node: (node.primitive is None, bool(self.bases.get(node))),
        )
        return self.found.get(best) or identifier(_default(best))
