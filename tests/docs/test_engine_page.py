"""docs/engine.md: its hundred lines run, and find the gradients that the real engine finds."""

import re

import numpy as np
import pytest
from doc_pages import DOCS, ROOT, examples, read, run

import tinygrad_ce as tg
from tinygrad_ce.engine import primitives

PAGE = read(DOCS / "engine.md")
EXAMPLES = examples(PAGE)
NAMESPACE, PRINTED = run([code for code, _ in EXAMPLES], "engine.md")


@pytest.mark.parametrize("i", range(len(EXAMPLES)))
def test_a_block_prints_what_the_page_shows(i):
    assert PRINTED[i] == EXAMPLES[i][1]


def test_the_whole_engine_is_about_as_long_as_the_page_says():
    lines = [line for code, _ in EXAMPLES for line in code.splitlines() if line.strip()]
    assert "about 120 lines" in " ".join(PAGE.split())
    assert 110 <= len(lines) <= 130


# ── Against the real engine ───────────────────────────────────────────────────────────────────────
# Each step takes values from among the earlier ones; their functions mean the same in both.


def steps_of(tensor):
    """What a random program may do, for Tensors of the page or for real ones."""
    if tensor is tg.Tensor:
        exp, log, total = np.exp, np.log, lambda x, axis: x.sum(axis, keepdims=axis is not None)
    else:
        exp, log, total = (NAMESPACE[name] for name in ("exp", "log", "total"))
    return [
        lambda a, b: a + b,
        lambda a, b: a * b,
        lambda a, b: a - b,
        lambda a, b: a * 0.3 + 1.5,
        lambda a, b: exp(a * 0.1),
        lambda a, b: log(a * a + 1.0),
        lambda a, b: total(a, None) if a.shape == () else total(a, 0),
        lambda a, b: total(a, len(a.shape) - 1 if a.shape else None),
        lambda a, b: a[[0, -1, 0]] if a.shape else a * a,
        lambda a, b: a[0] * b if a.shape else -a,
    ]


def program(seed, tensor):
    """Leaves, and a scalar that is made from them at random."""
    rng = np.random.default_rng(seed)
    shapes = [(3, 2), (2,), (3, 1), ()]
    leaves = [rng.normal(size=shape) for shape in shapes]
    if tensor is tg.Tensor:
        leaves = [tg.Tensor(leaf, requires_grad=True) for leaf in leaves]
    else:
        leaves = [tensor(leaf) for leaf in leaves]
    steps, values = steps_of(tensor), list(leaves)
    for _ in range(12):
        step = steps[rng.integers(len(steps))]
        # Weighted, so that what was broadcast does not only get ones.
        a, b = (values[i] for i in rng.integers(len(values), size=2))
        values.append(step(a, b) if fits(a.shape, b.shape) else step(a, a))
    total = steps[0]
    result = None
    for value in values:
        weighted = value * rng.normal(size=value.shape)
        scalar = weighted.sum() if tensor is tg.Tensor else NAMESPACE["total"](weighted, None)
        result = scalar if result is None else total(result, scalar)
    return leaves, result


def fits(a, b):
    """Whether two values can be combined, both whole and without the first axis of one."""
    try:
        np.broadcast_shapes(a, b)
        np.broadcast_shapes(a[1:], b)
    except ValueError:
        return False
    return True


def real_gradients(leaves, output, **options):
    return tg.gradients(output, leaves, **options)


def gradients_of_the_page(leaves, output):
    found = NAMESPACE["backpropagate"](output, np.ones(()))
    return [found[leaf] for leaf in leaves]


@pytest.mark.parametrize("seed", range(300))
def test_gradients_are_those_of_the_real_engine(seed):
    leaves, output = program(seed, NAMESPACE["Tensor"])
    real_leaves, real_output = program(seed, tg.Tensor)
    np.testing.assert_array_equal(output.value, real_output.data)
    for found, expected in zip(
        gradients_of_the_page(leaves, output), real_gradients(real_leaves, real_output), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(60))
def test_second_derivatives_are_those_of_the_real_engine(seed):
    leaves, output = program(seed, NAMESPACE["Tensor"])
    backpropagate, tensor = NAMESPACE["backpropagate"], NAMESPACE["Tensor"]
    first = backpropagate(output, tensor(1.0), create_graph=True)[leaves[1]]
    found = backpropagate(first[0], np.ones(())).get(leaves[0], np.zeros((3, 2)))

    leaves, output = program(seed, tg.Tensor)
    (first,) = tg.gradients(output, [leaves[1]], create_graph=True)
    (expected,) = tg.gradients(first[0], [leaves[0]]) if first.requires_grad else [np.zeros((3, 2))]
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


def test_random_programs_would_show_a_wrong_rule():
    multiply = NAMESPACE["multiply"]
    rules, multiply.rules = multiply.rules, multiply.rules[::-1]
    try:
        leaves, output = program(0, NAMESPACE["Tensor"])
        found = gradients_of_the_page(leaves, output)
    except (ValueError, IndexError):  # shapes that no longer fit show it as well
        return
    finally:
        multiply.rules = rules
    expected = real_gradients(*program(0, tg.Tensor))
    assert not all(np.allclose(a, b) for a, b in zip(found, expected, strict=True))


# ── What the page says of the real engine ─────────────────────────────────────────────────────────

PACKAGE = ROOT / "tinygrad_ce"
ROWS = re.findall(r"^\| (`.*?`) \| ([\d,]+) \|", PAGE, re.MULTILINE)


def lines_of(paths):
    return sum(len(read(path).splitlines()) for path in paths)


def files_of(folder):
    return [p for p in folder.rglob("*") if p.suffix in {".py", ".js", ".css", ".html"}]


def near(said, counted):
    return abs(said - counted) <= max(30, 0.15 * counted)


@pytest.mark.parametrize(("names", "said"), ROWS)
def test_line_counts_are_about_right(names, said):
    paths = []
    for name in re.findall(r"`(.*?)`", names):
        if name.endswith("/"):
            paths += files_of(PACKAGE / name)
        else:
            paths.append(PACKAGE / "engine" / name)
    counted = lines_of(paths)
    assert near(int(said.replace(",", "")), counted), f"{names} has {counted} lines"


@pytest.mark.parametrize("page", ["README.md", "docs/engine.md"])
def test_the_length_of_the_evenings_reading_is_about_right(page):
    (said,) = re.findall(r"about (\d,\d00) lines", " ".join(read(ROOT / page).split()))
    counted = lines_of(files_of(PACKAGE / "engine"))
    assert near(int(said.replace(",", "")), counted), f"engine/ has {counted} lines"


def test_every_module_and_folder_is_listed():
    listed = {name for names, _ in ROWS for name in re.findall(r"`(.*?)`", names)}
    modules = {p.name for p in (PACKAGE / "engine").glob("[a-z]*.py")}
    folders = {p.parent.name + "/" for p in PACKAGE.glob("*/__init__.py")}
    assert listed == modules | folders - {"engine/"}


def test_the_number_of_primitives():
    table = [p for p in vars(primitives).values() if isinstance(p, primitives.Primitive)]
    (said,) = re.findall(r"the whole table: (\d+) entries", PAGE)
    assert int(said) == len(table)
