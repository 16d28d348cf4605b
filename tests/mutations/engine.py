"""The engine's mutations, and those of the context managers that follow it."""

from mutations.mutation import of

table = of("engine/primitives.py", "engine/test_primitives.py")
kernel = of("engine/kernels.py", "engine/test_primitives.py", "functional")
axes = of("engine/axes.py", "engine/test_primitives.py")
backprop = of("engine/backprop.py", "engine/test_backprop.py")
graph = of("engine/graph.py", "engine/test_backprop.py", "guarantees")
mode = of("engine/context.py", "guarantees", "engine/test_tensor.py")
tensor = of("engine/tensor.py", "engine/test_tensor.py", "guarantees")
commit = of("engine/commit.py", "engine/test_commit.py", "guarantees")
gate = of("arguments.py", "test_arguments.py")
protocol = of("engine/numpy_protocol.py", "engine/test_tensor.py", "engine/test_numpy_functions.py")
rearranging = of("engine/rearranging.py", "engine/test_numpy_functions.py")
reduction = of("engine/reductions.py", "engine/test_numpy_functions.py")
matrix = of(
    "engine/linear_algebra.py", "engine/test_linear_algebra.py", "engine/test_numpy_functions.py"
)
tree = of("engine/parameter_trees.py", "engine/test_parameter_trees.py")
operation = of("engine/operations.py", "engine/test_primitives.py", "engine/test_tensor.py")
transform = of("engine/transforms.py", "engine/test_transforms.py")
nan = of("engine/nan_detection.py", "engine/test_nan_detection.py")
lines = of("draw/source_lines.py", "guarantees")

MUTATIONS = [
    # ── engine/primitives.py ──────────────────────────────────────────────────────────────────────
    table("divide", "sign", "-g * y", "g * y"),
    table("divide", "by the numerator", "-g * y", "-g"),
    table("scalar_power", "exponent", "n - 1", "n"),
    table("scalar_power", "factor", "n * x ** (n - 1)", "x ** (n - 1)"),
    table(
        "scalar_power",
        "slope of x⁰ at 0",
        "g * (n * x ** (n - 1)) if n else np.zeros_like(g)",
        "g * (n * x ** (n - 1)) if True else g",
    ),
    table("_power_vjp", "at 0⁰", "np.where(defined == 0, 1, a)", "a"),
    table("_power_vjp", "slope at 0⁰", "np.where(defined == 0, 0, b)", "b"),
    table("power", "log 0", "np.where(((a == 0) & (b >= 0)) == 1, 1, a)", "a"),
    table("expm1", "as exp", "y + 1", "y"),
    table("log1p", "as log", "1 + x", "x"),
    table("sqrt", "factor", "2 * y", "y"),
    table("sin", "sign", "g * np.cos(x)", "-g * np.cos(x)"),
    table("cos", "sign", "-g * np.sin(x)", "g * np.sin(x)"),
    table("log2", "natural", "x * kernels.LN_2", "x"),
    table("arccos", "sign", "-g / np.sqrt(1 - x * x)", "g / np.sqrt(1 - x * x)"),
    table("remainder", "of the divisor", "a // b", "a / b"),
    table(
        "hypot", "slope at 0", "np.where(y == 0, 0, a / y)", "a / y", "docs/test_calculus_page.py"
    ),
    table("_prod_vjp", "those before alone", "axes.products_before(rows, -1)", "1 + 0 * rows"),
    table("_cumprod_vjp", "not doubled", "s + product * axes.move_forward(s, d, axis)", "s"),
    table("tanh", "square", "y * y", "y"),
    table("sigmoid", "sign", "1 - y", "1 + y"),
    table("relu", "slope at 0", "x > 0", "x >= 0"),
    table("relu", "mask inverted", "x > 0", "x < 0"),
    table("abs_", "slope at 0", "np.sign(x)", "np.where(x < 0, -1, 1)"),
    table("logaddexp", "arguments", "_share(a, b, y)", "_share(b, a, y)"),
    table("where", "branches swapped", "np.where(c, g, 0)", "np.where(c, 0, g)"),
    table("where", "mask ignored", "np.where(c, 0, g)", "g"),
    table(
        "_max_vjp",
        "ties over-counted",
        "_keep_axes(g, x, axis, keepdims) / number",
        "_keep_axes(g, x, axis, keepdims)",
    ),
    table(
        "_max_vjp",
        "ties counted over all axes",
        "ties.astype(np.result_type(g.dtype, np.float32)).sum(axis, keepdims=True)",
        "ties.astype(np.result_type(g.dtype, np.float32)).sum(keepdims=True)",
    ),
    table("_mean_vjp", "no divisor", "g / n", "g"),
    table("_mean_vjp", "divisor of all axes", "count_along(x.shape, axis)", "x.size"),
    table(
        "_cumsum_vjp",
        "not from the end",
        "cumsum(g[backwards], axis)[backwards]",
        "cumsum(g, axis)",
    ),
    table("astype", "dtype kept", "g", "g.astype(np.float16)"),
    table("_einsum_vjp", "the operand itself", "j != i", "j != i or i"),
    table(
        "_einsum_vjp",
        "letters of the result in order",
        "f\"{','.join(labels)}->{terms[i]}\"",
        "f\"{','.join(labels)}->{''.join(sorted(terms[i]))}\"",
    ),
    table("subtract", "sign", "-g", "g"),
    table("multiply", "the other factor", "g * a", "g * b"),
    table(
        "matmul", "transpose of all axes, left", "kernels.matmul(g, b.mT)", "kernels.matmul(g, b.T)"
    ),
    table(
        "matmul",
        "transpose of all axes, right",
        "kernels.matmul(a.mT, g)",
        "kernels.matmul(a.T, g)",
    ),
    table(
        "maximum",
        "ties over-counted",
        "np.where(a > b, g, np.where(a == b, g / 2, 0))",
        "np.where(a > b, g, np.where(a == b, g, 0))",
    ),
    table(
        "maximum",
        "ties dropped",
        "np.where(a > b, g, np.where(a == b, g / 2, 0))",
        "np.where(a > b, g, 0)",
    ),
    table("_keep_axes", "keepdims ignored", "keepdims or not r.shape", "not r.shape"),
    table(
        "transpose",
        "not inverted",
        "g.transpose(tuple(map(axes.index, range(len(axes)))))",
        "g.transpose(axes)",
    ),
    table("_concatenate_vjps", "piece too long", "slice(start, end)", "slice(0, end)"),
    table(
        "_concatenate_vjps",
        "pieces bound late",
        "lambda g, y, *_, piece=piece: g[piece]",
        "lambda g, y, *_: g[piece]",
    ),
    # ── engine/kernels.py ─────────────────────────────────────────────────────────────────────────
    kernel("TWO_OVER_ROOT_PI", "factor", "2 / math.sqrt(math.pi)", "1 / math.sqrt(math.pi)"),
    kernel("inside", "slope at the lower end", "x >= lo", "x > lo"),
    kernel("inside", "slope at the upper end", "x <= hi", "x < hi"),
    kernel("mean", "half overflows", "x.dtype.char == 'e'", "False"),
    kernel(
        "mean",
        "value over all axes",
        "divide(total, count_along(x.shape, axis))",
        "divide(total, x.size)",
    ),
    kernel("scatter", "+= in place of add.at", "np.add.at(out, index, g)", "out[index] += g"),
    kernel("scatter", "masks alone", "array.dtype.kind != 'b'", "array.dtype.kind == 'b'"),
    kernel(
        "argsort", "ties in any order", "np.argsort(x, axis, kind='stable')", "np.argsort(x, axis)"
    ),
    kernel(
        "max_constant", "of the first row", "x.argmax(-1) + row_starts(*x.shape)", "x.argmax(-1)"
    ),
    kernel(
        "max_constant",
        "-inf stays",
        "np.maximum(x.take(places), initial)",
        "x.take(places)",
        "functional",
    ),
    kernel(
        "max_constant",
        "of all axes",
        "_max(x, axis, None, None, True, initial)",
        "_max(x, None, None, None, True, initial)",
    ),
    kernel("unbroadcast", "the batch too", "range(batch, new)", "range(new)"),
    kernel("unbroadcast", "no axis of length 1", "1 in shape", "False"),
    kernel("unbroadcast", "no new axis", "list(range(batch, new))", "[]"),
    kernel("ieee", "a flood", "np.errstate(divide='ignore', invalid='ignore')", "np.errstate()"),
    kernel("sign", "of the gradient", "np.real(x)", "-np.real(x)"),
    kernel("sigmoid", "overflow", "where(negative, x, -x)", "-x"),
    # ── engine/axes.py ────────────────────────────────────────────────────────────────────────────
    axes(
        "count_along",
        "only the first of the axes",
        "[count_along(shape, a) for a in axis]",
        "[count_along(shape, a) for a in axis[:1]]",
    ),
    axes("with_axes_kept", "wrong axis put back", "kept[a] = 1", "kept[a - 1] = 1"),
    # ── engine/backprop.py ────────────────────────────────────────────────────────────────────────
    backprop(
        "backpropagate",
        "the oldest first",
        "heappushpop(waiting, (-following.index, following))",
        "heappushpop(waiting, (following.index, following))",
    ),
    backprop("backpropagate", "nothing freed", "free", "False"),
    backprop("backpropagate", "always freed", "free", "True"),
    backprop("backpropagate", "inputs not freed", "node.inputs = None", "pass"),
    backprop("backpropagate", "arguments not freed", "node._arguments = ()", "pass"),
    backprop("backpropagate", "a freed node is a leaf", "inputs is None", "False"),
    backprop(
        "backpropagate",
        "overwritten, not added up",
        "gradients[source] = gradients[source] + contribution",
        "gradients[source] = contribution",
    ),
    backprop("backpropagate", "no unbroadcast", "contribution.shape != batch + x.shape", "False"),
    backprop(
        "backpropagate",
        "the batch is summed too",
        "unbroadcast(contribution, x.shape, len(batch))",
        "unbroadcast(contribution, x.shape)",
    ),
    backprop(
        "backpropagate",
        "no cast",
        "contribution.dtype is not x.dtype and contribution.dtype != x.dtype",
        "False",
    ),
    backprop(
        "backpropagate",
        "a use before requires_grad counts",
        "source._tracked_since > index",
        "not source._requires_grad",
        "guarantees",
    ),
    backprop(
        "backpropagate",
        "constants too",
        "rule is None or source._tracked_since > index",
        "rule is None",
    ),
    backprop(
        "backpropagate",
        "every path",
        "between is not None and source not in between",
        "False",
        "guarantees",
    ),
    backprop("backpropagate", "leaves only", "node._retains_grad", "False"),
    backprop(
        "backpropagate",
        "nobody observes",
        "mode.observers, mode.recorder",
        "(), mode.recorder",
        "engine/test_nan_detection.py",
    ),
    backprop("_observe", "one observer alone", "observers", "observers[:1]", "guarantees"),
    backprop(
        "_observe",
        "observers see the first argument",
        "observer.backward(node, place, g, contribution)",
        "observer.backward(node, 0, g, contribution)",
        "guarantees",
    ),
    backprop(
        "backpropagate",
        "warnings",
        'np.errstate(all="ignore")',
        "np.errstate()",
        "engine/test_primitives.py",
    ),
    backprop(
        "backpropagate",
        "rules get the batch",
        "batch and not primitive.stacks",
        "False",
        "engine/test_primitives.py",
    ),
    backprop(
        "_map",
        "the first cotangent alone",
        "rule(g[i], *rest)",
        "rule(g[0], *rest)",
        "engine/test_primitives.py",
    ),
    # ── engine/graph.py ───────────────────────────────────────────────────────────────────────────
    graph(
        "topological_order",
        "a freed graph is listed",
        "raise FreedGraphError(node)",
        "continue",
        "guarantees",
    ),
    graph("topological_order", "shared nodes twice", "id(node) in seen", "False"),
    graph("topological_order", "not sorted", "nodes.sort(key=_creation)", "pass"),
    graph(
        "Node.current_arguments",
        "a graph of the gradient mixes values",
        "source._value is not value",
        "False",
        "engine/test_tensor.py",
    ),
    # ── engine/context.py ─────────────────────────────────────────────────────────────────────────
    mode("suspends", "generators are decorated", "isgeneratorfunction(function)", "False"),
    mode("_Exit.__get__", "never left", "MODE.set", "MODE.get"),
    mode("_Exit.leave", "never left by a stack", "MODE.set(parent)", "pass"),
    mode(
        "ModeContext.run",
        "not left by a function that raises",
        "try:\n    MODE.set(self.derive(parent))\n    return function(*args, **kwargs)\n"
        "finally:\n    MODE.set(parent)",
        "MODE.set(self.derive(parent))\nresult = function(*args, **kwargs)\n"
        "MODE.set(parent)\nreturn result",
    ),
    mode(
        "no_grad.derive",
        "stops the observers",
        "parent.derive(grad=False)",
        "parent.derive(grad=False, observers=())",
    ),
    mode(
        "enable_grad.derive",
        "does not",
        "parent.derive(grad=True)",
        "parent.derive()",
        "engine/test_transforms.py",
    ),
    mode(
        "scope.derive",
        "stops the observers",
        "_inside(parent, Scope(self.name, parent.scope))",
        "parent.derive(Scope(self.name, parent.scope), observers=())",
    ),
    mode(
        "scope.derive",
        "records",
        "_inside(parent, Scope(self.name, parent.scope))",
        "parent.derive(Scope(self.name, parent.scope), grad=True)",
    ),
    mode("scope.derive", "no parent", "Scope(self.name, parent.scope)", "Scope(self.name, None)"),
    mode(
        "observing.derive",
        "one observer alone",
        "(*parent.observers, self.observer)",
        "(self.observer,)",
    ),
    mode(
        "recording_with.derive",
        "the outermost recorder",
        "parent.derive(recorder=self.recorder)",
        "parent.derive(recorder=parent.recorder or self.recorder)",
    ),
    mode(
        "_inside",
        "the parent is a change",
        "(scope, parent) + parent[2:]",
        "(scope, parent.parent or parent) + parent[2:]",
    ),
    # ── engine/tensor.py ──────────────────────────────────────────────────────────────────────────
    tensor("_numbers", "the input is not copied", "copy or None", "None"),
    tensor(
        "_numbers",
        "a list of Tensors is data",
        "any((isinstance(part, Tensor) for part in data))",
        "False",
    ),
    tensor("as_tensor", "an operand is not copied", "data.copy()", "data"),
    tensor("Tensor.cotangent", "a cotangent of another shape", "g.shape != self.shape", "False"),
    tensor(
        "Tensor.cotangent",
        "backward of many elements",
        "self._value.size != 1",
        "self._value.size == 0",
    ),
    tensor(
        "Tensor.grad",
        "a gradient of another shape is assigned",
        "np.shape(gradient) != self.shape",
        "False",
    ),
    tensor("_freeze", "no array is locked", "owner.setflags(write=False)", "pass"),
    tensor("_freeze", "only the view is locked", "owner = owner.base", "break"),
    tensor(
        "_read_only_view",
        "an array is returned, not a read-only view",
        "_freeze(np.asarray(value)).view(ReadOnlyArray)",
        "_freeze(np.asarray(value))",
    ),
    commit("accumulate", "gradients overwritten", "add(old, g)", "g"),
    commit(
        "_replace",
        "what others add is lost",
        "map(is_not, map(_get_grad, nodes), before)",
        "map(is_not, before, before)",
    ),
    commit(
        "_replace",
        "gradients assigned one by one",
        "any(chain(changed, map(_set_grad, nodes, after)))",
        "any(changed) or any([_set_grad(*pair) for pair in zip(nodes, after)])",
    ),
    commit("clear_gradients", "gradients are not cleared", "_set_grad", "_get_grad"),
    gate(
        "as_array",
        "the array is not copied",
        "np.array(data, copy=copy)",
        "np.asarray(data)",
        "engine",
    ),
    tensor(
        "record",
        "no_grad ignored",
        "mode.grad and primitive.differentiable",
        "primitive.differentiable",
    ),
    tensor("record", "no scope", "mode.scope", "None"),
    tensor(
        "record", "only the first input counts", "source._requires_grad", "inputs[0]._requires_grad"
    ),
    tensor(
        "record",
        "nobody observes",
        "observer.forward(node, primitive, arguments)",
        "pass",
        "engine/test_nan_detection.py",
    ),
    tensor(
        "record",
        "one observer alone",
        "for observer in mode.observers:\n    observer.forward(node, primitive, arguments)",
        "mode.observers[0].forward(node, primitive, arguments)",
        "guarantees",
    ),
    tensor("record", "a recorder gets leaves", "mode.recorder is not None", "False", "guarantees"),
    tensor(
        "Tensor.detach",
        "detach does not",
        "apply_unary(p.stop_gradient, self)",
        "self",
        "engine/test_backprop.py",
    ),
    tensor(
        "_reflected.reflected",
        "reflected operators are not",
        "operator(other, self)",
        "operator(self, other)",
    ),
    tensor("set_values", "assignment of another dtype", "array.dtype != leaf.dtype", "False"),
    tensor("set_values", "assignment of another shape", "np.shape(array) != leaf.shape", "False"),
    tensor("Tensor.__array__", "an array drops the gradient", "self._requires_grad", "False"),
    tensor(
        "_check_differentiable", "integers can require a gradient", "dtype.kind != 'f'", "False"
    ),
    tensor(
        "Tensor.var",
        "ddof ignored",
        "count_along(self.shape, axis) - check_real('ddof', ddof)",
        "count_along(self.shape, axis)",
        "engine/test_primitives.py",
    ),
    tensor(
        "Tensor.std",
        "std is var",
        "apply_unary(p.root, wide.var(axis, keepdims, ddof=ddof), 2)",
        "wide.var(axis, keepdims, ddof=ddof)",
    ),
    tensor(
        "Tensor.argmin", "argmin is argmax", "p.argmin", "p.argmax", "engine/test_primitives.py"
    ),
    tensor("Tensor.min", "min is max", "p.min_", "p.max_", "engine/test_primitives.py"),
    tensor(
        "Tensor.astype",
        "integers get a gradient",
        "self if dtype.kind == 'f' else self.detach()",
        "self",
    ),
    tensor(
        "Tensor.__reduce__",
        "a copy drops the gradient",
        "self._grad if leaf_grad else None",
        "None",
    ),
    tensor(
        "Tensor.__reduce__",
        "a copy of a node is a parameter",
        "self._requires_grad and self.primitive is None",
        "self._requires_grad",
    ),
    tensor("matmul", "wrong axis dropped", "a.ndim > 1", "b.ndim > 1", "engine/test_primitives.py"),
    tensor("Tensor.__bool__", "a boolean of many elements", "self.size != 1", "False"),
    tensor("Tensor.__index__", "floats can be an index", "self.dtype.kind not in 'iu'", "False"),
    # ── engine/numpy_protocol.py ──────────────────────────────────────────────────────────────────
    protocol("_is_default", "any option is dropped", "value is None", "True"),
    protocol("_call", "all by place", "renamed.get(pair[0], pair[0]) == pair[1]", "True"),
    # ── engine/rearranging.py, reductions.py ──────────────────────────────────────────────────────
    rearranging("hstack", "along the first axis", "int(bool(parts) and parts[0].ndim > 1)", "0"),
    rearranging("roll", "the other way", "-by % n if n else 0", "by % n if n else 0"),
    rearranging("tril", "transposed", "_lower(x, k)", "_lower(x, k).T"),
    reduction("_quantile", "only from below", "t >= 0.5", "t >= 2"),
    reduction("median", "the lower one", "middle.mean(-1)", "middle[..., 0]"),
    reduction("_nan_if_any", "nan is a number", "np.isnan(last)", "last == np.inf"),
    # ── engine/linear_algebra.py ──────────────────────────────────────────────────────────────────
    matrix("inv_", "sign", "-(y.mT @ g @ y.mT)", "y.mT @ g @ y.mT"),
    matrix(
        "solve_", "not times y", "-(np.linalg.solve(a.mT, g) @ y.mT)", "-np.linalg.solve(a.mT, g)"
    ),
    matrix("det_", "not transposed", "adjugate_(a).mT", "adjugate_(a)"),
    matrix("log_det_", "not transposed", "np.linalg.inv(a).mT", "np.linalg.inv(a)"),
    matrix("_cholesky_vjp", "whole diagonal", "_lower(l.mT @ g)", "l.mT @ g"),
    matrix(
        "_of_differences",
        "sign",
        "w[..., None, :] - w[..., :, None]",
        "w[..., :, None] - w[..., None, :]",
    ),
    matrix("_svd_vjp", "of u alone", "of_v - of_v.mT", "0 * of_v"),
    matrix("_pinv_vjp", "in the space alone", "left - left @ y @ a", "0 * left"),
    # ── engine/parameter_trees.py ─────────────────────────────────────────────────────────────────
    tree("is_tree", "lists are arrays", "isinstance(x, list | tuple)", "isinstance(x, tuple)"),
    tree("leaves_like", "any length", "len(given) == len(tree)", "True"),
    # ── engine/operations.py ──────────────────────────────────────────────────────────────────────
    operation("minimum", "minimum is maximum", "p.minimum", "p.maximum"),
    operation(
        "concatenate", "axis counted from the front", "from_the_end(axis, parts[0].ndim)", "axis"
    ),
    operation("stack", "other shapes", "len({part.shape for part in parts}) > 1", "False"),
    operation(
        "stack",
        "axis",
        "concatenate([part.expand_dims(axis) for part in parts], axis)",
        "concatenate([part.expand_dims(axis) for part in parts], 0)",
    ),
    operation("split", "unequal parts", "parts < 1 or n % parts", "parts < 1", "guarantees"),
    operation("split", "one cut too few", "range(1, parts)", "range(2, parts)"),
    operation("take_along_axis", "all axes", "along", "-1"),
    operation(
        "sort",
        "along the last axis",
        "take_along_axis(whole, argsort(whole, axis), axis)",
        "take_along_axis(whole, argsort(whole, axis), -1)",
    ),
    table("root", "slope at 0", "np.where(y == 0, 0, y ** (1 - n) / n)", "y ** (1 - n) / n"),
    matrix("norm", "least is largest", "v.abs().min", "v.abs().max"),
    matrix(
        "norm",
        "no root",
        "apply_unary(p.root, terms.sum(axis, keepdims), power)",
        "terms.sum(axis, keepdims)",
    ),
    operation(
        "_spelled_out",
        "implicit result not in order",
        "sorted(set(left))",
        "sorted(set(left))[::-1]",
    ),
    operation(
        "_diagonal", "a diagonal of other lengths", "len(lengths) > 1", "False", "guarantees"
    ),
    # ── engine/transforms.py ──────────────────────────────────────────────────────────────────────
    transform("_variable", "variables are confused", "apply(p.identity, argument)", "argument"),
    transform(
        "gradients_where_reached",
        "gradients are shared",
        "[g if g is None else np.array(g) for g in found]",
        "found",
        "engine/test_backprop.py",
    ),
    transform(
        "gradients",
        "one that is not reached is left out",
        "(_zeros(t, create_graph) if g is None else g "
        "for g, t in zip(found, tensors, strict=True))",
        "(g for g in found if g is not None)",
        "engine/test_backprop.py",
    ),
    transform(
        "jvp",
        "no gradient to a tangent",
        "pullback.differentiable_outside or any(map(_is_differentiable, directions))",
        "pullback.differentiable_outside",
        "guarantees",
    ),
    transform("jvp", "the last tangent alone", "along + (g * v).sum()", "(g * v).sum()"),
    transform("jvp", "tangents of another shape", "x.shape != v.shape", "False"),
    transform(
        "_Pullback.pull",
        "no gradient to a cotangent",
        "self.differentiable_outside or _is_differentiable(cotangent)",
        "self.differentiable_outside",
        "guarantees",
    ),
    transform(
        "jacobian.rows_of",
        "parts of one row",
        "max(1, MAX_BATCH // max([node.size for node in nodes], default=1))",
        "2",
    ),
    transform("hessian", "other blocks", "grad(f, i)", "grad(f, argnums[0])"),
    transform("value_and_grad.value_and_gradient", "grad of many elements", "y.size != 1", "False"),
    transform(
        "_as_given",
        "constants are not Tensors",
        "as_tensor(x) if isinstance(x, _NUMERIC) else x",
        "x",
    ),
    transform(
        "_trace_call", "an argument that is not there", "not -len(args) <= i < len(args)", "False"
    ),
    transform("_trace_call", "nobody outside", "recording_outside", "False"),
    # ── engine/nan_detection.py ───────────────────────────────────────────────────────────────────
    nan(
        "_NanDetector.forward",
        "what was given counts",
        "bad is not None and _all_finite(arguments)",
        "bad is not None",
    ),
    nan("_not_finite", "nan passes", "~np.isfinite(array)", "np.isinf(array)", "guarantees"),
    nan(
        "detect_nan.derive",
        "alone",
        "(*parent.observers, _NanDetector())",
        "(_NanDetector(),)",
        "guarantees",
    ),
    nan("_NanDetector.backward", "not looked at", "_not_finite(contribution)", "None"),
    # ── draw/source_lines.py ──────────────────────────────────────────────────────────────────────
    lines(
        "remember_lines.derive",
        "alone",
        "(*parent.observers, _Origins(lines=True))",
        "(_Origins(lines=True),)",
    ),
]
