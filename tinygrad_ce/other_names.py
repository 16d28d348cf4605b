"""Names of PyTorch and of NumPy's arrays that are not there, and what to write instead.

One table for the errors (`t.unsqueeze`, `nn.Conv2d`, `t.sum(dim=0)`) and for docs/coming_from.md,
whose rows a test runs on both sides. Where NumPy has a thing, its name is the only one.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, NoReturn, TypeVar

Called = TypeVar("Called", bound=Callable[..., Any])

# ── What is written otherwise ─────────────────────────────────────────────────────────────────────

# Names of shapes (3, 4), (5, 4) and so on are those of tests/docs/test_coming_from_torch.py.
TENSOR = {
    # Shapes
    "x.view(2, 6)": "x.reshape(2, 6)",
    "x.view_as(t)": "x.reshape(t.shape)",
    "x.reshape_as(t)": "x.reshape(t.shape)",
    "x.unflatten(1, (2, 2))": "x.reshape(3, 2, 2)",
    "c.flatten(1, 2)": "c.reshape(3, 12)",
    "x.size(0)": "x.shape[0]",
    "x.dim()": "x.ndim",
    "x.ndimension()": "x.ndim",
    "x.numel()": "x.size",
    "x.nelement()": "x.size",
    "x.element_size()": "x.itemsize",
    "x.unsqueeze(0)": "x.expand_dims(0)",
    "c.permute(2, 0, 1)": "c.transpose(2, 0, 1)",
    "x.transpose(0, 1)": "x.swapaxes(0, 1)",
    "x.swapdims(0, 1)": "x.swapaxes(0, 1)",
    "x.movedim(0, 1)": "np.moveaxis(x, 0, 1)",
    "x.moveaxis(0, 1)": "np.moveaxis(x, 0, 1)",
    "x.t()": "x.T",
    "x.H": "x.T",
    "x.mH": "x.mT",
    "x.adjoint()": "x.mT",
    "x.expand(2, 3, 4)": "x.broadcast_to(2, 3, 4)",
    "r.expand_as(x)": "r.broadcast_to(x.shape)",
    "r.sum_to_size(1)": "r.sum(keepdims=True)",
    "x.repeat(2, 1)": "np.tile(x, (2, 1))",
    "x.tile(2, 1)": "np.tile(x, (2, 1))",
    "x.repeat_interleave(2, 0)": "x.repeat(2, 0)",
    "x.contiguous()": "x.copy()",
    "x.clone()": "x.copy()",
    # Parts
    "x.select(1, 2)": "x[:, 2]",
    "x.narrow(1, 0, 2)": "x[:, 0:2]",
    "x.narrow_copy(1, 0, 2)": "x[:, 0:2]",
    "x.index_select(0, y)": "x[y]",
    "x.masked_select(b)": "x[b]",
    "x.take_along_dim(k, 1)": "np.take_along_axis(x, k, 1)",
    "x.gather(1, k)": "np.take_along_axis(x, k, 1)",
    "x.unbind()": "list(x)",
    "x.split(2, 1)": "np.split(x, [2], 1)",
    "x.split_with_sizes([1, 3], 1)": "np.split(x, [1], 1)",
    "x.chunk(2, 1)": "np.array_split(x, 2, 1)",
    "x.tensor_split(3, 1)": "np.array_split(x, 3, 1)",
    "x.hsplit(2)": "np.hsplit(x, 2)",
    "x.vsplit(3)": "np.vsplit(x, 3)",
    "c.dsplit(2)": "np.dsplit(c, 2)",
    "x.flip(0)": "np.flip(x, 0)",
    "x.fliplr()": "np.fliplr(x)",
    "x.flipud()": "np.flipud(x)",
    "x.roll(1, 0)": "np.roll(x, 1, 0)",
    "x.rot90()": "np.rot90(x, -1, (1, 0))",
    "x.diag()": "np.diag(x)",
    "r.diagflat()": "np.diag(r)",
    "x.diag_embed()": "x.expand_dims(-1) * np.eye(4)",
    "x.tril()": "np.tril(x)",
    "x.triu()": "np.triu(x)",
    "x.diff()": "np.diff(x)",
    # Parts that are replaced
    "x.where(b, t)": "np.where(b, x, t)",
    "x.masked_fill(b, 0.5)": "np.where(b, 0.5, x)",
    "x.index_fill(0, y[:2], 0.5)": "np.where(np.isin(np.arange(3), y[:2])[:, None], 0.5, x)",
    "x.index_add(0, y, t)": "x + F.one_hot(y, 3).T @ t",
    "x.index_copy(0, y, t)": "t[np.argsort(y)]",
    "x.index_put((y,), t)": "t[np.argsort(y)]",
    "x.scatter(1, k[:, :1], 0.5)": "np.where(np.arange(4) == k[:, :1], 0.5, x)",
    "x.scatter_add(1, k[:, :1], t)": "x + np.where(np.arange(4) == k[:, :1], t[:, :1], 0)",
    "x.select_scatter(t[:, 2], 1, 2)": "np.where(np.arange(4) == 2, t, x)",
    "x.slice_scatter(t[:, :2], 1, 0, 2)": "np.where(np.arange(4) < 2, t, x)",
    "q.diagonal_scatter(u)": "np.where(np.eye(3, dtype=bool), u, q)",
    # dtypes
    "x.float()": "x.astype(np.float32)",
    "x.double()": "x.astype(np.float64)",
    "x.half()": "x.astype(np.float16)",
    "x.bool()": "x.astype(bool)",
    "v.byte()": "v.astype(np.uint8)",
    "x.char()": "x.astype(np.int8)",
    "x.short()": "x.astype(np.int16)",
    "x.int()": "x.astype(np.int32)",
    "x.long()": "x.astype(np.int64)",
    "x.to(torch.float32)": "x.astype(np.float32)",
    "x.type(torch.float32)": "x.astype(np.float32)",
    "x.type_as(t)": "x.astype(t.dtype)",
    "x.is_floating_point()": 'x.dtype.kind == "f"',
    "x.is_signed()": 'x.dtype.kind in "if"',
    # As NumPy's functions
    "x.absolute()": "x.abs()",
    "x.sgn()": "np.sign(x)",
    "x.sign()": "np.sign(x)",
    "x.neg()": "-x",
    "x.negative()": "-x",
    "x.positive()": "+x",
    "x.add(t)": "x + t",
    "x.sub(t)": "x - t",
    "x.subtract(t)": "x - t",
    "x.mul(t)": "x * t",
    "x.multiply(t)": "x * t",
    "x.div(t)": "x / t",
    "x.divide(t)": "x / t",
    "x.true_divide(t)": "x / t",
    "x.floor_divide(t)": "x // t",
    "x.remainder(t)": "x % t",
    "x.fmod(t)": "np.fmod(x, t)",
    "v.pow(2.5)": "v**2.5",
    "v.float_power(t)": "np.float_power(v, t)",
    "x.addcmul(t, s)": "x + t * s",
    "x.addcdiv(t, v)": "x + t / v",
    "x.lerp(t, 0.25)": "x + 0.25 * (t - x)",
    "x.ldexp(t.round())": "x * 2.0 ** t.round()",
    "x.square()": "np.square(x)",
    "x.reciprocal()": "np.reciprocal(x)",
    "v.rsqrt()": "v**-0.5",
    "x.exp2()": "np.exp2(x)",
    "v.log2()": "np.log2(v)",
    "v.log10()": "np.log10(v)",
    "x.xlogy(v)": "x * np.log(v)",
    "o.logit()": "np.log(o / (1 - o))",
    "x.tan()": "np.tan(x)",
    "o.acos()": "np.arccos(o)",
    "o.arccos()": "np.arccos(o)",
    "o.asin()": "np.arcsin(o)",
    "o.arcsin()": "np.arcsin(o)",
    "x.atan()": "np.arctan(x)",
    "x.arctan()": "np.arctan(x)",
    "x.atan2(t)": "np.arctan2(x, t)",
    "x.arctan2(t)": "np.arctan2(x, t)",
    "x.cosh()": "np.cosh(x)",
    "x.sinh()": "np.sinh(x)",
    "(1 + v).acosh()": "np.arccosh(1 + v)",
    "(1 + v).arccosh()": "np.arccosh(1 + v)",
    "x.asinh()": "np.arcsinh(x)",
    "x.arcsinh()": "np.arcsinh(x)",
    "o.atanh()": "np.arctanh(o)",
    "o.arctanh()": "np.arctanh(o)",
    "x.sinc()": "np.sinc(x)",
    "x.erfc()": "1 - x.erf()",
    "x.hypot(t)": "np.hypot(x, t)",
    "x.copysign(t)": "np.copysign(x, t)",
    "x.heaviside(t)": "np.heaviside(x, t)",
    "x.deg2rad()": "np.deg2rad(x)",
    "x.rad2deg()": "np.rad2deg(x)",
    "x.logaddexp(t)": "np.logaddexp(x, t)",
    "x.logaddexp2(t)": "np.logaddexp2(x, t)",
    "x.ceil()": "np.ceil(x)",
    "x.floor()": "np.floor(x)",
    "x.trunc()": "np.trunc(x)",
    "x.fix()": "np.trunc(x)",
    "x.frac()": "x - np.trunc(x)",
    "x.clamp(-1, 1)": "x.clip(-1, 1)",
    "x.clamp_min(0.5)": "np.maximum(x, 0.5)",
    "x.clamp_max(0.5)": "np.minimum(x, 0.5)",
    "x.maximum(t)": "np.maximum(x, t)",
    "x.minimum(t)": "np.minimum(x, t)",
    "x.fmax(t)": "np.fmax(x, t)",
    "x.fmin(t)": "np.fmin(x, t)",
    "x.nan_to_num()": "np.nan_to_num(x)",
    "x.isfinite()": "np.isfinite(x)",
    "x.isinf()": "np.isinf(x)",
    "x.isnan()": "np.isnan(x)",
    "x.isposinf()": "x == np.inf",
    "x.isneginf()": "x == -np.inf",
    "x.signbit()": "np.signbit(x)",
    # Activations
    "x.softmax(1)": "F.softmax(x, axis=1)",
    "x.log_softmax(1)": "F.log_softmax(x, axis=1)",
    "x.logsumexp(1)": "F.logsumexp(x, axis=1)",
    "x.prelu(w)": "np.where(x > 0, x, w * x)",
    "x.hardshrink()": "np.where(abs(x) > 0.5, x, 0)",
    # Comparisons
    "x.eq(t)": "x == t",
    "x.ne(t)": "x != t",
    "x.not_equal(t)": "x != t",
    "x.lt(t)": "x < t",
    "x.less(t)": "x < t",
    "x.le(t)": "x <= t",
    "x.less_equal(t)": "x <= t",
    "x.gt(t)": "x > t",
    "x.greater(t)": "x > t",
    "x.ge(t)": "x >= t",
    "x.greater_equal(t)": "x >= t",
    "x.equal(t)": "np.array_equal(x, t)",
    "x.allclose(t)": "np.allclose(x, t)",
    "x.isclose(t)": "np.isclose(x, t)",
    "x.is_same_size(t)": "x.shape == t.shape",
    "x[0, 0].is_nonzero()": "bool(x[0, 0])",
    "b.logical_and(x > 0)": "b & (x > 0)",
    "b.logical_or(x > 0)": "b | (x > 0)",
    "b.logical_not()": "~b",
    "b.logical_xor(x > 0)": "b != (x > 0)",
    "b.bitwise_and(x > 0)": "b & (x > 0)",
    "b.bitwise_or(x > 0)": "b | (x > 0)",
    "b.bitwise_not()": "~b",
    "b.bitwise_xor(x > 0)": "b != (x > 0)",
    # Reductions
    "x.amax(1)": "x.max(1)",
    "x.amin(1)": "x.min(1)",
    "x.max(1).values": "x.max(1)",
    "x.min(1).values": "x.min(1)",
    "x.aminmax()": "(x.min(), x.max())",
    "x.var(1)": "x.var(1, ddof=1)",
    "x.std(1)": "x.std(1, ddof=1)",
    "x.norm()": "tg.norm(x)",
    "x.dist(t)": "tg.norm(x - t)",
    "x.count_nonzero()": "np.count_nonzero(x)",
    "x.nansum()": "np.nansum(x)",
    "x.nanmean()": "np.nanmean(x)",
    "x.median(0).values": "np.median(x, 0)",
    "x.quantile(0.25)": "np.quantile(x, 0.25)",
    "x.cov()": "np.cov(x)",
    "x.corrcoef()": "np.corrcoef(x)",
    "x.cummax(1).values": "np.stack([x[:, : i + 1].max(1) for i in range(4)], 1)",
    "x.cummin(1).values": "np.stack([x[:, : i + 1].min(1) for i in range(4)], 1)",
    "x.logcumsumexp(1)": "np.log(np.cumsum(np.exp(x), 1))",
    # Order and sets
    "x.sort(1).values": "np.sort(x, 1)",
    "x.msort()": "np.sort(x, 0)",
    "x.topk(2).values": "np.sort(x)[:, :-3:-1]",
    "x.kthvalue(2).values": "np.sort(x)[:, 1]",
    "y.unique()": "np.unique(y)",
    "x.nonzero()": "np.argwhere(x)",
    "x.argwhere()": "np.argwhere(x)",
    "y.bincount()": "np.bincount(y)",
    "x.histc(10, -2, 2)": "np.histogram(x.data, 10, (-2, 2))[0]",
    "x.histogram(5).hist": "np.histogram(x.data, 5)[0]",
    # Products and matrices
    "x.matmul(m.T)": "x @ m.T",
    "x.mm(m.T)": "x @ m.T",
    "c.bmm(c.mT)": "c @ c.mT",
    "x.mv(r)": "x @ r",
    "q.addmm(x, t.T)": "q + x @ t.T",
    "u.addmv(x, r)": "u + x @ r",
    "x.addr(u, r)": "x + np.outer(u, r)",
    "q.addbmm(c, c.mT)": "q + (c @ c.mT).sum(0)",
    "q.baddbmm(c, c.mT)": "q + c @ c.mT",
    "r.inner(r)": "np.inner(r, r)",
    "r.vdot(r)": "np.vdot(r, r)",
    "u.outer(r)": "np.outer(u, r)",
    "u.ger(r)": "np.outer(u, r)",
    "u.cross(u[[1, 2, 0]], 0)": "np.cross(u, u[[1, 2, 0]])",
    "x.kron(t)": "np.kron(x, t)",
    "a.inverse()": "np.linalg.inv(a)",
    "x.pinverse()": "np.linalg.pinv(x)",
    "a.det()": "np.linalg.det(a)",
    "a.logdet()": "np.linalg.slogdet(a)[1]",
    "a.slogdet()": "np.linalg.slogdet(a)",
    "a.cholesky()": "np.linalg.cholesky(a)",
    "u[:, None].cholesky_solve(a)": "np.linalg.solve(np.tril(a) @ np.tril(a).T, u[:, None])",
    "a.cholesky_inverse()": "np.linalg.inv(np.tril(a) @ np.tril(a).T)",
    "x.svd().S": "np.linalg.svd(x, compute_uv=False)",
    "a.matrix_power(3)": "np.linalg.matrix_power(a, 3)",
    # As a leaf, and as a node of a graph
    "x.is_leaf": "x.primitive is None",
    "x.new_zeros((2,))": "np.zeros_like(x, shape=(2,))",
    "x.new_ones((2,))": "np.ones_like(x, shape=(2,))",
    "x.new_full((2,), 0.5)": "np.full_like(x, 0.5, shape=(2,))",
    "x.new_tensor([1.0, 2.0])": "tg.Tensor([1.0, 2.0], dtype=x.dtype)",
}  # fmt: skip

_IN_MEMORY = "leave it out, arrays are NumPy's, in the memory of the CPU"
_NEVER = "it changes an array in place, and arrays in a graph never change"
_IN_PLACE = (
    f"{_NEVER}: assign what is computed, as in p.data = 0.5 * p.data or, under tg.no_grad(), "
    "p *= 0.5; p.grad = None clears a gradient"
)

# What is no expression: a statement, or something to know. Of a Tensor:
TENSOR_REMEDIES = {
    "requires_grad_": "assign t.requires_grad = True",
    "detach_": "use t = t.detach()",
    "grad_fn": "a node has primitive, inputs and scope",
    "values": "leave it out: a maximum, minimum or median is of the values alone",
    "indices": "use argmax, argmin or argsort",
    "retains_grad": "call retain_grad() where the gradient is wanted",
    "register_hook": "call retain_grad(), and read .grad after backward()",
    "register_post_accumulate_grad_hook": "read .grad after backward()",
    "bernoulli": "draw by rng.random(t.shape) < t.data",
    "multinomial": "draw by rng.choice(n, p=p) of an np.random.Generator",
    "to_dense": "every Tensor is dense: use it as it is",
    **dict.fromkeys(["device", "cpu", "cuda", "get_device"], _IN_MEMORY),
}  # fmt: skip

# Of NumPy's arrays:
ARRAY_REMEDIES = {
    "sort": f"{_NEVER}: use tg.sort(t)",
    "partition": f"{_NEVER}: use np.partition(t, kth)",
    "fill": f"{_NEVER}: use tg.full_like(t, value)",
    "put": f"{_NEVER}: use np.where(mask, value, t)",
    "resize": f"{_NEVER}: use np.resize(t, shape)",
    "setfield": f"{_NEVER}: use np.where(mask, value, t)",
    "byteswap": f"{_NEVER}: use t.data.byteswap()",
    "setflags": "its data is always read-only: use t.data.copy()",
    "flat": "use t.flatten(), or iterate over it",
    "choose": "stack the choices and use tg.take_along_axis",
    "getfield": "a Tensor has no fields: use t.data",
    **dict.fromkeys(
        ["base", "ctypes", "dump", "dumps", "flags", "strides", "tobytes", "tofile"],
        "a Tensor's memory is that of its array: use t.data",
    ),
    "to_device": _IN_MEMORY,
}  # fmt: skip

# Functions of `torch`:
TORCH_REMEDIES = {
    "manual_seed": "there is no global seed: give rng=, a seed or an np.random.Generator",
    "seed": "there is no global seed: give rng=, a seed or an np.random.Generator",
    "Generator": "use np.random.default_rng(seed)",
    **dict.fromkeys(
        ["set_grad_enabled", "inference_mode", "enable_grad"], "use tg.no_grad(), also as decorator"
    ),
    "is_grad_enabled": "use tg.no_grad() around what needs no gradient",
    "autograd": "use tg.gradients, tg.gradcheck and tg.detect_nan",
    "func": "use tg.grad, tg.vjp, tg.jvp, tg.jacobian and tg.hessian",
    "vmap": "write it for a whole batch: axes in front are a batch for every function",
    "save": "use nn.save(path, model)",
    "load": "use nn.load(path)",
    "utils": "use data.minibatches and data.train_test_split",
    "device": _IN_MEMORY,
    "set_default_dtype": "give dtype= where a layer or Tensor is made",
    "set_default_device": _IN_MEMORY,
    "set_num_threads": "set OMP_NUM_THREADS before NumPy is imported",
    "set_printoptions": "use np.set_printoptions",
    **dict.fromkeys(
        ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8"],
        "use the dtype of NumPy",
    ),
    "float": "use np.float32", "double": "use np.float64", "half": "use np.float16",
    "int": "use np.int32", "long": "use np.int64", "bool": "use bool",
}  # fmt: skip

MODULE_REMEDIES = {
    **dict.fromkeys(
        ["register_buffer", "register_parameter", "register_module", "add_module"],
        "assign it, as in self.mean = tg.Tensor(0.0)",
    ),
    **dict.fromkeys(["buffers", "named_buffers"], "state_dict() has all Tensors"),
    **dict.fromkeys(
        ["get_submodule", "set_submodule", "get_parameter", "get_buffer"], "it is an attribute"
    ),
    "named_modules": "use modules(), or named_children()",
    "requires_grad_": "write for p in model.parameters(): p.requires_grad = False",
    **dict.fromkeys(
        ["float", "double", "half", "to", "type", "bfloat16"],
        "give dtype= where a layer is made; arrays are in the memory of the CPU",
    ),
    **dict.fromkeys(["cuda", "cpu"], _IN_MEMORY),
    "compile": "use tg.compile of the whole step",
}  # fmt: skip

LAYER_REMEDIES = {
    **dict.fromkeys(
        ["ModuleDict", "ParameterList", "ParameterDict"],
        "assign a dict or a list: Modules and Tensors in it are found",
    ),
    "Buffer": "assign a Tensor without requires_grad",
    "utils": "use optim.clip_grad_norm_ and optim.clip_grad_value_",
    "functional": "it is tinygrad_ce.functional",
}

OPTIMIZER_REMEDIES = {
    "add_param_group": "use optim.ParameterGroups([optimizer, other])",
    "defaults": "the settings are its attributes, such as lr",
    "state": "use state_dict()",
}

SCHEDULE_REMEDIES = {
    "get_last_lr": "use schedule.optimizer.lr, or that of its param_groups",
    "get_lr": "use schedule.optimizer.lr, or that of its param_groups",
    "last_epoch": "use count",
    "base_lrs": "use initial_lrs",
}

OTHER_SCHEDULES = "assign optimizer.lr, or write a subclass of LRScheduler with its compute_lr"

# ── What is out of scope ──────────────────────────────────────────────────────────────────────────

DENSE = "out of scope, as this package is for dense networks of real numbers on a CPU"

# Of a Tensor: the names, by what they are about.
TENSOR_OUT_OF_SCOPE = {
    "complex numbers": (
        "angle cdouble cfloat chalf conj_physical is_complex is_conj is_neg isreal resolve_conj "
        "resolve_neg eig stft istft"
    ),
    "other devices and dtypes": (
        "ipu xpu mtia is_cpu is_cuda is_ipu is_maia is_meta is_mps is_mtia "
        "is_vulkan is_xla is_xpu is_mkldnn to_mkldnn pin_memory is_pinned record_stream bfloat16"
    ),
    "layouts of memory": (
        "as_strided as_strided_scatter as_subclass const_data_ptr data_ptr dim_order hash_tensor "
        "is_contiguous is_set_to is_shared layout module_load new new_empty new_empty_strided "
        "resize_as storage storage_offset storage_type stride untyped_storage output_nr volatile "
        "is_distributed is_inference grad_dtype unsafe_chunk unsafe_split unsafe_split_with_sizes"
    ),
    "sparse and nested tensors": (
        "ccol_indices coalesce col_indices crow_indices dense_dim is_coalesced is_nested "
        "is_sparse is_sparse_csr row_indices slice_inverse smm sparse_dim sparse_mask sspaddmm "
        "to_padded_tensor to_sparse to_sparse_bsc to_sparse_bsr to_sparse_coo to_sparse_csc "
        "to_sparse_csr nonzero_static"
    ),
    "quantized tensors": (
        "dequantize int_repr is_quantized q_per_channel_axis q_per_channel_scales "
        "q_per_channel_zero_points q_scale q_zero_point qscheme"
    ),
    "special functions": "digamma erfinv i0 igamma igammac lgamma mvlgamma polygamma",
    "decompositions whose rules are not there": (
        "geqrf lstsq lu lu_solve matrix_exp orgqr ormqr qr solve symeig triangular_solve"
    ),
    "integers and their bits": ("bitwise_left_shift bitwise_right_shift frexp gcd lcm nextafter"),
    "scattered and windowed functions": (
        "index_reduce masked_scatter mode nanmedian nanquantile reinforce renorm scatter_reduce "
        "unfold unique_consecutive"
    ),
    "changes in place": (
        "abs_ absolute_ acos_ acosh_ add_ addbmm_ addcdiv_ addcmul_ addmm_ addmv_ addr_ apply_ "
        "arccos_ arccosh_ arcsin_ arcsinh_ arctan2_ arctan_ arctanh_ as_strided_ asin_ asinh_ "
        "atan2_ atan_ atanh_ baddbmm_ bernoulli_ bitwise_and_ bitwise_left_shift_ bitwise_not_ "
        "bitwise_or_ bitwise_right_shift_ bitwise_xor_ cauchy_ ceil_ clamp_ clamp_max_ clamp_min_ "
        "clip_ conj_physical_ copy_ copysign_ cos_ cosh_ cumprod_ cumsum_ deg2rad_ digamma_ div_ "
        "divide_ eq_ erf_ erfc_ erfinv_ exp2_ exp_ expm1_ exponential_ fill_ fill_diagonal_ fix_ "
        "float_power_ floor_ floor_divide_ fmod_ frac_ gcd_ ge_ geometric_ greater_ "
        "greater_equal_ gt_ heaviside_ hypot_ i0_ igamma_ igammac_ index_add_ index_copy_ "
        "index_fill_ index_put_ index_reduce_ lcm_ ldexp_ le_ lerp_ less_ less_equal_ lgamma_ "
        "log10_ log1p_ log2_ log_ log_normal_ logical_and_ logical_not_ logical_or_ logical_xor_ "
        "logit_ lt_ map2_ map_ masked_fill_ masked_scatter_ mul_ multiply_ mvlgamma_ nan_to_num_ "
        "ne_ neg_ negative_ nextafter_ normal_ not_equal_ polygamma_ pow_ put_ rad2deg_ random_ "
        "reciprocal_ relu_ remainder_ renorm_ resize_ resize_as_ resize_as_sparse_ round_ rsqrt_ "
        "scatter_ scatter_add_ scatter_reduce_ set_ sgn_ share_memory_ sigmoid_ sign_ sin_ sinc_ "
        "sinh_ sparse_resize_ sparse_resize_and_clear_ sqrt_ square_ squeeze_ sub_ subtract_ "
        "swapaxes_ swapdims_ t_ tan_ tanh_ transpose_ tril_ triu_ true_divide_ trunc_ uniform_ "
        "unsqueeze_ xlogy_ zero_"
    ),
}

# Of modules: what their names have in common.
OUT_OF_SCOPE = {
    "convolutions and pooling": r"(Lazy)?conv|pool|(un)?fold$",
    "layers for images and sequences": (
        r"pad\d|pixel|channel_?shuffle|upsam|interpolate|grid|embedding_?bag|ctc|2d$|3d$"
    ),
    "recurrent and transformer layers": r"RNN|LSTM|GRU|transformer|multi_?head_?attention",
    "normalization over channels": r"(group|instance|local_?response|crossmap|sync|lazybatch)",
    "other kinds of dropout": r"alpha_?dropout|dropout\d|rrelu|gumbel",
    "sparse and quantized layers": (
        r"sparse|adaptive|grouped_mm|scaled_mm|bilinear|linear_?cross|lazy"
    ),
    "losses of margins and of pairs": r"margin|triplet|hinge|cosine_?embedding|pdist|NLLLoss2d",
    "further optimizers": r"Ada|ASGD|LBFGS|Muon|NAdam|RAdam|Rprop|swa|swap_in",
    "hooks": r"hook|extra_state|call_super|dump_patches|T_destination|share_memory",
    "devices and precision": (
        r"cuda|cpu|xpu|ipu|mtia|bfloat16|to_empty|parallel|uninitialized|compile"
    ),
}

# Functions of `torch` that are no methods of a Tensor.
TORCH = {
    "torch.tensor([1.0, 2.0])": "tg.Tensor([1.0, 2.0])",
    "torch.as_tensor([1.0, 2.0])": "tg.Tensor([1.0, 2.0])",
    "torch.scalar_tensor(2.0)": "tg.Tensor(2.0)",
    "torch.from_numpy(n)": "tg.Tensor(n)",
    "torch.asarray(n)": "tg.Tensor(n)",
    "torch.abs(x)": "np.abs(x)",
    "torch.erf(x)": "x.erf()",
    "torch.relu(x)": "F.relu(x)",
    "torch.sigmoid(x)": "F.sigmoid(x)",
    "torch.argmax(x, 1)": "x.argmax(1)",
    "torch.argmin(x, 1)": "x.argmin(1)",
    "torch.reshape(x, (2, 6))": "x.reshape(2, 6)",
    "torch.squeeze(x[:, :1])": "x[:, :1].squeeze()",
    "torch.swapaxes(x, 0, 1)": "x.swapaxes(0, 1)",
    "torch.broadcast_to(r, (3, 4))": "r.broadcast_to(3, 4)",
    "torch.detach(x)": "x.detach()",
    "torch.real(x)": "x.real",
    "torch.conj(x)": "x.conj()",
    "torch.cat([x, t], 1)": "np.concatenate([x, t], 1)",
    "torch.concat([x, t], 1)": "np.concatenate([x, t], 1)",
    "torch.row_stack([x, t])": "np.vstack([x, t])",
    "torch.broadcast_tensors(x, r)": "np.broadcast_arrays(x, r)",
    "torch.cartesian_prod(u, r)": "np.stack([np.repeat(u, 4), np.tile(r, 3)], 1)",
    "torch.bucketize(x, n)": "np.searchsorted(n, x)",
    "torch.cdist(x, m)": "tg.norm(x[:, None] - m, axis=-1)",
    "torch.chain_matmul(a, a, q)": "np.linalg.multi_dot([a, a, q])",
    "torch.trapz(x)": "np.trapezoid(x)",
    "torch.var_mean(x)": "(x.var(ddof=1), x.mean())",
    "torch.std_mean(x)": "(x.std(ddof=1), x.mean())",
    "torch.rsub(x, t)": "t - x",
    "torch.is_tensor(x)": "isinstance(x, tg.Tensor)",
    "torch.tril_indices(3, 3)": "np.tril_indices(3)",
    "torch.triu_indices(3, 3)": "np.triu_indices(3)",
    "torch.combinations(u)": "np.stack([u[i] for i in np.triu_indices(3, 1)], 1)",
    "torch.block_diag(x, t)": "np.block([[x, np.zeros((3, 4))], [np.zeros((3, 4)), t]])",
    "torch.logspace(0, 2, 5)": "10 ** tg.linspace(0, 2, 5)",
    "torch.empty((2, 3)).shape": "tg.zeros((2, 3)).shape",
    "torch.empty_like(x).shape": "tg.zeros_like(x).shape",
    "torch.rand(2, 3).shape": "tg.Tensor(rng.random((2, 3))).shape",
    "torch.randn(2, 3).shape": "tg.Tensor(rng.normal(size=(2, 3))).shape",
    "torch.rand_like(x).shape": "tg.Tensor(rng.random(x.shape)).shape",
    "torch.randn_like(x).shape": "tg.Tensor(rng.normal(size=x.shape)).shape",
    "torch.normal(x, v).shape": "(x + v * rng.normal(size=x.shape)).shape",
    "torch.randint(0, 3, (5,)).shape": "tg.Tensor(rng.integers(0, 3, 5)).shape",
    "torch.randint_like(x, 3).shape": "tg.Tensor(rng.integers(0, 3, x.shape)).shape",
    "torch.randperm(5).sort().values": "np.sort(rng.permutation(5))",
}

FUNCTIONAL = {
    "F.smooth_l1_loss(x, t)": "F.huber_loss(x, t)",
    "F.soft_margin_loss(x, s)": "F.softplus(-s * x).mean()",
    "F.gaussian_nll_loss(x, t, v)": "(0.5 * (np.log(v) + (x - t) ** 2 / v)).mean()",
    "F.poisson_nll_loss(x, t)": "(np.exp(x) - t * x).mean()",
    "F.margin_ranking_loss(x, t, s)": "(-s * (x - t)).relu().mean()",
    "F.logsigmoid(x)": "-F.softplus(-x)",
    "F.softmin(x, 1)": "F.softmax(-x, 1)",
    "F.relu6(x)": "x.clip(0, 6)",
    "F.hardtanh(x)": "x.clip(-1, 1)",
    "F.hardsigmoid(x)": "(x / 6 + 0.5).clip(0, 1)",
    "F.hardswish(x)": "x * (x / 6 + 0.5).clip(0, 1)",
    "F.hardshrink(x)": "np.where(abs(x) > 0.5, x, 0)",
    "F.softshrink(x)": "x - x.clip(-0.5, 0.5)",
    "F.threshold(x, 0.1, 20.0)": "np.where(x > 0.1, x, 20.0)",
    "F.softsign(x)": "x / (1 + abs(x))",
    "F.tanhshrink(x)": "x - x.tanh()",
    "F.mish(x)": "x * F.softplus(x).tanh()",
    "F.celu(x, 2.0)": "x.relu() + np.minimum(2 * np.expm1(x / 2), 0)",
    "F.selu(x)": "1.0507009873554805 * F.elu(x, 1.6732632423543772)",
    "F.prelu(x, w)": "np.where(x > 0, x, w * x)",
    "F.glu(x)": "x[:, :2] * x[:, 2:].sigmoid()",
    "F.linear(x, m, w)": "x @ m.T + w",
    "F.embedding(y, m)": "m[y]",
    "F.layer_norm(x, (4,))": "nn.LayerNorm(4)(x)",
    "F.rms_norm(x, (4,), eps=1e-6)": "x * ((x * x).mean(-1, keepdims=True) + 1e-6) ** -0.5",
    "F.normalize(x)": "x / tg.norm(x, axis=1, keepdims=True)",
    "F.cosine_similarity(x, t)": "(x * t).sum(1) / (tg.norm(x, axis=1) * tg.norm(t, axis=1))",
    "F.pairwise_distance(x, t, eps=0)": "tg.norm(x - t, axis=1)",
    "F.pad(x, (1, 2))": "np.pad(x, ((0, 0), (1, 2)))",
    "F.scaled_dot_product_attention(x, t, v)": "F.softmax(x @ t.mT / 4**0.5) @ v",
    "F.batch_norm(x, None, None, training=True)": "nn.BatchNorm1d(4)(x)",
}

LAYERS = {
    "nn.Identity()(x)": "nn.Sequential()(x)",
    "nn.SmoothL1Loss()(x, t)": "nn.HuberLoss()(x, t)",
    "nn.Parameter(x)": "tg.Tensor(x, requires_grad=True)",
    "nn.Unflatten(1, (2, 2))(x)": "x.reshape(-1, 2, 2)",
}

INITIALIZATIONS = {
    "nn.init.zeros_(x)": "nn.init.constant_(x, 0)",
    "nn.init.ones_(x)": "nn.init.constant_(x, 1)",
    "nn.init.eye_(q)": "tg.eye(3)",
}

# Of an optimizer, its schedule, and what is in nn.utils.
TRAINING = {
    "nn.utils.clip_grad_norm_([p], 1.0)": "optim.clip_grad_norm_([p], 1.0)",
    "nn.utils.clip_grad_value_([p], 1.0)": "optim.clip_grad_value_([p], 1.0)",
    "nn.utils.parameters_to_vector([p, p])": "np.concatenate([p.flatten(), p.flatten()])",
    'optim.SGD([p], 0.5).param_groups[0]["lr"]': "optim.SGD([p], 0.5).param_groups[0].lr",
    "optim.lr_scheduler.StepLR(optim.SGD([p], 0.5), 2).get_last_lr()[0]": (
        "optim.lr_scheduler.StepLR(optim.SGD([p], 0.5), 2).optimizer.lr"
    ),
}

# ── Keywords ──────────────────────────────────────────────────────────────────────────────────────

_ONE = "leave it out, there is one implementation"

# What to write in place of a keyword, where a function has none of this name.
KEYWORDS = {
    **dict.fromkeys(["dim", "dims"], "here it is axis="),
    "keepdim": "here it is keepdims=",
    **dict.fromkeys(["unbiased", "correction"], "write ddof=1 to divide by n - 1"),
    "num_classes": "here it is n_classes=",
    "in_features": "here it is n_in=",
    "out_features": "here it is n_out=",
    "num_features": "here it is n=",
    "num_embeddings": "here it is n_tokens=",
    "embedding_dim": "here it is dim=",
    "normalized_shape": "here it is shape=",
    "generator": "here it is rng=",
    "shifts": "here it is shift=",
    "diagonal": "here it is k=",
    "descending": "turn the result round with np.flip",
    **dict.fromkeys(["input", "other"], "give it by position"),
    **dict.fromkeys(["size_average", "reduce"], 'write reduction="mean", "sum" or "none"'),
    "inplace": "leave it out, since arrays in a graph never change",
    "out": "leave it out, since arrays in a graph never change, and use the result",
    **dict.fromkeys(
        ["device", "pin_memory", "non_blocking", "memory_format", "layout"], _IN_MEMORY
    ),
    **dict.fromkeys(["foreach", "fused", "capturable", "differentiable"], _ONE),
    "maximize": "minimize the negative",
    "set_to_none": "leave it out, cleared gradients are None",
    "create_graph": "use tg.gradients(output, tensors, create_graph=True)",
    "elementwise_affine": "write bias=False, or assign requires_grad of the parameters",
    **dict.fromkeys(["affine", "track_running_stats"], "leave it out, it is always so"),
    **dict.fromkeys(["last_epoch", "verbose"], "leave it out; load_state_dict() goes on"),
    **dict.fromkeys(["padding_idx", "max_norm", "sparse"], DENSE),
    **dict.fromkeys(["start_dim", "end_dim"], "use x.reshape"),
}  # fmt: skip


def keyword_error(name: str, given: Iterable[str]) -> TypeError:
    """Return the error of a function that does not take these keywords."""
    keyword = next((key for key in given if key in KEYWORDS), None)
    if keyword is None:
        return TypeError(f"{name}() got an unexpected keyword argument {next(iter(given))!r}")
    return TypeError(f"{name}() got {keyword}=: {KEYWORDS[keyword]}")


def numpy_keywords(function: Called) -> Called:
    """Answer the keywords of PyTorch's that a function does not have with what to write."""
    code = function.__code__
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    refused = KEYWORDS.keys() - {*own}

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not refused.isdisjoint(kwargs):
            raise keyword_error(function.__name__, [key for key in kwargs if key in refused])
        return function(*args, **kwargs)

    call.undecorated = function  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


def undecorated(function: Called) -> Called:
    """Return the function without `numpy_keywords`, which takes a tenth of a microsecond."""
    found: Called = getattr(function, "undecorated", function)
    return found


def check_keywords(cls: type, given: Iterable[str]) -> None:
    """Raise of a keyword of PyTorch's that the constructor of a class does not have."""
    found = [key for key in given if key in KEYWORDS]
    if found:
        own = inspect.signature(cls).parameters
        left = [key for key in found if key not in own]
        if left and not any(p.kind is p.VAR_KEYWORD for p in own.values()):
            raise keyword_error(cls.__name__, left)


class ConstructorSignature:
    """The signature of a class: that of its __init__, not that of the __new__ that checks it."""

    def __get__(self, instance: object, cls: Any) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")  # so that __call__ is asked
        init = cls.__init__
        own = [] if init is object.__init__ else [*inspect.signature(init).parameters.values()][1:]
        return inspect.Signature(own)


# ── Names ─────────────────────────────────────────────────────────────────────────────────────────

_NAME = re.compile(r"\.([a-zA-Z]\w*)")


def remedies_of(rows: Mapping[str, str]) -> dict[str, str]:
    """Return by the name of each row what to write: "x.dim()" is a row of the name dim."""
    found: dict[str, str] = {}
    for theirs, ours in rows.items():
        name = _NAME.search(theirs)
        if name:
            found.setdefault(name[1], f"for {theirs} use {ours}")
    return found


def _of_tensors() -> dict[str, str]:
    found = {
        name: f"{about} are {DENSE}"
        for about, names in TENSOR_OUT_OF_SCOPE.items()
        for name in names.split()
    }
    found |= dict.fromkeys(TENSOR_OUT_OF_SCOPE["changes in place"].split(), _IN_PLACE)
    return found | remedies_of(TENSOR) | TENSOR_REMEDIES | ARRAY_REMEDIES


OF_TENSORS = _of_tensors()
OF_ARRAYS = dict.fromkeys(TENSOR_OUT_OF_SCOPE["changes in place"].split(), _IN_PLACE) | {
    **dict.fromkeys(["numpy", "detach", "cpu"], "it is a NumPy array already: use it as it is"),
    "clone": "use copy()",
    "norm": "use np.linalg.norm",
}  # fmt: skip


class Size(int):
    """A number of elements, which says what to write where it is called as PyTorch's size()."""

    __slots__ = ()

    def __call__(self, *axis: int) -> NoReturn:
        raise TypeError(
            "size is the number of elements, and no method: use shape for size(), and shape[0] for "
            "size(0)"
        )


class Missing:
    # An attribute that there is not: reading it says what to use instead, and so does help().

    __slots__ = ("remedy", "said")

    def __init__(self, said: str, remedy: str) -> None:
        self.said = said
        self.remedy = remedy

    def __get__(self, instance: object, kind: type) -> NoReturn:
        raise AttributeError(f"{self.said}: {self.remedy}")

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        return self.remedy


class OtherNames:
    """Names of other libraries, which say what to use instead."""

    __slots__ = ()

    def __dir__(self) -> list[str]:
        """Return the names that are there."""
        return [
            name
            for name in super().__dir__()
            if not isinstance(inspect.getattr_static(type(self), name, None), Missing)
        ]


class NotOfTensors(OtherNames):
    """Names of PyTorch and of NumPy's arrays that a Tensor has not."""

    __slots__ = ()


class NotOfArrays:
    """Names of PyTorch that the arrays of a graph have not."""

    __slots__ = ()


class NotOfModules(OtherNames):
    """Names of PyTorch that a Module has not."""

    __slots__ = ()


class NotOfOptimizers(OtherNames):
    """Names of PyTorch that an optimizer has not."""

    __slots__ = ()


class NotOfSchedules(OtherNames):
    """Names of PyTorch that a schedule has not."""

    __slots__ = ()


# Attributes of classes, not a __getattr__, with which Python would no longer specialize how
# attributes are read. What a class has itself comes before what it inherits.
for _owner, _names, _remedies in (
    ("a Tensor", NotOfTensors, OF_TENSORS),
    ("an array of a graph", NotOfArrays, OF_ARRAYS),
    ("a Module", NotOfModules, MODULE_REMEDIES),
    ("an optimizer", NotOfOptimizers, OPTIMIZER_REMEDIES),
    ("a schedule", NotOfSchedules, SCHEDULE_REMEDIES),
):
    for _name, _remedy in _remedies.items():
        setattr(_names, _name, Missing(f"{_owner} has no {_name}", _remedy))


def name_error(module: str, name: str) -> AttributeError:
    """Return the error of a module of this package that does not have a name."""
    place = module.partition(".")[2]
    said = f"module {module!r} has no attribute {name!r}"
    remedy = None if name.startswith("_") else _remedy_of(place, name)
    return AttributeError(f"{said}: {remedy}" if remedy else said)


def _remedy_of(place: str, name: str) -> str | None:
    functions = remedies_of(FUNCTIONAL)
    if place == "":
        said = OF_TENSORS | functions | remedies_of(TORCH) | TORCH_REMEDIES
        return said.get(name)
    if place == "functional":
        said = functions
    elif place == "nn":
        said = remedies_of(LAYERS) | LAYER_REMEDIES
        of_lines = {key.replace("_", ""): remedy for key, remedy in functions.items()}
        line = of_lines.get(name.lower())
        if line and name not in said:
            return f"write a Module whose forward() has the line: {line}"
    elif place == "nn.init":
        said = remedies_of({key.removeprefix("nn."): x for key, x in INITIALIZATIONS.items()})
    elif place == "optim.lr_scheduler" and name[:1].isupper():
        return OTHER_SCHEDULES
    else:
        said = {}
    out = (about for about, names in OUT_OF_SCOPE.items() if re.search(names, name, re.IGNORECASE))
    about = next(out, None)
    return said.get(name) or (f"{about} are {DENSE}" if about else None)
