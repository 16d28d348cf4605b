"""Names in C: whatever something is called, C compiles it, and computes the same."""

import re

import numpy as np
import pytest
from bits import assert_same_bits
from everywhere import assert_harmless
from hostile_names import ALL, hostile_names

import tinygrad_ce as tg
from tinygrad_ce.compiler.codegen.c import helpers
from tinygrad_ce.compiler.codegen.c.names import KEYWORDS, c_name


@pytest.fixture(autouse=True)
def quick_compilation(monkeypatch):
    """Whether names fit does not hang on how fast they are."""
    monkeypatch.setenv("CFLAGS", "-O0")


@pytest.mark.slow
def test_no_name_runs_breaks_or_is_taken_for_another():
    names = hostile_names(60)
    for i in range(0, len(names), 20):
        assert_harmless(names[i : i + 20], backend="c")


WORDS = {word for text in vars(helpers).values() for word in re.findall(r"\w+", str(text))}


@pytest.mark.slow
def test_no_name_is_taken_for_one_of_c():
    """All words of the text around a step, and of the C that it is written in."""
    words = sorted({*WORDS, *KEYWORDS, "y0", "gamma", "signal", "exp", "B0", "TRUE", "M_PI"})
    words = [word for word in words if word.isidentifier() and c_name(word) == word]
    for i in range(0, len(words), 20):
        assert_harmless(words[i : i + 20], backend="c")


@pytest.mark.slow
def test_a_step_may_have_any_name():
    for name in [*ALL, "main", "exp", "int", "read", "Py_Initialize", "data"]:

        def step(x):
            return x.exp() * 2

        step.__name__ = name
        compiled = tg.compile(step, backend="c")
        assert_same_bits([compiled(np.ones(2))], [np.exp(np.ones(2)) * 2])


def test_names_are_words_of_c():
    for name in hostile_names(500):
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", c_name(f"x{name}"))
