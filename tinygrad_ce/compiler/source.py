"""The printer: a program as NumPy source that a person can read, step through, and keep.

One statement for each operation, in the order in which the step ran. Views, and numbers that are
used once, stand where they are used.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from .. import primitives as p
from ..primitives import HOLE
from .memory import ELEMENTWISE, Plan, unheld
from .names import RESERVED, named
from .passes import add_at, add_at_flat, adds_rows, copied, is_taken, take, typed, upper_bound
from .program import Loop, Op, Program, is_range, is_uniform
from .record import sampled, verified

WIDTH = 99
OPERATORS = {
    p.add: "+", p.subtract: "-", p.multiply: "*", p.divide: "/", p.matmul: "@", p.pow_: "**",
    p.less: "<", p.less_equal: "<=", p.greater: ">", p.greater_equal: ">=", p.equal: "==",
    p.not_equal: "!=", p.logical_and: "&", p.logical_or: "|",
}  # fmt: skip
FUNCTIONS = {
    p.exp: "np.exp", p.expm1: "np.expm1", p.log: "np.log", p.log1p: "np.log1p", p.sqrt: "np.sqrt",
    p.sin: "np.sin", p.cos: "np.cos", p.tanh: "np.tanh", p.abs_: "np.abs", p.sign: "np.sign",
    p.isfinite: "np.isfinite", p.isnan: "np.isnan", p.maximum: "np.maximum",
    p.minimum: "np.minimum", p.logaddexp: "np.logaddexp",
}  # fmt: skip
REDUCTIONS = {p.sum_: "np.add", p.max_: "np.maximum", p.min_: "np.minimum"}


@dataclass
class Source:
    """The text of a step, and what it needs to run.

    Attributes
    ----------
    text
        A module that needs NumPy alone.
    name
        Of the function in it.
    reads, results
        The operations that it takes behind the step's arguments, and those that it returns.
    generators
        What it draws from, and takes behind the reads.
    keeps
        Whether it keeps arrays from call to call, so that there can be only one call at a time.
    """

    text: str
    name: str
    reads: list[Op]
    results: list[Op]
    generators: list[np.random.Generator]
    keeps: bool


def printed(program: Program, plan: Plan, name: str, arguments: list[str]) -> Source:
    """Write a program out.

    Parameters
    ----------
    program, plan
        What to compute, and in which memory.
    name
        Of the function.
    arguments
        The names of the step's arguments.
    """
    helpers = _helpers(program, plan)
    taken = {*RESERVED, *helpers}
    function = name if name.isidentifier() and name not in taken else "step"
    names = named(program, plan, arguments, function, taken)
    return _Printer(program, plan, names, helpers).module(function)


@dataclass
class _Text:
    """An expression, and whether it stands next to an operator without parentheses."""

    text: str
    atomic: bool = True

    def __str__(self) -> str:
        return self.text if self.atomic else f"({self.text})"


@dataclass
class _Printer:
    program: Program
    plan: Plan
    names: dict[int, str]
    helpers: dict[str, str]  # the sources of functions of this package, by their names
    texts: dict[int, _Text] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    loop: Loop | None = None
    kept: dict[int, str] = field(default_factory=dict)  # in a loop: the rows that are written

    # ── The module ────────────────────────────────────────────────────────────────────────────

    def module(self, name: str) -> Source:
        """The whole text."""
        taken = {*self.names.values(), *self.helpers}
        self.generators = _generator_names(self.program, taken)
        taken.update(self.generators.values())
        self.buffers = [_free(f"buffer_{i + 1}", taken) for i in range(len(self.plan.buffers))]
        self.spares = [_free(f"spare_{i + 1}", taken) for i in range(len(self.plan.spares))]
        self.loop_names = [_free(name, taken) for name in ("start", "rows", "block")]
        for buffer, op in zip(self.buffers, self.plan.buffers, strict=True):
            self.constants.append(f"{buffer} = {_empty(op)}")
        for spare, op in zip(self.spares, self.plan.spares, strict=True):
            self.constants.append(f"{spare} = [{_empty(op)}]")
        self.uses = Counter(id(source) for op in self.program.ops for source in op.inputs)
        self.uses.update({id(op): 2 for op in self.program.wanted})
        self.statements()
        helpers = list(self.helpers.values())
        parameters = [*self.program.arguments, *self.program.reads]
        lines = [*_imports("\n".join(helpers)), *self.constants, *[""] * bool(self.constants)]
        lines += ["", '@np.errstate(all="ignore")']
        given = ", ".join([*(self.names[id(op)] for op in parameters), *self.generators.values()])
        lines += _wrapped(f"def {name}(", given, "):")
        body = self.docstring(f"{name}({given})") + self.body
        lines += ["    " + line if line else "" for line in body]
        for helper in helpers:
            lines += ["", "", *helper.splitlines()]
        text = _without_underscores("\n".join(lines) + "\n")
        generators = list(self.generators)
        keeps = bool(self.buffers or self.spares)
        return Source(text, name, self.program.reads, self.program.wanted, generators, keeps)

    def statements(self) -> None:
        """The body: a group of lines for each scope, and what is returned."""
        updates = any(place.attribute == "_value" for place, _ in self.program.writes)
        heading = ""
        begins = {id(loop.ops[0]): loop for loop in self.program.loops}
        apart = False  # whether a loop has just ended
        for op in self.program.ops:
            if id(op) in begins:
                self.begin(begins[id(op)])
            before = len(self.body)
            self.statement(op)
            if len(self.body) > before:
                back = heading.startswith("back through ") or heading == "update"
                now = _heading(op) or ("update" if updates and back else "")
                if now != heading or apart or (self.loop is not None and not before):
                    self.body[before:before] = ["", f"# {now}"] if now else [""]
                    heading = now
                apart = False
            if self.loop is not None and op is self.loop.ops[-1]:
                self.end(self.loop)
                apart = True
        returned = ", ".join(self.result(op) for op in self.program.wanted)
        returned += "," if len(self.program.wanted) == 1 else ""
        self.body += ["", *_wrapped("return ", returned or "()")]

    # ── Blocks of rows ────────────────────────────────────────────────────────────────────────

    def begin(self, loop: Loop) -> None:
        """What stands in front of the statements of a loop: where its results are put."""
        start, rows, block = self.loop_names
        self.body += ["", "# some rows at a time, which stay in the cache meanwhile"]
        for op in loop.ops:
            if id(op) in loop.kept:
                self.body += self.array_for(op)
                there = f"{self.names[id(op)]}[{rows}]"
                self.texts[id(op)], self.kept[id(op)] = _Text(there), there
                if op.primitive is add_at_flat and id(op) in self.plan.over:
                    self.kept[id(self.plan.over[id(op)])] = there
        self.outer, self.body, self.loop = self.body, [], loop
        self.outer.append(f"for {start} in range(0, {loop.n}, {loop.block}):")
        self.outer.append(f"    {rows} = slice({start}, {start} + {loop.block})")
        if loop.n % loop.block:
            length = f"min({loop.block}, {loop.n} - {start})"
            self.outer.append(f"    {block} = slice({length})  # all but the last are full")

    def array_for(self, op: Op) -> list[str]:
        """Where a result of a loop is put: another array, a buffer, or new memory."""
        name = self.names[id(op)]
        if id(op) in self.plan.alias:
            text = self.operand(self.plan.alias[id(op)]).text
            return [] if text == name else _wrapped(f"{name} = ", text)
        if id(op) in self.plan.buffer:
            return [f"{name} = {self.buffers[self.plan.buffer[id(op)]]}"]
        return [f"{name} = {self.spare(op) or _empty(op)}"]

    def end(self, loop: Loop) -> None:
        """Put the statements of a loop into it, and go on with whole arrays."""
        self.body = self.outer + ["    " + line if line else "" for line in self.body]
        self.loop = None
        self.kept = {}
        for op in loop.ops:
            if id(op) in loop.kept:
                self.texts[id(op)] = _Text(self.names[id(op)])

    def memory(self, op: Op) -> str:
        """The memory that is there already for a result, or nothing."""
        if id(op) in self.kept:
            return self.kept[id(op)] if op.primitive in ELEMENTWISE else ""
        if id(op) in self.plan.home:
            return self.kept[id(self.plan.home[id(op)])]
        if id(op) in self.plan.over:
            return str(self.operand(self.plan.over[id(op)]))
        if id(op) not in self.plan.buffer:
            return self.spare(op)
        partly = self.loop is not None and self.loop.n % self.loop.block
        buffer = self.buffers[self.plan.buffer[id(op)]]
        return f"{buffer}[{self.loop_names[2]}]" if partly else buffer

    def spare(self, op: Op) -> str:
        """The memory of an earlier call's result, once nobody holds that, or nothing."""
        number = self.plan.spare.get(id(op))
        return "" if number is None else f"unheld({self.spares[number]})"

    def wrapped(self, start: str, text: str) -> list[str]:
        """A statement, in as many lines as it takes."""
        return _wrapped(start, text, room=4 * (self.loop is not None))

    def docstring(self, call: str) -> list[str]:
        """How to call it, what goes in, and what comes out."""
        given = (*self.program.arguments, *self.program.reads)
        read = {op.place.identity: self.names[id(op)] for op in given if op.place is not None}
        results = [(self.names[id(op)], _described(op)) for op in self.program.results]
        for new in self.program.written:
            places = [place for place, op in self.program.writes if op is new]
            # called what it was called, so that it can be passed on
            name = read.get(places[0].identity, self.names[id(new)])
            where = ", ".join(f"the new {_place_name(x)}" for x in places if not x.shared)
            where = where or f"the new {_place_name(places[0])} and others"
            results.append((name, f"{where}, {_described(new)}"))
        lines = ['"""One call: as recorded.', ""]
        if self.program.writes:
            got = ", ".join(name for name, _ in results)
            lines = ['"""One call: forward, backward and update.', "", *_assigned(got, call), ""]
        lines += [f"{self.names[id(op)]}: {_described(op)}" for op in given]
        lines += [f"{name}: a np.random.Generator" for name in self.generators.values()]
        lines += ["", "Returns", *(f"{name}: {what}" for name, what in results)]
        return [*lines, '"""']

    def result(self, op: Op) -> str:
        """What is returned for an operation."""
        text = str(self.operand(op))
        if id(op) in self.plan.copied:
            return f"{text}.copy()" if op.kind == "array" else text
        return text

    # ── Statements ────────────────────────────────────────────────────────────────────────────

    def statement(self, op: Op) -> None:
        """Write what computes an operation, or keep it for the place where it is used."""
        name = self.names[id(op)]
        if op.primitive is None:
            self.texts[id(op)] = self.literal(op) if op.is_constant else _Text(name)
        elif op.primitive is verified:
            self.check(op)
        elif op.primitive in (p.scatter, add_at, add_at_flat):
            self.texts[id(op)] = _Text(self.target(op))
            self.put_at_places(op)
        else:
            self.value(op)

    def value(self, op: Op) -> None:
        name = self.target(op)
        out = self.memory(op)
        if out:
            self.texts[id(op)] = _Text(name)
            self.body += self.into(op, name, out)
            return
        text = self.expression(op)
        if self.stays(op, text):
            self.texts[id(op)] = text
        elif op.primitive is sampled and not self.uses[id(op)]:
            self.body += self.wrapped("", text.text)
        else:
            self.texts[id(op)] = _Text(name)
            self.body += self.wrapped(f"{name} = ", text.text)

    def target(self, op: Op) -> str:
        """What a result is assigned to: a name, or the rows of an array."""
        return self.kept.get(id(op), self.names[id(op)])

    def stays(self, op: Op, text: _Text) -> bool:
        """Whether an expression stands where it is used, without a name of its own."""
        if id(op) in self.kept:
            return False
        if self.uses[id(op)] != 1 or len(text.text) > 40 or op.primitive is sampled:
            return False
        if op.primitive in (p.transpose, p.reshape):
            return True
        return op.kind != "array" and all(source.kind != "array" for source in op.inputs)

    def into(self, op: Op, name: str, out: str) -> list[str]:
        """An operation whose result is put into memory that is there already."""
        operands = [self.operand(source, op) for source in op.inputs]
        assert op.primitive is not None
        symbol = OPERATORS.get(op.primitive)
        if out == name and symbol and str(operands[0]) == out and op.primitive is not p.matmul:
            return self.wrapped(f"{name} {symbol}= ", operands[1].text)
        function = "matmul" if op.primitive is p.matmul else ELEMENTWISE[op.primitive]
        arguments = [x.text for x in operands] + ["0"] * (op.primitive is p.relu)
        call = f"np.{function}({', '.join(arguments)}, out={out})"
        return self.wrapped("" if out == name else f"{name} = ", call)

    def check(self, op: Op) -> None:
        check, args, options = op.params
        given = [str(self.operand(op.inputs[0])), *map(repr, args)]
        given += [f"{key}={value!r}" for key, value in options]
        call = f"{check.__name__}({', '.join(given)})"
        self.body += self.quick_check(op) or self.wrapped("", call)
        if self.body[-1].startswith("if "):
            self.body += ["    " + line for line in self.wrapped("", call)]

    def quick_check(self, op: Op) -> list[str]:
        """In front of a check of labels: whether there is anything to refuse."""
        labels, bound = op.inputs[0], upper_bound(op)
        if bound is None or labels.kind != "array" or labels.dtype.kind not in "iu":
            return []
        if not labels.size:
            return []
        name = self.names[id(op)]
        unsigned = _dtype(labels.dtype.str.replace("i", "u"))
        comment = "  # in which a negative one is huge"
        view = f"{self.operand(labels)}.view({unsigned})"
        return [f"{name} = {view}{comment}", f"if {name}.item({name}.argmax()) >= {bound}:"]

    def put_at_places(self, op: Op) -> None:
        """The two that add to an array at places that an index names."""
        name = self.target(op)
        kept = id(op) in self.kept
        x, *arrays = op.inputs
        if op.primitive in (add_at, add_at_flat):
            g, *arrays = arrays
            victim = self.plan.over.get(id(op))
            rest = self.operand(x)
            if victim is None:
                self.body += self.wrapped(f"{name} = ", f"{rest}.copy()" if not kept else rest.text)
            elif str(rest) != name and not kept:
                self.body += self.wrapped(f"{name} = ", rest.text)
            if op.primitive is add_at_flat:
                there = f"{name}.reshape(-1)[{self.operand(arrays[0]).text}]"
            else:
                there = f"{name}[{self.index(op.params[0], arrays)}]"
            sign = op.params[0] if op.primitive is add_at_flat else "+"
            self.body += self.wrapped(f"{there} {sign}= ", self.operand(g, op).text)
            return
        pattern, shape = op.params
        index = self.index(pattern, arrays)
        self.body += self.wrapped(f"{name} = ", f"np.zeros({shape}, {_dtype(op.dtype)})")
        if adds_rows(op):
            given = f"{name}, {self.operand(arrays[0])}, {self.operand(x)}"
            self.body += self.wrapped("", f"{p.add_rows.__name__}({given})")
        elif any(array.dtype.kind != "b" for array in arrays):
            if any(isinstance(part, slice) for part in pattern):
                index = f"np.s_[{index}]"
            elif "," in index:
                index = f"({index})"
            self.body += self.wrapped("", f"np.add.at({name}, {index}, {self.operand(x).text})")
        else:
            self.body += self.wrapped(f"{name}[{index}] = ", self.operand(x).text)

    # ── Expressions ───────────────────────────────────────────────────────────────────────────

    def operand(self, op: Op, user: Op | None = None) -> _Text:
        """How an operation is called where its result is used."""
        if op.is_constant and op.kind == "scalar" and user is not None and _is_implied(op, user):
            return _number(op.data.item(), op.data)
        text = self.texts[id(op)]
        if self.loop is None or op.kind != "array" or id(op) in self.loop.inside:
            return text
        if user is not None and id(user) in self.loop.relative and is_range(op.data):
            size = self.loop_names[2] if self.loop.n % self.loop.block else f":{self.loop.block}"
            return _Text(f"{text}[{size}]")
        return _Text(f"{text}[{self.loop_names[1]}]") if op.shape[:1] == (self.loop.n,) else text

    def literal(self, op: Op) -> _Text:
        """A constant: a number as it is written, or an array that the module makes once."""
        if op.kind == "number":
            return _number(op.data)
        if op.kind == "scalar":
            return _Text(f"{_dtype(op.dtype)}({_number(op.data.item(), op.data).text})")
        name = self.names[id(op)]
        self.constants += _wrapped(f"{name} = ", _array(op.data))
        return _Text(name)

    def expression(self, op: Op) -> _Text:
        """What computes an operation from its operands."""
        primitive, params = op.primitive, op.params
        assert primitive is not None
        operands = [self.operand(source, op) for source in op.inputs]
        if primitive is p.matmul and all(len(x.shape) <= 2 for x in op.inputs):
            return _Text(f"{operands[0]}.dot({operands[1].text})")
        if primitive in OPERATORS:
            return _Text(f"{operands[0]} {OPERATORS[primitive]} {operands[1]}", False)
        if primitive in FUNCTIONS:
            return _Text(f"{FUNCTIONS[primitive]}({', '.join(x.text for x in operands)})")
        if primitive is p.sum_ and _sums_rows_of_tall(op):
            return _Text(f'np.einsum("ij->j", {operands[0].text})')
        if primitive in REDUCTIONS:
            return _Text(_reduction(REDUCTIONS[primitive], operands[0], params[0], params[1]))
        if primitive in _WRITERS:
            return _WRITERS[primitive](self, op, operands)
        given = [x.text for x in operands] + [_parameter(value) for value in params]
        return _Text(f"{primitive.value.__name__}({', '.join(given)})")

    def index(self, pattern: tuple[Any, ...], arrays: list[Op], user: Op | None = None) -> str:
        """What stands between the brackets."""
        texts = iter([self.operand(array, user).text for array in arrays])
        parts = [next(texts) if x is HOLE else _slice(x) for x in pattern]
        return ", ".join(parts) + ("," if len(parts) == 1 and not arrays else "") or "()"


# ── How each primitive is written that is no operator and no function of NumPy's ──────────────────


def _write_sample(printer: _Printer, op: Op, operands: list[_Text]) -> _Text:
    generator, method, args, options = op.params
    arrays = iter(operands)
    given = [next(arrays).text if x is HOLE else _argument(x) for x in args]
    named = [f"{k}={next(arrays).text if x is HOLE else _argument(x)}" for k, x in options]
    call = f"{printer.generators[generator]}.{method}({', '.join(given + named)})"
    return _Text(f"{_dtype(op.dtype)}({call})" if op.kind == "scalar" else call)


def _write_mean(printer: _Printer, op: Op, operands: list[_Text]) -> _Text:
    x, (axis, keepdims) = op.inputs[0], op.params
    n = p.number_along(x.shape, axis)
    if x.dtype == np.float16:
        total = f"np.add.reduce({operands[0].text}, {axis}, np.float32, keepdims={keepdims})"
        return _Text(f"({total} / {n}).astype(np.float16)")
    return _Text(f"{_reduction('np.add', operands[0], axis, keepdims)} / {n}", False)


def _write_peak(printer: _Printer, op: Op, operands: list[_Text]) -> _Text:
    axis, initial = op.params
    options = f"keepdims=True, initial={_number(initial).text}"
    return _Text(f"np.maximum.reduce({operands[0].text}, {axis}, {options})")


def _write_getitem(printer: _Printer, op: Op, operands: list[_Text]) -> _Text:
    pattern = op.params[0]
    if pattern == (HOLE,) and op.in_c_order and op.inputs[0].in_c_order and is_taken(op.inputs[1]):
        return _Text(f"{operands[0]}.take({operands[1].text}, 0)")
    scalar = op.kind == "scalar" and any(part is HOLE or part is Ellipsis for part in pattern)
    return _Text(f"{operands[0]}[{printer.index(pattern, op.inputs[1:], op)}]" + "[()]" * scalar)


def _write_broadcast(printer: _Printer, op: Op, operands: list[_Text]) -> _Text:
    (shape,) = op.params
    if op.size > p.LARGEST_FILLED:  # a view, as in the eager step
        return _Text(f"np.broadcast_to({operands[0].text}, {shape})")
    return _Text(f"np.full({shape}, {operands[0].text}, {_dtype(op.dtype)})")


def _write_reshape(printer: _Printer, op: Op, operands: list[_Text]) -> _Text:
    sizes = op.shape if printer.loop is None else (-1, *op.shape[1:])
    shape = ", ".join(map(str, sizes)) or "()"
    scalar = "[()]" * (op.kind == "scalar")
    return _Text(f"{operands[0]}.reshape({shape}){scalar}")


def _write_transpose(printer: _Printer, op: Op, operands: list[_Text]) -> _Text:
    axes = op.params[0]
    if axes == tuple(range(len(axes)))[::-1]:
        return _Text(f"{operands[0]}.T")
    return _Text(f"{operands[0]}.transpose({', '.join(map(str, axes))})")


def _write_cast(printer: _Printer, op: Op, operands: list[_Text]) -> _Text:
    return _Text(f"{operands[0]}.astype({_dtype(op.params[0])})")


def _write_arg(function: str) -> Callable[[_Printer, Op, list[_Text]], _Text]:
    def write(printer: _Printer, op: Op, operands: list[_Text]) -> _Text:
        axis, keepdims = op.params
        option = ", keepdims=True" if keepdims else ""
        if op.inputs[0].kind == "array":
            return _Text(f"{operands[0]}.{function}({axis}{option})")
        return _Text(f"np.{function}({operands[0].text}, {axis}{option})")

    return write


def _write_where(printer: _Printer, op: Op, operands: list[_Text]) -> _Text:
    scalar = "[()]" * (op.kind != "array")
    return _Text(f"np.where({', '.join(x.text for x in operands)}){scalar}")


def _write_concatenate(printer: _Printer, op: Op, operands: list[_Text]) -> _Text:
    parts = ", ".join(x.text for x in operands) + "," * (len(operands) == 1)
    return _Text(f"np.concatenate(({parts}), {op.params[0]})")


def _write_einsum(printer: _Printer, op: Op, operands: list[_Text]) -> _Text:
    optimize = ", optimize=True" if len(operands) > 2 else ""
    given = ", ".join(x.text for x in operands)
    return _Text(f'np.einsum("{op.params[0]}", {given}{optimize})[()]')


_WRITERS: dict[Any, Callable[[_Printer, Op, list[_Text]], _Text]] = {
    sampled: _write_sample,
    p.mean: _write_mean,
    p.peak: _write_peak,
    p.getitem: _write_getitem,
    p.broadcast_to: _write_broadcast,
    p.reshape: _write_reshape,
    p.transpose: _write_transpose,
    p.cast: _write_cast,
    p.argmax: _write_arg("argmax"),
    p.argmin: _write_arg("argmin"),
    p.argsort: lambda _, op, x: _Text(f'np.argsort({x[0].text}, {op.params[0]}, kind="stable")'),
    p.cumsum: lambda _, op, x: _Text(f"np.cumsum({x[0].text}, {op.params[0]})"),
    p.where: _write_where,
    copied: lambda _, op, x: _Text(f"np.copy({x[0].text})"),
    take: lambda _, op, x: _Text(f"{x[0]}.take({x[1].text})"),
    typed: lambda _, op, x: _Text(f"np.array({x[0].text}, {_dtype(op.dtype)})"),
    p.concatenate: _write_concatenate,
    p.einsum: _write_einsum,
    p.negative: lambda _, op, x: _Text(f"-{x[0]}", False),
    p.logical_not: lambda _, op, x: _Text(f"~{x[0]}", False),
    p.power: lambda _, op, x: _Text(f"{x[0]} ** {_number(op.params[0])}", False),
    p.relu: lambda _, op, x: _Text(f"np.maximum({x[0].text}, 0)"),
    p.clip: lambda _, op, x: _Text(
        f"np.clip({x[0].text}, {_parameter(op.params[0])}, {_parameter(op.params[1])})"
    ),
}


# ── Literals ──────────────────────────────────────────────────────────────────────────────────────


def _reduction(ufunc: str, x: _Text, axis: Any, keepdims: bool) -> str:
    option = ", keepdims=True" if keepdims else ""
    axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    return f"{ufunc}.reduce({x.text}, {axis}{option})"


def _sums_rows_of_tall(op: Op) -> bool:
    """Whether it adds up many short rows: einsum adds in the same order as a reduction, faster."""
    x, (axis, keepdims) = op.inputs[0], op.params
    if keepdims or axis not in (0, (0,)) or len(x.shape) != 2 or x.dtype.char not in "fd":
        return False
    return x.in_c_order and x.shape[0] >= 100 and 2 <= x.shape[1] <= 32


def _number(value: Any, exact: Any = None) -> _Text:
    """A Python number; where it stands for a NumPy scalar, as short as that is written."""
    if isinstance(value, float) and not np.isfinite(value):
        text = "np.nan" if np.isnan(value) else "np.inf"
        return _Text(text) if not value < 0 else _Text(f"-{text}", False)
    text = repr(value)
    if exact is not None and isinstance(value, float):
        short = np.format_float_scientific(exact) if abs(value) > 1e16 else str(exact)
        text = short if type(exact)(float(short)) == exact else text
    return _Text(text, not text.startswith("-"))


def _is_implied(op: Op, user: Op) -> bool:
    """Whether a NumPy scalar can be written as a Python number, its dtype being the others' too."""
    if user.primitive not in OPERATORS and user.primitive not in (add_at, add_at_flat):
        return False
    if op.dtype.kind not in "fi" or user.primitive is p.pow_:
        return False
    others = [x for x in user.inputs if x is not op and x.dtype.kind == "f"]
    return any(x.kind != "number" and x.dtype == op.dtype and not x.is_constant for x in others)


def _array(value: Any) -> str:
    if is_range(value.reshape(-1)):
        shape = "" if value.ndim == 1 else f".reshape{value.shape}"
        step = int(value.flat[1])
        ends = str(value.size) if step == 1 else f"0, {value.size * step}, {step}"
        return f"np.arange({ends}){shape}"
    if is_uniform(value):
        if value.ndim == 1 and value[0] == 1:
            return f"np.ones({value.size}, {_dtype(value.dtype)})"
        number = _number(value.flat[0].item(), value.flat[0]).text
        return f"np.full({value.shape}, {number}, {_dtype(value.dtype)})"
    numbers = np.array2string(
        value, separator=", ", threshold=value.size + 1, max_line_width=10**9, floatmode="unique"
    ).replace("\n", "")
    numbers = numbers.replace("nan", "np.nan").replace("inf", "np.inf")
    if not value.size:
        return f"np.empty({value.shape}, {_dtype(value.dtype)})"
    return f"np.array({numbers}, {_dtype(value.dtype)})"


def _empty(op: Op) -> str:
    return f"np.empty({op.shape}, {_dtype(op.dtype)})"


def _dtype(dtype: Any) -> str:
    dtype = np.dtype(dtype)
    return (
        f"np.{dtype.name}"
        if dtype.isnative and dtype.name != "bool"
        else ("bool" if dtype.name == "bool" else repr(dtype.str))
    )


def _parameter(value: Any) -> str:
    if isinstance(value, np.dtype):
        return _dtype(value)
    return _number(value).text if isinstance(value, float) else repr(value)


def _argument(value: Any) -> str:
    """An argument of a draw."""
    if type(value) in (tuple, list):
        parts = ", ".join(map(_argument, value))
        return f"[{parts}]" if type(value) is list else f"({parts}{',' * (len(value) == 1)})"
    if isinstance(value, np.generic):
        return f"{_dtype(value.dtype)}({_argument(value.item())})"
    return _parameter(value)


def _slice(part: Any) -> str:
    if part is Ellipsis:
        return "..."
    if isinstance(part, slice):
        ends = ["" if end is None else str(end) for end in (part.start, part.stop)]
        return ":".join(ends) + (f":{part.step}" if part.step is not None else "")
    return repr(part)


def _described(op: Op) -> str:
    if op.kind == "number":
        return {"f": "a float", "i": "an int", "b": "a bool"}[op.dtype.kind]
    return f"{op.dtype} {list(op.shape)}" if op.shape else f"{op.dtype}"


def _generator_names(program: Program, taken: set[str]) -> dict[np.random.Generator, str]:
    """The generators that are drawn from, in the order of their first draws, and their names."""
    generators = list(dict.fromkeys(op.params[0] for op in program.samples))
    wanted = ["rng"] if len(generators) == 1 else [f"rng_{i + 1}" for i in range(len(generators))]
    while taken & set(wanted):
        wanted = [f"_{name}" for name in wanted]
    return dict(zip(generators, wanted, strict=True))


def _free(name: str, taken: set[str]) -> str:
    """A name that is not in use."""
    return name if name not in taken else _free(f"{name}_", taken)


def _place_name(place: Any) -> str:
    what = {"_value": "value", "_grad": "gradient"}.get(place.attribute, place.attribute)
    owner = place.owner if place.key is None else place.owner.params[place.key]
    name = getattr(owner, "name", None)
    return f"{what} of {name}" if name else what


def _heading(op: Op) -> str:
    """The comment above a group of lines."""
    if op.primitive is verified:
        return "refuse what does not fit, before anything has changed"
    if op.behind is not None:
        path = _path(op.behind)
        return f"back through {path}" if path else ""
    return _path(op) if op.scope is not None else ""


def _path(op: Op) -> str:
    if op.scope is not None:
        return op.scope.path
    return op.primitive.name if op.primitive is not None else ""


def _wrapped(start: str, text: str, end: str = "", room: int = 0) -> list[str]:
    """A statement, broken into lines behind commas or in front of operators if it is too long."""
    whole = start + text + end
    if len(whole) + 4 + room <= WIDTH:
        return [whole]
    if not end:
        start, end = start + "(", ")"
    lines = textwrap.wrap(text, WIDTH - 8 - room, break_long_words=False, break_on_hyphens=False)
    return [start, *("    " + line for line in lines), end]


def _assigned(names: str, call: str) -> list[str]:
    """An indented assignment of what a call returns, a tuple, for a docstring."""
    names += "," * ("," not in names and bool(names))
    if len(names) + len(call) + 11 <= WIDTH:
        return [f"    {names} = {call}"]
    function, _, given = call.removesuffix(")").partition("(")
    lines = []
    for start, text, end in (("(", names, f") = {function}("), ("", given, ")")):
        rest = textwrap.wrap(text, WIDTH - 12, break_long_words=False)
        lines += [*[start] * bool(start), *("    " + line for line in rest), end]
    return ["    " + line for line in lines]


# ── Helpers ───────────────────────────────────────────────────────────────────────────────────────


def _without_underscores(text: str) -> str:
    """The text with helpers called by their names alone, where these are not in use."""
    for helper in re.findall(r"^def _(\w+)", text, re.MULTILINE):
        if not re.search(rf"\b{helper}\b", text):
            text = re.sub(rf"\b_{helper}\b", helper, text)
    return text


def _imports(helpers: str) -> list[str]:
    lines = ["from __future__ import annotations", ""] * bool(helpers)
    standard = ["import math"] * ("math." in helpers)
    standard += ["from functools import cache"] * ("@cache" in helpers)
    standard += ["from sys import getrefcount"] * ("getrefcount(" in helpers)
    return [*lines, *standard, *[""] * bool(standard), "import numpy as np", ""]


def _helpers(program: Program, plan: Plan) -> dict[str, str]:
    """The sources of the functions of this package that are called, and those that they call."""
    functions = [op.params[0] if op.primitive is verified else _unwritten(op) for op in program.ops]
    functions += [unheld] * bool(plan.spares)
    todo = [(f.__name__, f) for f in functions if f is not None]
    found: dict[str, str] = {}
    while todo:
        name, function = todo.pop()
        if name in found:
            continue
        plain = inspect.unwrap(function)
        found[name] = _text_of(plain)
        scope = plain.__globals__
        for other in _names_in(plain.__code__):
            value = scope.get(other)
            if inspect.isfunction(inspect.unwrap(value)) if callable(value) else False:
                todo.append((other, value))
    return found


def _unwritten(op: Op) -> Callable[..., Any] | None:
    """What computes a primitive, if no expression of NumPy's does."""
    if op.primitive is None or op.primitive in (p.scatter, add_at, add_at_flat):
        return p.add_rows if adds_rows(op) else None
    written = op.primitive in OPERATORS or op.primitive in FUNCTIONS or op.primitive in REDUCTIONS
    return None if written or op.primitive in _WRITERS else op.primitive.value


@cache
def _text_of(function: Callable[..., Any]) -> str:
    return textwrap.dedent(inspect.getsource(function))


def _names_in(code: Any) -> tuple[str, ...]:
    inner = [c for c in code.co_consts if inspect.iscode(c)]
    return (*code.co_names, *(name for c in inner for name in _names_in(c)))
