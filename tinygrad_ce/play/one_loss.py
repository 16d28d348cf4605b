"""One loss: its values and gradients as its logits move."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .. import functional as F
from ..draw import draw
from ..engine.tensor import Tensor
from .messages import Message, Schema, as_json, integer, items, real

MOST_CLASSES = 9


class OneLoss:
    """The first part of the page."""

    MESSAGES: ClassVar[Schema] = {
        "set": {
            "logits": items(real(-1000, 1000), 2, MOST_CLASSES),
            "label": integer(0, MOST_CLASSES - 1),
        },
        "freeze": {},
        "code": {},
    }
    running = False

    def __init__(self) -> None:
        self._logits, self._label = [2.0, 1.0, 0.1], 0

    def handle(self, message: Message) -> list[Message]:
        if message["do"] == "set":
            self._logits, self._label = message["logits"], message["label"]
        z = Tensor(self._logits, requires_grad=True, name="logits")
        loss = F.cross_entropy(z, self._label)
        if message["do"] == "freeze":
            return [{"kind": "frozen", "html": draw(loss).html()}]
        if message["do"] == "code":
            return [{"kind": "code", "text": f"logits = {self._logits}"}]
        loss.backward()
        return [
            {"kind": "frame", "loss": as_json(loss.data), "gradient": as_json(np.asarray(z.grad))}
        ]

    def tick(self) -> list[Message]:
        return []
