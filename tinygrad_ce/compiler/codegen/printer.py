"""The printer: a program as NumPy source that a person can read, step through, and keep.

One statement for each operation, in the order in which the step ran. Views, and numbers that are
used once, are written where they are used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...engine import kernels
from ...engine import primitives as p
from ...engine.kernels import ARRAY_SLOT
from ...engine.names import printable
from ..guards import StateRef
from ..ir import Loop, Op, Program, is_range
from ..memory import Plan, recycled
from ..passes import adds_rows, upper_bound
from ..primitives import add_at, add_at_flat, sampled, verified
from .bundled_helpers import collect_helpers, imports, strip_underscores
from .expressions import expression, helper_name
from .literals import (
    LONGEST_NAME,
    Text,
    argument,
    array,
    comment,
    docstring,
    dtype_name,
    empty,
    format_assignment,
    free_name,
    identifier,
    number,
    slice_text,
    wrap,
)
from .naming import RESERVED, assign_names


@dataclass
class Source:
    """The text of a step, and what it needs to run.

    Attributes
    ----------
    text
        A module that needs NumPy alone.
    name
        Of the function in it.
    generators
        What it draws from, and takes after the step's arguments and what it reads.
    keeps
        Whether it keeps arrays from call to call, so that there can be only one call at a time.
    """

    text: str
    name: str
    generators: list[np.random.Generator]
    keeps: bool


def generate_source(program: Program, plan: Plan, name: str) -> Source:
    """Write a program out.

    Parameters
    ----------
    program, plan
        What to compute, and in which memory.
    name
        Of the function.
    """
    helpers = collect_helpers(program, plan)
    function = identifier(name)
    function = "step" if function in RESERVED else function
    names = assign_names(program, plan, function)
    return _Printer(program, plan, names, helpers).module(function)


@dataclass
class _Printer:
    program: Program
    plan: Plan
    names: dict[Op, str]
    helpers: list[str]  # the sources of functions of this package
    texts: dict[Op, Text] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    looks_first: bool = True  # at labels, in front of the call of a check
    loop: Loop | None = None
    kept: dict[Op, str] = field(default_factory=dict)  # in a loop: the rows that are written

    # ── The module ────────────────────────────────────────────────────────────────────────────

    def module(self, name: str) -> Source:
        """The whole text."""
        taken = {name, *self.names.values()}
        self.generators = _generator_names(self.program, taken)
        taken |= set(self.generators.values())
        self.buffers = [free_name(f"buffer_{i + 1}", taken) for i in range(len(self.plan.buffers))]
        self.spares = [free_name(f"spare_{i + 1}", taken) for i in range(len(self.plan.spares))]
        self.loop_names = [free_name(name, taken) for name in ("start", "rows", "block")]
        for buffer, op in zip(self.buffers, self.plan.buffers, strict=True):
            self.constants.append(f"{buffer} = {empty(op)}")
        for spare, op in zip(self.spares, self.plan.spares, strict=True):
            self.constants.append(f"{spare} = [{empty(op)}]")
        self.uses = Counter(source for op in self.program.ops for source in op.inputs)
        self.uses.update(dict.fromkeys(self.program.wanted, 2))
        self.statements()
        parameters = [*self.program.arguments, *self.program.reads]
        lines = [*imports("\n".join(self.helpers)), *self.constants, *[""] * bool(self.constants)]
        lines += ["", '@np.errstate(all="ignore")']
        given = ", ".join([*(self.names[op] for op in parameters), *self.generators.values()])
        lines += wrap(f"def {name}(", given, "):")
        description = describe(self.program, self.names, self.generators, name)
        body = docstring(description) + self.body
        lines += ["    " + line if line else "" for line in body]
        for helper in self.helpers:
            lines += ["", "", *helper.splitlines()]
        text = strip_underscores("\n".join(lines) + "\n")
        return Source(text, name, list(self.generators), bool(self.buffers or self.spares))

    def statements(self) -> None:
        """The body: a group of lines for each scope and each update, and what is returned."""
        updated = {op for ref, op in self.program.writes if ref.attribute == "_value"}
        heading = ""
        begins = {loop.ops[0]: loop for loop in self.program.loops}
        apart = False  # whether a loop has just ended
        done = False  # whether a parameter has just been given its new value
        for op in self.program.ops:
            if op in begins:
                self.begin(begins[op])
            before = len(self.body)
            self.statement(op)
            if len(self.body) > before:
                back = heading.startswith("back through ") or heading == "update"
                now = _heading(op) or ("update" if updated and back else "")
                if now != heading or apart or (self.loop is not None and not before):
                    self.body[before:before] = ["", comment(now)] if now else [""]
                    heading = now
                elif done:
                    self.body.insert(before, "")
                apart, done = False, op in updated
            if self.loop is not None and op is self.loop.ops[-1]:
                self.end(self.loop)
                apart = True
        returned = ", ".join(self.result(op) for op in self.program.wanted)
        returned += "," if len(self.program.wanted) == 1 else ""
        self.body += ["", *wrap("return ", returned or "()")]

    # ── Blocks of rows ────────────────────────────────────────────────────────────────────────

    def begin(self, loop: Loop) -> None:
        """Write what comes before the statements of a loop: where its results are put."""
        start, rows, block = self.loop_names
        self.body += ["", "# some rows at a time, which stay in the cache meanwhile"]
        for op in loop.ops:
            if op in loop.kept:
                self.body += self.array_for(op)
                there = f"{self.names[op]}[{rows}]"
                self.texts[op], self.kept[op] = Text(there), there
                if op.primitive is add_at_flat and op in self.plan.in_place_of:
                    self.kept[self.plan.in_place_of[op]] = there
        self.outer, self.body, self.loop = self.body, [], loop
        self.outer.append(f"for {start} in range(0, {loop.n}, {loop.block}):")
        self.outer.append(f"    {rows} = slice({start}, {start} + {loop.block})")
        if loop.n % loop.block:
            length = f"min({loop.block}, {loop.n} - {start})"
            self.outer.append(f"    {block} = slice({length})  # all but the last are full")

    def array_for(self, op: Op) -> list[str]:
        """Where a result of a loop is put: another array, a buffer, or new memory."""
        name = self.names[op]
        if op in self.plan.reused_array:
            text = self.operand(self.plan.reused_array[op]).text
            return [] if text == name else wrap(f"{name} = ", text)
        if op in self.plan.buffer:
            return [f"{name} = {self.buffers[self.plan.buffer[op]]}"]
        return [f"{name} = {self.spare(op) or empty(op)}"]

    def end(self, loop: Loop) -> None:
        """Put the statements of a loop into it, and go on with whole arrays."""
        self.body = self.outer + ["    " + line if line else "" for line in self.body]
        self.loop = None
        self.kept = {}
        for op in loop.ops:
            if op in loop.kept:
                self.texts[op] = Text(self.names[op])

    def memory(self, op: Op) -> str:
        """The memory that is there already for a result, or nothing."""
        if op in self.kept:
            return self.kept[op] if op.facts.ufunc else ""
        if op in self.plan.target:
            return self.kept[self.plan.target[op]]
        if op in self.plan.in_place_of:
            return str(self.operand(self.plan.in_place_of[op]))
        if op not in self.plan.buffer:
            return self.spare(op)
        partly = self.loop is not None and self.loop.n % self.loop.block
        buffer = self.buffers[self.plan.buffer[op]]
        return f"{buffer}[{self.loop_names[2]}]" if partly else buffer

    def spare(self, op: Op) -> str:
        """The memory of an earlier call's result, once nobody holds that, or nothing."""
        number = self.plan.spare.get(op)
        return "" if number is None else f"{helper_name(recycled)}({self.spares[number]})"

    def wrap(self, start: str, text: str) -> list[str]:
        """A statement, in as many lines as it takes."""
        return wrap(start, text, room=4 * (self.loop is not None))

    def result(self, op: Op) -> str:
        """What is returned for an operation."""
        text = str(self.operand(op))
        if op in self.plan.copied:
            return f"{text}.copy()" if op.kind == "array" else text
        return text

    # ── Statements ────────────────────────────────────────────────────────────────────────────

    def statement(self, op: Op) -> None:
        """Write what computes an operation, or keep it for the place where it is used."""
        name = self.names[op]
        if op.primitive is None:
            self.texts[op] = self.literal(op) if op.is_constant else Text(name)
        elif op.primitive is verified:
            self.check(op)
        elif op.primitive in (p.scatter, add_at, add_at_flat):
            self.texts[op] = Text(self.target(op))
            self.put_at_places(op)
        else:
            self.value(op)

    def value(self, op: Op) -> None:
        name = self.target(op)
        out = self.memory(op)
        if out:
            self.texts[op] = Text(name)
            self.body += self.into(op, name, out)
            return
        text = expression(self, op, [self.operand(source, op) for source in op.inputs])
        if self.stays(op, text):
            self.texts[op] = text
        elif op.primitive is sampled and not self.uses[op]:
            self.body += self.wrap("", text.text)
        else:
            self.texts[op] = Text(name)
            self.body += self.wrap(f"{name} = ", text.text)

    def target(self, op: Op) -> str:
        """What a result is assigned to: a name, or the rows of an array."""
        return self.kept.get(op, self.names[op])

    def stays(self, op: Op, text: Text) -> bool:
        """Whether an expression is written where it is used, without a name of its own."""
        if op in self.kept:
            return False
        if self.uses[op] != 1 or len(text.text) > 40 or op.primitive is sampled:
            return False
        if op.primitive in (p.transpose, p.reshape):
            return True
        return op.kind != "array" and all(source.kind != "array" for source in op.inputs)

    def into(self, op: Op, name: str, out: str) -> list[str]:
        """An operation whose result is put into memory that is there already."""
        operands = [self.operand(source, op) for source in op.inputs]
        symbol, function = op.facts.operator, op.facts.ufunc or "matmul"
        written_over = out == name and len(operands) == 2 and str(operands[0]) == out
        if written_over and symbol and op.primitive is not p.matmul:
            return self.wrap(f"{name} {symbol}= ", operands[1].text)
        arguments = [x.text for x in operands] + ["0"] * (op.primitive is p.relu)
        call = f"np.{function}({', '.join(arguments)}, out={out})"
        return self.wrap("" if out == name else f"{name} = ", call)

    def check(self, op: Op) -> None:
        check, args, options = op.params
        given = [str(self.operand(op.inputs[0])), *map(argument, args)]
        given += [f"{key}={argument(value)}" for key, value in options]
        call = f"{helper_name(check)}({', '.join(given)})"
        self.body += self.quick_check(op) or self.wrap("", call)
        if self.body[-1].startswith("if "):
            self.body += ["    " + line for line in self.wrap("", call)]

    def quick_check(self, op: Op) -> list[str]:
        """In front of a check of labels: whether there is anything to refuse."""
        labels, bound = op.inputs[0], upper_bound(op)
        integers = labels.kind == "array" and labels.dtype.kind in "iu"
        if bound is None or not integers or not labels.size or not self.looks_first:
            return []
        name = self.names[op]
        unsigned = dtype_name(labels.dtype.str.replace("i", "u"))
        comment = "  # in which a negative one is huge"
        view = f"{self.operand(labels)}.view({unsigned})"
        return [f"{name} = {view}{comment}", f"if {name}.item({name}.argmax()) >= {bound}:"]

    def put_at_places(self, op: Op) -> None:
        """Those that add to an array at places that an index names."""
        name = self.target(op)
        kept = op in self.kept
        x, *arrays = op.inputs
        if op.primitive in (add_at, add_at_flat):
            g, *arrays = arrays
            reused = self.plan.in_place_of.get(op)
            rest = self.operand(x)
            if reused is None:
                self.body += self.wrap(f"{name} = ", f"{rest}.copy()" if not kept else rest.text)
            elif str(rest) != name and not kept:
                self.body += self.wrap(f"{name} = ", rest.text)
            if op.primitive is add_at_flat:
                there = f"{name}.reshape(-1)[{self.operand(arrays[0]).text}]"
            else:
                there = f"{name}[{self.index(op.params[0], arrays)}]"
            sign = op.params[0] if op.primitive is add_at_flat else "+"
            self.body += self.wrap(f"{there} {sign}= ", self.operand(g, op).text)
            return
        template, shape = op.params
        index = self.index(template, arrays)
        self.body += self.wrap(f"{name} = ", f"np.zeros({shape}, {dtype_name(op.dtype)})")
        if adds_rows(op):
            given = f"{name}, {self.operand(arrays[0])}, {self.operand(x)}"
            self.body += self.wrap("", f"{helper_name(kernels.add_rows)}({given})")
        elif any(array.dtype.kind != "b" for array in arrays):
            if any(isinstance(part, slice) for part in template):
                index = f"np.s_[{index}]"
            elif "," in index:
                index = f"({index})"
            self.body += self.wrap("", f"np.add.at({name}, {index}, {self.operand(x).text})")
        else:
            self.body += self.wrap(f"{name}[{index}] = ", self.operand(x).text)

    # ── Expressions ───────────────────────────────────────────────────────────────────────────

    def operand(self, op: Op, user: Op | None = None) -> Text:
        """How an operation is called where its result is used."""
        if op.is_constant and op.kind == "scalar" and user is not None and _is_implied(op, user):
            return number(op.data)
        text = self.texts[op]
        if self.loop is None or op.kind != "array" or op in self.loop.inside:
            return text
        if user is not None and user in self.loop.relative and is_range(op.data):
            size = self.loop_names[2] if self.loop.n % self.loop.block else f":{self.loop.block}"
            return Text(f"{text}[{size}]")
        return Text(f"{text}[{self.loop_names[1]}]") if op.shape[:1] == (self.loop.n,) else text

    def literal(self, op: Op) -> Text:
        """A constant: a number as it is written, or an array that the module makes once."""
        if op.kind == "number":
            return number(op.data)
        if op.kind == "scalar":
            return Text(f"{dtype_name(op.dtype)}({number(op.data).text})")
        name = self.names[op]
        self.constants += wrap(f"{name} = ", array(op.data))
        return Text(name)

    def index(self, template: tuple[Any, ...], arrays: list[Op], user: Op | None = None) -> str:
        """What is written between the brackets."""
        texts = iter([self.operand(array, user).text for array in arrays])
        parts = [next(texts) if x is ARRAY_SLOT else slice_text(x) for x in template]
        return ", ".join(parts) + ("," if len(parts) == 1 and not arrays else "") or "()"


def _is_implied(op: Op, user: Op) -> bool:
    """Whether a NumPy scalar can be written as a Python number, its dtype being the others' too."""
    if not user.facts.operator and user.primitive not in (add_at, add_at_flat):
        return False
    if op.dtype.kind not in "fi" or user.primitive is p.power:
        return False
    others = [x for x in user.inputs if x is not op and x.dtype.kind == "f"]
    return any(x.kind != "number" and x.dtype == op.dtype and not x.is_constant for x in others)


def describe(
    program: Program, names: Mapping[Op, str], generators: Mapping[Any, str], function: str
) -> list[str]:
    """How to call a function, what goes in, and what comes out."""
    given = (*program.arguments, *program.reads)
    read = {op.state.identity: names[op] for op in given if op.state is not None}
    results = [(names[op], _described(op)) for op in program.results]
    for new in program.written:
        refs = [ref for ref, op in program.writes if op is new]
        # called what it was called, so that it can be passed on
        name = read.get(refs[0].identity, names[new])
        where = ", ".join(f"the new {_state_name(x)}" for x in refs if not x.shared)
        where = where or f"the new {_state_name(refs[0])} and others"
        results.append((name, f"{where}, {_described(new)}"))
    lines = ["One call: as recorded.", ""]
    if program.writes:
        got = ", ".join(name for name, _ in results)
        lines = ["One call: forward, backward and update.", ""]
        call = ", ".join([*(names[op] for op in given), *generators.values()])
        lines += [*format_assignment(got, f"{function}({call})"), ""]
    lines += [f"{names[op]}: {_described(op)}" for op in given]
    lines += [f"{name}: a np.random.Generator" for name in generators.values()]
    lines += ["", "Returns", *(f"{name}: {what}" for name, what in results)]
    return lines


def _described(op: Op) -> str:
    if op.kind == "number":
        return {"f": "a float", "i": "an int", "b": "a bool"}[op.dtype.kind]
    return f"{op.dtype} {list(op.shape)}" if op.shape else f"{op.dtype}"


def _generator_names(program: Program, taken: set[str]) -> dict[np.random.Generator, str]:
    """The generators that are drawn from, in the order of their first draws, and their names."""
    generators = list(dict.fromkeys(op.params[0] for op in program.ops if op.primitive is sampled))
    numbers = [""] if len(generators) == 1 else [f"_{i + 1}" for i in range(len(generators))]
    return {g: free_name(f"rng{n}", taken) for g, n in zip(generators, numbers, strict=True)}


def _state_name(ref: StateRef) -> str:
    what = {"_value": "value", "_grad": "gradient"}.get(ref.attribute) or printable(ref.attribute)
    owner = ref.owner if ref.key is None else ref.owner.params[ref.key]
    name = getattr(owner, "name", None)
    return f"{what} of {printable(name, LONGEST_NAME)}" if name else what


def _heading(op: Op) -> str:
    """The comment above a group of lines."""
    if op.primitive is verified:
        return "refuse what does not fit, before anything has changed"
    if op.forward_op is not None:
        path = _path(op.forward_op)
        return f"back through {path}" if path else ""
    return _path(op) if op.scope is not None else ""


def _path(op: Op) -> str:
    if op.scope is not None:
        return op.scope.path
    return op.primitive.name if op.primitive is not None else ""
