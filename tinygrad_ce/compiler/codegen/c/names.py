"""Names of C: what a person has called something, if it is nothing else there."""

from __future__ import annotations

import re
from collections.abc import Container

# Of C, of its headers in lower case, and of what the text around a step has.
KEYWORDS = set(
    """
    auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while asm typeof main linux unix complex errno stdin stdout stderr
    longdouble_t constchar static_assert bool true false nullptr alignas alignof I
    self args n_args owned result memory first last threads end i j k
    data call pack copied new_array recycled find_loop in_range begin_memory end_memory
    free_memory release_memory numpy_source methods slots module load
    fabs fabsf sqrt sqrtf isfinite memcpy memset free
    """.split()  # noqa: SIM905
)
RISKY = re.compile(r"(Py|py|NPY|npy|st_|sched_|import_|loop_|scalar_|array_object_|fast_)")
CAPITALS = re.compile(r"[A-Z][A-Z0-9_]{2,}|.*_(float|double|npy_bool|npy_int64)")


def c_name(name: str) -> str:
    """A name as one of C's that is nothing else there.

    >>> [c_name(name) for name in ("weight_1", "int", "σ", "NULL", "PyObject", "I", "X")]
    ['weight_1', 'int_', 'x_', 'NULL_', 'PyObject_', 'I_', 'X']
    """
    text = re.sub(r"[^A-Za-z0-9_]", "_", name).lstrip("_")
    if not text or text[0].isdigit():
        text = f"x_{text}"
    taken = text in KEYWORDS or RISKY.match(text) or CAPITALS.fullmatch(text)
    return f"{text}_" if taken else text


def c_comment(text: str) -> str:
    """A text that does not end the comment that it is in, or seem to begin one.

    >>> c_comment("a */ b /* c")
    'a * / b / * c'
    """
    return text.replace("*/", "* /").replace("/*", "/ *")


def free_name(name: str, *taken: Container[str]) -> str:
    """A name of C's that is not in use, with another number if it is.

    >>> free_name("z_1", {"z_1", "z_2"})
    'z_3'
    """
    found = c_name(name)
    stem, number = re.sub(r"_\d+$", "", found), 1
    while any(found in names for names in taken):
        number += 1
        found = f"{stem}_{number}"
    return found
