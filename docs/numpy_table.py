"""Write numpy.md: every function and ufunc of NumPy's, and what it does on Tensors.

    python docs/numpy_table.py

The list of names comes from NumPy itself, what each does from the table of the package
(tinygrad_ce/engine/numpy_functions.py). tests/docs/test_numpy_page.py fails where the page and the
table disagree, or where NumPy has a name that the table does not know.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_ce.engine import numpy_functions as table

PAGE = Path(__file__).with_name("numpy.md")

INTRODUCTION = """\
# NumPy's functions

NumPy's functions take Tensors: with `import numpy as np` as it is, `np.f(t)` records what it
computes, and `tg.f(t)` is the same for those that `tg` has. This page has every function and ufunc
of `np` and `np.linalg` in NumPy {series}. It is written by [numpy_table.py](numpy_table.py) from
the table in [numpy_functions.py](../tinygrad_ce/engine/numpy_functions.py); a test fails where the
two disagree, or where NumPy has a name that the table does not know.

Signatures are NumPy's. Of the keywords, `out=` is refused, since arrays in a graph never change,
and so is any other that is not followed, by its name. Values are NumPy's to the last bit, with
three exceptions that add up in another order and can differ in the last digit: sums and products
with `where=` or `initial=`, `np.dot` and `np.inner` of arrays with more than two axes, and
`np.einsum` with `optimize=`.

"""

SERIES = ".".join(np.__version__.split(".")[:2])

SECTIONS = {
    "With derivatives": "Each is tested against differences, to second order, with the options of "
    "its signature.",
    "Constant on purpose": "Flat almost everywhere, or about integers, booleans, shapes and "
    "dtypes: the result needs no gradient.",
    "Refused": "With a TypeError that gives the reason, so that no gradient is silently lost.",
    "Without Tensors": "They take no arrays of numbers, or make some; NumPy does not ask a Tensor "
    "about them. `np.array` of a list with Tensors would need a value of each without its "
    "gradient, and raises: `tg.array` keeps it.",
}


def public_names() -> list[str]:
    """The functions and ufuncs of np and np.linalg, as NumPy has them."""
    found = []
    for prefix, module in (("", np), ("linalg.", np.linalg)):
        for name in dir(module):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of names that are about to go
                value: Any = getattr(module, name)
            if not name.startswith("_") and callable(value) and not isinstance(value, type):
                found.append(prefix + name)
    return found


def by_function(names: object) -> dict[int, str]:
    """Names by the function that they are of, since NumPy has several for some."""
    return {id(table.of_numpy(name)): name for name in names if table.of_numpy(name)}


def sort_names() -> dict[str, dict[str, str]]:
    """All names of NumPy's by section, with what is said of each; unknown ones under "Unknown"."""
    known = {
        "With derivatives": dict.fromkeys(table.DIFFERENTIABLE, ""),
        "Constant on purpose": dict.fromkeys(table.CONSTANT, ""),
        "Refused": table.REFUSED,
        "Without Tensors": table.WITHOUT_TENSORS,
    }
    places = {
        key: (section, said[name])
        for section, said in known.items()
        for key, name in by_function(said).items()
    }
    found: dict[str, dict[str, str]] = {section: {} for section in (*known, "Unknown")}
    for name in public_names():
        section, said = places.get(id(table.of_numpy(name)), ("Unknown", ""))
        found[section][name] = said
    return found


def listing(names: list[str]) -> str:
    """Names, with commas, on lines of 100 columns."""
    lines, line = [], ""
    for name in names:
        word = f"`np.{name}`" + ("." if name == names[-1] else ",")
        if len(line) + len(word) >= 100:
            lines.append(line)
            line = ""
        line += " " * bool(line) + word
    return "\n".join([*lines, line])


def wrapped(text: str) -> str:
    """A paragraph on lines of 100 columns."""
    lines, line = [], ""
    for word in text.split():
        if len(line) + len(word) >= 100:
            lines.append(line)
            line = ""
        line += " " * bool(line) + word
    return "\n".join([*lines, line])


def written() -> str:
    """The page."""
    names = sort_names()
    page = INTRODUCTION.format(series=SERIES)
    for section, about in SECTIONS.items():
        found = names[section]
        page += f"## {section}\n\n{wrapped(f'{len(found)} names. {about}')}\n\n"
        ufuncs = [name for name in found if isinstance(table.of_numpy(name), np.ufunc)]
        matrices = [name for name in found if name.startswith("linalg.")]
        if section == "Refused":
            page += "| function | why, and what to do instead |\n| --- | --- |\n"
            page += "".join(f"| `np.{name}` | {said} |\n" for name, said in found.items())
            page += "\n"
            continue
        others = [name for name in found if name not in ufuncs + matrices]
        for title, part in (("Ufuncs", ufuncs), ("Functions", others), ("Matrices", matrices)):
            if part:
                page += f"{title}:\n{listing(part)}\n\n"
    return page.rstrip("\n") + "\n"


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
