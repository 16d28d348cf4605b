"""The printer of C: a program as one function of an extension module, to be read and to be fast."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ....engine import primitives as p
from ....engine.names import printable
from ...ir import Op, Program
from ...memory import Plan
from ...memory import plan_memory as plan_numpy
from ...passes import upper_bound
from ..literals import LONGEST_NAME, filled, identifier
from ..naming import assign_names
from ..printer import Source, _generator_names, _heading
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
    split_axes,
    uniform,
)
from .fast_functions import FUNCTIONS
from .helpers import NPY, helper
from .loops import Index, LoopPrinter
from .lowering import lower
from .names import c_name
from .numpy_lines import NumpyLines
from .schedule import PARALLEL, Loop, Schedule, Stage, plan_memory

SMALL = 2**14
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
    loading: list[str] = field(default_factory=list)  # what the module does when it is loaded
    statics: list[str] = field(default_factory=list)
    texts: dict[Op, str] = field(default_factory=dict)  # of numbers, and pointers of arrays
    object_texts: dict[Op, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)  # large arrays of earlier calls
    n_owned: int = 0
    indent: int = 1
    on_stack: ClassVar[int] = SMALL  # bytes of arrays that the stack holds
    reserved: ClassVar[Set[str]] = frozenset()  # names that are taken from the beginning

    def source(self) -> Source:
        """The whole text."""
        program = self.program
        self.function = self.function_name()
        self.schedule = Schedule(program, self.style)
        self.memory = plan_memory(self.schedule)
        names = assign_names(program, Plan(), self.function)
        self.taken = {self.function, *self.reserved}
        self.names = {}
        inputs = [*program.arguments, *program.reads]
        for op in inputs:
            self.names[op] = self.unique(names[op])
        old = {op.state.identity: self.names[op] for op in inputs if op.state is not None}
        new = {
            op: f"new_{old[ref.identity]}" for ref, op in program.writes
            if op is not None and ref.identity in old and op not in self.names
        }  # fmt: skip
        for op in program.ops:
            if op not in self.names:
                self.names[op] = (
                    names[op] if op in self.memory.local else self.unique(new.get(op, names[op]))
                )
        self.generators = _generator_names(program, set(self.taken))
        self.lines = NumpyLines(self.generators)
        self.uses = Counter(x for op in program.ops for x in map(self.schedule.source, op.inputs))
        self.read_inputs(inputs)
        heading = ""
        for stage in self.schedule.stages:
            now = self.heading(stage)
            if now and now != heading:
                self.write("", *[f"// {now}"])
                heading = now
            else:
                self.write("")
            getattr(self, f"write_{stage.kind}")(stage)
        self.write_results()
        return Source(self.module(inputs), self.function, list(self.generators), False)

    def function_name(self) -> str:
        """A name that is none of the C library's."""
        name = c_name(identifier(self.name)).strip("_")
        return name if name.endswith("step") else f"{name}_step"

    def unique(self, name: str) -> str:
        """A name of C's that is not in use."""
        base = found = c_name(name)
        number = 1
        while found in self.taken:
            number += 1
            found = f"{base}_{number}"
        self.taken.add(found)
        return found

    def write(self, *lines: str) -> None:
        self.body += ["    " * self.indent + line if line else "" for line in lines]

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
        given = [*(self.names[op] for op in inputs), *self.generators.values()]
        if self.memory.size > self.on_stack:
            self.need(f"#define MEMORY {self.memory.size}\n{helpers.WORKSPACE}")
        parts = [helpers.HEADER, *self.helpers, "\n".join(self.statics)]
        if text:
            quoted = [f'    "{_quoted(line)}\\n"' for line in text.splitlines()]
            parts += ["\n".join([helpers.NUMPY_SOURCE, *quoted]) + ";"]
            self.loading[:0] = helpers.RUN_NUMPY_SOURCE.strip().splitlines()
        large = self.memory.size > self.on_stack
        released = ["free(free_memory);", "free_memory = NULL;"] * large
        released += [f"Py_CLEAR({kept}.arrays[{i}]);" for kept in self.kept for i in range(2)]
        pieces = {
            "NAME": self.function,
            "GIVEN": ", ".join(given),
            "N_GIVEN": str(len(given)),
            "N_OWNED": str(max(self.n_owned, 1)),
            "BEGIN": "    char *memory = begin_memory();\n    if (!memory)\n        return NULL;\n"
            * large,
            "BODY": "\n".join(self.body),
            "END": "    end_memory(memory);\n" * large,
            "RELEASE": "".join(f"    {line}\n" for line in released),
            "LOAD": "".join(f"    {line}\n" for line in self.loading),
        }
        step = re.sub(
            "@([A-Z_]+)@\n?",
            lambda m: pieces[m[1]] + "\n" * (m[0][-1] == "\n" and m[1] == "BODY"),
            helpers.STEP,
        )
        return "\n\n".join([*filter(None, parts), step.strip()]) + "\n"

    def load_object(self, name: str, key: str) -> None:
        """Let the module hold what the text for NumPy calls by a name."""
        self.statics.append(f"static PyObject *{name};")
        found = f'PyMapping_GetItemString(names, "{key}")'
        self.loading += [f"if (!({name} = {found}))", "    return -1;"]

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
        self.need(helpers.KEEP)
        self.need(helpers.PACK)
        items = []
        for op in self.program.wanted:
            if op in copied and op.kind != "number":
                self.need(helpers.COPY)
                items.append(f"copied({self.object(op)})")
            else:
                known = op in self.object_texts
                items.append(f"keep({self.object_texts[op]})" if known else self.boxed(op))
        self.write("")
        if not items:
            self.write("result = PyTuple_New(0);")
            return
        self.write("PyObject *items[] = {", *filled(items, "    "), "};")
        self.write(f"result = pack(items, {len(items)});")

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
            self.write(f"{ctype} *{name} = {self.texts[storage]};")
        elif op in self.schedule.objects:
            self.place_object(op)
        elif self.memory.size <= self.on_stack:
            self.write(f"{ctype} {name}[{_size(op)}];")
        else:
            self.write(f"{ctype} *{name} = ({ctype} *)(memory + {self.memory.offset[op]});")

    def place_object(self, op: Op) -> None:
        """Declare the array of NumPy that a result is put into."""
        ctype, name = TYPES[op.dtype], self.names[op]
        self.object_texts[op] = place = self.own()
        shape = ", ".join(map(str, op.shape))
        made = f"{NPY[ctype][0]}, {len(op.shape)}, (npy_intp[]){{{shape}}}"
        if op.size * op.dtype.itemsize >= LARGE and op in self.program.wanted:
            self.need(helpers.KEEP)
            self.need(helpers.RECYCLED)
            self.statics.append(f"static Kept kept_{name};")
            self.kept.append(f"kept_{name}")
            made = f"recycled(&kept_{name}, {made})"
        else:
            self.need(helpers.NEW)
            made = f"new_array({made})"
        self.write(f"if (!({place} = {made}))", "    goto end;")
        self.write(f"{ctype} *{name} = PyArray_DATA((PyArrayObject *){place});")

    def pointer(self, x: Op) -> str:
        """Where the elements of an operand begin."""
        source = self.schedule.source(x)
        text = self.texts[source]
        return text if source.shape else f"(const {TYPES[source.dtype]}[]){{{text}}}"

    # ── Stages ────────────────────────────────────────────────────────────────────────────────

    def called(self, ops: list[Op], inputs: list[Op], outputs: list[Op]) -> str:
        """A call of a function of Python for some operations, and where its result is put."""
        number = sum(line.startswith("def ") for line in self.lines.functions) + 1
        name = self.unique(f"by_numpy_{number}")
        self.lines.function(name, ops, inputs, outputs, {x: self.names[x] for x in inputs})
        self.load_object(name, name)
        given = [self.object(x) for x in inputs]
        first = len(self.program.arguments) + len(self.program.reads)
        given += [f"args[{first + i}]" for i in range(len(self.generators))]
        self.need(helpers.CALL)
        array = f"(PyObject *[]){{{', '.join(given)}}}" if given else "NULL"
        return f"({self.own()} = call({name}, {array}, {len(given)}))"

    def write_numpy(self, stage: Stage) -> None:
        """Let NumPy do what C does not."""
        inside = set(stage.ops)
        given = [x for op in stage.ops for x in op.inputs if x not in inside and not x.is_constant]
        wanted = {*self.program.wanted}
        used = {op for op in inside if not inside.issuperset(self.schedule.users[op])}
        outputs = [op for op in stage.ops if op in wanted or op in used]
        call = self.called(stage.ops, list(dict.fromkeys(given)), outputs)
        place = call[1:].partition(" ")[0]
        self.write(f"if (!{call})", "    goto end;")
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
        call = self.called([op], [labels], [])
        self.write(f"if (!in_range({self.pointer(labels)}, {labels.size}, {upper_bound(op)})")
        self.write(f"    && !{call})", "    goto end;")

    def write_product(self, stage: Stage) -> None:
        (op,) = stage.ops
        self.place(op)
        ctype = TYPES[op.dtype]
        self.numpy_loop(helpers.MATMUL, "matmul", ctype)
        given = []
        for x in op.inputs:
            turned = self.schedule.kinds[x] == "transposed"
            given.append(f"{self.pointer(x)}, {int(turned)}")
        (n, k), m = op.inputs[0].shape, op.shape[1]
        self.write(f"matmul_{ctype}({self.texts[op]}, {', '.join(given)}, {n}, {k}, {m});")

    def numpy_loop(self, text: str, function: str, ctype: str) -> None:
        """Let the source hold what calls a loop of NumPy's."""
        self.need(helpers.FIND)
        known = len(self.helpers)
        self.need(text, ctype, function)
        if len(self.helpers) > known:
            found = f'find_loop(&loop_{function}_{ctype}, "{function}", {NPY[ctype][0]})'
            self.loading += [f"if ({found})", "    return -1;"]

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
        if not op.shape:
            self.texts[op] = self.names[op]
            self.write(f"const {ctype} {self.names[op]} = {call};")
        else:
            assert outside == 1
            self.write(f"{self.texts[op]}[0] = {call};")

    def parallel(self) -> None:
        """Let threads share the loop that is written next."""
        known = len(self.helpers)
        self.need(helpers.THREADS.replace("COUNT", str(self.threads)))
        if len(self.helpers) > known:
            self.loading += ["pthread_atfork(NULL, NULL, use_one_thread);"]
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
        operands = map(self.element, op.inputs, places, dtypes, [index] * len(places))
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
    axes = [str(n) for n in op.shape if n != 1] or ["1"]
    return "(npy_intp)" * (op.size >= 2**31) + " * ".join(axes)


def _quoted(text: str) -> str:
    """A line of text in a string of C's."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(c if c.isascii() else "".join(f"\\{b:03o}" for b in c.encode()) for c in escaped)
