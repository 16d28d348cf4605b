"""The types of arrays, and of what is computed with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
DType = np.dtype[Any]

# An array, a NumPy scalar, a Python number, or a Tensor: what a primitive's value or rule computes
# with, in either world. No static type covers operators on both.
Value = Any

# What a primitive is called with: values of its inputs, then parameters such as an axis.
Arguments = tuple[Any, ...]

# A function of whatever a user or NumPy gives it.
Function = Callable[..., Any]
