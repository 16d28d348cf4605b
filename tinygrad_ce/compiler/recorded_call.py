"""One call of a step, from its arguments to a program: for the compiler and for exports."""

from __future__ import annotations

from collections.abc import Callable, Collection
from operator import is_
from typing import Any

from ..engine.graph import Node
from ..engine.tensor import Tensor
from .arguments import argument_names, as_tensors, objects_in, tensors_in
from .guards import bits_of
from .ir import Op, Program, lower
from .outside_state import Recording, RecordingError
from .recorder import record
from .runtime import lock_of_process

one_recording = lock_of_process()  # at a time, since it assigns parameters and puts them back


def record_call(step: Callable[..., Any], name: str, args: Any, kwargs: Any) -> Recording:
    """Record a step with arrays and Tensors among its arguments as inputs.

    Raises
    ------
    RecordingError
        The step does what a replay could not repeat.
    """
    inputs: list[Tensor] = []
    given, named = as_tensors(args, kwargs, argument_names(step, args, kwargs), inputs)
    theirs = [*tensors_in([*args, *kwargs.values()])]
    borrowed = [x for x in inputs if any(x._value is t._value for t in theirs)]
    before = objects_in([given, named])
    with one_recording:
        recording = record(step, inputs, given, named, borrowed)
    after = objects_in([given, named])
    if len(after) != len(before) or not all(map(is_, after[1:], before[1:])):
        raise RecordingError(
            f"{name} changes a list or dict that is an argument, and a replay would "
            "leave the caller's as it is: return what it makes"
        )
    return recording


def lower_call(
    recording: Recording, name: str, live: Collection[Node] = ()
) -> tuple[Program, list[Tensor]]:
    """Return the program of a recording, and the Tensors that it returns and has computed.

    Leaves among the `live` ones count as no constants.
    """
    own = set(recording.inputs)

    def is_frozen(leaf: Node) -> bool:
        return not (leaf._requires_grad or leaf.name or leaf in live)

    results = [
        tensor
        for tensor in dict.fromkeys(tensors_in(recording.result))
        if tensor in own or tensor.primitive is not None or tensor.index >= recording.start
    ]
    for tensor in recording.accumulated.intersection(results):
        raise RecordingError(
            f"{name} returned {tensor.label()}, which it has made and given a gradient, "
            "and a replay would return it without: return its .grad too, and assign None to "
            "that, or return its detach()"
        )
    computed = [recording.assigned.get(tensor, tensor) for tensor in results]
    return lower(recording, computed, is_frozen), results


def check_same(name: str, one: Program, other: Program) -> None:
    """Refuse a step that does something else each time."""
    place = {id(op): i for p in (one, other) for i, op in enumerate(p.ops)}

    def spelled(op: Op) -> Any:
        data = bits_of(op.data) if op.is_constant else None
        if op.state is not None and op.state.attribute == "value":
            data = bits_of(op.state.content)
        return op.primitive, [place[id(x)] for x in op.inputs], repr(op.params), op.shape, data

    same = len(one.ops) == len(other.ops)
    returned = [[place[id(op)] for op in program.results] for program in (one, other)]
    same = same and returned[0] == returned[1]
    for a, b in zip(one.ops, other.ops, strict=False):
        same = same and spelled(a) == spelled(b)
    if not same:
        raise RecordingError(
            f"{name} was recorded twice, and did not compute the same: it draws random numbers or "
            "counts its calls, say, and a replay would not; draw by tg.sample from a generator "
            "that is made outside, or give such values as arguments"
        )
