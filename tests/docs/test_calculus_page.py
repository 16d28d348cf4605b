"""docs/calculus.md says of every primitive what the table says, and what it shows is so."""

import ast
import doctest
import importlib.util
import re
from bisect import bisect
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce.engine import operations, primitives, transforms
from tinygrad_ce.engine.context import observing
from tinygrad_ce.engine.hooks import Observer
from tinygrad_ce.engine.primitives import Primitive

SCRIPT = Path(__file__).parents[2] / "docs/calculus.py"
SPEC = importlib.util.spec_from_file_location("calculus", SCRIPT)
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)

PAGE = script.PAGE.read_text(encoding="utf-8")
TABLE = [value for value in vars(primitives).values() if isinstance(value, Primitive)]
CODE = re.compile(r"`([^`]+)`")


class Watching(Observer):
    """Collects the names of the primitives that are computed."""

    def __init__(self):
        self.names = set()

    def forward(self, node, primitive, arguments):
        self.names.add(primitive.name)


def sections():
    """The text below each heading of a group."""
    parts = re.split(r"^## (.+)\n", PAGE, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {group: found[group] for group in script.groups()}


# ── It is complete ────────────────────────────────────────────────────────────────────────────────


def test_the_tables_are_what_the_script_writes():
    assert script.written(PAGE) == PAGE, "run python docs/calculus.py"


def test_the_groups_are_those_of_the_table():
    groups = script.groups()
    assert [entry for group in groups.values() for entry in group] == TABLE
    assert [name for _, name, _ in script.TABLE.findall(PAGE)] == list(groups)
    headings = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert [heading for heading in headings if heading in groups] == list(groups)


@pytest.mark.parametrize("group", script.groups())
def test_a_group_has_its_own_table_and_examples(group):
    assert re.findall("<!-- table: (.+) -->", sections()[group]) == [group]
    assert "```pycon\n>>> " in sections()[group]


def test_every_primitive_says_how_it_is_written():
    assert list(script.WRITTEN) == [entry.name for entry in TABLE]


def test_every_name_of_an_operation_is_on_the_page():
    own = {
        f"tg.{public}"
        for public in tg.__all__
        if getattr(getattr(tg, public), "__module__", "")
        in (operations.__name__, transforms.__name__)
    }
    not_operations = {
        "backward", "cotangent", "current_arguments", "item", "label", "numpy", "set_value",
        "retain_grad",
    }  # fmt: skip
    methods = {
        f"x.{public}"
        for public, method in vars(tg.Tensor).items()
        if public[0] != "_" and callable(method) and public not in not_operations
    }
    everything = own | methods  # NumPy's names are on numpy.md
    assert sorted(n for n in everything if f"{n}(" not in PAGE) == []


def test_links_within_the_page_lead_to_headings():
    headings = re.findall(r"^##+ (.+)$", PAGE, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
    assert len(slugs) == len(headings)
    assert set(re.findall(r"\]\(#(.*?)\)", PAGE)) <= slugs


def test_formulas_survive_markdown():
    for formula in re.findall(r"\$(.+?)\$", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)):
        assert not re.search(r"\\[^a-zA-Z]", formula), formula  # Markdown takes the backslash
        assert "operatorname" not in formula
        assert "|" not in formula
        assert formula.count("{") == formula.count("}")


def test_tables_have_as_many_cells_in_each_row():
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        rows = [len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()]
        assert len(set(rows)) == 1, table


# ── It is true ────────────────────────────────────────────────────────────────────────────────────


class Runner(doctest.DocTestRunner):
    """Run the page's examples, and note for each line which primitives were computed."""

    def __init__(self):
        super().__init__(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        self.used = defaultdict(set)
        self.watch = Watching()

    def report_start(self, out, test, example):
        self.watch.names = self.used[example.lineno]


@cache
def run():
    inside = False
    lines = []
    for line in PAGE.splitlines():
        lines.append(line if inside and line != "```" else "")
        inside = line == "```pycon" or (inside and line != "```")
    name, where = script.PAGE.name, str(script.PAGE)
    examples = doctest.DocTestParser().get_doctest("\n".join(lines), {}, name, where, 0)
    runner, messages = Runner(), []
    with observing(runner.watch):
        runner.run(examples, out=messages.append)
    return messages, runner.used


def test_every_example_gives_what_it_says():
    messages, used = run()
    assert messages == [], "".join(messages)
    assert len(used) > len(TABLE)


@pytest.mark.parametrize("group", script.groups())
def test_the_examples_of_a_group_use_its_primitives(group):
    lines = PAGE.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("## ")]
    start = lines.index(f"## {group}")
    used = set()
    for line, computed in run()[1].items():
        if line > starts[0] and starts[bisect(starts, line) - 1] == start:
            used |= computed
    assert {entry.name for entry in script.groups()[group]} <= used


def code_of(text):
    """The expressions in a text that compute something: not `x` or `axis=None`."""
    for code in CODE.findall(text):
        try:
            tree = ast.parse(code, mode="eval").body
        except SyntaxError:
            continue
        if not isinstance(tree, ast.Name | ast.Constant | ast.Tuple):
            yield code


def names_in_use():
    return {
        "np": np,
        "tg": tg,
        "F": F,
        "x": tg.Tensor([[0.25, 0.5], [0.75, 0.125]], requires_grad=True),
        "a": tg.Tensor([0.5, 2.0], requires_grad=True),
        "b": tg.Tensor([0.25, 1.5], requires_grad=True),
        "c": tg.Tensor([True, False]),
        "d": tg.Tensor([True, True]),
        "i": tg.Tensor(np.array([0, 1])),
        "n": 3,
        "lo": 0.2,
        "hi": 0.6,
        "axis": 1,
        "keepdims": True,
        "subscripts": "i,i",
        "shape": (2, 2),
        "axes": (1, 0),
        "dtype": np.float32,
        "rng": np.random.default_rng(0),
    }


WRITTEN = [
    pytest.param(name, code, id=code) for name, codes in script.WRITTEN.items() for code in codes
]


@pytest.mark.parametrize(("name", "code"), WRITTEN)
def test_what_is_written_computes_the_primitive(name, code):
    watch = Watching()
    with observing(watch):
        eval(code, names_in_use())
    assert name in watch.names


COMPOSITIONS = re.search(r"^## Compositions\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]


@pytest.mark.parametrize("code", list(code_of(COMPOSITIONS)))
def test_compositions_compute(code):
    assert eval(code, names_in_use()) is not None
