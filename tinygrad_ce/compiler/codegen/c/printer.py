"""The printer of C: a program as one function of an extension module, to be read and to be fast."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ....engine import primitives as p
from ...ir import Op, Program
from ...memory import Plan
from ...memory import plan_memory as plan_numpy
from ..literals import identifier
from ..naming import assign_names
from ..printer import Source, _generator_names, _heading
from . import helpers
from .expressions import (
    BOOL,
    COPIES,
    NUMPY_LOOPS,
    TYPES,
    expression_of,
    is_single,
    literal,
    operand_dtype,
    split_axes,
    uniform,
)
from .fast_functions import FUNCTIONS
from .helpers import NPY, helper
from .lowering import lower
from .numpy_lines import NumpyLines
from .schedule import PARALLEL, Loop, Schedule, Stage, plan_memory

WIDTH = 99
SMALL = 2**14  # bytes of arrays that the stack holds
LARGE = 2**20  # bytes of a result from which on new memory would have to be cleared first
KEYWORDS = set(
    [
        "auto",
        "break",
        "case",
        "char",
        "const",
        "continue",
        "default",
        "do",
        "double",
        "else",
        "enum",
        "extern",
        "float",
        "for",
        "goto",
        "if",
        "inline",
        "int",
        "long",
        "register",
        "restrict",
        "return",
        "short",
        "signed",
        "sizeof",
        "static",
        "struct",
        "switch",
        "typedef",
        "union",
        "unsigned",
        "void",
        "volatile",
        "while",
        "asm",
        "typeof",
        "main",
        "linux",
        "unix",
        "complex",
        "errno",
        "stdin",
        "stdout",
        "stderr",
        "longdouble_t",
        "constchar",
        "static_assert",
        "bool",
        "true",
        "false",
        "nullptr",
        "alignas",
        "alignof",
        "I",
        "self",
        "args",
        "n_args",
        "owned",
        "result",
        "memory",
        "first",
        "last",
        "threads",
        "end",
        "i",
        "j",
        "k",
        "data",
        "call",
        "keep",
        "pack",
        "copied",
        "new_array",
        "find_loop",
        "in_range",
        "begin_memory",
        "end_memory",
        "free_memory",
        "numpy_source",
        "fabs",
        "fabsf",
        "sqrt",
        "sqrtf",
        "isfinite",
        "memcpy",
        "memset",
        "free",
    ]
)
RISKY = re.compile(r"(Py|py|NPY|npy|_|st_|sched_|import_|loop_|scalar_|array_object_|fast_)")
CAPITALS = re.compile(r"[A-Z][A-Z0-9_]{2,}|.*_(float|double|npy_bool|npy_int64)")


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
    return _Printer(lower(program, fast), name, fast, threads).source()


def c_name(name: str) -> str:
    """A name as one of C's that is nothing else there."""
    text = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if text in KEYWORDS or RISKY.match(text) or CAPITALS.fullmatch(text):
        return f"{text.lstrip('_')}_"
    return text


@dataclass
class _Printer:
    program: Program
    name: str
    fast: bool
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

    def source(self) -> Source:
        """The whole text."""
        program = self.program
        name = c_name(identifier(self.name)).strip("_")
        self.function = name if name.endswith("step") else f"{name}_step"  # none of the C library's
        self.schedule = Schedule(program, self.fast)
        self.memory = plan_memory(self.schedule)
        names = assign_names(program, Plan(), self.function)
        self.taken = {self.function}
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
        found = dict.fromkeys(filter(None, map(_heading, stage.ops)))
        text = ", ".join(found)
        return text.rstrip("\\ ")

    # ── The module ────────────────────────────────────────────────────────────────────────────

    def module(self, inputs: list[Op]) -> str:
        name = self.function
        if self.fast:
            pass
        text = self.lines.text
        parts = [helpers.HEADER, *self.helpers]
        if self.statics:
            parts.append("\n".join(self.statics))
        if text:
            quoted = [f'    "{_quoted(line)}\\n"' for line in text.splitlines()]
            parts.append(
                "/* What is left to NumPy. */\n"
                + "\n".join(["static const char numpy_source[] =", *quoted])
                + ";"
            )
        given = [*(self.names[op] for op in inputs), *self.generators.values()]
        head = [
            f"/* {name}({', '.join(given)}) */",
            f"static PyObject *{name}(PyObject *self, PyObject *const *args, Py_ssize_t n_args)",
            "{",
        ]
        check = [
            f"    if (n_args != {len(given)})",
            f'        return PyErr_Format(PyExc_TypeError, "{name} takes {len(given)} arguments, got %zd", n_args);',
        ]
        begin = [f"    PyObject *result = NULL, *owned[{max(self.n_owned, 1)}] = {{NULL}};"]
        ending = [
            "",
            "end:",
            f"    for (int i = 0; i < {max(self.n_owned, 1)}; i++)",
            "        Py_XDECREF(owned[i]);",
        ]
        if self.memory.size > SMALL:
            begin += [
                "    char *memory = begin_memory();",
                "    if (!memory)",
                "        return NULL;",
            ]
            ending += ["    end_memory(memory);"]
            self.need(f"#define MEMORY {self.memory.size}\n" + helpers.WORKSPACE)
            parts[1:] = [*self.helpers, *parts[1 + len(self.helpers) - 1 :]]
        step = [*head, *check, *begin, *self.body, *ending, "    return result;", "}"]
        parts.append("\n".join(step))
        parts.append(self.ending(bool(text)))
        return "\n\n".join(parts) + "\n"

    def ending(self, has_text: bool) -> str:
        name = self.function
        lines = [
            "/* Give back what is kept from call to call. */",
            "static PyObject *release_memory(PyObject *self, PyObject *none)",
            "{",
            *["    free(free_memory);", "    free_memory = NULL;"] * (self.memory.size > SMALL),
        ]
        for kept in self.kept:
            lines += [f"    Py_CLEAR({kept}.arrays[{i}]);" for i in range(2)]
        lines += [
            "    Py_RETURN_NONE;",
            "}",
            "",
            "static PyMethodDef methods[] = {",
            f'    {{"{name}", (PyCFunction)(void (*)(void)){name}, METH_FASTCALL, NULL}},',
            '    {"release_memory", release_memory, METH_NOARGS, NULL},',
            "    {NULL}",
            "};",
            f'static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "{name}", NULL, -1, methods}};',
            "",
            f"PyMODINIT_FUNC PyInit_{name}(void)",
            "{",
            "    import_array();",
            "    import_ufunc();",
        ]
        if has_text:
            lines += [
                '    PyObject *names = Py_BuildValue("{s:O}", "__builtins__", PyEval_GetBuiltins());',
                "    PyObject *done = names ? PyRun_String(numpy_source, Py_file_input, names, names) : NULL;",
                "    if (!done)",
                "        return NULL;",
                "    Py_DECREF(done);",
            ]
        lines += ["    " + line for line in self.loading]
        return "\n".join([*lines, "    return PyModule_Create(&module);", "}"])

    # ── Inputs and results ────────────────────────────────────────────────────────────────────

    def used_in_c(self, op: Op) -> bool:
        """Whether C itself reads an operand, and not NumPy alone."""
        users = [
            u
            for x in self.program.ops
            if self.schedule.source(x) is op
            for u in self.schedule.users[x]
        ]
        return any(
            self.schedule.kinds[user] not in ("numpy", "view", "transposed") for user in users
        )

    def read_inputs(self, inputs: list[Op]) -> None:
        """Declare what the step takes."""
        read: set[Op] = set()
        for stage in self.schedule.stages:
            if stage.kind != "numpy":
                read.update(self.schedule.source(x) for op in stage.ops for x in op.inputs)
        checked = False
        for i, op in enumerate(inputs):
            self.object_texts[op] = f"args[{i}]"
            if op in read:
                checked = True
                self.declare(op, f"args[{i}]")
        if checked:
            self.write("if (PyErr_Occurred())", "    goto end;")
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
        self.statics.append(f"static PyObject *{name}_object;")
        self.loading += [
            f'if (!({name}_object = keep(PyDict_GetItemString(names, "{name}"))))',
            "    return NULL;",
        ]
        self.need(helpers.KEEP)
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
        ctype = TYPES[op.dtype]
        kind = "scalar" if op.kind == "scalar" else "array"
        self.need(helpers.SCALAR_OBJECT if kind == "scalar" else helpers.ARRAY_OBJECT, ctype)
        place = self.own()
        text = self.texts[op] if op in self.texts else literal(op.data, op.dtype)
        self.write(f"{place} = {kind}_object_{ctype}({text});")
        return place

    def write_results(self) -> None:
        copied = plan_numpy(self.program).copied
        self.need(helpers.KEEP)
        self.need(helpers.PACK)
        items = []
        for op in self.program.wanted:
            if op in copied and op.kind != "number":
                self.need(helpers.COPY)
                items.append(f"copied({self.object(op)})")
            elif op in self.object_texts:
                items.append(f"keep({self.object(op)})")
            else:
                ctype = TYPES[op.dtype]
                kind = "scalar" if op.kind == "scalar" else "array"
                self.need(
                    helpers.SCALAR_OBJECT if kind == "scalar" else helpers.ARRAY_OBJECT, ctype
                )
                items.append(f"{kind}_object_{ctype}({self.texts[op]})")
        self.write("")
        if not items:
            self.write("result = PyTuple_New(0);")
            return
        self.write("PyObject *items[] = {", *_filled(items, "    "), "};")
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
        elif self.memory.size <= SMALL:
            self.write(f"{ctype} {name}[{_size(op)}];")
        else:
            self.write(f"{ctype} *{name} = ({ctype} *)(memory + {self.memory.offset[op]});")

    def pointer(self, x: Op) -> str:
        """Where the elements of an operand begin."""
        return self.texts[self.schedule.source(x)]

    # ── Stages ────────────────────────────────────────────────────────────────────────────────

    def write_numpy(self, stage: Stage) -> None:
        inside = set(stage.ops)
        inputs = list(
            dict.fromkeys(
                x for op in stage.ops for x in op.inputs if x not in inside and not x.is_constant
            )
        )
        wanted = set(self.program.wanted)
        outputs = [
            op for op in stage.ops
            if op in wanted or any(u not in inside for u in self.schedule.users[op])
        ]  # fmt: skip
        name = self.unique(
            f"numpy_{1 + sum(x.startswith('def numpy_') for x in self.lines.functions)}"
        )
        names = {x: self.names[x] for x in inputs}
        self.lines.function(name, stage.ops, inputs, outputs, names)
        self.statics.append(f"static PyObject *{name};")
        self.need(helpers.KEEP)
        self.loading += [
            f'if (!({name} = keep(PyDict_GetItemString(names, "{name}"))))',
            "    return NULL;",
        ]
        given = [self.object(x) for x in inputs]
        first = len(self.program.arguments) + len(self.program.reads)
        given += [f"args[{first + i}]" for i in range(len(self.generators))]
        self.need(helpers.CALL)
        place = self.own()
        array = f"(PyObject *[]){{{', '.join(given)}}}" if given else "NULL"
        self.write(f"if (!({place} = call({name}, {array}, {len(given)})))", "    goto end;")
        for i, op in enumerate(outputs):
            self.object_texts[op] = f"PyTuple_GET_ITEM({place}, {i})"
            users = [u for u in self.schedule.users[op] if u not in inside]
            if any(self.reads(u) for u in users):
                self.declare(op, self.object_texts[op])
                if op.kind != "number":
                    self.write("if (PyErr_Occurred())", "    goto end;")

    def reads(self, user: Op) -> bool:
        """Whether C reads what this operation takes."""
        kind = self.schedule.kinds[user]
        if kind in ("view", "transposed"):
            return any(self.reads(u) for u in self.schedule.users[user])
        return kind != "numpy"

    def write_check(self, stage: Stage) -> None:
        from ...passes import upper_bound

        (op,) = stage.ops
        labels = op.inputs[0]
        self.need(helpers.IN_RANGE)
        self.need(helpers.CALL)
        self.need(helpers.KEEP)
        name = self.unique(f"numpy_check_{len(self.lines.functions)}")
        self.lines.function(name, [op], [labels], [], {labels: self.names[labels]})
        self.statics.append(f"static PyObject *{name};")
        self.loading += [
            f'if (!({name} = keep(PyDict_GetItemString(names, "{name}"))))',
            "    return NULL;",
        ]
        place = self.own()
        first = len(self.program.arguments) + len(self.program.reads)
        given = [self.object(labels), *[f"args[{first + i}]" for i in range(len(self.generators))]]
        self.write(f"if (!in_range({self.pointer(labels)}, {labels.size}, {upper_bound(op)})")
        self.write(
            f"    && !({place} = call({name}, (PyObject *[]){{{', '.join(given)}}}, {len(given)})))",
            "    goto end;",
        )

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
            self.loading += [
                f'if (find_loop(&loop_{function}_{ctype}, "{function}", {NPY[ctype][0]}))',
                "    return NULL;",
            ]

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
        self.need(helpers.FAST_SUM if self.fast else helpers.SUM, ctype)
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
        self.write(f"const {TYPES[op.dtype]} {name} = {self.expression(op, None)};")

    # ── Expressions ───────────────────────────────────────────────────────────────────────────

    def expression(self, op: Op, how: Any, index: Callable[[Op, str], str] | None = None) -> str:
        """What computes one element of a result."""
        places = [a.place for a in how.accesses] if how else ["one"] * len(op.inputs)
        text = expression_of(op, self.fast)
        ctype = TYPES[op.dtype]
        if op.primitive is p.getitem:
            return index(op.inputs[0], "rows")
        if text is None:
            function = NUMPY_LOOPS[op.primitive]
            self.numpy_loop(
                helpers.UNARY if len(op.inputs) == 1 else helpers.BINARY, function, ctype
            )
            self.need(helpers.ONE if len(op.inputs) == 1 else helpers.ONE_OF_TWO, ctype, function)
            text, dtype = (
                f"{function}_one_{ctype}("
                + ", ".join(f"{{{i}}}" for i in range(len(op.inputs)))
                + ")",
                op.dtype,
            )
        else:
            dtype = operand_dtype(op)
            called = text.partition("_{type}(")[0]
            for helper_text in FUNCTIONS.get(f"{called}_{ctype}", ()):
                self.need(helper_text, ctype)
        dtypes = [
            BOOL if op.primitive is p.where and i == 0 else dtype for i in range(len(op.inputs))
        ]
        operands = [
            self.element(x, place, to, index)
            for x, place, to in zip(op.inputs, places, dtypes, strict=True)
        ]
        return text.format(*operands, f=NPY[ctype][2], type=ctype)

    def element(self, x: Op, place: str, dtype: Any, index: Callable[[Op, str], str] | None) -> str:
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

    # ── Loops over rows ───────────────────────────────────────────────────────────────────────

    def write_loop(self, stage: Loop) -> None:
        _LoopPrinter(self, stage).write()


@dataclass
class _LoopPrinter:
    printer: _Printer
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
        if block < loop.rows or self.one_row:
            if loop.is_parallel(printer.threads):
                printer.parallel()
            if self.one_row:
                printer.write(f"for (npy_intp i = 0; i < {loop.rows}; i++) {{")
                self.begin, self.end = "i", "i + 1"
            else:
                printer.write(f"for (npy_intp first = 0; first < {loop.rows}; first += {block}) {{")
                rest = (
                    f"first + {block}"
                    if loop.rows % block == 0
                    else f"first + {block} < {loop.rows} ? first + {block} : {loop.rows}"
                )
                printer.write(f"    const npy_intp last = {rest};")
                self.begin, self.end = "first", "last"
            printer.indent += 1
            for op in loop.ops:
                if op in memory.rows:
                    self.place_row(op)
        for unit, ops in loop.pieces:
            getattr(self, f"write_{unit}")(ops)
        if block < loop.rows or self.one_row:
            printer.indent -= 1
            printer.write("}")

    def place_row(self, op: Op) -> None:
        printer = self.printer
        storage = printer.memory.storage[op]
        if op in printer.texts:
            return
        name, ctype = printer.names[op], TYPES[op.dtype]
        printer.texts[op] = name
        if storage is op:
            printer.write(f"{ctype} {name}[{self.width}];")
        else:
            printer.write(f"{ctype} *{name} = {printer.texts[storage]};")

    def index(self, flat: bool) -> Callable[[Op, str], str]:
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
        width = self.width
        if flat:
            begin, end = (
                str(int(x) * width) if x.isdigit() else f"{width} * {x}"
                for x in (self.begin, self.end)
            )
            printer.write("#pragma omp simd")
            self.write_for("k", begin, end, lines)
            return
        if not self.one_row:
            printer.write(f"for (npy_intp i = {self.begin}; i < {self.end}; i++)")
            printer.indent += 1
        inner = "    " * 0
        if self.one_row:
            printer.write("#pragma omp simd")
        self.write_for("j", "0", str(width), lines, inner)
        if not self.one_row:
            printer.indent -= 1

    def write_for(self, name: str, begin: str, end: str, lines: list[str], inner: str = "") -> None:
        brace = " {" if len(lines) > 1 else ""
        self.printer.write(f"for (npy_intp {name} = {begin}; {name} < {end}; {name}++){brace}")
        self.printer.write(*("    " + line for line in lines))
        if brace:
            self.printer.write("}")

    def statements(self, ops: list[Op], index: Callable[[Op, str], str]) -> list[str]:
        """What is done in one iteration."""
        printer = self.printer
        lines: list[str] = []
        names: set[str] = set() if not self.one_row else self.locals
        for op in ops:
            how = self.loop.how[op]
            lines += self.statement(op, how, index, names)
        return lines

    def statement(
        self, op: Op, how: Any, index: Callable[[Op, str], str], names: set[str]
    ) -> list[str]:
        printer = self.printer
        memory = printer.memory
        if how.how in ("add", "put"):
            return self.put(op, how, index)
        if how.how in ("expression", "numpy"):
            text = (
                self.gathered(op)
                if op.primitive is p.getitem
                else printer.expression(op, how, index)
            )
        elif how.how == "reduce":
            text = self.reduced(op)
        else:
            text = self.at(op.inputs[0], op, how, index)
        if op not in memory.local:
            return [f"{index(op, 'full' if how.full else 'row')} = {text};"]
        simple = how.how == "expression" and op.primitive is not p.getitem
        if simple and printer.uses[op] == 1 and len(text) <= 40 and not self.one_row:
            same = op.primitive in COPIES and op.dtype == op.inputs[0].dtype
            cast = f"({TYPES[op.dtype]})" if op.primitive in COPIES and not same else ""
            printer.texts[op] = text if same else f"({cast}{text})"
            return []
        base = c_name(printer.names[op])
        name, number = base, 1
        while name in names or name in printer.taken:
            number += 1
            name = f"{base}_{number}"
        names.add(name)
        printer.texts[op] = name
        return [f"const {TYPES[op.dtype]} {name} = {text};"]

    def start(self, x: Op) -> str:
        """Where the row of an operand begins."""
        name = self.printer.texts[self.printer.schedule.source(x)]
        if self.printer.schedule.source(x) in self.printer.memory.rows:
            return name
        return f"{name} + {self.width} * i" if self.width > 1 else f"{name} + i"

    def gathered(self, op: Op) -> str:
        x, rows = op.inputs
        index = self.printer.texts[self.printer.schedule.source(rows)]
        return f"{self.printer.pointer(x)}[{self.width} * {index}[i] + j]"

    def reduced(self, op: Op) -> str:
        printer = self.printer
        x, ctype = op.inputs[0], TYPES[op.dtype]
        if op.primitive is p.sum_:
            printer.need(helpers.FAST_SUM if printer.fast else helpers.SUM, ctype)
            return f"sum_{ctype}({self.start(x)}, {self.width})"
        if op.primitive is p.max_constant:
            printer.need(helpers.LARGEST, ctype)
            return (
                f"largest_{ctype}({self.start(x)}, {self.width}, {literal(op.params[1], op.dtype)})"
            )
        function = "maximum" if op.primitive is p.max_ else "minimum"
        printer.numpy_loop(helpers.BINARY, function, ctype)
        printer.need(helpers.EXTREME, ctype, function)
        return f"{function}_of_{ctype}({self.start(x)}, {self.width})"

    def at(self, x: Op, op: Op, how: Any, index: Callable[[Op, str], str]) -> str:
        """The element of a row that an index names."""
        labels = next(a.operand for a in how.accesses if a.place == "row")
        place = self.printer.element(labels, "row", labels.dtype, index)
        source = self.printer.schedule.source(x)
        name = self.printer.texts[source]
        inside = place if source in self.printer.memory.rows else f"{self.width} * i + {place}"
        return f"{name}[{inside}]"

    def put(self, op: Op, how: Any, index: Callable[[Op, str], str]) -> list[str]:
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
                lines.append(
                    f"memcpy({self.start(op)}, {self.start(rest)}, {self.width} * sizeof({ctype}));"
                )
        g = printer.element(given.operand, given.place, op.dtype, index)
        sign = "+"
        if g.startswith("(-"):
            sign, g = "-", g[2:-1]
        return [*lines, f"{self.at(op, op, how, index)} {sign}= {g};"]

    def write_rows(self, ops: list[Op]) -> None:
        """Row by row."""
        printer, loop = self.printer, self.loop
        simple = all(loop.how[op].how == "expression" for op in ops)
        lines = self.statements(ops, self.index(False))
        if self.one_row:
            printer.write(*lines)
            return
        if simple and loop.width is None:
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
            n = str(self.loop.rows * width)
        else:
            n = f"{width} * (last - first)" if width > 1 else "last - first"

        def start(x: Op) -> str:
            name = printer.texts[x]
            if x in printer.memory.rows or self.begin == "0":
                return name
            return f"{name} + {width} * {self.begin}" if width > 1 else f"{name} + {self.begin}"

        given = [start(op)]
        for access in how.accesses:
            x = access.operand
            if access.place == "one":
                number = printer.element(x, "one", op.dtype, self.index(True))
                operand, step = f"(const {ctype}[]){{{number}}}", 0
            else:
                operand, step = start(printer.schedule.source(x)), 1
            given.append(operand if len(op.inputs) == 1 else f"{operand}, {step}")
        printer.write(f"{function}_{ctype}({', '.join(given)}, {n});")


def _size(op: Op) -> str:
    return " * ".join(map(str, op.shape))


def _quoted(text: str) -> str:
    """A line of text in a string of C's."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(c if c.isascii() else "".join(f"\\{b:03o}" for b in c.encode()) for c in escaped)


def _filled(items: list[str], indent: str) -> list[str]:
    lines, line = [], indent
    for item in items:
        if len(line) + len(item) > WIDTH - 8 and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += item + ", "
    return [*lines, line.rstrip()]
