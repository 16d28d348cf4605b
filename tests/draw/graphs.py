"""Graphs that several tests draw, and how to read what is drawn."""

import html
import re
import xml.etree.ElementTree as ET

import numpy as np

import tinygrad_ce as tg

SVG = "{http://www.w3.org/2000/svg}"


def parameter(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name)


def cross_entropy_by_hand():
    z = parameter([2.0, 1.0, 0.1], "z")
    with tg.scope("cross-entropy"):
        total = z.exp().sum()
        with tg.scope("log of softmax"):
            loss = total.log() - z[0]
    loss.name = "loss"
    return loss


def two_layers():
    rng = np.random.default_rng(0)
    h = tg.Tensor(rng.normal(size=(2, 3)), name="x")
    for i in (1, 2):
        with tg.scope(f"layer {i}"):
            W = parameter(rng.normal(size=(3, 3)), f"W{i}")
            b = parameter(rng.normal(size=3), f"b{i}")
            with tg.scope("affine"):
                h = h @ W + b
            h = h.tanh()
    loss = (h * h).mean()
    loss.name = "loss"
    return loss


def chain(n):
    x = parameter(1.0, "x")
    with tg.scope("chain"):
        for _ in range(n):
            x = x.tanh()
    return x


def bare_chain(n):
    x = parameter(1.0, "x")
    for _ in range(n):
        x = x.tanh()
    return x


def one_of_each_kind():
    w, x = parameter([1.0, 2.0], "w"), tg.Tensor([3.0, 4.0], name="x")
    loss = (w * x + np.array([5.0, 6.0])).sum()
    loss.name = "loss"
    return loss


# ── Reading DOT ───────────────────────────────────────────────────────────────────────────────────

QUOTED = r'(?:"(?:[^"\\]|\\.)*"|[^\s\]"]+)'


def nodes(drawing):
    """The attributes of each node, by its id."""
    found = re.findall(r"^\s*([tps]\d+) (\[.*\])$", drawing.dot, re.MULTILINE)
    return dict(found)


def edges(drawing):
    return re.findall(r"^\s*(\w+) -> (\w+)(?: \[(.*)\])?$", drawing.dot, re.MULTILINE)


def pairs(drawing):
    return [(source, target) for source, target, _ in edges(drawing)]


def words(label):
    """The words of a label, as Graphviz reads it."""
    inside = label[1:-1].replace(r"\"", '"') if label.startswith('"') else label
    read = re.sub(r"\\(.)", lambda match: "\\" if match[1] == "\\" else "\n", inside)
    return " ".join(html.unescape(read).replace("\u00a0", " ").split())


def label_of(drawing, node):
    return words(re.search(rf"\blabel=({QUOTED})", nodes(drawing)[node])[1])


def node_named(drawing, name):
    (found,) = [n for n in nodes(drawing) if label_of(drawing, n).split()[:1] == [name]]
    return found


def attribute(drawing, node, name):
    found = re.search(rf"\b{name}=({QUOTED})", nodes(drawing)[node])
    return found and found[1].strip('"')


def clusters_around(drawing, node):
    """The labels of the clusters around a node, from the outside in."""
    stack = []
    for line in drawing.dot.splitlines():
        if line.strip().startswith("subgraph"):
            stack.append(None)
        elif stack and stack[-1] is None:
            stack[-1] = words(re.search(rf"\blabel=({QUOTED})", line)[1])
        elif line.strip() == "}" and stack:
            stack.pop()
        elif line.strip().startswith(f"{node} ["):
            return stack
    raise AssertionError(f"{node} is not drawn")


def legend_of(drawing):
    return words(re.search(rf"^\s*graph \[.*\blabel=({QUOTED})", drawing.dot, re.MULTILINE)[1])


# ── Reading SVG ───────────────────────────────────────────────────────────────────────────────────


def texts(svg):
    """The words of each text in a picture."""
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def groups(svg):
    """The ids of what is drawn as a box or an oval, in DOT's names."""
    found = ET.fromstring(svg).iter(f"{SVG}g")
    return sorted(
        id
        for g in found
        if re.match(r"[tp]|s\d", id := g.get("data-id") or "")
        and not g.get("class").startswith("scope")
    )


# ── Colors ────────────────────────────────────────────────────────────────────────────────────────


def luminance(color):
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)
