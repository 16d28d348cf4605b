"""From a picture to DOT, the language of Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..diagram import Arrow, Picture, Region
from . import style
from .labels import box_label, fold_label, legend, oval_label, region_label
from .style import FOLD, LOOKS, OVAL, Look

if TYPE_CHECKING:
    from graphviz import Digraph


def digraph_of(
    picture: Picture, direction: str, *, values: bool = True, grads: bool = True
) -> Digraph:
    """The picture as a `graphviz.Digraph`, with a legend below it."""
    from graphviz import Digraph

    graph = Digraph(
        "computation",
        graph_attr={
            "rankdir": direction,
            "charset": "UTF-8",  # pygraphviz goes by the first one in the text
            "bgcolor": "white",
            "fontname": style.FONT,
            "fontsize": "11",
            "fontcolor": style.TEXT,
            "nodesep": "0.18",
            "ranksep": "0.28",
            "pad": "0.15",
            "label": legend(picture, values, grads),
            "labelloc": "b",
            "labeljust": "l",
            **picture.effort,
        },
        node_attr={
            "shape": "box",
            "fontname": style.DIGITS,
            "fontsize": "10",
            "fontcolor": style.TEXT,
            "margin": "0.06,0.03",
            "height": "0.25",
            "width": "0.3",
        },
        edge_attr={
            "color": style.ARROW,
            "arrowsize": "0.6",
            "fontname": style.FONT,
            "fontsize": "9",
            "fontcolor": style.MUTED,
            "labeldistance": "1.5",
        },
    )
    _add_nodes(graph, picture, direction, values)
    for arrow in picture.arrows:
        graph.edge(arrow.source, arrow.target, **_arrow_attributes(arrow))
    return graph


def _add_nodes(graph: Digraph, picture: Picture, direction: str, values: bool) -> None:
    """Each node into the cluster of its scope, and the inner clusters into the outer ones."""
    from graphviz import Digraph

    clusters: dict[Region | None, Digraph] = {None: graph}
    for region in picture.regions:
        if not region.folded:
            clusters[region] = Digraph(
                f"cluster_{region.id}", graph_attr=_cluster(region, direction)
            )
    for box in picture.boxes:
        clusters[box.region].node(box.id, box_label(box, picture, values), **_node(LOOKS[box.kind]))
    for oval in picture.ovals:
        clusters[oval.region].node(oval.id, oval_label(oval), **_node(OVAL))
    for region in sorted(picture.regions, key=lambda region: -region.level):
        if region.folded:
            clusters[region.outer].node(region.id, fold_label(region), **_node(FOLD))
        else:
            clusters[region.outer].subgraph(clusters[region])


def _node(look: Look) -> dict[str, str]:
    attributes = {"style": look.style, "fillcolor": look.fill, "color": look.line}
    if look.shape != "box":
        attributes |= {"shape": look.shape, "fontname": style.FONT, "fontsize": "11"}
    if look.width != 1:
        attributes["penwidth"] = str(look.width)
    if look.double:
        attributes["peripheries"] = "2"
    return attributes


def _cluster(region: Region, direction: str) -> dict[str, str]:
    return {
        "label": region_label(region),
        # Away from where arrows come in, so that they do not cross it.
        "labeljust": "l" if direction == "RL" else "r",
        "labelloc": "t",
        "fontcolor": style.MUTED,
        "style": "filled,rounded",
        "fillcolor": style.SCOPE_FILLS[region.level % 2],
        "color": style.SCOPE_LINE,
        "margin": "10",
    }


def _arrow_attributes(arrow: Arrow) -> dict[str, str]:
    attributes = {}
    if arrow.argument:
        attributes["headlabel"] = arrow.argument
    if not arrow.differentiable:
        attributes["style"] = "dashed"
    if arrow.makes:
        attributes["weight"] = "8"  # keeps a primitive and its result in one line
    if arrow.enters:
        # Leaves inside a scope need a rank of their own before its first primitive. Without this
        # one, the frame would overlap the ranks of what comes before, and be put aside.
        attributes["minlen"] = "2"
    return attributes
