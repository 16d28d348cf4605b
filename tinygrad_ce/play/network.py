"""A network that learns, live."""

from __future__ import annotations

from typing import Any, ClassVar

from .messages import Message, Schema


class Network:
    """The second part of the page."""

    MESSAGES: ClassVar[Schema] = {"set": {}, "code": {}}

    def __init__(self, training: tuple[Any, Any, Any] | None = None) -> None:
        self.running = False

    def handle(self, message: Message) -> list[Message]:
        return []

    def tick(self) -> list[Message]:
        return []
