"""Tensor: an array that remembers how it was made.

A Tensor is a node of the graph: its value, the primitive that made it, and the Tensors it was made
from. Operators and methods look up their primitive, compute its value, and `record` the node;
backprop.py walks what was recorded.

Two decisions carry the rest:

* **The arrays of a graph never change.** A Tensor copies what it is given, returns read-only
  views, and assigning to ``t.data`` binds a new array. So no mutation can change a gradient
  silently: it raises, or the graph does not see it.
* **0-d values are NumPy scalars, not 0-d arrays,** inside. Arithmetic on them takes a tenth of the
  time. ``t.data`` is an array all the same. Python numbers in ``t * 2`` stay Python numbers, so
  that NumPy's promotion treats them as weak: float32 stays float32.
"""

from __future__ import annotations

import operator
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from importlib import import_module
from itertools import count, repeat
from types import FunctionType, MethodType
from typing import Never, Union, final

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..arguments import (
    as_numbers,
    check_dtype,
    check_flag,
    check_integer,
    check_kind,
    check_real,
    shown,
)
from ..other_names import NotOfTensors, keyword_error
from . import primitives as p
from .array_types import Arguments, Array, DType, Function, Value
from .axes import Axis, as_shape, count_along, from_the_end
from .backprop import backpropagate
from .commit import accumulate, commit
from .context import MODE, active_recorder
from .graph import FreedGraphError, Node
from .hooks import Options
from .kernels import ARRAY_SLOT
from .numpy_protocol import call_function, call_ufunc
from .primitives import Primitive
from .read_only import ReadOnlyArray

TensorLike = Union[ArrayLike, "Tensor"]

NEVER = sys.maxsize  # an index that no node reaches

_next_index = count(1).__next__
_new: Callable[[type[Tensor]], Tensor] = object.__new__


def _binary(primitive: Primitive) -> Callable[[Tensor, TensorLike], Tensor]:
    """The operator of a primitive; on the path of every step, so without apply()'s generality."""
    value = primitive.value

    def operator(self: Tensor, other: Value) -> Value:
        if type(other) is not Tensor:
            other = as_operand(other)
            if other is NotImplemented:
                return NotImplemented
        a, b = self._value, other._value
        try:
            y = value(a, b)
        except Exception as error:
            raise refusal(primitive.name, (a, b), error) from None
        return record(primitive, y, (self, other), (a, b))

    return operator


def _reflected(primitive: Primitive) -> Callable[[Tensor, TensorLike], Tensor]:
    """The operator with the Tensor on the right."""
    operator = _binary(primitive)

    def reflected(self: Tensor, other: Value) -> Value:
        other = as_operand(other)
        return NotImplemented if other is NotImplemented else operator(other, self)

    return reflected


def _in_place(operator: Callable[[Tensor, TensorLike], Tensor]) -> Callable[..., Tensor]:
    """The in-place form of an operator: it assigns to a leaf that needs a gradient, under no_grad.

    Of all other Tensors, the name is bound to the result, as Python does for numbers.
    """

    def in_place(self: Tensor, other: TensorLike) -> Tensor:
        if not self._requires_grad or self.primitive is not None:
            return operator(self, other)
        if MODE.get().grad:
            raise RuntimeError(
                f"{self.label()} is a leaf that needs a gradient, and does not change while the "
                "graph is recorded: to update it, use `with tg.no_grad():` around the in-place "
                "operator; to compute with it, write w = w - x in place of w -= x"
            )
        result = operator(self, other)
        if result is not NotImplemented:
            self.set_value(result if result.dtype == self.dtype else result.astype(self.dtype))
            result = self
        return result

    return in_place


def _unary(primitive: Primitive, doc: str | None = None) -> Callable[[Tensor], Tensor]:
    """The operator or method of a primitive of one Tensor."""
    value = primitive.value

    def operator(self: Tensor) -> Tensor:
        x = self._value
        try:
            y = value(x)
        except Exception as error:
            raise refusal(primitive.name, (x,), error) from None
        return record(primitive, y, (self,), (x,))

    operator.__doc__ = doc
    return operator


class _OfModule:
    """A method that is a function of a module, which is loaded when it is first called."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.__name__, self.__qualname__ = module, name, f"Tensor.{name}"
        self.__doc__ = f"Return what `np.{name}` does of this Tensor."

    @cached_property
    def __wrapped__(self) -> Callable[..., Value]:  # whose signature inspect shows
        function: Callable[..., Value] = getattr(
            import_module(f".{self.module}", __package__), self.__name__
        )
        return function

    def __get__(self, instance: Tensor | None, kind: type) -> Callable[..., Value]:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: object, **kwargs: object) -> Value:
        return self.__wrapped__(*args, **kwargs)


_NUMBERS = frozenset((bool, int, float))


@final
class Tensor(Node, NotOfTensors):
    """An array that remembers how it was made: a node of a graph, with NumPy's operators.

    The twenty things that one needs; all else is called as in NumPy::

        x = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)  # is to get a gradient
        x.name = "x"  # what drawings and messages call it
        x.shape, x.ndim, x.size
        x.dtype
        x.data  # the array, which nothing changes
        x.sum().item()  # the number of a single element
        x + 1.0, 2.0 * x, x / x, x**2
        x @ x.T
        np.exp(x), x.exp()  # and NumPy's other functions: log, tanh, sqrt, ...
        x.relu()
        x.sum(axis=1), x.mean(axis=0, keepdims=True), x.max(axis=1)
        x.argmax(axis=1)
        x[0], x[:, 1], x[[0, 1], [1, 0]]  # every index of NumPy
        x.reshape(4), x.T
        tg.where(x.data > 2, x, 0.0)
        tg.concatenate([x, x]), tg.stack([x, x])
        (x * x).sum().backward()  # adds ∂/∂x to x.grad
        x.grad  # an array, or None; None is assigned to clear it
        x.detach()  # the same numbers, through which no gradient comes back
        with tg.no_grad():
            x -= 0.1 * x.grad  # nothing is recorded

    Parameters
    ----------
    data
        An array of numbers (keeps its dtype), a number or a list (become float64), or a Tensor
        (whose value is taken, without its graph).
    requires_grad
        Whether gradients with respect to this Tensor are wanted. Only for floating point.
    dtype
        Convert to this dtype.
    name
        A name for messages and drawings.
    copy
        With False, take the array over instead of copying it; it becomes read-only. Writing
        through another view of it, made before, would still change it: NumPy cannot tell.

    Raises
    ------
    TypeError
        Data that is not numeric; `requires_grad` on integers, booleans or complex numbers.

    Examples
    --------
    >>> import tinygrad_ce as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> loss = (x * x).sum()
    >>> loss.backward()
    >>> x.grad
    array([2., 4.])
    """

    __slots__ = ()

    inputs: tuple[Tensor, ...] | None

    __hash__ = object.__hash__

    def __init__(
        self,
        data: ArrayLike | Tensor,
        requires_grad: bool = False,
        *,
        dtype: DTypeLike | None = None,
        name: str | None = None,
        copy: bool = True,
    ) -> None:
        if requires_grad is not False:
            requires_grad = check_flag("requires_grad", requires_grad)
        if name is not None:
            check_kind("name", name, str)
        value = _numbers(data, dtype, check_flag("copy", copy))
        if requires_grad:
            _check_differentiable(value.dtype)
        _make_leaf(self, value)
        if type(data) is Tensor:
            recorder = active_recorder()
            if recorder is not None:
                recorder.copied(self, data)
        self._requires_grad = requires_grad
        self._tracked_since = self.index if requires_grad else NEVER
        self.name = name

    # ── What it holds ─────────────────────────────────────────────────────────────────────────

    @property
    def data(self) -> Array:
        """The value, as a read-only array. Assigning binds a copy; the graph keeps the old one."""
        recorder = active_recorder()
        if recorder is not None:
            recorder.reading(self)
        return _read_only_view(self._value)

    @data.setter
    def data(self, data: ArrayLike | Tensor) -> None:
        recorder = active_recorder()
        if recorder is not None:
            recorder.becoming_leaf(self)
        if self.primitive is not None:
            raise RuntimeError(
                f"cannot assign to the data of {self.label()}, which was computed; "
                "only leaves such as parameters can be assigned: detach() it first"
            )
        typed = isinstance(data, np.ndarray | np.generic)
        fresh = isinstance(data, Tensor)
        self.set_value(data if fresh else _numbers(data, None if typed else self.dtype, True))

    def set_value(self, value: Value) -> None:
        """Take over `value`, an array or Tensor of the same shape and dtype, as the leaf's own."""
        set_values([self], [value])

    @property
    def grad(self) -> Array | None:
        """The gradient that backward() has accumulated, as a read-only array, or None.

        To change it, assign: ``p.grad = p.grad * 0.5``; to clear it, assign None.
        """
        recorder = active_recorder()
        if recorder is not None:
            gradient = recorder.gradient_of(self)
            if gradient is not NotImplemented:  # a Tensor, with which a step can compute
                return None if gradient is None else recorder.returning(gradient)
        return None if self._grad is None else _read_only_view(self._grad)

    @grad.setter
    def grad(self, gradient: ArrayLike | Tensor | None) -> None:
        recorder = active_recorder()
        if recorder is not None and recorder.set_gradient(self, gradient) is not NotImplemented:
            return
        if type(gradient) is Tensor:
            gradient = gradient._value
        if gradient is not None:
            gradient = as_numbers(gradient, "a gradient", self.dtype)[()]
            if np.shape(gradient) != self.shape:
                raise ValueError(
                    f"a gradient has the shape of its tensor: {self.label()} has shape "
                    f"{self.shape}, the gradient {np.shape(gradient)}"
                )
        self._grad = gradient

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this Tensor. Can be set on leaves."""
        recorder = active_recorder()
        if recorder is not None:
            recorder.depends_on(self, "_requires_grad")
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        recorder = active_recorder()
        if recorder is not None:
            recorder.becoming_leaf(self)
        if self.primitive is not None:
            raise RuntimeError(
                f"requires_grad can be set on leaves only, not on {self.label()}, which was "
                "computed: use detach() for a leaf with its value"
            )
        wanted = check_flag("requires_grad", wanted)
        if wanted:
            _check_differentiable(self.dtype)
        if recorder is not None:
            recorder.switching(self)
        if wanted != self._requires_grad:
            self._requires_grad = wanted
            self._tracked_since = _next_index() if wanted else NEVER

    def numpy(self) -> Array:
        """Return the value as a read-only array, the same as `data`."""
        return self.data

    def item(self) -> Value:
        """Return the value of a Tensor with one element, as a Python number.

        Raises
        ------
        ValueError
            It has another number of elements.
        """
        number = self._number()
        return number.item() if isinstance(number, np.generic) else number

    def _number(self) -> Value:
        """The one element, as a NumPy scalar or a Python number."""
        value = self._value
        if type(value) is np.ndarray:
            if value.size != 1:
                raise ValueError(
                    f"{self.label()} has {self.size} elements; item(), float(), int() and bool() "
                    "need exactly one: index it first, or use .data for the whole array"
                )
            value = value.reshape(())[()]
        recorder = active_recorder()
        if recorder is not None:
            recorder.reading(self)
        return value

    def detach(self) -> Tensor:
        """Return a leaf with the same value, through which no gradient flows."""
        return apply_unary(p.stop_gradient, self)

    def retain_grad(self) -> None:
        """Ask backward() to store `.grad` here too, though this Tensor is no leaf."""
        if not self._requires_grad:
            raise RuntimeError(f"{self.label()} needs no gradient, so none can be retained")
        if self._retains_grad is None:
            raise FreedGraphError(self, "call retain_grad() before it")
        self._retains_grad = True

    # ── As a node of the graph ────────────────────────────────────────────────────────────────

    def backward(
        self,
        gradient: ArrayLike | None = None,
        retain_graph: bool = False,
        **other: Never,
    ) -> None:
        """Accumulate ∂self/∂leaf into the `.grad` of every leaf that requires it.

        Parameters
        ----------
        gradient
            The cotangent ∂L/∂self, of this shape. May be left out when there is one element.
        retain_graph
            Keep the graph for another backward pass. Otherwise it is freed on the way.

        Raises
        ------
        RuntimeError
            Nothing here requires a gradient, or no gradient is given for more than one element.
        FreedGraphError
            The graph was freed by an earlier backward().
        ValueError
            The gradient has another shape.

        >>> import tinygrad_ce as tg
        >>> x = tg.Tensor(3.0, requires_grad=True)
        >>> (x**3).backward()
        >>> x.grad
        array(27.)
        """
        if other:
            raise keyword_error("backward", other)
        if retain_graph is not False:
            check_flag("retain_graph", retain_graph)
        if not self._requires_grad:
            raise RuntimeError(
                f"{self.label()} does not depend on any tensor with requires_grad=True, "
                "or was computed under no_grad(); there is nothing to differentiate"
            )
        recorder = active_recorder()
        if recorder is not None:
            done = recorder.backward(self, gradient, retain_graph)
            if done is not NotImplemented:
                return
        gradients = backpropagate(self, self.cotangent(gradient), free=not retain_graph)
        accumulate(gradients, _total)

    def cotangent(self, gradient: ArrayLike | Tensor | None = None) -> Value:
        """Return the cotangent at which backprop from here begins: `gradient` checked, or 1."""
        dtype = self._value.dtype
        if gradient is None:
            if self._value.size != 1:
                raise RuntimeError(
                    f"{self.label()} has {self.size} elements: reduce it to one, for instance by "
                    f"sum() or mean(), or give the gradient, an array of shape {self.shape}"
                )
            return np.ones(self.shape, dtype) if self.shape else dtype.type(1)
        if type(gradient) is Tensor:
            gradient = gradient._value
        g = as_numbers(gradient, "a gradient", dtype)[()]
        if g.shape != self.shape:
            raise ValueError(
                f"the gradient of {self.label()} must have its shape {self.shape}, got {g.shape}"
            )
        return g

    def __primitive__(self, primitive: Primitive, arguments: Arguments) -> Tensor:
        """Apply a primitive to arguments, the first of which is a Tensor."""
        n = len(arguments) - len(primitive.params)
        return apply(primitive, *map(as_operand, arguments[:n]), params=arguments[n:])

    # ── Operators ─────────────────────────────────────────────────────────────────────────────

    __array_priority__ = 1000

    __add__, __radd__ = _binary(p.add), _reflected(p.add)
    __sub__, __rsub__ = _binary(p.subtract), _reflected(p.subtract)
    __mul__, __rmul__ = _binary(p.multiply), _reflected(p.multiply)
    __truediv__, __rtruediv__ = _binary(p.divide), _reflected(p.divide)
    __mod__, __rmod__ = _binary(p.remainder), _reflected(p.remainder)
    __floordiv__, __rfloordiv__ = _binary(p.floor_divide), _reflected(p.floor_divide)
    __and__, __rand__ = _binary(p.logical_and), _reflected(p.logical_and)
    __or__, __ror__ = _binary(p.logical_or), _reflected(p.logical_or)
    __lt__, __le__ = _binary(p.less), _binary(p.less_equal)
    __gt__, __ge__ = _binary(p.greater), _binary(p.greater_equal)
    __eq__ = _binary(p.equal)  # type: ignore[assignment]
    __ne__ = _binary(p.not_equal)  # type: ignore[assignment]
    __neg__, __abs__, __invert__ = _unary(p.negative), _unary(p.abs_), _unary(p.logical_not)

    def __divmod__(self, other: Value) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __rdivmod__(self, other: Value) -> tuple[Tensor, Tensor]:
        return other // self, other % self

    def __pos__(self) -> Tensor:
        return self

    def __pow__(self, exponent: TensorLike) -> Tensor:
        if isinstance(exponent, int | float):
            return apply_unary(p.scalar_power, self, exponent)
        return _power(self, exponent)

    def __rpow__(self, base: Value) -> Tensor:
        base = as_operand(base)
        return NotImplemented if base is NotImplemented else _power(base, self)

    def __matmul__(self, other: Value) -> Tensor:
        if type(other) is not Tensor:
            other = as_operand(other)
            if other is NotImplemented:
                return NotImplemented
        a, b = self._value, other._value
        if type(a) is type(b) is np.ndarray and a.ndim > 1 < b.ndim:
            try:
                y = p.matmul.value(a, b)
            except Exception as error:
                raise refusal("matmul", (a, b), error) from None
            return record(p.matmul, y, (self, other), (a, b))
        return matmul(self, other)

    def __rmatmul__(self, other: Value) -> Tensor:
        other = as_operand(other)
        return NotImplemented if other is NotImplemented else matmul(other, self)

    __iadd__, __isub__, __imul__ = _in_place(__add__), _in_place(__sub__), _in_place(__mul__)
    __itruediv__, __ipow__ = _in_place(__truediv__), _in_place(__pow__)
    __imatmul__ = _in_place(__matmul__)

    def __getitem__(self, index: object) -> Tensor:
        arrays, template = _split_index(index)
        try:
            return apply(p.getitem, self, *arrays, params=(template,))
        except IndexError:
            for part in arrays:
                if part.dtype.kind == "f":
                    raise IndexError(
                        f"an index holds integers or booleans, got {part.dtype}: convert it with "
                        "astype(int)"
                    ) from None
            raise

    def __setitem__(self, index: object, value: Value) -> None:
        raise TypeError(
            "a Tensor cannot be assigned into, since the graph remembers its value; write "
            "t = np.where(mask, value, t) instead, or build the array before making it a Tensor"
        )

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d Tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("iteration over a 0-d Tensor")
        return (self[i] for i in range(self.shape[0]))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"the truth of {self.label()} with {self.size} elements is ambiguous: compare and "
                "reduce first, or choose element by element with np.where"
            )
        return bool(self.item())

    def __float__(self) -> float:
        number = float(self._number())
        self._warn_of_lost_gradient("float")
        return number

    def __int__(self) -> int:
        number = int(self._number())
        self._warn_of_lost_gradient("int")
        return number

    def __complex__(self) -> complex:
        number = complex(self._number())
        self._warn_of_lost_gradient("complex")
        return number

    def _warn_of_lost_gradient(self, name: str) -> None:
        # NumPy and math call these for a[0] = t, np.float64(t) and math.exp(t).
        if self._passes_gradient():
            warnings.warn(
                f"{name}() of {self.label()} drops its gradient; use t.item() if the number alone "
                "is meant",
                UserWarning,
                stacklevel=3,
            )

    def _passes_gradient(self) -> bool:
        """Whether a gradient can still be asked for: one is required, and no graph is freed."""
        return self._requires_grad and self._retains_grad is not None

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"only integer Tensors can be an index, not {self.dtype}")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self) -> str:
        recorder = active_recorder()
        if recorder is not None:
            recorder.reading(self)
        value = _read_only_view(self._value)
        text = np.array2string(value, separator=", ", prefix="Tensor(", threshold=100)
        parts = [text]
        if not self.size and self.ndim > 1:
            parts.append(f"shape={self.shape}")
        if self.dtype not in (np.float64, np.int64, np.bool_):
            parts.append(f"dtype={self.dtype}")
        if self.name is not None:
            parts.append(f"name={self.name!r}")
        if self.primitive is not None:
            parts.append(f"from {self.primitive.name}")
        elif self._requires_grad:
            parts.append("requires_grad=True")
        return f"Tensor({', '.join(parts)})"

    def __reduce__(self) -> Arguments:
        recorder = active_recorder()
        if recorder is not None:
            recorder.reading(self)
        leaf_grad = self._requires_grad and self.primitive is None
        grad = self._grad if leaf_grad else None
        return _restored, (np.array(self._value), leaf_grad, self.name, grad)

    # ── NumPy's protocols ─────────────────────────────────────────────────────────────────────

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        if self._requires_grad:
            raise TypeError(
                f"converting {self.label()} to an array would silently drop its gradient; "
                "use t.data or t.detach() if that is meant"
            )
        if copy is False and dtype not in (None, self.dtype):
            raise ValueError(f"{self.dtype} cannot be viewed as {np.dtype(dtype)} without a copy")
        return np.array(self.data, dtype=dtype) if copy or dtype is not None else self.data

    def __dlpack__(self, *, copy: bool | None = None, **options: Value) -> Value:
        if copy is not None and not check_flag("copy", copy):
            raise BufferError("a Tensor shares its memory with nobody: use copy=None or True")
        return self.__array__(copy=True).__dlpack__(**options)

    def __dlpack_device__(self) -> Arguments:
        return np.empty(0).__dlpack_device__()

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: object, **kwargs: object
    ) -> Value:
        return call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(
        self, function: Function, types: object, args: Arguments, kwargs: Options
    ) -> Value:
        return call_function(function, args, kwargs)

    # ── Elementwise functions ─────────────────────────────────────────────────────────────────

    exp = _unary(p.exp, "Return e to the power of each element.")
    expm1 = _unary(p.expm1, "Return exp(x) - 1, accurate near 0.")
    log = _unary(p.log, "Return the natural logarithm; -inf at 0 and nan below, without a warning.")
    log1p = _unary(p.log1p, "Return log(1 + x), accurate near 0.")
    sqrt = _unary(p.sqrt, "Return the square root; its derivative at 0 is inf.")
    sin = _unary(p.sin, "Return the sine.")
    cos = _unary(p.cos, "Return the cosine.")
    erf = _unary(p.erf, "Return the error function 2/√π ∫₀ˣ exp(-t²) dt.")
    tanh = _unary(p.tanh, "Return the hyperbolic tangent.")
    sigmoid = _unary(p.sigmoid, "Return 1 / (1 + exp(-x)), without overflow.")
    relu = _unary(p.relu, "Return max(x, 0); its derivative at 0 is 0.")
    abs = _unary(p.abs_, "Return the absolute value; its derivative at 0 is 0.")

    def clip(self, min: float | None = None, max: float | None = None) -> Tensor:
        """Limit to [min, max]; the derivative is 1 inside and at both ends, 0 outside."""
        if isinstance(min, Tensor) or isinstance(max, Tensor):
            raise TypeError(
                "the bounds of clip get no gradient, so they are numbers or arrays: for bounds "
                "that are Tensors, use tg.minimum(tg.maximum(x, min), max)"
            )
        bounds = (
            b if b is None or type(b) in _NUMBERS else as_numbers(b, "a bound of clip")[()]
            for b in (min, max)
        )
        return apply_unary(p.clip, self, *bounds)

    # ── Reductions ────────────────────────────────────────────────────────────────────────────

    def sum(self, axis: Axis = None, keepdims: bool = False, **other: Never) -> Tensor:
        """Return the sum over all axes, or over the given one or ones."""
        if other:
            raise keyword_error("sum", other)
        return apply_unary(p.sum_, self, axis, keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False, **other: Never) -> Tensor:
        """Return the maximum; elements that tie for it share the gradient equally."""
        if other:
            raise keyword_error("max", other)
        return apply_unary(p.max_, self, axis, keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False, **other: Never) -> Tensor:
        """Return the minimum; elements that tie for it share the gradient equally."""
        if other:
            raise keyword_error("min", other)
        return apply_unary(p.min_, self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False, **other: Never) -> Tensor:
        """Return the sum divided by the number of elements; nan where there are none."""
        if other:
            raise keyword_error("mean", other)
        return apply_unary(p.mean, self, axis, keepdims)

    def var(
        self, axis: Axis = None, keepdims: bool = False, *, ddof: int = 0, **other: Never
    ) -> Tensor:
        """Return the variance: the mean of squared distances from the mean, over n - ddof.

        float16 is computed in float32, in which the squares do not overflow.
        """
        if other:
            raise keyword_error("var", other)
        n = max(count_along(self.shape, axis) - check_real("ddof", ddof), 0)
        wide = self.astype(np.float32) if self.dtype == np.float16 else self
        distance = wide - wide.mean(axis, keepdims=True)
        variance = (distance * distance).sum(axis, keepdims) / n
        return variance if wide is self else variance.astype(self.dtype)

    def std(
        self, axis: Axis = None, keepdims: bool = False, *, ddof: int = 0, **other: Never
    ) -> Tensor:
        """Return the standard deviation, the square root of the variance.

        Where all elements are equal, it has a kink, and the gradient is 0, the one in the middle.
        The second derivative does not exist there, and is nan.
        """
        if other:
            raise keyword_error("std", other)
        wide = self.astype(np.float32) if self.dtype == np.float16 else self
        deviation = apply_unary(p.root, wide.var(axis, keepdims, ddof=ddof), 2)
        return deviation if wide is self else deviation.astype(self.dtype)

    def cumsum(self, axis: int | None = None, **other: Never) -> Tensor:
        """Return the sums of the elements up to each; with None, of all elements in order."""
        if other:
            raise keyword_error("cumsum", other)
        x = self if self.ndim and axis is not None else self.flatten()
        return apply_unary(p.cumsum, x, from_the_end(0 if axis is None else axis, x.ndim))

    def argmax(self, axis: int | None = None, keepdims: bool = False, **other: Never) -> Tensor:
        """Return the index of the first maximum, an integer Tensor without a gradient."""
        if other:
            raise keyword_error("argmax", other)
        return apply_unary(p.argmax, self, axis, check_flag("keepdims", keepdims))

    def argmin(self, axis: int | None = None, keepdims: bool = False, **other: Never) -> Tensor:
        """Return the index of the first minimum, an integer Tensor without a gradient."""
        if other:
            raise keyword_error("argmin", other)
        return apply_unary(p.argmin, self, axis, check_flag("keepdims", keepdims))

    # ── Shapes ────────────────────────────────────────────────────────────────────────────────

    def reshape(self, *shape: int | tuple[int, ...]) -> Tensor:
        """Return the same elements in another shape; one length may be -1."""
        return apply_unary(p.reshape, self, as_shape(shape))

    def flatten(self) -> Tensor:
        """Return the elements along one axis."""
        return self.reshape(-1)

    def transpose(self, *axes: int | tuple[int, ...] | None) -> Tensor:
        """Return the axes in another order, by default reversed."""
        default = not axes or (len(axes) == 1 and axes[0] is None)
        order = range(self.ndim)[::-1] if default else as_shape(axes)  # type: ignore[arg-type]
        return apply_unary(
            p.transpose, self, tuple(from_the_end(a, self.ndim) + self.ndim for a in order)
        )

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return self.transpose()

    @property
    def mT(self) -> Tensor:
        """The matrix transpose: the last two axes swapped."""
        return self.swapaxes(-1, -2)

    def swapaxes(self, a: int, b: int) -> Tensor:
        """Return the Tensor with two axes swapped."""
        axes = list(range(self.ndim))
        a, b = from_the_end(a, self.ndim), from_the_end(b, self.ndim)
        axes[a], axes[b] = axes[b], axes[a]
        return apply_unary(p.transpose, self, tuple(axes))

    def expand_dims(self, axis: int | tuple[int, ...]) -> Tensor:
        """Return the Tensor with new axes of length 1 at these places of the result."""
        return self.reshape(_new_shape(np.expand_dims, self, axis))

    def squeeze(self, axis: Axis = None, **other: Never) -> Tensor:
        """Return the Tensor without its axes of length 1, all or these."""
        if other:
            raise keyword_error("squeeze", other)
        return self.reshape(_new_shape(np.squeeze, self, axis))

    def broadcast_to(self, *shape: int | tuple[int, ...]) -> Tensor:
        """Repeat along new axes and axes of length 1 to this shape."""
        return apply_unary(p.broadcast_to, self, as_shape(shape))

    def copy(self) -> Tensor:
        """Return the Tensor itself, which nothing can change."""
        return self

    def conjugate(self) -> Tensor:
        """Return the Tensor itself, which is real."""
        return self

    conj = conjugate

    @property
    def real(self) -> Tensor:
        """The Tensor itself."""
        return self

    @property
    def imag(self) -> Tensor:
        """Zeros of this shape and dtype."""
        return constant(np.zeros(self.shape, self.dtype)[()])

    @property
    def itemsize(self) -> int:
        """The bytes of one element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self.size * self.dtype.itemsize

    def tolist(self) -> Value:
        """Return the value as Python numbers in nested lists; of a 0-d Tensor the number."""
        return self.data.tolist()

    def astype(self, dtype: DTypeLike) -> Tensor:
        """Convert to another dtype; no gradient flows to or from integers and booleans."""
        dtype = check_dtype(dtype)
        source = self if dtype.kind == "f" else self.detach()
        return apply_unary(p.astype, source, dtype)

    # ── As NumPy's functions ──────────────────────────────────────────────────────────────────

    prod = _OfModule("reductions", "prod")
    cumprod = _OfModule("reductions", "cumprod")
    ptp = _OfModule("reductions", "ptp")
    any = _OfModule("constant_functions", "any")
    all = _OfModule("constant_functions", "all")
    round = _OfModule("constant_functions", "round")
    nonzero = _OfModule("constant_functions", "nonzero")
    searchsorted = _OfModule("constant_functions", "searchsorted")
    argpartition = _OfModule("constant_functions", "argpartition")
    argsort = _OfModule("operations", "argsort")
    dot = _OfModule("products", "dot")
    ravel = _OfModule("rearranging", "ravel")
    take = _OfModule("rearranging", "take")
    repeat = _OfModule("rearranging", "repeat")
    trace = _OfModule("rearranging", "trace")
    diagonal = _OfModule("rearranging", "diagonal")

    def compress(self, condition: TensorLike, axis: int | None = None) -> Tensor:
        """Return what `np.compress` does of this Tensor."""
        function: Callable[..., Tensor] = _OfModule("rearranging", "compress")
        return function(condition, self, axis)


def _describe_operators() -> None:
    """Give each operator its name, and the docstring that it has for arrays."""
    for name, method in vars(Tensor).items():
        if isinstance(method, FunctionType):
            method.__name__, method.__qualname__ = name, f"Tensor.{name}"
            method.__doc__ = method.__doc__ or getattr(np.ndarray, name, None).__doc__


_describe_operators()

_NUMERIC = (Tensor, np.ndarray, np.generic, int, float, complex, list, tuple)
_power = _binary(p.power)

_total = np.errstate(all="ignore")(operator.add)


# ── Recording ─────────────────────────────────────────────────────────────────────────────────────


def record(
    primitive: Primitive, value: Value, inputs: tuple[Tensor, ...], arguments: Arguments
) -> Tensor:
    """Return a Tensor with a value just computed: a node if it may need a gradient, else a leaf."""
    mode = MODE.get()
    node = _new(Tensor)
    node._value = value
    node._grad = node.name = None
    node._retains_grad = False
    node.index = _next_index()
    node.scope = mode.scope
    if mode.observers:
        node.inputs = inputs
        for observer in mode.observers:
            observer.forward(node, primitive, arguments)
    if mode.grad and primitive.differentiable:
        for source in inputs:
            if source._requires_grad:
                node._requires_grad = True
                node._tracked_since = 0
                node.primitive = primitive
                node.inputs = inputs
                node._arguments = arguments
                return node
    node._requires_grad = False
    node._tracked_since = NEVER
    if mode.recorder is not None:  # no gradient passes here, but the recorder needs it
        node.primitive = primitive
        node.inputs = inputs
        node._arguments = arguments
        return node
    node.primitive = None
    node.inputs = ()
    node._arguments = ()
    return node


def apply(primitive: Primitive, *inputs: Tensor, params: Arguments = ()) -> Tensor:
    """Compute a primitive on Tensors and record it."""
    try:
        arguments = (*[source._value for source in inputs], *params)
        value = primitive.value(*arguments)
    except Exception as error:
        check_kind("primitive", primitive, Primitive)
        values = [check_kind("an input", source, Tensor)._value for source in inputs]
        raise refusal(primitive.name, (*values, *params), error) from None
    return record(primitive, value, inputs, arguments)


def apply_unary(primitive: Primitive, source: Tensor, *params: object) -> Tensor:
    """Compute a primitive of one Tensor and record it."""
    arguments = (source._value, *params)
    try:
        value = primitive.value(*arguments)
    except Exception as error:
        raise refusal(primitive.name, arguments, error) from None
    return record(primitive, value, (source,), arguments)


# What NumPy raises of arguments that do not fit. Some of its classes can be made by NumPy alone.
_REFUSALS = (
    np.exceptions.AxisError, np.linalg.LinAlgError, TypeError, IndexError, OverflowError, ValueError
)  # fmt: skip


def refusal(name: str, arguments: Arguments, error: Exception) -> Exception:
    """Return the error of a function of NumPy with the name of ours, and what it was given.

    An error of another kind is returned as it is: a user's own, or a FloatingPointError.
    """
    kind = next((kind for kind in _REFUSALS if isinstance(error, kind)), None)
    if kind is None or type(error).__module__.partition(".")[0] not in ("builtins", "numpy"):
        return error
    return kind(f"{name} of {', '.join(map(_described, arguments))}: {error}")


def _described(argument: object) -> str:
    if isinstance(argument, np.ndarray) and argument.shape:
        return f"{argument.dtype} of shape {argument.shape}"
    return shown(argument)


def run_check(check: Callable[..., None], x: Tensor, *args: object, **options: object) -> None:
    """Run ``check(value of x, ...)``, which raises what does not fit; repetitions run it too."""
    recorder = active_recorder()
    if recorder is not None:
        recorder.checking(check, x, args, options)
    check(x._value, *args, **options)


def set_values(leaves: Sequence[Tensor], values: Sequence[Value]) -> None:
    """Let leaves take over values, arrays or Tensors of their shapes and dtypes, all at once."""
    arrays = [value._value if isinstance(value, Tensor) else value for value in values]
    for leaf, array in zip(leaves, arrays, strict=True):
        if np.shape(array) != leaf.shape or array.dtype != leaf.dtype:
            raise ValueError(
                f"{leaf.label()} holds {leaf.dtype}{list(leaf.shape)}; it cannot be assigned "
                f"{array.dtype}{list(np.shape(array))}: shape and dtype stay the same"
            )
    recorder = active_recorder()
    if recorder is not None:
        pairs = zip(leaves, values, arrays, strict=True)
        kept = [(a, x) for a, v, x in pairs if recorder.assign(a, v) is NotImplemented]
        leaves, arrays = [leaf for leaf, _ in kept], [array for _, array in kept]
    commit(map(setattr, leaves, repeat("_value"), arrays))


def constant(value: Value) -> Tensor:
    """Return a leaf without a gradient that takes over an array, a scalar or a number."""
    return _make_leaf(_new(Tensor), value)


def as_tensor(data: TensorLike) -> Tensor:
    """Return `data` if it is a Tensor, else a constant with a copy of it."""
    if type(data) is Tensor:
        return data
    if type(data) is np.ndarray and data.ndim and data.dtype.kind in "biuf":
        return constant(data.copy())
    return constant(_numbers(data, None, True))


def as_operand(data: object) -> Value:
    """Convert as `as_tensor` does, but keep a Python number, which NumPy's promotion takes as weak.

    NotImplemented for what is not numeric, as Python's operators have it.
    """
    if type(data) in _NUMBERS:
        return constant(data)
    if isinstance(data, int):  # of a class of its own
        return constant(int(data))
    if isinstance(data, _NUMERIC):
        return as_tensor(data)
    return NotImplemented


def _make_leaf(node: Tensor, value: Value) -> Tensor:
    node._value = value
    node._arguments = ()
    node._grad = node.name = None
    node._tracked_since = NEVER
    node._requires_grad = node._retains_grad = False
    node.index = _next_index()
    node.inputs = ()
    node.primitive = node.scope = None
    return node


def _restored(value: Array, requires_grad: bool, name: str | None, grad: Value) -> Tensor:
    leaf = Tensor(value, requires_grad, name=name, copy=False)
    leaf._grad = grad
    return leaf


# ── From and to NumPy ─────────────────────────────────────────────────────────────────────────────


def _numbers(data: ArrayLike | Tensor, dtype: DTypeLike | None, copy: bool) -> Value:
    """Data as a node holds it: an array of numbers, or a NumPy scalar where it is 0-d."""
    if isinstance(data, Tensor):
        data = data._value
    elif isinstance(data, list | tuple) and any(isinstance(part, Tensor) for part in data):
        raise TypeError(
            "a list of Tensors as data would drop their gradients; join them with tg.stack "
            "or tg.concatenate"
        )
    if dtype is not None:
        dtype = check_dtype(dtype)
    array = as_numbers(data, "a Tensor holds", dtype, copy or None)
    if array.dtype.kind in "iu" and dtype is None and isinstance(data, int | list | tuple):
        array = array.astype(np.float64)
    return array[()] if array.ndim == 0 else array if copy else _freeze(array)


def _check_differentiable(dtype: DType) -> None:
    if dtype.kind != "f":
        raise TypeError(
            f"requires_grad=True is for floating point, not {dtype}: "
            "integers and booleans are for indices, labels and masks; use dtype=float"
        )


def _freeze(array: Array) -> Array:
    """The array, made read-only together with the arrays of which it is a view."""
    owner: Value = array
    while isinstance(owner, np.ndarray):
        owner.setflags(write=False)
        owner = owner.base
    return array


def _read_only_view(value: Value) -> Array:
    """A read-only array that cannot be made writeable again."""
    return _freeze(np.asarray(value)).view(ReadOnlyArray)


# ── Helpers of methods ────────────────────────────────────────────────────────────────────────────


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix product; a vector is a row on the left and a column on the right."""
    if a.ndim >= 2 and b.ndim >= 2:
        return apply(p.matmul, a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul needs vectors or matrices, got shapes {a.shape} and {b.shape}")
    row = a.reshape(1, -1) if a.ndim == 1 else a
    column = b.reshape(-1, 1) if b.ndim == 1 else b
    if row.shape[-1] != column.shape[-2]:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not match")
    y = apply(p.matmul, row, column)
    shape = y.shape[:-2] + (y.shape[-2],) * (a.ndim > 1) + (y.shape[-1],) * (b.ndim > 1)
    return y.reshape(shape)


def _new_shape(function: Function, x: Tensor, axis: Axis) -> tuple[int, ...]:
    """The shape of what a function of NumPy makes of an array and axes."""
    if axis is not None:
        axes = axis if isinstance(axis, tuple | list) else (axis,)
        axis = tuple([check_integer("axis", a) for a in axes])
    try:
        shape: tuple[int, ...] = function(np.empty(x.shape, bool), axis).shape
    except Exception as error:
        raise refusal(function.__name__, (x._value, axis), error) from None
    return shape


def _split_index(index: object) -> tuple[list[Tensor], Arguments]:
    """The arrays in an index, as Tensors, and the index with a slot in the place of each."""
    parts = index if type(index) is tuple else (index,)
    arrays: list[Tensor] = []
    template: list[object] = []
    for part in parts:
        if part is None or part is Ellipsis or type(part) in (int, slice):
            template.append(part)
        else:
            arrays.append(as_index(part))
            template.append(ARRAY_SLOT)
    return arrays, tuple(template)


def as_index(index: object) -> Tensor:
    """Return an index as a Tensor. Unlike in `as_tensor`, lists of integers stay integers."""
    if type(index) is Tensor:
        return index
    array = as_numbers(index, "an index")
    if not array.size and type(index) is list:  # an index of nothing, though NumPy takes floats
        array = array.astype(np.intp)
    return constant(array[()])
