"""What C leaves to NumPy: operations as functions of Python, printed as in a whole step."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ...ir import Op, Program
from ...memory import Plan
from ...primitives import verified
from ..bundled_helpers import collect_helpers, imports, strip_underscores
from ..literals import argument, array
from ..naming import assign_names
from ..printer import _Printer


@dataclass
class NumpyLines:
    """A module of functions, one for each stretch of operations that NumPy does.

    Attributes
    ----------
    generators
        What is drawn from, and by which names.
    """

    generators: dict[np.random.Generator, str]
    constants: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    helpers: dict[str, None] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The module, or nothing if there is no use for it."""
        if not (self.constants or self.functions):
            return ""
        helpers = [line for text in self.helpers for line in ["", "", *text.splitlines()]]
        lines = [*imports("\n".join(self.helpers)), *self.constants, *self.functions, *helpers]
        return strip_underscores(re.sub("\n{3,}", "\n\n\n", "\n".join(lines)) + "\n")

    def constant(self, name: str, op: Op) -> None:
        """Keep a constant that is an object of Python."""
        text = array(op.data) if op.kind == "array" else argument(op.data)
        self.constants.append(f"{name} = {text}")

    def function(
        self, name: str, ops: list[Op], inputs: list[Op], outputs: list[Op], names: dict[Op, str]
    ) -> None:
        """Write the function of some operations, which takes inputs and returns outputs."""
        new: dict[Op, Op] = {}
        for x in inputs:
            new[x] = x.like(None, [], ())
            new[x].name, new[x].scope, new[x].gradient_of, new[x].state = names[x], None, (), None
        constants = dict.fromkeys(x for op in ops for x in op.inputs if x.is_constant)
        for op in ops:
            sources = [new.get(x, x) for x in op.inputs]
            new[op] = op.like(op.primitive, sources, op.params)
        arguments = [new[x] for x in inputs]
        program = Program(
            [*arguments, *constants, *(new[op] for op in ops)], arguments,
            [new[op] for op in outputs], [], [], [], [],
        )  # fmt: skip
        plan = Plan()
        names = assign_names(program, plan, name)
        printer = _Printer(program, plan, names, [], looks_first=False)
        printer.generators = self.generators
        printer.loop_names = ["start", "rows", "block"]
        printer.uses = Counter(x for op in program.ops for x in op.inputs)
        printer.uses.update(dict.fromkeys(program.wanted, 2))
        self.helpers.update(dict.fromkeys(collect_helpers(program, plan)))
        printer.statements()
        given = [*(printer.names[x] for x in arguments), *self.generators.values()]
        # NumPy warns of arrays and of its scalars; errstate takes longer than a few numbers.
        warns = any(op.kind != "number" and op.primitive is not verified for op in ops)
        self.functions += ["", "", *['@np.errstate(all="ignore")'] * warns]
        self.functions += [f"def {name}({', '.join(given)}):"]
        lines = "\n".join([*printer.constants, *printer.body]).strip("\n").split("\n")
        self.functions += ["    " + line if line else "" for line in lines]
