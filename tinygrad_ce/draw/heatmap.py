"""Heat maps: a large array as a small picture of few colors.

The scale diverges from zero: blue below, white at zero, orange above, distinct with any color
vision, and differing in lightness from white by the same steps. A block of elements becomes one
cell, with the element of the largest magnitude in it, so that no outlier is averaged away. What is
not finite is black.
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MAX_CELLS = 16  # along each side

_NEGATIVE, _ZERO, _POSITIVE = np.array([[0x00, 0x5A, 0x9C], [0xF7] * 3, [0xC8, 0x52, 0x00]])


@np.errstate(invalid="ignore")
def cells(array: Array, most: int = MAX_CELLS) -> Array:
    """Return the array in rows along its last axis, shrunk to `most` cells along each side.

    >>> cells(np.array([[1.0, -2.0, 0.5, 0.0]]), 2)
    array([[-2. ,  0.5]])
    """
    grid = np.asarray(array, float).reshape(-1, array.shape[-1] if array.ndim else 1)
    for axis, n in enumerate(grid.shape):
        if n > most:
            starts = np.arange(most) * n // most
            high = np.maximum.reduceat(grid, starts, axis)  # nan, where there is one
            low = np.minimum.reduceat(grid, starts, axis)
            grid = np.where(np.abs(low) > np.abs(high), low, high)
    return grid


def colors(grid: Array) -> Array:
    """Return the color of each cell: shape (rows, columns, 3), of bytes.

    >>> colors(np.array([[-1.0, 0.0, 1.0, np.nan]]))[0].tolist()
    [[0, 90, 156], [247, 247, 247], [200, 82, 0], [0, 0, 0]]
    """
    finite = np.isfinite(grid)
    largest = np.max(np.abs(grid), where=finite, initial=0.0)
    share = np.where(finite, grid, 0) / (largest or 1)
    end = np.where(share[..., None] < 0, _NEGATIVE, _POSITIVE)
    color = _ZERO + (end - _ZERO) * np.abs(share)[..., None]
    return np.where(finite[..., None], np.rint(color), 0).astype(np.uint8)


def png(pixels: Array) -> str:
    """Encode pixels (rows, columns, 3) as a PNG in a data: address, which needs no file."""
    rows, columns, _ = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0))
    data, end = _chunk(b"IDAT", zlib.compress(lines, 9)), _chunk(b"IEND", b"")
    picture = b"\x89PNG\r\n\x1a\n" + header + data + end
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def _chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def thumbnail(array: Array) -> str:
    """Return the array as a heat map in a data: address."""
    return png(colors(cells(array)))
