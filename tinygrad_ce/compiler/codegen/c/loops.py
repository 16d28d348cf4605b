"""Loops over rows: all rows at once, some at a time, or one after the other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ....engine import primitives as p
from ...ir import Op
from . import helpers
from .expressions import COPIES, NUMPY_LOOPS, TYPES, RowOp, Style, literal, sizes_text
from .names import free_name
from .schedule import Loop, Memory, Schedule

Index = Callable[[Op, str], str]  # an element of an operand, and which one it is


class Printer(Protocol):
    """What a loop is written for."""

    schedule: Schedule
    memory: Memory
    style: Style
    threads: int
    indent: int
    texts: dict[Op, str]
    names: dict[Op, str]
    taken: set[str]
    declared: set[str]
    uses: Counter[Op]

    def write(self, *lines: str) -> None:
        """Add lines."""

    def need(self, text: str, ctype: str = "", function: str = "") -> None:
        """Let the source hold a helper."""

    def numpy_loop(self, text: str, function: str, ctype: str) -> None:
        """Let the source hold what calls a loop of NumPy's."""

    def parallel(self) -> None:
        """Let threads share the loop that is written next."""

    def place(self, op: Op) -> None:
        """Declare the array that a result is put into."""

    def pointer(self, x: Op) -> str:
        """Where the elements of an operand begin."""

    def expression(self, op: Op, places: list[str], index: Index | None = None) -> str:
        """What computes one element of a result."""

    def element(self, x: Op, place: str, dtype: Any, index: Index | None) -> str:
        """One element of an operand, in a dtype."""


@dataclass
class LoopPrinter:
    """Writes a loop, which can have names of its own for numbers in an iteration."""

    printer: Printer
    loop: Loop

    def write(self) -> None:
        """Write a loop over rows, all at once, in blocks, or one after the other."""
        printer, loop = self.printer, self.loop
        memory = printer.memory
        for op in loop.ops:
            if op not in memory.local and op not in memory.rows:
                printer.place(op)
        self.width = loop.width or 1
        self.locals: set[str] = set()
        block = loop.block(printer.threads)
        self.one_row = loop.by_row
        self.begin, self.end = "0", str(loop.rows)
        nested = block < loop.rows or self.one_row
        if nested:
            self.begin_rows(block)
        for unit, ops in loop.pieces:
            getattr(self, f"write_{unit}")(ops)
        if nested:
            printer.indent -= 1
            printer.write("}")

    def begin_rows(self, block: int) -> None:
        """Begin a loop over rows or blocks of them, and declare what is kept of one row."""
        printer, rows = self.printer, self.loop.rows
        if self.loop.is_parallel(printer.threads):
            printer.parallel()
        if self.one_row:
            printer.write(f"for (npy_intp i = 0; i < {rows}; i++) {{")
            self.begin, self.end = "i", "i + 1"
        else:
            last = f"first + {block}"
            if rows % block:
                last = f"{last} < {rows} ? {last} : {rows}"
            printer.write(f"for (npy_intp first = 0; first < {rows}; first += {block}) {{")
            printer.write(f"    const npy_intp last = {last};")
            self.begin, self.end = "first", "last"
        printer.indent += 1
        for op in self.loop.ops:
            if op in printer.memory.rows:
                name = printer.texts[op] = printer.names[op]
                storage, ctype = printer.memory.storage[op], TYPES[op.dtype]
                if storage is op:
                    printer.write(f"{ctype} {name}[{self.width}];")
                elif name not in printer.declared:
                    printer.write(f"{ctype} *{name} = {printer.texts[storage]}; // in its place")
                printer.declared.add(name)

    def index(self, flat: bool) -> Index:
        """How the elements of operands are written."""
        width = self.width

        def text(x: Op, place: str) -> str:
            name = self.printer.texts[x]
            if x in self.printer.memory.rows:
                return f"{name}[j]"
            if flat and place in ("full", "row"):
                return f"{name}[k]"
            row = "i" if width == 1 else f"{width} * i"
            places = {"full": f"{row} + j", "row": "i", "column": "j", "one": "0"}
            return f"{name}[{places[place]}]"

        return text

    def write_columns(self, ops: list[Op]) -> None:
        """Element by element."""
        printer, loop = self.printer, self.loop
        places = {a.place for op in ops for a in loop.how[op].accesses}
        flat = places <= {"full", "one"} and not self.one_row
        lines = self.statements(ops, self.index(flat))
        if flat:
            whole = self.begin == "0"
            begin = "0" if whole else f"{self.width} * {self.begin}"
            end = self.all_elements() if whole else f"{self.width} * {self.end}"
            printer.write("#pragma omp simd")
            self.write_for("k", begin, end, lines)
            return
        if self.one_row:
            printer.write("#pragma omp simd")
            self.write_for("j", "0", str(self.width), lines)
            return
        printer.write(f"for (npy_intp i = {self.begin}; i < {self.end}; i++)")
        printer.indent += 1
        self.write_for("j", "0", str(self.width), lines)
        printer.indent -= 1

    def all_elements(self) -> str:
        """How many there are in all rows."""
        return sizes_text((self.loop.rows, self.width))

    def write_for(self, name: str, begin: str, end: str, lines: list[str]) -> None:
        """Write a loop around what is done in one iteration."""
        brace = " {" if len(lines) > 1 else ""
        self.printer.write(f"for (npy_intp {name} = {begin}; {name} < {end}; {name}++){brace}")
        self.printer.write(*("    " + line for line in lines))
        if brace:
            self.printer.write("}")

    def statements(self, ops: list[Op], index: Index) -> list[str]:
        """What is done in one iteration."""
        names = self.locals if self.one_row else set()
        return [line for op in ops for line in self.statement(op, self.loop.how[op], index, names)]

    def statement(self, op: Op, how: RowOp, index: Index, names: set[str]) -> list[str]:
        """What makes one element of a result, or one number for a row."""
        printer = self.printer
        if how.how in ("add", "put"):
            return self.put(op, how, index)
        text = self.value(op, how, index)
        if op not in printer.memory.local:
            target = index(op, "full" if how.full else "row")
            symbol = op.facts.operator if op.facts.ufunc else ""
            if symbol and text.startswith(f"{target} {symbol} "):
                return [f"{target} {symbol}= {text.removeprefix(f'{target} {symbol} ')};"]
            return [f"{target} = {text};"]
        simple = how.how == "expression" and op.primitive is not p.getitem
        if simple and printer.uses[op] == 1 and len(text) <= 40 and not self.one_row:
            same = op.primitive in COPIES and op.dtype == op.inputs[0].dtype
            cast = f"({TYPES[op.dtype]})" if op.primitive in COPIES and not same else ""
            atomic = same or re.fullmatch(r"\w+\([^()]*\)", text)
            printer.texts[op] = text if atomic else f"({cast}{text})"
            return []
        name = free_name(printer.names[op], names, printer.taken)
        names.add(name)
        printer.texts[op] = name
        return [f"const {TYPES[op.dtype]} {name} = {text};"]

    def value(self, op: Op, how: RowOp, index: Index) -> str:
        """What computes it."""
        if how.how == "reduce":
            return self.reduced(op)
        if how.how == "pick":
            return self.at(op.inputs[0], how, index)
        if op.primitive is p.getitem:
            x, rows = map(self.printer.pointer, op.inputs)
            return f"{x}[{self.width} * {rows}[i] + j]"
        return self.printer.expression(op, [access.place for access in how.accesses], index)

    def start(self, x: Op) -> str:
        """Where the row of an operand begins."""
        name = self.printer.pointer(x)
        if self.printer.schedule.source(x) in self.printer.memory.rows:
            return name
        return f"{name} + {self.width} * i" if self.width > 1 else f"{name} + i"

    def reduced(self, op: Op) -> str:
        """What makes one number of a row."""
        printer = self.printer
        x, ctype = op.inputs[0], TYPES[op.dtype]
        if op.primitive is p.sum_:
            printer.need(helpers.FAST_SUM if printer.style.fast else helpers.SUM, ctype)
            return f"sum_{ctype}({self.start(x)}, {self.width})"
        if op.primitive is p.max_constant:
            printer.need(helpers.LARGEST, ctype)
            lowest = literal(op.params[1], op.dtype).strip("()")
            return f"largest_{ctype}({self.start(x)}, {self.width}, {lowest})"
        function = "maximum" if op.primitive is p.max_ else "minimum"
        printer.numpy_loop(helpers.BINARY, function, ctype)
        printer.need(helpers.EXTREME, ctype, function)
        return f"{function}_of_{ctype}({self.start(x)}, {self.width})"

    def at(self, x: Op, how: RowOp, index: Index) -> str:
        """The element of a row that an index names."""
        labels = next(a.operand for a in how.accesses if a.place == "row")
        place = self.printer.element(labels, "row", labels.dtype, index)
        source = self.printer.schedule.source(x)
        name = self.printer.texts[source]
        inside = place if source in self.printer.memory.rows else f"{self.width} * i + {place}"
        return f"{name}[{inside}]"

    def put(self, op: Op, how: RowOp, index: Index) -> list[str]:
        """What is added to the element of a row that an index names."""
        printer = self.printer
        ctype = TYPES[op.dtype]
        lines = []
        if how.how == "put":
            lines.append(f"memset({self.start(op)}, 0, {self.width} * sizeof({ctype}));")
            given = how.accesses[1]
        else:
            given = how.accesses[2]
            rest = printer.schedule.source(op.inputs[0])
            if printer.memory.storage[op] is not printer.memory.storage.get(rest, rest):
                given_rest = f"{self.start(op)}, {self.start(rest)}"
                lines.append(f"memcpy({given_rest}, {self.width} * sizeof({ctype}));")
        g = printer.element(given.operand, given.place, op.dtype, index)
        sign = "+"
        if g.startswith("(-"):
            sign, g = "-", g[2:-1]
        return [*lines, f"{self.at(op, how, index)} {sign}= {g};"]

    def write_rows(self, ops: list[Op]) -> None:
        """Row by row."""
        printer, loop = self.printer, self.loop
        simple = all(loop.how[op].how == "expression" for op in ops)
        places = {a.place for op in ops for a in loop.how[op].accesses}
        lines = self.statements(ops, self.index(False))
        if self.one_row:
            printer.write(*lines)
            return
        if simple and places <= {"row", "full", "one"}:
            printer.write("#pragma omp simd")
        self.write_for("i", self.begin, self.end, lines)

    def write_numpy(self, ops: list[Op]) -> None:
        """By one call of NumPy's loop."""
        (op,) = ops
        printer = self.printer
        ctype, function = TYPES[op.dtype], NUMPY_LOOPS[op.primitive]
        how = self.loop.how[op]
        width = self.width if how.full else 1
        text = helpers.UNARY if len(op.inputs) == 1 else helpers.BINARY
        printer.numpy_loop(text, function, ctype)
        if self.one_row:
            n = str(width)
        elif self.begin == "0":
            n = self.all_elements() if how.full else str(self.loop.rows)
        else:
            n = f"{width} * (last - first)" if width > 1 else "last - first"

        def start(x: Op) -> str:
            name = printer.pointer(x)
            if x in printer.memory.rows or self.begin == "0":
                return name
            return f"{name} + {width} * {self.begin}" if width > 1 else f"{name} + {self.begin}"

        given = [start(op)]
        for access in how.accesses:
            x = access.operand
            if access.place == "one":
                number = printer.element(x, "one", op.dtype, self.index(True))
                number = number.strip("()") if x.is_constant else number
                operand, step = f"(const {ctype}[]){{{number}}}", 0
            else:
                operand, step = start(printer.schedule.source(x)), 1
            given.append(operand if len(op.inputs) == 1 else f"{operand}, {step}")
        printer.write(f"{function}_{ctype}({', '.join(given)}, {n});")
