"""Write the tables of formulas in calculus.md from the table of primitives.

    python docs/calculus.py

Each group of primitives.py has a section in the page, with its table between two marks. The script
renews what stands between the marks; all else in the page is written by hand.
tests/test_calculus_page.py fails where the two disagree, and where a primitive has no entry.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from tinygrad_ce.engine import primitives
from tinygrad_ce.engine.primitives import Primitive

PAGE = Path(__file__).with_suffix(".md")

TABLE = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end of table -->)", re.DOTALL)
ENTRY = re.compile(r"^### (.+)$", re.MULTILINE)
# In primitives.py: a heading, or the first line of an entry.
SOURCE = re.compile(r"^# ── (.+?) ─+$|^(\w+)(?:: Primitive)? *= Primitive\(", re.MULTILINE)


def groups() -> dict[str, list[Primitive]]:
    """The primitives under the headings of primitives.py, in the order of the source."""
    found: dict[str, list[Primitive]] = {}
    group = ""
    for heading, name in SOURCE.findall(inspect.getsource(primitives)):
        group = heading or group
        if name:
            found.setdefault(group, []).append(getattr(primitives, name))
    return found


def formula(latex: str) -> str:
    r"""LaTeX in Markdown, which would take the backslash from ``\,``.

    GitHub refuses ``\operatorname``, and a bar would end the cell of a table.
    """
    latex = re.sub(r"\\operatorname\{(\w+)\}", r"\\mathop{\\mathrm{\1}}", latex)
    for short, long in ((r"\,", r" \thinspace "), (r"\;", r" \enspace "), ("|", r" \vert ")):
        latex = latex.replace(short, long)
    return f"${latex}$"


def arguments(entry: Primitive) -> list[str]:
    """The arguments of a primitive, as its rules call them; of any number, the first."""
    rule = next(rule for rule in entry.rules if rule is not None)
    _, _, *rest = inspect.signature(rule).parameters.values()
    return ["a" if p.kind is p.VAR_POSITIONAL else p.name for p in rest]


def derivatives(entry: Primitive) -> str:
    """The derivative by each argument."""
    if not entry.differentiable:
        return "none"
    return "<br> ".join(
        formula(rf"\partial L / \partial {name} = {latex}") if latex else f"by ${name}$: none"
        for name, latex in zip(arguments(entry), entry.rules_latex, strict=False)
    )


def table(entries: list[Primitive], anchors: dict[str, str]) -> str:
    """The primitives of a group, a row each."""
    rows = ["| primitive | drawn as | value $y$ | derivative |", "|---|---|---|---|"]
    for entry in entries:
        name = f"[{entry.name}](#{anchors.get(entry.name, '')})"
        symbol = entry.symbol.replace("|", r"\|")
        value, slopes = formula(entry.latex), derivatives(entry)
        rows.append(f"| {name} | `{symbol}` | {value} | {slopes} |")
    return "\n".join(rows) + "\n"


def anchors(page: str) -> dict[str, str]:
    """For each primitive, the anchor of the heading that names it."""
    return {
        name: re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in ENTRY.findall(page)
        for name in heading.split(", ")
    }


def written(page: str) -> str:
    """The page with its tables made anew."""
    entries, places = groups(), anchors(page)
    return TABLE.sub(lambda m: m[1] + table(entries[m[2]], places) + m[3], page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
