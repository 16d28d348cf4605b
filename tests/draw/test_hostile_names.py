import xml.etree.ElementTree as ET

import pytest
from draw.graphs import SVG, groups, nodes, pairs, parameter, texts
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_ce as tg
from tinygrad_ce.draw import draw
from tinygrad_ce.draw.render import render
from tinygrad_ce.engine.names import printable

HOSTILE = [
    'say "hi"',
    "it's",
    "back\\slash",
    "ends in a backslash\\",
    r"\N \G \E \T \H \L \l \r \n",
    "<b>bold</b>",
    "<TABLE><TR><TD>x</TD></TR></TABLE>",
    "</FONT></TD></TR></TABLE>>",
    "a]; evil -> node [label=x",
    '"]; evil [label="x"]; x [label="',
    "{a|b|<port> c}",
    "line\nbreak\rand\ttab",
    "a & b &amp; c &#60; &lt;",
    "</title><script>alert(1)</script>",
    "<!-- comment -->",
    "]]>",
    "\x00\x01\x1f\x7f\x80\x9f",
    "\ud800 lone surrogate",
    "\ufffe\uffff",
    "שלום",
    "\u202eright to left\u2066",
    "می\u200cخواهم",
    "👩\u200d🔬",
    'charset="latin-1"',
    "graph",
    "node",
    "  spaces  ",
    "\u2028\u2029\u00a0",
    "x" * 10_000,
    "<" * 10_000,
    "\\" * 10_001,
    "-->",
    "%s %d {0}",
    "strict digraph {",
]


def named_everywhere(name):
    """A graph in which a parameter, an input, the output and nested scopes have this name."""
    w, x = parameter([1.0, 2.0], name), tg.Tensor([3.0, 4.0], name=name)
    with tg.scope(name), tg.scope(name):
        y = (w * x).exp()
    y = y.sum()
    y.name = name
    return y


def assert_harmless(name):
    plain = draw(named_everywhere("plain"))
    hostile = draw(named_everywhere(name))
    assert pairs(hostile) == pairs(plain)
    # A name without a visible character makes a leaf an unnamed one, which may be placed elsewhere.
    assert sorted(nodes(hostile)) == sorted(nodes(plain))
    hostile.dot.encode()
    svg = hostile.svg()
    root = ET.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    assert groups(svg) == sorted(nodes(plain))
    shown = " ".join(printable(name).replace("\u00a0", " ").split())
    by_graphviz = render(hostile.dot, "svg").decode()
    for picture in (svg, by_graphviz):
        assert shown in " ".join(" ".join(texts(picture)).replace("\u00a0", " ").split())
    assert len(svg) < 100_000


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_neither_breaks_nor_injects(name):
    assert_harmless(name)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec=None), min_size=1, max_size=60))
def test_no_name_breaks_or_injects(name):
    assert_harmless(name)
