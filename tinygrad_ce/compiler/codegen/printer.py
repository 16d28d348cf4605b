"""The printer: a program as NumPy source that a person can read, step through, and keep.

One statement for each operation, in the order in which the step ran. Views, and numbers that are
used once, stand where they are used.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...engine import kernels
from ...engine import primitives as p
from ...engine.kernels import ARRAY_SLOT
from ..ir import Loop, Op, Program, is_range
from ..memory import ELEMENTWISE, Plan
from ..passes import add_at, add_at_flat, adds_rows, upper_bound
from ..recorder import sampled, verified
from .bundled_helpers import helper_sources, imports, without_underscores
from .expressions import OPERATORS, expression
from .literals import (
    Text,
    array,
    assigned,
    dtype_name,
    empty,
    free_name,
    number,
    slice_text,
    wrapped,
)
from .naming import RESERVED, named


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
    helpers = helper_sources(program, plan)
    taken = {*RESERVED, *helpers}
    function = name if name.isidentifier() and name not in taken else "step"
    names = named(program, plan, arguments, function, taken)
    return _Printer(program, plan, names, helpers).module(function)


@dataclass
class _Printer:
    program: Program
    plan: Plan
    names: dict[int, str]
    helpers: dict[str, str]  # the sources of functions of this package, by their names
    texts: dict[int, Text] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    loop: Loop | None = None
    kept: dict[int, str] = field(default_factory=dict)  # in a loop: the rows that are written

    # ── The module ────────────────────────────────────────────────────────────────────────────

    def module(self, name: str) -> Source:
        """The whole text."""
        taken = {*self.names.values(), *self.helpers}
        self.generators = _generator_names(self.program, taken)
        taken |= set(self.generators.values())
        self.buffers = [free_name(f"buffer_{i + 1}", taken) for i in range(len(self.plan.buffers))]
        self.spares = [free_name(f"spare_{i + 1}", taken) for i in range(len(self.plan.spares))]
        self.loop_names = [free_name(name, taken) for name in ("start", "rows", "block")]
        for buffer, op in zip(self.buffers, self.plan.buffers, strict=True):
            self.constants.append(f"{buffer} = {empty(op)}")
        for spare, op in zip(self.spares, self.plan.spares, strict=True):
            self.constants.append(f"{spare} = [{empty(op)}]")
        self.uses = Counter(id(source) for op in self.program.ops for source in op.inputs)
        self.uses.update({id(op): 2 for op in self.program.wanted})
        self.statements()
        helpers = list(self.helpers.values())
        parameters = [*self.program.arguments, *self.program.reads]
        lines = [*imports("\n".join(helpers)), *self.constants, *[""] * bool(self.constants)]
        lines += ["", '@np.errstate(all="ignore")']
        given = ", ".join([*(self.names[id(op)] for op in parameters), *self.generators.values()])
        lines += wrapped(f"def {name}(", given, "):")
        body = self.docstring(f"{name}({given})") + self.body
        lines += ["    " + line if line else "" for line in body]
        for helper in helpers:
            lines += ["", "", *helper.splitlines()]
        text = without_underscores("\n".join(lines) + "\n")
        generators = list(self.generators)
        keeps = bool(self.buffers or self.spares)
        return Source(text, name, self.program.reads, self.program.wanted, generators, keeps)

    def statements(self) -> None:
        """The body: a group of lines for each scope and each update, and what is returned."""
        updated = {id(op) for place, op in self.program.writes if place.attribute == "_value"}
        heading = ""
        begins = {id(loop.ops[0]): loop for loop in self.program.loops}
        apart = False  # whether a loop has just ended
        done = False  # whether a parameter has just been given its new value
        for op in self.program.ops:
            if id(op) in begins:
                self.begin(begins[id(op)])
            before = len(self.body)
            self.statement(op)
            if len(self.body) > before:
                back = heading.startswith("back through ") or heading == "update"
                now = _heading(op) or ("update" if updated and back else "")
                if now != heading or apart or (self.loop is not None and not before):
                    self.body[before:before] = ["", f"# {now}"] if now else [""]
                    heading = now
                elif done:
                    self.body.insert(before, "")
                apart, done = False, id(op) in updated
            if self.loop is not None and op is self.loop.ops[-1]:
                self.end(self.loop)
                apart = True
        returned = ", ".join(self.result(op) for op in self.program.wanted)
        returned += "," if len(self.program.wanted) == 1 else ""
        self.body += ["", *wrapped("return ", returned or "()")]

    # ── Blocks of rows ────────────────────────────────────────────────────────────────────────

    def begin(self, loop: Loop) -> None:
        """What stands in front of the statements of a loop: where its results are put."""
        start, rows, block = self.loop_names
        self.body += ["", "# some rows at a time, which stay in the cache meanwhile"]
        for op in loop.ops:
            if id(op) in loop.kept:
                self.body += self.array_for(op)
                there = f"{self.names[id(op)]}[{rows}]"
                self.texts[id(op)], self.kept[id(op)] = Text(there), there
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
            return [] if text == name else wrapped(f"{name} = ", text)
        if id(op) in self.plan.buffer:
            return [f"{name} = {self.buffers[self.plan.buffer[id(op)]]}"]
        return [f"{name} = {self.spare(op) or empty(op)}"]

    def end(self, loop: Loop) -> None:
        """Put the statements of a loop into it, and go on with whole arrays."""
        self.body = self.outer + ["    " + line if line else "" for line in self.body]
        self.loop = None
        self.kept = {}
        for op in loop.ops:
            if id(op) in loop.kept:
                self.texts[id(op)] = Text(self.names[id(op)])

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
        return wrapped(start, text, room=4 * (self.loop is not None))

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
            lines = ['"""One call: forward, backward and update.', "", *assigned(got, call), ""]
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
            self.texts[id(op)] = self.literal(op) if op.is_constant else Text(name)
        elif op.primitive is verified:
            self.check(op)
        elif op.primitive in (p.scatter, add_at, add_at_flat):
            self.texts[id(op)] = Text(self.target(op))
            self.put_at_places(op)
        else:
            self.value(op)

    def value(self, op: Op) -> None:
        name = self.target(op)
        out = self.memory(op)
        if out:
            self.texts[id(op)] = Text(name)
            self.body += self.into(op, name, out)
            return
        text = expression(self, op, [self.operand(source, op) for source in op.inputs])
        if self.stays(op, text):
            self.texts[id(op)] = text
        elif op.primitive is sampled and not self.uses[id(op)]:
            self.body += self.wrapped("", text.text)
        else:
            self.texts[id(op)] = Text(name)
            self.body += self.wrapped(f"{name} = ", text.text)

    def target(self, op: Op) -> str:
        """What a result is assigned to: a name, or the rows of an array."""
        return self.kept.get(id(op), self.names[id(op)])

    def stays(self, op: Op, text: Text) -> bool:
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
        integers = labels.kind == "array" and labels.dtype.kind in "iu"
        if bound is None or not integers or not labels.size:
            return []
        name = self.names[id(op)]
        unsigned = dtype_name(labels.dtype.str.replace("i", "u"))
        comment = "  # in which a negative one is huge"
        view = f"{self.operand(labels)}.view({unsigned})"
        return [f"{name} = {view}{comment}", f"if {name}.item({name}.argmax()) >= {bound}:"]

    def put_at_places(self, op: Op) -> None:
        """Those that add to an array at places that an index names."""
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
        self.body += self.wrapped(f"{name} = ", f"np.zeros({shape}, {dtype_name(op.dtype)})")
        if adds_rows(op):
            given = f"{name}, {self.operand(arrays[0])}, {self.operand(x)}"
            self.body += self.wrapped("", f"{kernels.add_rows.__name__}({given})")
        elif any(array.dtype.kind != "b" for array in arrays):
            if any(isinstance(part, slice) for part in pattern):
                index = f"np.s_[{index}]"
            elif "," in index:
                index = f"({index})"
            self.body += self.wrapped("", f"np.add.at({name}, {index}, {self.operand(x).text})")
        else:
            self.body += self.wrapped(f"{name}[{index}] = ", self.operand(x).text)

    # ── Expressions ───────────────────────────────────────────────────────────────────────────

    def operand(self, op: Op, user: Op | None = None) -> Text:
        """How an operation is called where its result is used."""
        if op.is_constant and op.kind == "scalar" and user is not None and _is_implied(op, user):
            return number(op.data.item(), op.data)
        text = self.texts[id(op)]
        if self.loop is None or op.kind != "array" or id(op) in self.loop.inside:
            return text
        if user is not None and id(user) in self.loop.relative and is_range(op.data):
            size = self.loop_names[2] if self.loop.n % self.loop.block else f":{self.loop.block}"
            return Text(f"{text}[{size}]")
        return Text(f"{text}[{self.loop_names[1]}]") if op.shape[:1] == (self.loop.n,) else text

    def literal(self, op: Op) -> Text:
        """A constant: a number as it is written, or an array that the module makes once."""
        if op.kind == "number":
            return number(op.data)
        if op.kind == "scalar":
            return Text(f"{dtype_name(op.dtype)}({number(op.data.item(), op.data).text})")
        name = self.names[id(op)]
        self.constants += wrapped(f"{name} = ", array(op.data))
        return Text(name)

    def index(self, pattern: tuple[Any, ...], arrays: list[Op], user: Op | None = None) -> str:
        """What stands between the brackets."""
        texts = iter([self.operand(array, user).text for array in arrays])
        parts = [next(texts) if x is ARRAY_SLOT else slice_text(x) for x in pattern]
        return ", ".join(parts) + ("," if len(parts) == 1 and not arrays else "") or "()"


def _is_implied(op: Op, user: Op) -> bool:
    """Whether a NumPy scalar can be written as a Python number, its dtype being the others' too."""
    if user.primitive not in OPERATORS and user.primitive not in (add_at, add_at_flat):
        return False
    if op.dtype.kind not in "fi" or user.primitive is p.power:
        return False
    others = [x for x in user.inputs if x is not op and x.dtype.kind == "f"]
    return any(x.kind != "number" and x.dtype == op.dtype and not x.is_constant for x in others)


def _described(op: Op) -> str:
    if op.kind == "number":
        return {"f": "a float", "i": "an int", "b": "a bool"}[op.dtype.kind]
    return f"{op.dtype} {list(op.shape)}" if op.shape else f"{op.dtype}"


def _generator_names(program: Program, taken: set[str]) -> dict[np.random.Generator, str]:
    """The generators that are drawn from, in the order of their first draws, and their names."""
    generators = list(dict.fromkeys(op.params[0] for op in program.samples))
    numbers = [""] if len(generators) == 1 else [f"_{i + 1}" for i in range(len(generators))]
    return {g: free_name(f"rng{n}", taken) for g, n in zip(generators, numbers, strict=True)}


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
