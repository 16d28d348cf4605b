"""Lines of source: however long they are and whatever they hold, they say the same when broken."""

import ast
import random

import numpy as np
import pytest
from bits import assert_same_bits
from hostile_names import hostile_names

import tinygrad_ce as tg
from tinygrad_ce.compiler.codegen.literals import WIDTH, argument, wrap
from tinygrad_ce.engine.tensor import run_check
from tinygrad_ce.functional.validation import check_range


def random_argument(rng, names):
    """A number, an operation, or a string that has spaces, quotes and other things in it."""
    kind = rng.randrange(4)
    if kind == 0:
        return argument(rng.choice([1, -2.5, (3, 4), [0.1], None, True]))
    if kind == 1:
        return f"weight_{rng.randrange(20)} * (x - {rng.random()})"
    words = [rng.choice([*"'\"\\,()#{} ", "  ", "it's", "of the", *names]) for _ in range(9)]
    return argument("".join(words)[: rng.randrange(200)])


@pytest.mark.parametrize("first", range(0, 300, 100))
def test_a_statement_says_the_same_in_several_lines(first):
    names = hostile_names(80)[:60]
    for seed in range(first, first + 100):
        rng = random.Random(seed)
        given = [random_argument(rng, names) for _ in range(rng.randint(1, 8))]
        half = rng.randrange(len(given) + 1)
        given[half:] = [f"option_{i}={text}" for i, text in enumerate(given[half:])]
        start, end = rng.choice([("", ""), ("y = ", ""), ("f(", ")")])
        text = ", ".join(given) if end else f"check({', '.join(given)})"
        lines = wrap(start, text, end, room=rng.choice([0, 4]))
        parsed = [ast.dump(ast.parse(x)) for x in ("\n".join(lines), start + text + end)]
        assert parsed[0] == parsed[1], seed
        assert len(lines) > 1 or len(lines[0]) < WIDTH


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_a_check_keeps_each_letter_of_a_long_message(backend):
    one = 'row  of a table that is called "it\'s", \\ and whose name goes on for a while, and on'

    def step(x, labels):
        run_check(check_range, labels, 3, one=one, many=f"{one} {one}", of="kinds of labels")
        return x * 2

    compiled = tg.compile(step, backend=backend)
    x, labels = np.ones(4), np.arange(3)
    for run in (compiled, lambda *given: step(*map(tg.Tensor, given))):
        assert_same_bits([run(x, labels)], [x * 2])
        with pytest.raises(IndexError) as caught:
            run(x, labels + 1)
        assert str(caught.value) == (
            f"{one} 3 at row 2 is out of range for 3 kinds of labels: {one} {one} run from 0 to 2"
        )
