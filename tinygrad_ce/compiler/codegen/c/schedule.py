"""In which order a program is done in C, what shares a loop, and where results are put.

Operations that go through the same rows share a loop over them. One that needs such a loop's
result as a whole, a product say, comes behind it, and meanwhile others may still join the loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....engine import primitives as p
from ...ir import Op, Program
from ...passes import adds_rows, upper_bound
from ...primitives import add_at, verified
from .expressions import (
    FLOATS,
    FUNCTIONS,
    TYPES,
    RowOp,
    Style,
    expression_of,
    operand_dtype,
    row_op,
    split_axes,
)

WIDE = 256  # columns from which on a row is worth an iteration of its own
VECTOR = 16  # elements that a processor computes at once
LARGEST_ROW = 2**16  # bytes of the row of a result that is needed for one row at a time
ROWS_ON_STACK = 2**18  # bytes of such rows in one loop, of which a thread's stack may have few
BLOCK = 2**12  # elements of a block of rows, where they are narrower
PARALLEL = 2**15  # elements from which on a loop is shared among threads
ALIGNED = 64


@dataclass(eq=False)
class Stage:
    """One thing after another.

    Attributes
    ----------
    kind
        "numpy", what NumPy does; "check", of labels; "product", of matrices; "total", a sum along
        axes; "scatter", rows added at places; "scalar", a number; "loop", over rows.
    ops
        What it does.
    """

    kind: str
    ops: list[Op]


@dataclass(eq=False)
class Loop(Stage):
    """A loop over rows.

    Attributes
    ----------
    rows, width
        How often, and of how many columns; no width where there are single elements only.
    how
        How each operation is done.
    """

    rows: int = 0
    width: int | None = None
    how: dict[Op, RowOp] = field(default_factory=dict)
    after: list[Stage] = field(default_factory=list)

    @property
    def by_row(self) -> bool:
        """Whether one row is done after the other, each with all that is done to it."""
        return (self.width or 0) >= WIDE and len(self.pieces) > 1

    def is_parallel(self, threads: int) -> bool:
        """Whether rows are shared among threads."""
        large = self.rows * (self.width or 1) >= PARALLEL
        return threads > 1 and large and self.rows >= 2 * threads

    def block(self, threads: int) -> int:
        """The rows that are done at a time: one, some, or all."""
        if self.by_row:
            return 1
        width = self.width or 1
        some = max(1, BLOCK // width)
        if self.is_parallel(threads):
            return min(some, -(-self.rows // threads))
        few = len(self.pieces) < 2 or self.rows * width <= 2 * BLOCK
        return self.rows if few else some

    def place(self) -> None:
        """Put the operations into pieces: of each, all are done before the next piece begins."""
        levels: dict[Op, tuple[int, str, bool]] = {}
        width = self.width or 1
        alone = width >= WIDE
        for op in self.ops:
            how = self.how[op]
            unit = "columns" if how.full and how.how == "expression" else "rows"
            if how.how == "numpy" and (how.full or not alone):
                unit = "numpy"
            # A function is computed for several elements at once if these follow each other.
            short = not alone and (not how.full or width < VECTOR)
            apart = short and how.how == "expression" and op.primitive in FUNCTIONS
            level = 0
            for access in how.accesses:
                before = levels.get(root(access.operand))
                if before is not None:
                    shared = before[1:] == (unit, apart) and unit != "numpy"
                    level = max(level, before[0] + (not shared))
            levels[op] = level, unit, apart
        self.pieces: list[tuple[str, list[Op]]] = []
        found: dict[tuple[int, str, bool], list[Op]] = {}
        for op in self.ops:
            found.setdefault(levels[op], []).append(op)
        for (_, unit, _), ops in sorted(found.items()):
            self.pieces += [(unit, [op]) for op in ops] if unit == "numpy" else [(unit, ops)]
        self.ops = [op for _, ops in self.pieces for op in ops]


def root(op: Op) -> Op:
    """What lies in the same memory in the same order."""
    while op.primitive is p.reshape and op.in_c_order and op.inputs[0].in_c_order:
        op = op.inputs[0]
    return op


def is_transposed(op: Op) -> bool:
    """Whether it is a matrix whose rows are the columns of another one."""
    return op.primitive is p.transpose and len(op.shape) == 2 and op.inputs[0].in_c_order


@dataclass(eq=False)
class Schedule:
    """What to do, and what is needed for it.

    Attributes
    ----------
    program, style
        What to compute, and what does it where NumPy decides what a result is.
    stages
        One after the other.
    objects
        The operations whose results are objects of Python.
    """

    program: Program
    style: Style
    stages: list[Stage] = field(default_factory=list)
    open: Loop | None = None
    objects: set[Op] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.users: dict[Op, list[Op]] = {op: [] for op in self.program.ops}
        for op in self.program.ops:
            for x in op.inputs:
                self.users[x].append(op)
        self.bounds: dict[Op, int] = {}
        self.waiting: set[Op] = set()  # behind the open loop
        self.kinds: dict[Op, str] = {}
        self.row_ops: dict[Op, RowOp] = {}
        self.choose_kinds()
        for op in self.program.ops:
            self.add(op)
        self.close()
        self.merge_lines()

    # ── What is done how ──────────────────────────────────────────────────────────────────────

    def choose_kinds(self) -> None:
        """Decide for each operation what does it, and which results NumPy needs as objects."""
        for op in self.program.ops:
            self.kinds[op] = self.kind(op)
        wanted = set(self.program.wanted)
        for op in reversed(self.program.ops):
            by_numpy = any(
                self.kinds[user] in ("numpy", "view as object") for user in self.users[op]
            )
            if op in wanted or by_numpy:
                self.objects.add(op)
                if self.kinds[op] in ("view", "transposed"):
                    self.kinds[op] = "view as object"
        for op in self.program.ops:
            if self.kinds[op] == "view as object":
                self.kinds[op] = "numpy"
                self.objects.add(op.inputs[0])

    def kind(self, op: Op) -> str:
        if op.primitive is None:
            return "given"
        if op.primitive is verified:
            labels, bound = op.inputs[0], upper_bound(op)
            if bound is not None and labels.primitive is None:  # so it is checked before all else
                self.bounds[labels] = min(bound, self.bounds.get(labels, bound))
            plain = labels.kind == "array" and labels.dtype == np.int64 and labels.in_c_order
            return "check" if bound is not None and plain and labels.shape else "numpy"
        if op.kind == "number" or any(x.dtype not in TYPES for x in (op, *op.inputs)):
            return "numpy"
        if root(op) is not op:
            return "view"
        if is_transposed(op) and all(self.is_product(user) for user in self.users[op]):
            return "transposed"
        how = row_op(op, self.style)
        if how is not None and self.in_range(op):
            self.row_ops[op] = how
            return "loop"
        if self.is_product(op):
            return "product"
        if op.primitive is p.sum_ and op.dtype == op.inputs[0].dtype and op.dtype in FLOATS:
            x = op.inputs[0]
            whole = x.kind == "array" and x.in_c_order and op.in_c_order and x.size and op.size
            return "total" if whole and split_axes(x.shape, op.params[0]) else "numpy"
        if op.primitive is p.scatter and self.adds_rows(op):
            return "scatter"
        return "scalar" if self.is_scalar(op) else "numpy"

    def in_range(self, op: Op) -> bool:
        """Whether the index that an operation takes, if any, is known to be in range."""
        if op.primitive not in (p.getitem, p.scatter, add_at):
            return True
        index = op.inputs[-1]
        shape = op.shape if op.primitive is p.scatter else op.inputs[0].shape
        n = shape[len(op.params[0]) - 1]
        if index.is_constant:
            return bool(index.size and index.data.min() >= 0 and index.data.max() < n)
        return self.bounds.get(index, n + 1) <= n

    def is_product(self, op: Op) -> bool:
        """Whether it is a product of matrices that NumPy's matmul does as its dot does."""
        if op.primitive is not p.matmul or op.dtype not in FLOATS or not op.in_c_order:
            return False
        a, b = op.inputs
        plain = all(
            x.kind == "array" and len(x.shape) == 2 and x.dtype == op.dtype
            and min(x.shape) >= self.style.fewest_rows and (x.in_c_order or is_transposed(x))
            for x in (a, b)
        )  # fmt: skip
        return plain

    def adds_rows(self, op: Op) -> bool:
        g, *index = op.inputs
        plain = adds_rows(op) and index[0].dtype == np.int64 and index[0].in_c_order
        return plain and g.in_c_order and op.dtype in FLOATS and self.in_range(op)

    def is_scalar(self, op: Op) -> bool:
        """Whether it makes a number of numbers."""
        if op.shape or op.in_c_order is False or any(x.shape for x in op.inputs):
            return False
        alike = all(x.dtype == op.dtype or x.kind == "number" for x in op.inputs)
        if op.primitive in self.style.loops and op.dtype in FLOATS and alike:
            return True
        return expression_of(op, self.style) is not None and operand_dtype(op) is not None

    # ── In which order ────────────────────────────────────────────────────────────────────────

    def add(self, op: Op) -> None:
        """Put an operation behind the others, or into the open loop."""
        kind = self.kinds[op]
        if kind in ("given", "view", "transposed"):
            return
        if kind == "loop":
            self.join(op, self.row_ops[op])
            return
        stage = Stage(kind, [op])
        ordered = op.facts.effect and any(o.facts.effect for o in self.waiting)
        if self.open is not None and (ordered or self.depends(op, self.open.how, self.waiting)):
            self.open.after.append(stage)
            self.waiting.add(op)
            if op.primitive is verified:  # what takes these labels comes behind their check
                self.waiting.add(self.source(op.inputs[0]))
        else:
            self.stages.append(stage)

    def depends(self, op: Op, *groups: Any) -> bool:
        """Whether an operation takes what some others make."""
        return any(self.source(x) in group for x in op.inputs for group in groups)

    def source(self, op: Op) -> Op:
        """That which is computed, of which an operand is a view."""
        while self.kinds[op] in ("view", "transposed"):
            op = op.inputs[0]
        return op

    def join(self, op: Op, how: RowOp) -> None:
        """Put an operation into the open loop if that goes over the same rows, or into another."""
        loop = self.open
        if loop is None or self.depends(op, self.waiting) or not self.fits(op, how, loop):
            self.close()
            loop = self.open = Loop("loop", [], how.rows, how.width)
        loop.ops.append(op)
        loop.how[op] = how
        loop.width = loop.width or how.width

    def fits(self, op: Op, how: RowOp, loop: Loop) -> bool:
        if how.rows != loop.rows or (how.width and loop.width and how.width != loop.width):
            return False
        for access in how.accesses:
            made = loop.how.get(self.source(access.operand))
            if made is None:
                continue
            natural = ("full", "line") if made.full else ("row",)
            if access.place not in natural:
                return False
        return True

    def close(self) -> None:
        """End the open loop, and let what waits for it follow."""
        if self.open is not None:
            self.open.place()
            self.stages += [self.open, *self.open.after]
        self.open = None
        self.waiting = set()

    def merge_lines(self) -> None:
        """Let what NumPy does one after the other be one function."""
        merged: list[Stage] = []
        for stage in self.stages:
            if stage.kind == "numpy" and merged and merged[-1].kind == "numpy":
                merged[-1].ops += stage.ops
            else:
                merged.append(stage)
        self.stages = merged


# ── Memory ────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Memory:
    """Where the arrays are put that C computes.

    Attributes
    ----------
    local
        The operations whose results are needed only where they are made: numbers in an iteration.
    rows
        Those of which one row is needed, while a loop is at it.
    storage
        For each other one, that in whose memory its result lies: itself, one that it is written
        over, or the last of such a chain, if that is an object of Python.
    reused
        For each that is written over another one: that other one.
    offset
        Where in the memory of a call that begins, if it is no object.
    size
        How much memory a call takes.
    """

    local: set[Op] = field(default_factory=set)
    rows: set[Op] = field(default_factory=set)
    storage: dict[Op, Op] = field(default_factory=dict)
    reused: dict[Op, Op] = field(default_factory=dict)
    offset: dict[Op, int] = field(default_factory=dict)
    size: int = 0


def plan_memory(schedule: Schedule) -> Memory:
    """Decide where results are put."""
    memory = Memory()
    stage_of: dict[Op, int] = {}
    piece_of: dict[Op, tuple[int, int]] = {}
    order: dict[Op, int] = {}
    for i, stage in enumerate(schedule.stages):
        pieces = [ops for _, ops in stage.pieces] if isinstance(stage, Loop) else [stage.ops]
        for j, ops in enumerate(pieces):
            for op in ops:
                stage_of[op], piece_of[op], order[op] = i, (i, j), len(order)
    readers: dict[Op, list[Op]] = {}
    for op in order:
        for x in dict.fromkeys(map(schedule.source, op.inputs)):
            readers.setdefault(x, []).append(op)
    for stage in schedule.stages:
        if not isinstance(stage, Loop):
            continue
        for op in reversed(stage.ops):  # so that it is known of its readers
            _find_local(op, stage, schedule, readers, piece_of, memory)
    when = dict(order)  # a number that is used once is computed where it is used
    for op in reversed(order):
        if op in memory.local and len(readers.get(op, ())) == 1:
            when[op] = when[readers[op][0]]
    chains: dict[Op, list[Op]] = {}
    for stage in schedule.stages:
        if stage.kind not in ("loop", "product", "total", "scatter"):
            continue
        for op in stage.ops:
            if not op.shape or op in memory.local:
                continue
            reused = None
            if isinstance(stage, Loop):
                reused = _reused(op, stage, schedule, readers, stage_of, when, memory)
            chain = chains[op] = chains[reused] if reused is not None else []
            if chain:
                memory.reused[op] = chain[-1]
            chain.append(op)
    _allocate(schedule, chains, readers, stage_of, memory)
    return memory


def _find_local(
    op: Op, loop: Loop, schedule: Schedule, readers: Any, piece_of: Any, memory: Memory
) -> None:
    """Note if a result is a number in one iteration, or if one row of it is enough."""
    users = readers.get(op, [])
    if op in schedule.objects or any(piece_of[user][0] != piece_of[op][0] for user in users):
        return
    how = loop.how[op]
    same_piece = all(piece_of[user] == piece_of[op] for user in users)
    if loop.by_row and how.full and op.size // loop.rows * op.dtype.itemsize <= LARGEST_ROW:
        # What is added to at some places is made where the sum is put.
        begins = any(loop.how[user].how == "add" and user not in memory.rows for user in users)
        if not begins:
            memory.rows.add(op)
    if how.full:
        local = same_piece and how.how == "expression"
    else:
        local = loop.by_row or (same_piece and how.how != "numpy")
    if local:
        memory.local.add(op)
        memory.rows.discard(op)


def _reused(
    op: Op, loop: Loop, schedule: Schedule, readers: Any, stage_of: Any, when: Any, memory: Memory
) -> Op | None:
    """An operand that a result is written over, element by element."""
    for access in loop.how[op].accesses:
        x = schedule.source(access.operand)
        natural = ("full", "line", "row")
        if access.place not in natural or x in schedule.objects or x not in when:
            continue
        if (x.size, x.dtype) != (op.size, op.dtype) or x in memory.local:
            continue
        if x in memory.rows and op not in memory.rows:
            continue
        made_by_c = schedule.kinds[x] in ("loop", "product", "total", "scatter")
        if not made_by_c or not x.shape or max(when[user] for user in readers[x]) > when[op]:
            continue
        places = [
            a.place
            for user in readers[x]
            if stage_of[user] == stage_of[op]
            for a in loop.how[user].accesses
            if schedule.source(a.operand) is x
        ]
        if all(place in natural for place in places):
            return x
    return None


def _allocate(schedule: Schedule, chains: Any, readers: Any, stage_of: Any, memory: Memory) -> None:
    """Give each chain of results that are written over one another its memory."""
    free: dict[int, list[int]] = {}
    ends: dict[int, list[tuple[int, int]]] = {}
    begun: set[int] = set()
    for i, stage in enumerate(schedule.stages):
        on_stack = 0
        for op in stage.ops:
            chain = chains.get(op)
            if chain is None or id(chain) in begun:
                continue
            begun.add(id(chain))
            memory.storage.update(
                dict.fromkeys(chain, chain[-1] if chain[-1] in schedule.objects else chain[0])
            )
            if chain[-1] in schedule.objects:
                memory.rows -= {*chain}
                continue
            if isinstance(stage, Loop) and all(x in memory.rows for x in chain):
                row = op.size // stage.rows * op.dtype.itemsize
                if on_stack + row <= ROWS_ON_STACK:
                    on_stack += row
                    continue
            memory.rows -= {*chain}
            nbytes = -(-op.size * op.dtype.itemsize // ALIGNED) * ALIGNED
            waiting = free.setdefault(nbytes, [])
            if not waiting:
                waiting.append(memory.size)
                memory.size += nbytes
            memory.offset[chain[0]] = offset = waiting.pop()
            used = [stage_of[user] for x in chain for user in [x, *readers.get(x, [])]]
            ends.setdefault(max(used), []).append((nbytes, offset))
        for nbytes, offset in ends.pop(i, ()):
            free[nbytes].append(offset)
