"""A mutation: a small mistake, made in the syntax tree of one definition.

    table("tanh", "forgets the square", "1 - y * y", "1 - y")

The definition is a function, a class, a method such as ``Adam._updated``, or an assignment such as
an entry of a table; without a name, it is the whole file. Within it, the pattern is an expression,
or statements, in Python; it has to be found exactly once, whatever its layout, its comments and the
text around it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple

# A node's list or attribute, and what is to be replaced there: (node, field, start, stop) of a
# list, or (node, field, None, None).
Place = tuple[ast.AST, str, int | None, int | None]


class StaleError(ValueError):
    """The definition or the pattern is no longer there, or the pattern is there more than once."""


class Mutation(NamedTuple):
    """A mistake. `near` are the tests to run first."""

    file: str
    definition: str
    name: str
    pattern: str
    replacement: str
    near: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}::{self.definition}: {self.name}"

    def make(self, source: str) -> str:
        """Return the source of the file with the mistake in it.

        Raises
        ------
        StaleError
            There is no such definition, or it does not have the pattern exactly once.
        """
        module = ast.parse(source)
        pattern, replacement = (ast.parse(text).body for text in (self.pattern, self.replacement))
        path = self.definition.split(".")
        found = list(definitions(module, path)) if self.definition else [module]
        if not found:
            raise StaleError(f"{self}: no such definition")
        places = [place for root in found for place in find(root, pattern, replacement)]
        if len(places) != 1:
            raise StaleError(f"{self}: {len(places)} places")
        node, field, start, stop = places[0]
        expression = _as_expression(pattern, replacement)
        if start is None:
            setattr(node, field, replacement[0].value)
        else:
            new = [replacement[0].value] if expression else replacement
            getattr(node, field)[start:stop] = new
        mutated = ast.unparse(module)
        if mutated == ast.unparse(ast.parse(source)):
            raise StaleError(f"{self}: nothing changes")
        return mutated


def of(file: str, *near: str) -> Callable[..., Mutation]:
    """Return a maker of mutations of one file."""

    def make(
        definition: str, name: str, pattern: str, replacement: str, first: str = ""
    ) -> Mutation:
        tests = ((first,) if first else ()) + near
        return Mutation(file, definition, name, pattern, replacement, tests)

    return make


def definitions(node: ast.AST, path: list[str]) -> Iterator[ast.AST]:
    """Yield what is defined by a name: a property's getter and its setter share one."""
    for child in ast.iter_child_nodes(node):
        if path[0] in _names(child):
            if path[1:]:
                yield from definitions(child, path[1:])
            else:
                yield child
        elif not isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield from definitions(child, path)


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return []
    return [x.id for t in targets for x in ast.walk(t) if isinstance(x, ast.Name)]


def find(root: ast.AST, pattern: list[ast.stmt], replacement: list[ast.stmt]) -> Iterator[Place]:
    """Yield where a pattern is: an expression, or statements that follow one another."""
    if _as_expression(pattern, replacement):
        wanted = [ast.dump(pattern[0].value)]
    else:
        wanted = [ast.dump(statement) for statement in pattern]
    n = len(wanted)
    for node in ast.walk(root):
        for field, value in ast.iter_fields(node):
            if isinstance(value, ast.AST) and [ast.dump(value)] == wanted:
                yield node, field, None, None
            elif isinstance(value, list):
                dumps = [ast.dump(x) if isinstance(x, ast.AST) else "" for x in value]
                for i in range(len(dumps) - n + 1):
                    if dumps[i : i + n] == wanted:
                        yield node, field, i, i + n


def _as_expression(pattern: list[ast.stmt], replacement: list[ast.stmt]) -> bool:
    return all(len(x) == 1 and isinstance(x[0], ast.Expr) for x in (pattern, replacement))
