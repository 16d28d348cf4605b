"""Event files, as TensorBoard reads them: records of protocol buffers with checksums."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

_POLYNOMIAL = 0x82F63B78  # of CRC-32C, with its bits reversed
_MASK = 0xA282EAD8
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # how a field is encoded


def _crc_table() -> list[int]:
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (_POLYNOMIAL if n & 1 else 0)
        table.append(n)
    return table


_TABLE = _crc_table()


def masked_crc(data: bytes) -> int:
    """Return the checksum of a record: CRC-32C, rotated and shifted.

    >>> hex(masked_crc(b"123456789"))
    '0xc78ab0e5'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


class EventFile:
    """A file of scalars in a folder, to which each epoch is added."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        name = f"events.out.tfevents.{int(now)}.{socket.gethostname()}.{os.getpid()}"
        self.path = folder / name
        self._append(_field(1, _FIXED64, struct.pack("<d", now)) + _text(3, "brain.Event:2"))

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """Add the scalars of a step, by name."""
        summary = b""
        for name, value in scalars.items():
            number = _field(2, _FIXED32, struct.pack("<f", value))
            summary += _message(1, _text(1, name) + number)
        head = _field(1, _FIXED64, struct.pack("<d", time.time()))
        self._append(head + _field(2, _VARINT, _varint(step)) + _message(5, summary))

    def _append(self, record: bytes) -> None:
        length = struct.pack("<Q", len(record))
        with self.path.open("ab") as file:
            file.write(
                length
                + struct.pack("<I", masked_crc(length))
                + record
                + struct.pack("<I", masked_crc(record))
            )


def _varint(n: int) -> bytes:
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def _field(number: int, kind: int, content: bytes) -> bytes:
    return _varint(number << 3 | kind) + content


def _message(number: int, content: bytes) -> bytes:
    return _field(number, _BYTES, _varint(len(content)) + content)


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode())
