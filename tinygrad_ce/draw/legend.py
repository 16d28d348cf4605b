"""The legend below a picture: what the kinds of boxes are called, and what else to know."""

from __future__ import annotations

from ..engine.names import printable
from . import formatting as text
from .diagram import Diagram, Kind


def kinds_in(diagram: Diagram) -> list[Kind]:
    """Return the kinds of tensors that occur, in the order of `Kind`."""
    found = {box.kind for box in diagram.boxes}
    return [kind for kind in Kind if kind in found]


def notes_on(diagram: Diagram, values: bool, grads: bool, heat_maps: bool) -> list[str]:
    """Return what else there is to know, one line each."""
    notes = [_note_on_gradients(diagram)] if grads else []
    if (depth := diagram.automatic_depth) is not None:
        notes.append(f"folded to depth={depth}, since it has {diagram.size:,} tensors")
    tensors = [box.tensor for box in diagram.boxes]
    large = any(t.size and not text.shown_in_numbers(t.shape) for t in tensors)
    if heat_maps and large and (values or diagram.differentiated):
        notes.append("heat map: blue below 0, white at 0, orange above; black is not finite")
    if any(not edge.differentiable for edge in diagram.edges):
        notes.append("dashed arrow: no gradient comes back along it")
    if any(edge.argument for edge in diagram.edges):
        notes.append("a, b at arrows: the order of the arguments, as in a − b")
    if any(frame.folded for frame in diagram.frames):
        notes.append("box with a tab: a scope, folded")
    return notes


def _note_on_gradients(diagram: Diagram) -> str:
    names = [printable(output.name or "") or "the output" for output in diagram.outputs]
    if diagram.differentiated:
        return f"grad: of {' + '.join(names)} with respect to the tensor"
    large = [i for i, output in enumerate(diagram.outputs) if output.size != 1]
    if large and any(output.requires_grad for output in diagram.outputs):
        size = diagram.outputs[large[0]].size
        return f"no gradients: they are of one number, and {names[large[0]]} has {size:,}"
    depend = "depends" if len(names) == 1 else "depend"
    return f"no gradients: {', '.join(names)} {depend} on no tensor that requires one"
