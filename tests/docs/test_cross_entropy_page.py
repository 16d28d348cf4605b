"""The pages on cross-entropy: they show what their blocks print, and formulas survive Markdown.

That the blocks run, with their assertions, is for test_docs.py to see.
"""

import html
import re
from functools import cache

import numpy as np
import pytest
from doc_pages import DOCS, examples, headings, prose, read, run

import tinygrad_ce as tg
from tinygrad_ce import functional as F

NAMES = ("cross_entropy", "cross_entropy_on_a_computer", "article_and_lecture")
PAGES = {name: read(DOCS / f"{name}.md") for name in NAMES}
BLOCKS = {name: examples(page) for name, page in PAGES.items()}
PROSE = {name: prose(page) for name, page in PAGES.items()}
HEADINGS = [(name, heading) for name in NAMES for heading in headings(PAGES[name])]
FORMULAS = re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", "\n\n".join(PROSE.values()), re.DOTALL)


@cache
def printed(name):
    """What each block of a page prints, after those before it."""
    return run([code for code, _ in BLOCKS[name]], f"{name}.md")[1]


def lines(text):
    """Without what rounding may change: of a comparison the name, the shape and "close" remain."""
    in_table = False
    for line in text.splitlines():
        cells = re.split(r"\s{2,}", line.strip())
        in_table = cells[:4] == ["name", "shape", "exact", "close"] or (in_table and len(cells) > 4)
        yield (cells[0], cells[1], cells[3]) if in_table else line.rstrip()


@pytest.mark.parametrize(
    ("name", "i"), [(name, i) for name in NAMES for i in range(len(BLOCKS[name]))]
)
def test_a_block_prints_what_the_page_shows(name, i):
    assert list(lines(printed(name)[i])) == list(lines(BLOCKS[name][i][1]))


def test_what_is_compared_is_close():
    shown = [text for blocks in BLOCKS.values() for _, text in blocks]
    rows = [line for text in shown for line in lines(text) if isinstance(line, tuple)]
    assert len(rows) > 60
    assert [row for row in rows if row[2] == "no"] == [("∂L/∂b", "(3,)", "no")]


def test_pytorch_has_lost_the_digits_too():
    torch = pytest.importorskip("torch")
    z = torch.tensor([[40.0, 0.0]], dtype=torch.float64, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(z, torch.tensor([0]))
    loss.backward()
    assert (loss.item(), z.grad[0, 0].item()) == (0, 0)


def test_the_picture_of_the_graph_is_of_the_logits_in_the_text():
    z = tg.Tensor([2.0, 1.0, 0.1], requires_grad=True)
    (gradient,) = tg.gradients(F.cross_entropy(z, 0), [z])
    picture = DOCS / "images/cross_entropy.svg"
    svg = html.unescape(read(picture)).replace("−", "-")
    words = {word for text in re.findall(r">([^<]+)<", svg) for word in text.split()}
    assert {f"{value:.4g}" for value in (*z.data, *gradient)} <= words


def test_figures_in_the_text_that_no_block_prints():
    text = " ".join(" ".join(PROSE.values()).split())
    for figure, value in (
        ("$\\log 3 = 1.0986$", f"{np.log(3):.4f}"),
        ("$1.8 \\cdot 10^{308}$", f"{np.finfo(float).max:.1e}"),
        ("lie $1.1 \\cdot 10^{-16}$ apart", f"{np.spacing(0.75):.1e}"),
        ("$-\\log 10^{-15} = 34.54$", f"{-np.log(1e-15):.2f}"),
        ("\\approx 4.25 \\cdot 10^{-18}", f"{np.log1p(np.exp(-40)):.2e}"),
        ("$-999 \\cdot e^{-37} = -8.525 \\cdot 10^{-14}$", f"{-999 * np.exp(-37):.3e}"),
    ):
        mantissa, *exponent = value.split("e")
        assert figure in text
        assert mantissa in figure
        assert all(str(int(digits)) in figure for digits in exponent)
    with np.errstate(over="ignore"):
        assert np.exp(709.0) < np.exp(710.0) == np.inf


@pytest.mark.parametrize("dtype, gap", [(np.float64, 37), (np.float32, 17)])
def test_from_which_gap_on_the_shifted_form_is_zero(dtype, gap):
    for ahead, nothing in ((gap - 1, False), (gap, True)):
        z = tg.Tensor(np.array([ahead, 0], dtype), requires_grad=True)
        loss = F.cross_entropy(z, 0)
        (gradient,) = tg.gradients(loss, [z])
        assert ((loss.item() == 0), (gradient[0] == 0)) == (nothing, nothing)


# ── Markdown ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("name", "heading"), HEADINGS)
def test_every_section_is_in_the_contents(name, heading):
    assert f"(#{heading})" in PROSE[name].split("## ")[0]


@pytest.mark.parametrize("formula", sorted({"".join(f) for f in FORMULAS}))
def test_a_formula_survives_markdown(formula):
    assert not re.search(r"\\[^a-zA-Z]", formula)  # Markdown takes the backslash
    assert not re.search(r"[*<>|`]", formula)
    assert not re.search(r"[^\w]_", formula)  # Markdown may read emphasis from there on
    assert not re.search(r"^ *([-+*]|#+|\d+\.) ", formula, re.MULTILINE)  # a list, or a heading
    assert "operatorname" not in formula  # GitHub refuses it
    assert formula.count("{") == formula.count("}")
    assert formula.count(r"\left") == formula.count(r"\right")


@pytest.mark.parametrize("name", NAMES)
def test_dollars_pair_up(name):
    prose = PROSE[name]
    assert prose.replace("$$", "").count("$") % 2 == 0
    assert prose.count("$$") % 2 == 0
    assert not re.search(r"\$\n\n.*[^$]\n\$\n", prose)
