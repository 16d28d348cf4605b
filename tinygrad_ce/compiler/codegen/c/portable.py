"""A program as a function of C that needs the C library alone: no Python, no NumPy.

Last digits may differ from NumPy's, since the library's functions and products round in their own
way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import NoReturn

from ....engine import primitives as p
from ....engine.primitives import Primitive
from ...ir import Op, Program
from ..literals import filled
from . import helpers
from .expressions import FLOATS, TYPES, Style, literal
from .lowering import lower
from .printer import _Printer, _size
from .schedule import Stage

LARGEST = 2**20  # bytes of arrays for one call, which the stack holds

# Functions of the C library, with the suffix of a type.
_OF_LIBRARY = {
    p.exp: "exp", p.exp2: "exp2", p.expm1: "expm1", p.log: "log", p.log2: "log2",
    p.log10: "log10", p.log1p: "log1p", p.cbrt: "cbrt", p.sin: "sin", p.cos: "cos", p.tan: "tan",
    p.arcsin: "asin", p.arccos: "acos", p.arctan: "atan", p.sinh: "sinh", p.cosh: "cosh",
    p.tanh: "tanh", p.arcsinh: "asinh", p.arccosh: "acosh", p.arctanh: "atanh", p.erf: "erf",
}  # fmt: skip
_OF_TWO = {p.power: "pow", p.float_power: "pow", p.hypot: "hypot", p.arctan2: "atan2"}
FUNCTIONS: dict[Primitive | None, str] = {
    **{primitive: f"{name}{{f}}({{0}})" for primitive, name in _OF_LIBRARY.items()},
    **{primitive: f"{name}{{f}}({{0}}, {{1}})" for primitive, name in _OF_TWO.items()},
    p.maximum: "larger_{type}({0}, {1})",
    p.minimum: "smaller_{type}({0}, {1})",
    p.logaddexp: "log_of_sum_{type}({0}, {1})",
}
PORTABLE = Style(MappingProxyType(FUNCTIONS), MappingProxyType({}), fewest_rows=1)

# What a file of C has at its top level, and what the compiler knows itself.
_OTHER_NAMES = """
    ceil floor fmod fmin fmax round trunc rint lround ldexp frexp modf erfc tgamma lgamma remainder
    copysign nan nearbyint logb ilogb scalbn fma fdim nextafter sqrt fabs j0 j1 jn y0 y1 yn gamma
    cabs carg creal cimag conj cproj abs labs div ldiv exit abort atoi atof strtod strtol malloc
    calloc realloc qsort rand printf fprintf sprintf puts fputs putchar getchar scanf memmove memcmp
    strlen strcmp strchr strspn strcpy strcat index rindex signal time clock isdigit isspace
    result predict encode split fail add read_row print_cell
"""
RESERVED = {
    f"{name}{suffix}"
    for name in (*_OF_LIBRARY.values(), *_OF_TWO.values(), *_OTHER_NAMES.split())
    for suffix in ("", "f", "l")
}

LARGER = r"""
/* The larger of two numbers; nan if one is. */
static REAL larger_REAL(REAL a, REAL b)
{
    return a > b || a != a ? a : b;
}
"""

SMALLER = r"""
/* The smaller of two numbers; nan if one is. */
static REAL smaller_REAL(REAL a, REAL b)
{
    return a < b || a != a ? a : b;
}
"""

LOG_OF_SUM = r"""
/* log(exp(a) + exp(b)) without overflow. */
static REAL log_of_sum_REAL(REAL a, REAL b)
{
    const REAL large = a > b ? a : b, small = a > b ? b : a;
    return large + (a == b ? (REAL)0.6931471805599453 : (REAL)log1p(exp(small - large)));
}
"""

MATMUL = r"""
/* The product of a matrix of n × k and one of k × m. As for BLAS, an operand is 'T' if it is the
   transpose of what lies in memory, else 'N'. */
static void matmul_REAL(
    REAL *out, const REAL *a, char a_is, const REAL *b, char b_is,
    npy_intp n, npy_intp k, npy_intp m)
{
    for (npy_intp i = 0; i < n; i++) {
        for (npy_intp j = 0; j < m; j++)
            out[m * i + j] = 0;
        for (npy_intp l = 0; l < k; l++) {
            const REAL factor = a[a_is == 'T' ? n * l + i : k * i + l];
            for (npy_intp j = 0; j < m; j++)
                out[m * i + j] += factor * b[b_is == 'T' ? k * j + l : m * l + j];
        }
    }
}
"""

EXTREME = r"""
/* The FUNCTION of a row; nan if there is one. */
static REAL FUNCTION_of_REAL(const REAL *x, npy_intp n)
{
    REAL result = x[0];
    for (npy_intp i = 1; i < n; i++)
        if (x[i] SIGN result || x[i] != x[i])
            result = x[i];
    return result;
}
"""

OWN_FUNCTIONS: dict[Primitive | None, str] = {
    p.maximum: LARGER, p.minimum: SMALLER, p.logaddexp: LOG_OF_SUM,
}  # fmt: skip
PLAIN = {"npy_intp": "ptrdiff_t", "npy_int64": "int64_t", "npy_uint64": "uint64_t",
         "npy_bool": "unsigned char"}  # fmt: skip


class PortabilityError(ValueError):
    """A program that C cannot compute by itself."""


@dataclass
class PortableFunction:
    """A function of C, and what it needs above it.

    Attributes
    ----------
    text
        Helpers, constants and the function.
    name
        Of the function, which takes pointers to its input and to its result.
    """

    text: str
    name: str


def generate_portable_c(program: Program, name: str) -> PortableFunction:
    """Write a program of one array argument and one result as a function ``name(in, out)``.

    Parameters
    ----------
    program
        What to compute; parameters are constants in it.
    name
        Of the function.

    Raises
    ------
    PortabilityError
        The program has an operation that this printer does not write out.
    """
    return _PortablePrinter(lower(program, fast=False), name, PORTABLE, threads=1).function_text()


class _PortablePrinter(_Printer):
    on_stack = LARGEST
    reserved = RESERVED
    output = "result"  # the name of the pointer to the result

    def function_text(self) -> PortableFunction:
        """The text of the function."""
        source = self.source()
        text = re.sub(rf"\b({'|'.join(PLAIN)})\b", lambda m: PLAIN[m[0]], source.text)
        lines = [line for line in text.split("\n") if not line.lstrip().startswith("#pragma")]
        return PortableFunction("\n".join(lines), source.name)

    def function_name(self) -> str:
        return self.name

    # ── What Python and NumPy do elsewhere ────────────────────────────────────────────────────

    def need(self, text: str, ctype: str = "", function: str = "") -> None:
        """Let the source hold a helper, without NumPy's loops."""
        if text in (helpers.PACK, helpers.BINARY):
            return
        if text == helpers.EXTREME:
            text = EXTREME.replace("SIGN", ">" if function == "maximum" else "<")
        super().need(MATMUL if text == helpers.MATMUL else text, ctype, function)

    def numpy_loop(self, text: str, function: str, ctype: str) -> None:
        self.need(text, ctype, function)

    def expression(self, op: Op, places: list[str], index: object = None) -> str:
        if op.primitive in OWN_FUNCTIONS:
            self.need(OWN_FUNCTIONS[op.primitive], TYPES[op.dtype])
        return super().expression(op, places, index)  # type: ignore[arg-type]

    def read_inputs(self, inputs: list[Op]) -> None:
        """Call the pointer to the argument by its name, and write down the constants."""
        for op in inputs:
            self.texts[op] = self.names[op]
        used = {x for op in self.program.ops for x in map(self.schedule.source, op.inputs)}
        self.keep_constants(used)

    def keep_constant(self, op: Op) -> None:
        """Write down the elements of an array."""
        name = self.texts[op] = self.names[op]
        values = [literal(x, op.dtype).strip("()") for x in op.data.reshape(-1)]
        start = f"static const {TYPES[op.dtype]} {name}[{_size(op)}] = {{"
        self.statics.append("\n".join([start, *filled(values, "    "), "};"]))

    def make_results(self) -> None:
        """There is one, and memory for it."""

    def place_object(self, op: Op) -> None:
        self.texts[op] = self.output

    def write_results(self) -> None:
        (result,) = self.program.results
        if self.texts.get(self.schedule.source(result)) != self.output:
            self.refuse(result)

    def called(self, name: str, ops: list[Op], inputs: list[Op], outputs: list[Op]) -> NoReturn:
        self.refuse(ops[0])

    def write_check(self, stage: Stage) -> None:
        self.refuse(stage.ops[0])

    def refuse(self, op: Op) -> NoReturn:
        what = op.primitive.name if op.primitive else "a constant"
        where = f" in {op.scope.path}" if op.scope else ""
        raise PortabilityError(
            f"no C without NumPy for {what} of {op.dtype} of shape {op.shape}{where}"
        )

    # ── The text ──────────────────────────────────────────────────────────────────────────────

    def module(self, inputs: list[Op]) -> str:
        """The helpers, the constants and the function."""
        if self.memory.size > LARGEST:
            raise PortabilityError(
                f"one call takes {self.memory.size} bytes of memory, and the stack may not have as "
                f"many: expected at most {LARGEST}"
            )
        (given,), (result,) = inputs, self.program.results
        if given.dtype not in FLOATS or result.dtype not in FLOATS:
            self.refuse(result)
        head = (
            f"void {self.function}(const {TYPES[given.dtype]} *{self.names[given]}, "
            f"{TYPES[result.dtype]} *{self.output})"
        )
        function = "\n".join([head, "{", *"\n".join(self.body).strip("\n").split("\n"), "}"])
        return "\n\n".join([*self.helpers, *self.statics, function]) + "\n"
