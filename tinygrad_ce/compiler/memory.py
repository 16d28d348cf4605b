"""Where results are put: into the memory of an operand that is not needed any more, or a buffer.

What the step returns or leaves behind lies in memory of its own, which no later call writes to as
long as anyone holds it. All else can share: an element-wise operation writes over an operand whose
last use this is, and large intermediate results lie in buffers that are kept from call to call.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from sys import getrefcount
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine import primitives as p
from .ir import Loop, Op, Program
from .primitives import add_at, add_at_flat

# From this many bytes on, a buffer that is kept is worth its name.
LARGE = 2**17

# From this many bytes on, the C library gives memory back to the system as soon as it is free, and
# the system clears each page of it before it hands it out once more.
CLEARED = 2**25

NEVER = 10**9


@dataclass
class Plan:
    """Where the result of each operation goes, by operation.

    Attributes
    ----------
    in_place_of
        The operand that it writes over.
    buffer
        The number of the buffer that it is put into.
    buffers
        An operation of the shape and dtype of each buffer.
    spare
        The number of the list of arrays from which a result that is wanted is given one.
    spares
        An operation of the shape and dtype of the arrays of each list.
    copied
        The results that must be copied, since they share memory with an argument.
    target
        For the first of those that write over one another in a loop: the one whose results are
        kept, which all lie in the rows of its array.
    reused_array
        For a result that is kept: the array from in front of the loop that it is written over.
    """

    in_place_of: dict[Op, Op] = field(default_factory=dict)
    buffer: dict[Op, int] = field(default_factory=dict)
    buffers: list[Op] = field(default_factory=list)
    spare: dict[Op, int] = field(default_factory=dict)
    spares: list[Op] = field(default_factory=list)
    copied: set[Op] = field(default_factory=set)
    target: dict[Op, Op] = field(default_factory=dict)
    reused_array: dict[Op, Op] = field(default_factory=dict)


def is_view(op: Op) -> bool:
    """Whether the result can share memory with an operand."""
    return op.facts.view or (op.primitive is p.getitem and len(op.inputs) == 1)


def plan_memory(program: Program) -> Plan:
    """Decide in which memory each result is put."""
    plan = Plan()
    owners = _owners(program)
    last_use = _last_uses(program, owners)
    shared = _shared(program, owners)
    for i, op in enumerate(program.ops):
        reused = _reused_operand(op, i, owners, last_use)
        if reused is not None and reused not in shared.get(op, ()):
            plan.in_place_of[op] = reused
    for loop in program.loops:
        _place_kept_results(loop, plan, owners)
    _share_buffers(program, plan, owners, last_use)
    arguments = set(program.arguments)
    for op in program.wanted:
        if not op.is_constant and any(owner in arguments for owner in owners[op]):
            plan.copied.add(op)
    return plan


def _owners(program: Program) -> dict[Op, list[Op]]:
    """For each operation, those in whose memory its result lies: itself, unless it is a view."""
    owners: dict[Op, list[Op]] = {}
    for op in program.ops:
        owners[op] = [op]
        if is_view(op):
            owners[op] = [owner for source in op.inputs for owner in owners[source]]
    return owners


def _last_uses(program: Program, owners: dict[Op, list[Op]]) -> dict[Op, int]:
    """The number of the operation that is the last to need what an operation has computed."""
    last_use: dict[Op, int] = {}
    for i, op in enumerate(program.ops):
        for source in op.inputs:
            for owner in owners[source]:
                last_use[owner] = i
    for op in program.wanted:
        for owner in owners[op]:
            last_use[owner] = NEVER
    return last_use


def _reused_operand(
    op: Op, i: int, owners: dict[Op, list[Op]], last_use: dict[Op, int]
) -> Op | None:
    """An operand that the result fits into, and that nothing later needs."""
    adds = op.primitive in (add_at, add_at_flat)
    if op.kind != "array" or not (op.facts.ufunc or adds):
        return None
    candidates = op.inputs[:1] if adds else op.inputs
    for x in candidates:
        owner = owners[x][0]
        fits = (x.kind, x.dtype, x.shape, x.strides) == ("array", op.dtype, op.shape, op.strides)
        ours = len(owners[x]) == 1 and owner.primitive is not None and owner.in_c_order
        if not (fits and ours and x.in_c_order and last_use[owner] == i):
            continue
        if all(y is x or owner not in owners[y] for y in op.inputs):
            return x
    return None


def _shared(program: Program, owners: dict[Op, list[Op]]) -> dict[Op, set[Op]]:
    """For each operation of a loop, what it must not write over: other rows may be read as well."""
    found: dict[Op, set[Op]] = {}
    for loop in program.loops:
        outer = {x for op in loop.ops for x in op.inputs} - loop.inside
        counts = Counter(owner for key in outer for owner in owners[key])
        for op in loop.ops:
            found[op] = {x for x in op.inputs if any(counts[owner] > 1 for owner in owners[x])}
    return found


def _place_kept_results(loop: Loop, plan: Plan, owners: dict[Op, list[Op]]) -> None:
    """Give each chain of in-place updates the memory of its final result, if that is kept."""
    for op in loop.ops:
        if op not in loop.kept:
            continue
        first, reused = op, plan.in_place_of.get(op)
        while reused is not None and owners[reused][0] in loop.inside:
            first = owners[reused][0]
            reused = plan.in_place_of.get(first)
        if first.shape == op.shape and reused is not None and reused not in loop.inside:
            plan.reused_array[op] = reused
            continue
        if first.shape != op.shape or not first.facts.ufunc or reused is not None:
            plan.in_place_of.pop(op, None)
            first = op
        if first.facts.ufunc:
            plan.target[first] = op


def _share_buffers(
    program: Program, plan: Plan, owners: dict[Op, list[Op]], last_use: dict[Op, int]
) -> None:
    """Put large results into buffers, each as soon as one is free again.

    Those that are wanted lie in memory of their own; if it is huge, in that of an earlier call,
    once nobody holds that any more.
    """
    chains = _chains(program, plan, owners)
    number = {op: i for i, op in enumerate(program.ops)}
    loop_of = {op: loop for loop in program.loops for op in loop.ops}
    loop_at = {i: loop for loop in program.loops for i in (number[op] for op in loop.ops)}
    ends: dict[Op, int] = {}
    for op in program.ops:
        chain = chains[op]
        end = last_use.get(op, 0)
        if end in loop_at and loop_of.get(chain) is not loop_at[end]:
            end = number[loop_at[end].ops[-1]]  # needed for each block
        ends[chain] = max(ends.get(chain, 0), end)
    free: dict[object, list[int]] = {}
    until: dict[int, list[tuple[object, int]]] = {}
    for i, op in enumerate(program.ops):
        loop = loop_of.get(op)
        asking: list[tuple[Op, Op, Op]] = []  # writes first, how much, whose place
        asking += [] if op in plan.target else [(op, _block_of(op, loop), op)]
        if loop is not None and loop.ops[0] is op:
            firsts = [first for first in loop.ops if first in plan.target]
            asking = [(first, first, plan.target[first]) for first in firsts] + asking
        for first, memory, user in asking:
            end = ends[chains[first]]
            if not _takes_buffer(memory) or first in plan.in_place_of:
                continue
            if end < NEVER:
                key = (memory.shape, memory.dtype)
                waiting = free.setdefault(key, [])
                if not waiting:
                    waiting.append(len(plan.buffers))
                    plan.buffers.append(memory)
                plan.buffer[user] = waiting.pop()
                until.setdefault(end, []).append((key, plan.buffer[user]))
            elif memory is first and memory.size * memory.dtype.itemsize >= CLEARED:
                plan.spare[user] = len(plan.spares)
                plan.spares.append(memory)
        for freed, index in until.pop(i, ()):
            free.setdefault(freed, []).append(index)


def _block_of(op: Op, loop: Loop | None) -> Op:
    """An operation with as many rows as it computes at a time."""
    if loop is None or op.primitive is None or not op.in_c_order:
        return op
    block = op.like(op.primitive, op.inputs, op.params)
    block.shape = (loop.block, *op.shape[1:])
    return block


def _chains(program: Program, plan: Plan, owners: dict[Op, list[Op]]) -> dict[Op, Op]:
    """For each operation, the first of the chain of those that have written over one another."""
    chains: dict[Op, Op] = {}
    for op in program.ops:
        reused = plan.in_place_of.get(op)
        chains[op] = op if reused is None else chains[owners[reused][0]]
    return chains


def _takes_buffer(op: Op) -> bool:
    if op.kind != "array" or op.size * op.dtype.itemsize < LARGE or not op.in_c_order:
        return False
    return bool(op.facts.ufunc) or op.primitive is p.matmul


def recycled(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """One of the arrays that earlier calls have returned, if nobody holds it now, or a new one.

    Two are kept at most: one may be held until the other takes its place.
    """
    arrays.append(np.empty(0))  # which nobody else holds, for comparison
    *holders, nobody = [getrefcount(arrays[i]) for i in range(len(arrays))]
    del arrays[-1]
    if nobody in holders:
        array = arrays.pop(holders.index(nobody))
        array.setflags(write=True)  # a Tensor that held it took that away
    else:
        array = np.empty_like(arrays[0])
    arrays[:] = [array, *arrays[:1]]
    return array
