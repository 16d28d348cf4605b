"""The printer of C: a program as one function of an extension module, to be read and to be fast."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, ClassVar

from ....engine import primitives as p
from ....engine.names import printable
from ... import native
from ...ir import Op, Program
from ...memory import Plan
from ...memory import plan_memory as plan_numpy
from ...passes import upper_bound
from ..literals import LONGEST_NAME, WIDTH, identifier
from ..naming import assign_names
from ..printer import Source, _generator_names, _heading, describe
from . import helpers
from .expressions import (
    BOOL,
    EXACT,
    FAST,
    NUMPY_LOOPS,
    TYPES,
    Style,
    expression_of,
    is_single,
    literal,
    operand_dtype,
    sizes_text,
    split_axes,
    uniform,
)
from .fast_functions import FUNCTIONS
from .helpers import NPY, helper
from .loops import Index, LoopPrinter
from .lowering import lower
from .names import c_comment, c_name, free_name
from .numpy_lines import NumpyLines
from .schedule import PARALLEL, Loop, Schedule, Stage, plan_memory

SMALL = 2**14
PRODUCTS = (p.multiply, p.divide, p.scalar_power)  # which need no parentheses in a sum
LARGE = 2**20  # bytes of a result from which on new memory would have to be cleared first


def generate_c(program: Program, name: str, fast: bool = False, threads: int = 1) -> Source:
    """Write a program out as C.

    Parameters
    ----------
    program
        What to compute.
    name
        Of the function.
    fast
        Whether last digits may change.
    threads
        On how many a large loop runs.
    """
    style = FAST if fast else EXACT
    return _Printer(lower(program, fast), name, style, threads).source()


@dataclass
class _Printer:
    program: Program
    name: str
    style: Style
    threads: int
    body: list[str] = field(default_factory=list)
    helpers: dict[str, None] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)  # conditions: the module cannot be loaded
    loading: list[str] = field(default_factory=list)  # statements, if it can
    statics: list[str] = field(default_factory=list)
    texts: dict[Op, str] = field(default_factory=dict)  # of numbers, and pointers of arrays
    object_texts: dict[Op, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)  # large arrays of earlier calls
    n_owned: int = 0
    declared: set[str] = field(default_factory=set)  # the names of pointers that are there
    indent: int = 1
    on_stack: ClassVar[int] = SMALL  # bytes of arrays that the stack holds
    reserved: ClassVar[Set[str]] = frozenset()  # names that are taken from the beginning

    def source(self) -> Source:
        """The whole text."""
        program = self.program
        self.function = self.function_name()
        self.schedule = Schedule(program, self.style)
        self.memory = plan_memory(self.schedule)
        inputs = [*program.arguments, *program.reads]
        self.assign_names(inputs)
        self.lines = NumpyLines(self.generators)
        self.uses = Counter(x for op in program.ops for x in map(self.schedule.source, op.inputs))
        self.read_inputs(inputs)
        self.make_results()
        updated = any(ref.attribute == "_value" for ref, _ in program.writes)
        heading = ""
        for stage in self.schedule.stages:
            back = "back through " in heading or heading == "update"
            now = self.heading(stage) or ("update" if updated and back else "")
            before = len(self.body)
            self.write("", *[f"// {now}"] * (now not in ("", heading)))
            begun = len(self.body)
            getattr(self, f"write_{stage.kind}")(stage)
            if len(self.body) == begun:  # it is written where its result is used
                del self.body[before:]
            else:
                heading = now or heading
        self.write_results()
        return Source(self.module(inputs), self.function, list(self.generators), False)

    def assign_names(self, inputs: list[Op]) -> None:
        """Name all results, those alike that are stages of one, written over one another."""
        program, reused = self.program, self.memory.reused
        names = assign_names(program, Plan(in_place_of={**reused}), self.function)
        self.taken = {self.function, *self.reserved}
        self.names = {}
        for op in inputs:
            self.names[op] = self.unique(names[op])
        old = {op.state.identity: self.names[op] for op in inputs if op.state is not None}
        new = {
            op: f"new_{old[ref.identity]}" for ref, op in program.writes
            if op is not None and ref.identity in old and op not in self.names
        }  # fmt: skip
        for op in program.ops:
            if op in self.names:
                continue
            if op in self.memory.local:
                self.names[op] = names[op]
            elif op in reused and op not in new and names[reused[op]] == names[op]:
                self.names[op] = self.names[reused[op]]
            else:
                self.names[op] = self.unique(new.get(op, names[op]))
        self.generators = _generator_names(program, set(self.taken))

    def function_name(self) -> str:
        """A name that is none of the C library's."""
        name = c_name(identifier(self.name)).strip("_")
        return name if name.endswith("step") else f"{name}_step"

    def unique(self, name: str) -> str:
        """A name of C's that is not in use."""
        found = free_name(name, self.taken)
        self.taken.add(found)
        return found

    def write(self, *lines: str) -> None:
        for line in lines:
            text = "    " * self.indent + line if line else ""
            long = len(text) > WIDTH and not line.lstrip().startswith(("//", "#"))
            self.body += _broken(text) if long else [text]

    def need(self, text: str, ctype: str = "", function: str = "") -> None:
        """Let the source hold a helper."""
        self.helpers[helper(text, ctype, function)] = None

    def heading(self, stage: Stage) -> str:
        """The scopes in which the operations of a stage were made."""
        found = dict.fromkeys(filter(None, map(_heading, stage.ops)))
        text = ", ".join(printable(name, LONGEST_NAME) for name in found)
        return text.rstrip("\\ ")  # with a backslash, the next line would be of the comment

    # ── The module ────────────────────────────────────────────────────────────────────────────

    def module(self, inputs: list[Op]) -> str:
        """The text around the statements of the step."""
        text = self.lines.text
        large = self.memory.size > self.on_stack
        if large:
            self.need(f"#define MEMORY {self.memory.size}\n{helpers.WORKSPACE}")
        released = ["free(free_memory);", "free_memory = NULL;"] * large
        released += [f"Py_CLEAR({kept}.arrays[{i}]);" for kept in self.kept for i in range(2)]
        description = describe(self.program, self.names, self.generators, self.function)
        pieces: dict[str, str | list[str]] = {
            "NAME": self.function,
            "COMMAND": self.command(),
            "DESCRIPTION": [*map(c_comment, description)],
            "N_GIVEN": str(len(inputs) + len(self.generators)),
            "N_OWNED": str(max(self.n_owned, 1)),
            "BEGIN": helpers.BEGIN.splitlines() * large,
            "BODY": self.body,
            "END": ["    end_memory(memory);"] * large,
            "RELEASED": released,
            "RELEASE": ['    {"release_memory", release_memory, METH_NOARGS, NULL},']
            * bool(released),
            "LOAD": self.load_lines(),
        }
        parts = [helpers.HEADER, *self.helpers, "\n".join(self.statics)]
        if text:
            quoted = [f'    "{_quoted(line)}\\n"' for line in text.splitlines()]
            parts += ["\n".join([helpers.NUMPY_SOURCE, *quoted]) + ";"]
        parts += [helpers.STEP, *[helpers.RELEASE] * bool(released), helpers.MODULE]
        return "\n\n".join(_filled_in(part, pieces) for part in parts if part) + "\n"

    def load_lines(self) -> list[str]:
        """What the module does when it is loaded."""
        lines = helpers.RUN_NUMPY_SOURCE.splitlines() if self.lines.text else []
        failed = ["!done"] * bool(lines) + self.failed
        if failed:
            lines += [f"if ({failed[0]}", *(f"    || {text}" for text in failed[1:])]
            lines[-1] += ")"
            lines += ["    return -1;"]
        return ["    " + line for line in lines + self.loading]

    def command(self) -> list[str]:
        """The command that makes a module of the source."""
        flags = native.compile_flags(self.style.fast, self.threads)
        lines = textwrap.wrap(f"cc -O3 {' '.join(flags)}", 80, break_on_hyphens=False)
        lines += ["-I$(python3 -c \"import sysconfig; print(sysconfig.get_path('include'))\")"]
        lines += ['-I$(python3 -c "import numpy; print(numpy.get_include())")']
        lines += [f"{self.function}.c -o {self.function}.so"]
        return [f"       {line} \\" for line in lines[:-1]] + [f"       {lines[-1]}"]

    def load_object(self, name: str, key: str) -> None:
        """Let the module hold what the text for NumPy calls by a name."""
        self.statics.append(f"static PyObject *{name};")
        self.failed.append(f'!({name} = PyMapping_GetItemString(names, "{key}"))')

    # ── Inputs and results ────────────────────────────────────────────────────────────────────

    def read_inputs(self, inputs: list[Op]) -> None:
        """Declare what the step takes."""
        schedule = self.schedule
        read: set[Op] = set()
        for stage in schedule.stages:
            for op in stage.ops if stage.kind != "numpy" else ():
                how = stage.how[op] if isinstance(stage, Loop) else None
                operands = [a.operand for a in how.accesses] if how else op.inputs
                read.update(map(schedule.source, operands))
        checked = False
        for i, op in enumerate(inputs):
            self.object_texts[op] = f"args[{i}]"
            if op in read:
                checked = True
                self.declare(op, f"args[{i}]")
        if checked:
            self.write("if (PyErr_Occurred())", "    goto end;")
        self.keep_constants(read)

    def keep_constants(self, read: set[Op]) -> None:
        """Let the module hold the arrays that are read or returned, and constant results."""
        for op in self.program.ops:
            if op.is_constant and op.kind == "array" and op.shape:
                if (op in read and not (uniform(op) or op.size == 1)) or op in self.program.wanted:
                    self.keep_constant(op)
            elif op.is_constant and op in self.program.wanted:
                self.keep_constant(op)

    def keep_constant(self, op: Op) -> None:
        """Let the module hold a constant."""
        name = self.names[op]
        self.lines.constant(name, op)
        self.load_object(f"{name}_object", name)
        self.object_texts[op] = f"{name}_object"
        if op.kind == "array" and op.shape and op.dtype in TYPES:
            self.declare(op, f"{name}_object")

    def declare(self, op: Op, text: str) -> None:
        """Get at the elements of an object, or at its number."""
        name = self.texts[op] = self.names[op]
        if op.kind == "number":
            self.write(f"const double {name} = PyFloat_AsDouble({text});")
            return
        ctype = TYPES[op.dtype]
        if op.shape:
            self.need(helpers.DATA)
            self.write(f"const {ctype} *{name} = data({text}, {NPY[ctype][0]}, {_size(op)});")
        else:
            self.need(helpers.SCALAR, ctype)
            self.write(f"const {ctype} {name} = scalar_{ctype}({text});")

    def make_results(self) -> None:
        """Make the arrays that are returned, which have the first places among the objects."""
        self.n_owned = len(self.program.wanted)
        made = [
            op
            for op in dict.fromkeys(self.program.wanted)
            if self.memory.storage.get(op) is op and op not in self.texts
        ]
        if made:
            self.write("")
            for op in made:
                self.place(op)
            self.write("if (PyErr_Occurred())", "    goto end;")

    def own(self) -> str:
        """A place for an object that is released in the end."""
        self.n_owned += 1
        return f"owned[{self.n_owned - 1}]"

    def object(self, op: Op) -> str:
        """The object of Python that a result is, for one use."""
        if op in self.object_texts:
            return self.object_texts[op]
        place = self.own()
        self.write(f"{place} = {self.boxed(op)};")
        return place

    def boxed(self, op: Op) -> str:
        """A new object that holds a number."""
        ctype = TYPES[op.dtype]
        kind, text = "scalar", helpers.SCALAR_OBJECT
        if op.kind == "array":
            kind, text = "array", helpers.ARRAY_OBJECT
        self.need(text, ctype)
        return f"{kind}_object_{ctype}({self.texts[op]})"

    def write_results(self) -> None:
        """Put together what the step returns."""
        copied = plan_numpy(self.program).copied
        self.need(helpers.PACK)
        self.write("")
        for i, op in enumerate(self.program.wanted):
            if op in copied and op.kind != "number":
                self.need(helpers.COPY)
                made = f"copied({self.object(op)})"
            elif op not in self.object_texts:
                made = self.boxed(op)
            elif self.object_texts[op] != f"owned[{i}]":
                made = f"Py_NewRef({self.object_texts[op]})"
            else:
                continue
            self.write(f"owned[{i}] = {made};")
        self.write(f"result = pack(owned, {len(self.program.wanted)});")

    # ── Memory ────────────────────────────────────────────────────────────────────────────────

    def place(self, op: Op) -> None:
        """Declare the array that a result is put into."""
        storage = self.memory.storage.get(op)
        if storage is None or op in self.texts:
            return
        ctype, name = TYPES[op.dtype], self.names[op]
        self.texts[op] = name
        if storage is not op:
            self.place(storage)
            if name not in self.declared:
                self.write(f"{ctype} *{name} = {self.texts[storage]}; // in its place")
        elif op in self.schedule.objects:
            self.place_object(op)
        elif self.memory.size <= self.on_stack:
            self.write(f"{ctype} {name}[{_size(op)}];")
        else:
            begin = f"({ctype} *)(memory + {self.memory.offset[op]})"
            self.write(f"{ctype} *{name} = {begin}; // {_size(op)}")
        self.declared.add(name)

    def place_object(self, op: Op) -> None:
        """Declare the array of NumPy that a result is put into."""
        ctype, name, wanted = TYPES[op.dtype], self.names[op], self.program.wanted
        returned = op in wanted
        place = f"owned[{wanted.index(op)}]" if returned else self.own()
        self.object_texts[op] = place
        shape = ", ".join(map(str, op.shape))
        given = f"{NPY[ctype][0]}, {len(op.shape)}, (npy_intp[]){{{shape}}}"
        self.need(helpers.NEW)
        if op.size * op.dtype.itemsize >= LARGE and returned:
            self.need(helpers.RECYCLED)
            self.statics.append(f"static Kept kept_{name};")
            self.kept.append(f"kept_{name}")
            made = f"recycled(&{place}, &kept_{name}, {given})"
        else:
            made = f"new_array(&{place}, {given})"
        self.write(f"{ctype} *{name} = {made};")
        if not returned:
            self.write(f"if (!{name})", "    goto end;")

    def pointer(self, x: Op) -> str:
        """Where the elements of an operand begin."""
        source = self.schedule.source(x)
        text = self.texts[source]
        return text if source.shape else f"(const {TYPES[source.dtype]}[]){{{text}}}"

    # ── Stages ────────────────────────────────────────────────────────────────────────────────

    def called(self, name: str, ops: list[Op], inputs: list[Op], outputs: list[Op]) -> str:
        """A call of a function of Python for some operations."""
        name = self.unique(name)
        self.lines.function(name, ops, inputs, outputs, {x: self.names[x] for x in inputs})
        self.load_object(name, name)
        given = [self.object(x) for x in inputs]
        first = len(self.program.arguments) + len(self.program.reads)
        given += [f"args[{first + i}]" for i in range(len(self.generators))]
        self.need(helpers.CALL)
        array = f"(PyObject *[]){{{', '.join(given)}}}" if given else "NULL"
        return f"call({name}, {array}, {len(given)})"

    def write_numpy(self, stage: Stage) -> None:
        """Let NumPy do what C does not."""
        inside = set(stage.ops)
        given = [x for op in stage.ops for x in op.inputs if x not in inside and not x.is_constant]
        wanted = {*self.program.wanted}
        used = {op for op in inside if not inside.issuperset(self.schedule.users[op])}
        outputs = [op for op in stage.ops if op in wanted or op in used]
        call = self.called("by_numpy", stage.ops, list(dict.fromkeys(given)), outputs)
        place = self.own()
        self.write(f"{place} = {call};", f"if (!{place})", "    goto end;")
        read = False
        for i, op in enumerate(outputs):
            self.object_texts[op] = f"PyTuple_GET_ITEM({place}, {i})"
            if any(self.reads(user) for user in self.schedule.users[op] if user not in inside):
                self.declare(op, self.object_texts[op])
                read = True
        if read:
            self.write("if (PyErr_Occurred())", "    goto end;")

    def reads(self, user: Op) -> bool:
        """Whether C reads what this operation takes."""
        kind = self.schedule.kinds[user]
        if kind in ("view", "transposed"):
            return any(self.reads(u) for u in self.schedule.users[user])
        return kind != "numpy"

    def write_check(self, stage: Stage) -> None:
        """Look at labels, and let Python say what is wrong with them."""
        (op,) = stage.ops
        labels = op.inputs[0]
        self.need(helpers.IN_RANGE)
        call = self.called(f"refuse_{self.names[labels]}", [op], [labels], [])
        looked = f"in_range({self.pointer(labels)}, {_size(labels)}, {upper_bound(op)})"
        self.write(f"if (!{looked}) {{")
        self.write(f"    {self.own()} = {call};", "    goto end;", "}")

    def write_product(self, stage: Stage) -> None:
        (op,) = stage.ops
        self.place(op)
        ctype = TYPES[op.dtype]
        self.numpy_loop(helpers.MATMUL, "matmul", ctype)
        given = []
        for x in op.inputs:
            kind = "T" if self.schedule.kinds[x] == "transposed" else "N"
            given.append(f"{self.pointer(x)}, '{kind}'")
        (n, k), m = op.inputs[0].shape, op.shape[1]
        self.write(f"matmul_{ctype}({self.texts[op]}, {', '.join(given)}, {n}, {k}, {m});")

    def numpy_loop(self, text: str, function: str, ctype: str) -> None:
        """Let the source hold what calls a loop of NumPy's."""
        self.need(helpers.FIND)
        known = len(self.helpers)
        self.need(text, ctype, function)
        if len(self.helpers) > known:
            found = f'find_loop(&loop_{function}_{ctype}, "{function}", {NPY[ctype][0]})'
            self.failed.append(found)

    def write_total(self, stage: Stage) -> None:
        (op,) = stage.ops
        x = op.inputs[0]
        ctype = TYPES[op.dtype]
        split = split_axes(x.shape, op.params[0])
        assert split is not None
        outside, n, inside = split
        self.place(op)
        if inside > 1:
            self.need(helpers.SUM_ROWS, ctype)
            out, x_text, width = self.texts[op], self.pointer(x), str(inside)
            if outside > 1:
                self.write(f"for (npy_intp i = 0; i < {outside}; i++)")
                out, x_text = f"{out} + i * {inside}", f"{x_text} + i * {n * inside}"
            elif self.threads > 1 and n * inside >= PARALLEL:
                self.parallel()
                step = max(16, -(-inside // self.threads // 16) * 16)
                self.write(f"for (npy_intp j = 0; j < {inside}; j += {step})")
                out, x_text = f"{out} + j", f"{x_text} + j"
                width = f"j + {step} < {inside} ? {step} : {inside} - j"
            tab = "    " * (out != self.texts[op])
            self.write(f"{tab}sum_rows_{ctype}({out}, {x_text}, {n}, {width}, {inside});")
            return
        self.need(helpers.FAST_SUM if self.style.fast else helpers.SUM, ctype)
        call = f"sum_{ctype}({self.pointer(x)}, {n})"
        if not op.shape and self.uses[op] == 1 and self.is_next(op):
            self.texts[op] = call
        elif not op.shape:
            self.texts[op] = self.names[op]
            self.write(f"const {ctype} {self.names[op]} = {call};")
        else:
            assert outside == 1
            self.write(f"{self.texts[op]}[0] = {call};")

    def is_next(self, op: Op) -> bool:
        """Whether it is a number that makes the next one, so that nothing comes in between."""
        stages = self.schedule.stages
        following = [b.ops for a, b in pairwise(stages) if a.ops == [op] and b.kind == "scalar"]
        return any(self.schedule.users[op] == ops for ops in following)

    def parallel(self) -> None:
        """Let threads share the loop that is written next."""
        known = len(self.helpers)
        self.need(helpers.THREADS.replace("COUNT", str(self.threads)))
        if len(self.helpers) > known:
            self.loading.append("pthread_atfork(NULL, NULL, use_one_thread);")
        self.write("#pragma omp parallel for num_threads(threads)")

    def write_scatter(self, stage: Stage) -> None:
        (op,) = stage.ops
        rows, index = op.inputs
        ctype = TYPES[op.dtype]
        self.place(op)
        self.need(helpers.ADD_ROWS, ctype)
        width = rows.size // index.size
        given = f"{self.pointer(index)}, {self.pointer(rows)}, {index.size}, {width}"
        self.write(f"add_rows_{ctype}({self.texts[op]}, {op.size}, {given});")

    def write_scalar(self, stage: Stage) -> None:
        (op,) = stage.ops
        name = self.texts[op] = self.names[op]
        self.write(
            f"const {TYPES[op.dtype]} {name} = {self.expression(op, ['one'] * len(op.inputs))};"
        )

    # ── Expressions ───────────────────────────────────────────────────────────────────────────

    def expression(self, op: Op, places: list[str], index: Index | None = None) -> str:
        """What computes one element of a result, from elements at these places of the operands."""
        text, ctype = expression_of(op, self.style), TYPES[op.dtype]
        if text is None:
            text, dtype = self.numpy_call(op), op.dtype
        else:
            dtype = operand_dtype(op)
            called = text.partition("_{type}(")[0]
            for function in FUNCTIONS.get(f"{called}_{ctype}", ()):
                self.need(function, ctype)
        dtypes = [dtype] * len(op.inputs)
        if op.primitive is p.where:
            dtypes[0] = BOOL
        operands = [*map(self.element, op.inputs, places, dtypes, [index] * len(places))]
        for i, x in enumerate(op.inputs):
            sum_of_product = op.primitive in (p.add, p.subtract) and x.primitive in PRODUCTS
            plain = operands[i] == self.texts.get(self.schedule.source(x)) or x.is_constant
            alone = f"({{{i}}})" in text or (x.is_constant and text.startswith(f"{{{i}}} "))
            if plain and (alone or sum_of_product):
                operands[i] = _bare(operands[i])
        return text.format(*operands, f=NPY[ctype][2], type=ctype)

    def numpy_call(self, op: Op) -> str:
        """A call of NumPy's loop for single numbers, to be filled with operands."""
        function, ctype = NUMPY_LOOPS[op.primitive], TYPES[op.dtype]
        one = len(op.inputs) == 1
        self.numpy_loop(helpers.UNARY if one else helpers.BINARY, function, ctype)
        self.need(helpers.ONE if one else helpers.ONE_OF_TWO, ctype, function)
        return f"{function}_one_{ctype}({{0}})" if one else f"{function}_one_{ctype}({{0}}, {{1}})"

    def element(self, x: Op, place: str, dtype: Any, index: Index | None) -> str:
        """One element of an operand, in a dtype."""
        if x.is_constant and is_single(x):
            return literal(x.data.flat[0] if x.kind == "array" else x.data, dtype)
        if x.kind == "number":
            return f"({TYPES[dtype]}){self.texts[x]}"
        source = self.schedule.source(x)
        cast = f"({TYPES[dtype]})" if x.dtype != dtype and dtype != BOOL else ""
        if source in self.memory.local or not source.shape:
            return cast + self.texts[source]
        return cast + (index(source, place) if index else f"{self.texts[source]}[0]")

    def write_loop(self, stage: Loop) -> None:
        """Write a loop over rows."""
        LoopPrinter(self, stage).write()


def _size(op: Op) -> str:
    """The number of elements, as a product that is no larger than its type."""
    return sizes_text(op.shape)


def _bare(text: str) -> str:
    """An expression without the parentheses around all of it."""
    inner = text[1:-1]
    depths = [*accumulate((c == "(") - (c == ")") for c in inner)]
    return inner if text[:1] == "(" and text[-1:] == ")" and min(depths, default=0) >= 0 else text


def _broken(line: str) -> list[str]:
    """A long statement, broken at spaces, but not within a shape."""
    text = line.lstrip()
    indent = line.removesuffix(text)
    lines = textwrap.wrap(
        re.sub(r"\{[^{}]*\}", lambda shape: shape[0].replace(" ", "\0"), text),
        WIDTH, initial_indent=indent, subsequent_indent=indent + "    ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return [line.replace("\0", " ") for line in lines]


def _filled_in(template: str, pieces: Mapping[str, str | list[str]]) -> str:
    """A text with pieces in place of their names, each in its place or as lines of their own."""
    lines: list[str] = []
    for line in template.strip("\n").split("\n"):
        piece = pieces.get(line[1:-1]) if line[:1] == "@" else None
        if isinstance(piece, list):
            lines += piece
        else:
            lines.append(re.sub("@([A-Z_]+)@", lambda name: str(pieces[name[1]]), line))
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """A line of text in a string of C's."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(c if c.isascii() else "".join(f"\\{b:03o}" for b in c.encode()) for c in escaped)
