"""Row blocks: stretches that work row by row on large arrays, to be printed as loops over blocks.

An operation on arrays far larger than the caches waits for memory. Where several of them work row
by row, all can be done for a few rows, while these are in the cache, and then for the next few.
Each element is computed by the same operations as before, and each row is reduced in the same
order, so no bit changes.
"""

from __future__ import annotations

from ..engine import primitives as p
from ..engine.kernels import ARRAY_SLOT
from .ir import Loop, Op, Program, is_range
from .primitives import add_at_flat, take, verified

# An array of this many bytes is worth a loop, a block of which has the other number of bytes.
LARGE = 2**23
BLOCK = 2**20

NO_WALK = (p.reshape, p.getitem, take, add_at_flat)

Key = tuple[int, int]  # of a loop: how many come before it one after another, and its rows


def tile_rows(program: Program, fast: bool = False) -> Program:
    """Gather what works row by row on large arrays into loops, and leave all else as it is.

    Products of a matrix and a vector are left too, unless `fast`: BLAS rounds a row in one way or
    another, depending on how many there are.
    """
    sizes = {op.shape[0] for op in program.ops if op.shape and _nbytes(op) >= LARGE} - {1}
    banned: set[Op] = set()
    while sizes:
        found = _Stretches(program, sizes, banned, fast)
        unfit = found.unfit()
        if not unfit:
            return found.gathered() if found.loops else program
        banned |= unfit
    return program


def _nbytes(op: Op) -> int:
    return op.size * int(op.dtype.itemsize)


class _Stretches:
    """Which operations work row by row, and which of them can share a loop.

    Attributes
    ----------
    key
        Of the loop that an operation is in.
    level
        How many loops must have ended, one after another, before an operation.
    relative
        The operations that count from the first row, and in a loop from the first of the block.
    loops
        The operations of each loop.
    """

    def __init__(self, program: Program, sizes: set[int], banned: set[Op], fast: bool) -> None:
        self.program, self.sizes, self.banned, self.fast = program, sizes, banned, fast
        self.users: dict[Op, list[Op]] = {op: [] for op in program.ops}
        for op in program.ops:
            for x in op.inputs:
                self.users[x].append(op)
        self.wanted = set(program.wanted)
        self.relative = {op for op in program.ops if self.counts(op)} - banned
        self.key: dict[Op, Key] = {}
        self.level: dict[Op, int] = {}
        self.assign()
        self.loops: dict[Key, list[Op]] = {}
        for op in program.ops:
            if op in self.key:
                self.loops.setdefault(self.key[op], []).append(op)

    def counts(self, op: Op) -> bool:
        """Whether an operation picks from each row, or finds the places for those that do."""
        if (
            op.primitive is p.getitem
            and len(op.inputs) == 3
            and op.params[0] == (ARRAY_SLOT, ARRAY_SLOT)
        ):
            _, start, column = op.inputs
            whole = op.shape == start.shape == column.shape
            return whole and _steps(start) == 1 and column.dtype.kind in "iu"
        if op.primitive is not p.add or any(x.shape != op.shape for x in op.inputs):
            return False
        steps = sorted(map(_steps, op.inputs))
        if steps[0] or not steps[1]:
            return False
        return op not in self.wanted and all(
            user.primitive in (take, add_at_flat)
            and user.inputs[-1] is op
            and op not in user.inputs[:-1]
            and user.inputs[0].shape == (op.shape[0], steps[1])
            for user in self.users[op]
        )

    def assign(self) -> None:
        """Find the level of each operation, and the loop of each that works row by row."""
        effects = 0
        checked: dict[Op, int] = {}  # where what an operation is made from has been checked
        for op in self.program.ops:
            n = op.shape[0] if op.shape else 0
            inside = n in self.sizes and op not in self.banned and self.works_by_row(op, n)
            keys = [self.key.get(x) for x in op.inputs]
            level = max((checked.get(x, 0) for x in op.inputs), default=0)
            for x, key in zip(op.inputs, keys, strict=True):
                ended = key is not None and not (inside and key[1] == n)
                level = max(level, self.level[x] + ended)
            if op.facts.effect:  # which stay in their order
                level = effects = max(level, effects)
            if op.primitive is verified:
                checked[op.inputs[0]] = level
            self.level[op] = level
            wide = any(x.size > n and x.shape[:1] == (n,) for x in (op, *op.inputs))
            if inside and (wide or (level, n) in keys):
                self.key[op] = (level, n)
        for op in self.program.ops:  # places of labels, wherever they are needed
            used = {self.key.get(user) for user in self.users[op]}
            if op in self.relative and op not in self.key and len(used) == 1:
                (key,) = used
                if key is not None and op.primitive is p.add:
                    self.key[op], self.level[op] = key, key[0]

    def works_by_row(self, op: Op, n: int) -> bool:
        """Whether each row of the result is made from the same row of the operands, or from none.

        Elements and rows are computed alike wherever they are; but in arrays whose axes lie in
        another order, NumPy may take other ways, which do not round alike.
        """
        if op.kind != "array" or not op.inputs or not op.size:
            return False
        x = op.inputs[0]
        rows = x.kind == "array" and x.shape[:1] == (n,)
        if not op.in_c_order:
            return False
        if op.primitive is p.reshape:  # of an array in another order it would change the order
            return rows and x.in_c_order
        if op.primitive is not None and op.primitive.elementwise:
            ordered = op.facts.exact or all(y.in_c_order for y in op.inputs)
            return ordered and all(_fits_rows(y, op) for y in op.inputs)
        rows = rows and len(x.shape) > 1 and x.in_c_order
        if op.facts.by_row:
            last = op.params[0] in (-1, len(x.shape) - 1, (len(x.shape) - 1,))
            converts = op.dtype != x.dtype and op.primitive is not p.argmax  # by the chunk
            return rows and last and not converts
        if op.primitive is p.matmul:
            vector = op.inputs[1].shape
            return rows and self.fast and len(vector) == 1 and vector != (n,)
        if op.primitive is p.getitem:
            return rows and op in self.relative
        if op.primitive in (take, add_at_flat):
            return rows and op.inputs[-1] in self.relative
        return False

    def unfit(self) -> set[Op]:
        """The operations that had better be in no loop."""
        found: set[Op] = set()
        for ops in self.loops.values():
            if not self.is_worth_it(ops):
                found.update(ops)
        for op in self.program.ops:
            if op in self.relative and op.primitive is p.add:
                keys = {self.key.get(user) for user in self.users[op]}
                if keys != {self.key.get(op)}:
                    found.add(op)
        return found

    def is_worth_it(self, ops: list[Op]) -> bool:
        """Whether large arrays are gone through again and again, and by some rows at a time."""
        n = ops[0].shape[0]
        walks = [op for op in ops if op.primitive not in NO_WALK]
        touched = [y for op in walks for y in dict.fromkeys((op, *op.inputs))]
        large = [y for y in touched if y.shape[:1] == (n,) and _nbytes(y) >= LARGE]
        return len(large) > len(set(large)) + 1 and 0 < _rows_of_block(ops) < n

    def gathered(self) -> Program:
        """The program with each loop in one piece, and all else in front of it or behind."""
        where = self.where()
        self.program.ops.sort(key=lambda op: where[op])
        self.program.loops = [self.loop(key, self.loops[key]) for key in sorted(self.loops)]
        return self.program

    def loop(self, key: Key, ops: list[Op]) -> Loop:
        """What a loop does, and which of its results are needed behind it."""
        inside = set(ops)
        outlast = {op for op in ops if any(u not in inside for u in self.users[op])}
        kept = outlast | inside & self.wanted
        return Loop(ops, key[1], _rows_of_block(ops), inside & self.relative, kept)

    def where(self) -> dict[Op, Key]:
        """In which loop each is done, or behind how many: as many as when it was recorded.

        Unless what it needs is ready only later, or it is needed earlier. What has effects does
        not move past the loops.
        """
        latest = {op: len(self.program.ops) for op in self.program.ops}
        for op in reversed(self.program.ops):
            if op in self.key or op.facts.effect:
                latest[op] = self.level[op]
            for x in op.inputs:
                latest[x] = min(latest[x], latest[op])
        found: dict[Op, Key] = {}
        begun = 0
        for op in self.program.ops:
            if op in self.key:
                begun = max(begun, self.level[op] + 1)
                found[op] = self.key[op]
            else:
                recorded = begun if op.primitive is not None else 0
                after = min(max(self.level[op], recorded), latest[op])
                found[op] = (after, 0)
        return found


def _rows_of_block(ops: list[Op]) -> int:
    n = ops[0].shape[0]
    widest = max(_nbytes(y) for op in ops for y in (op, *op.inputs) if y.shape[:1] == (n,))
    return min(n, BLOCK * n // widest)


def _steps(op: Op) -> int:
    """The distance of the numbers of a constant that counts through an array, or 0."""
    counts = op.is_constant and len(op.shape) == 1 and is_range(op.data)
    return int(op.data[1]) if counts else 0


def _fits_rows(x: Op, op: Op) -> bool:
    """Whether an operand has the rows of the result, or no rows at all."""
    if x.kind != "array" or not x.shape or x.shape[0] != op.shape[0]:
        return x.kind != "array" or len(x.shape) < len(op.shape) or x.shape[0] == 1
    return len(x.shape) == len(op.shape)
