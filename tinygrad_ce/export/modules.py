"""A trained network as one file of text: a module of NumPy, or C that needs its library alone.

Both are printed by the compiler, which writes the network down as it was recorded, and take rows as
the table had them. They need nothing of this package.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from importlib.resources import files

from ..compiler.codegen.c.names import c_comment
from ..compiler.codegen.c.portable import generate_portable_c
from ..compiler.codegen.literals import docstring, filled
from ..compiler.codegen.printer import generate_source
from ..compiler.memory import Plan
from ..engine.names import printable
from ..nn import Checkpoint
from .prediction import Column, Prediction, prediction_of, program_of_constants

WIDTH = 96
_ABOUT_FUNCTION = (
    '"""Return the probabilities (n, C) of rows of numbers (n, d), as the only one of a tuple."""'
)
C_HEADERS = ("float.h", "math.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h")


def numpy_module(checkpoint: Checkpoint) -> str:
    """Return a module of Python that predicts as the checkpoint does, and needs NumPy alone.

    Parameters
    ----------
    checkpoint
        With an encoder, as `tinygrad-ce train` makes it.

    Raises
    ------
    ValueError
        It has no encoder, or the network depends on the batch in an unusual way.
    RecordingError
        The network does what cannot be written down.
    """
    prediction = prediction_of(checkpoint)
    recorded = prediction.record()
    source = generate_source(
        program_of_constants(recorded, prediction.names), Plan(), "probabilities"
    )
    columns = "\n".join(_python_column(column) for column in prediction.columns)
    classes = _lines(map(python_string, prediction.class_names))
    lists = f"COLUMNS = [\n{columns}\n]\nCLASSES = [\n{classes}\n]\n"
    head = "\n".join(docstring(_description(prediction, "numpy").split("\n")))
    imports, _, rest = source.text.partition("import numpy as np\n")
    future = [line for line in imports.split("\n") if line.startswith("from __future__")]
    standard = [line for line in imports.split("\n") if line and line not in future]
    standard = sorted({"import csv", "import sys", *standard})
    above = [head, "", *(f"{line}\n" for line in future), *standard, "", "import numpy as np", ""]
    rest = re.sub(r'"""One call.*?"""', _ABOUT_FUNCTION, rest, count=1, flags=re.DOTALL)
    return "\n".join([*above, lists]) + rest.lstrip("\n") + _template("predict.py.txt", prediction)


def c_file(checkpoint: Checkpoint) -> str:
    """Return a file of C99 that predicts as the checkpoint does, and needs the C library alone.

    Parameters
    ----------
    checkpoint
        With an encoder, as `tinygrad-ce train` makes it.

    Raises
    ------
    ValueError
        It has no encoder, or the network has an operation that C cannot be printed for.
    RecordingError
        The network does what cannot be written down.
    """
    prediction = prediction_of(checkpoint)
    recorded = prediction.record(dtype=float, fixed=True)
    function = generate_portable_c(program_of_constants(recorded, prediction.names), "predict")
    comment = "\n".join(f" * {line}".rstrip() for line in _description(prediction, "c").split("\n"))
    head = f"/*\n{c_comment(comment)}\n */\n"
    includes = "".join(f"#include <{name}>\n" for name in C_HEADERS)
    declarations = (
        "void predict(const double *row, double *probabilities);\n"
        "int encode(const char *const *cells, double *row);\n"
    )
    parts = [
        head + "\n" + includes,
        declarations,
        function.text,
        _template("predict.c", prediction),
    ]
    return "\n".join(parts)


def _description(prediction: Prediction, kind: str) -> str:
    """What the file is, and how it is used."""
    columns = ", ".join(printable(column.name) for column in prediction.columns)
    classes = ", ".join(map(printable, prediction.class_names))
    text = f"Predict one of {len(prediction.class_names)} classes: {classes}."
    text += f"\n\nFrom the columns {columns}."
    how = {
        "numpy": "Written by tinygrad-ce export. It needs NumPy alone:\n\n"
        "    from model import predict, predict_proba\n    predict([row, ...])\n\n"
        "or, with this file's name, python model.py new.csv",
        "c": "Written by tinygrad-ce export. It needs the C library alone:\n\n"
        "    cc -O2 -std=c99 model.c -lm -o model && ./model < new.csv\n\n"
        "Or, with -DNO_MAIN, as a part of another program: encode() makes numbers of the texts of\n"
        "a row, and predict() makes probabilities of these.",
    }[kind]
    paragraphs = [textwrap.fill(part, WIDTH) for part in text.split("\n\n")]
    return "\n\n".join([*paragraphs, how])


def _template(name: str, prediction: Prediction) -> str:
    text = (files(__package__) / "templates" / name).read_text(encoding="utf-8")
    pieces = {
        "COLUMNS": _c_tables(prediction) if name.endswith(".c") else "",
        "N_FEATURES": str(prediction.n_features),
        "N_CLASSES": str(len(prediction.class_names)),
    }
    for key, value in pieces.items():
        text = text.replace(f"@{key}@", value)
    return text


def _lines(items: Iterable[str]) -> str:
    return "\n".join(filled([*items], "    "))


def _python_column(column: Column) -> str:
    given = {"name": python_string(column.name), "categories": "None", "width": f"{column.width}"}
    if column.categories is not None:
        given["categories"] = f"[{', '.join(map(python_string, column.categories))}]"
    given["missing"] = f"{column.missing and list(column.missing)}"
    lines = [f'        "{key}": {value},' for key, value in given.items()]
    return "\n".join(["    {", *lines, "    },"])


def python_string(text: str) -> str:
    """A text as a literal of Python, in double quotes where nothing has to be escaped."""
    plain = text.isprintable() and not {'"', "\\"} & {*text}
    return f'"{text}"' if plain else repr(text)


# ── C ─────────────────────────────────────────────────────────────────────────────────────────────


def _c_tables(prediction: Prediction) -> str:
    """The columns and the classes."""
    arrays, rows = [], []
    for i, column in enumerate(prediction.columns):
        categories, missing = "NULL", "NULL"
        if column.categories is not None:
            categories = f"categories_{i}"
            items = _lines(map(c_string, column.categories))
            arrays.append(f"static const char *const {categories}[] = {{\n{items}\n}};")
        if column.missing is not None:
            missing = f"missing_{i}"
            items = _lines(repr(float(x)) for x in column.missing)
            arrays.append(f"static const double {missing}[] = {{\n{items}\n}};")
        n = len(column.categories or ())
        name = c_string(column.name)
        rows.append(f"    {{{name}, {categories}, {n}, {column.width}, {missing}}},")
    classes = _lines(map(c_string, prediction.class_names))
    counts = (
        f"N_COLUMNS = {len(prediction.columns)}, N_FEATURES = {prediction.n_features}, "
        f"N_CLASSES = {len(prediction.class_names)}"
    )
    return "\n".join([
        *arrays,
        "static const Column COLUMNS[] = {",
        *rows,
        "};",
        f"static const char *const CLASSES[] = {{\n{classes}\n}};",
        f"enum {{ {counts} }};",
    ])  # fmt: skip


def c_string(text: str) -> str:
    r"""A text as a literal of C, in UTF-8; what is not plain ASCII as octal numbers.

    >>> print(c_string('a "b" ?? é'))
    "a \"b\" \077\077 \303\251"
    """
    plain = set(map(chr, range(32, 127))) - set('"\\?')
    parts = [chr(b) if chr(b) in plain else f"\\{b:03o}" for b in text.encode("utf-8")]
    quoted = "".join("\\" + chr(34) if part == "\\042" else part for part in parts)
    return f'"{quoted}"'
