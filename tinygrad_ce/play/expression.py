"""Read a loss that was typed: an expression in one line, of a closed list of names and operators.

The text is parsed by `ast`, and its tree is walked here; it is never compiled or run as code. What
is not in the lists below is refused, and so is what is too long, too deep or becomes too large.

>>> import numpy as np
>>> e = Tensor(np.exp([2.0, 1.0, 0.1]), name="e")
>>> evaluate("-(e / e.sum())[t].log()", {"e": e, "t": 0})
Tensor(0.41703002)
>>> evaluate("e.__class__", {"e": e})
Traceback (most recent call last):
ValueError: e.__class__ cannot be used here: ...
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import functional as F
from ..draw.formatting import quantity
from ..engine import elementwise, operations, reductions
from ..engine.tensor import Tensor

MAX_LENGTH = 200
MAX_NODES = 120
MAX_DEPTH = 24
MAX_SIZE, MAX_NDIM = 1_000, 3  # of a result

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

_REDUCTIONS = {name: getattr(reductions, name) for name in ("sum", "mean", "max", "min")}
_REDUCTIONS["logsumexp"] = F.logsumexp
_LOSSES: dict[str, Callable[..., Any]] = {
    f"{form}_cross_entropy": getattr(F, f"{form}_cross_entropy")
    for form in ("naive", "shifted", "margin")
}
_SEVERAL_ARGUMENTS = {"maximum": 2, "minimum": 2, "where": 3, "clip": 3} | dict.fromkeys(_LOSSES, 2)
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    **{
        name: getattr(elementwise, name)
        for name in ("exp", "expm1", "log", "log1p", "sqrt", "square", "tanh", "clip")
    },
    **{name: getattr(operations, name) for name in ("maximum", "minimum", "where")},
    **{
        name: getattr(F, name) for name in ("relu", "sigmoid", "softplus", "softmax", "log_softmax")
    },
    **_REDUCTIONS,
    **_LOSSES,
}
METHODS = {"detach": Tensor.detach} | {
    name: function for name, function in FUNCTIONS.items() if hasattr(Tensor, name)
}

_CHARACTERS = re.compile(r"[\w\s.,:+\-*/@()\[\]<>=!]*", re.ASCII)
# What begins with a digit, and a number of Python: "1if" would be a warning of its parser.
_NUMERAL = re.compile(r"(?<![\w.])\.?\d(?:[eE][+-]|[\w.])*")
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def evaluate(text: str, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression: a Tensor, or a number if none is in it.

    Parameters
    ----------
    text
        The expression, of at most 200 characters.
    names
        What can be used in it: Tensors, and integers, which can be indices.

    Raises
    ------
    ValueError, IndexError, TypeError
        It is no expression, or has something in it that is not in the lists, or cannot be computed.
    """
    tree = parse(text)
    with np.errstate(all="ignore"):
        return _Evaluation(text, names).value(tree)


def names_in(text: str) -> set[str]:
    """Return the names in an expression, those of the functions that it calls too."""
    return {node.id for node in ast.walk(parse(text)) if isinstance(node, ast.Name)}


def parse(text: str) -> ast.expr:
    """Return the tree of a short expression; what is in it, `evaluate` checks as it goes."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"an expression has {MAX_LENGTH} characters at most, got {len(text):,}")
    matched = _CHARACTERS.match(text)
    if rest := text[matched.end() if matched else 0 :]:
        raise ValueError(f"{rest[0]!a} is no character of an expression")
    if wrong := [n for n in _NUMERAL.findall(text) if not _NUMBER.fullmatch(n)]:
        raise ValueError(f"{wrong[0]} is no number")
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it is too complicated"
        raise ValueError(f"this is no expression of Python: {reason}") from None
    level: list[ast.AST] = [tree]
    size = depth = 0
    while level:
        size, depth = size + len(level), depth + 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if size > MAX_NODES or depth > MAX_DEPTH:
        raise ValueError("the expression is too complicated: take a part of it")
    return tree


class _Evaluation:
    def __init__(self, text: str, names: Mapping[str, Any]) -> None:
        self.text, self.names = " ".join(text.split()), names

    def value(self, node: ast.AST) -> Any:
        """The value of a part of the expression; of names that are integers, these."""
        match node:
            case ast.Constant(value=int() | float() as number) if type(number) is not bool:
                result: Any = float(number)
            case ast.Name(id=name) if name in self.names:
                return self.names[name]
            case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
                result = self._apply(OPERATORS[type(op)], operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                result = self._apply(OPERATORS[type(op)], left, right)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in OPERATORS:
                result = self._apply(OPERATORS[type(op)], left, right)
            case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
                result = self._call(FUNCTIONS[name], name, node.args, node.keywords)
            case ast.Call(func=ast.Attribute(value=of, attr=name)) if name in METHODS:
                result = self._call(METHODS[name], name, [of, *node.args], node.keywords)
            case ast.Subscript(value=array, slice=index):
                result = self._tensor(array)[self._index(index)]
            case _:
                raise self._refusal(node)
        if np.size(result) > MAX_SIZE or np.ndim(result) > MAX_NDIM:
            shape = np.shape(result)
            raise ValueError(f"{self._shown(node)} has the shape {shape}, which is too large")
        return result

    def _refusal(self, node: ast.AST) -> ValueError:
        known = f"the names {', '.join(self.names)}, numbers, + - * / ** @ and comparisons, "
        known += f"[ ], and {', '.join(sorted(FUNCTIONS))}"
        return ValueError(f"{self._shown(node)} cannot be used here: {known}")

    def _shown(self, node: ast.AST) -> str:
        return ast.get_source_segment(self.text, node) or type(node).__name__

    def _tensor(self, node: ast.AST) -> Tensor:
        value = self.value(node)
        if not isinstance(value, Tensor):
            raise ValueError(f"{self._shown(node)} is a number, and this takes a tensor")
        return value

    def _apply(self, function: Callable[..., Any], *nodes: ast.AST) -> Any:
        """Apply a function to operands: Python's own numbers, which are weak, beside Tensors."""
        operands = [self.value(node) for node in nodes]
        if any(isinstance(value, Tensor) for value in operands):
            numbers: Callable[[Any], Any] = float
        else:
            numbers = np.float64  # 1 / 0 is inf, and 9 ** 9 ** 9 too
        return function(*(v if isinstance(v, Tensor) else numbers(v) for v in operands))

    def _call(
        self, function: Callable[..., Any], name: str, nodes: list[ast.expr],
        keywords: list[ast.keyword],
    ) -> Any:  # fmt: skip
        if name in _REDUCTIONS:
            given = [("axis", node) for node in nodes[1:2]]
            given += [(str(keyword.arg), keyword.value) for keyword in keywords]
            options = {keyword: self._option(name, keyword, node) for keyword, node in given}
            if len(nodes) not in (1, 2):
                raise ValueError(f"{name} takes a tensor and an axis, got {len(nodes)} arguments")
            return function(self._tensor(nodes[0]), **options)
        if keywords:
            raise ValueError(f"{name} takes no argument with a name, got {keywords[0].arg}=")
        if len(nodes) != (n := _SEVERAL_ARGUMENTS.get(name, 1)):
            raise ValueError(f"{name} takes {quantity(n, 'argument')}, got {len(nodes)}")
        if name in _LOSSES:
            return function(self._tensor(nodes[0]), self.value(nodes[1]))
        return function(self._tensor(nodes[0])) if n == 1 else self._apply(function, *nodes)

    def _option(self, name: str, keyword: str, node: ast.expr) -> Any:
        if keyword == "axis":
            return self._index(node)
        if keyword != "keepdims" or not isinstance(node, ast.Constant):
            raise ValueError(f"{name} takes axis and keepdims, got {keyword}=")
        return node.value

    def _index(self, node: ast.AST) -> Any:
        """An index or an axis: integers, ranges of them, None, and several of these."""
        match node:
            case ast.Constant(value=int() | None as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)):
                return -value
            case ast.Name(id=name) if isinstance(self.names.get(name), int):
                return self.names[name]
            case ast.Slice(lower=lower, upper=upper, step=step):
                ends = (lower, upper, step)
                return slice(*(None if end is None else self._index(end) for end in ends))
            case ast.Tuple(elts=parts):
                return tuple(map(self._index, parts))
            case _:
                what = "is no index: an index is an integer, t, a range of them, or None"
                raise ValueError(f"{self._shown(node)} {what}")
