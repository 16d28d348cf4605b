"""The mutations of the compiler."""

from mutations.mutation import of

COMPILER = ("compiler",)

passes = of("compiler/passes.py", *COMPILER)
memory = of("compiler/memory.py", *COMPILER)
blocks = of("compiler/row_blocks.py", *COMPILER)
runtime = of("compiler/runtime.py", *COMPILER)
outside = of("compiler/outside_state.py", *COMPILER)
recorder = of("compiler/recorder.py", *COMPILER)
naming = of("compiler/codegen/naming.py", *COMPILER)
printer = of("compiler/codegen/printer.py", *COMPILER)

MUTATIONS = [
    # ── compiler/passes.py ────────────────────────────────────────────────────────────────────────
    passes(
        "_content_key",
        "whatever their dtype",
        "(type(value), array.dtype, array.shape, array.tobytes())",
        "(array.shape, array.tobytes())",
    ),
    passes(
        "merge_equal.rule",
        "a product of itself",
        "of_itself.get(op) is False and _is_product_of_itself(op)",
        "False",
    ),
    passes(
        "push_down_broadcasts",
        "whatever the dtype",
        "_promoted(cores) != _promoted(op.inputs)",
        "False",
    ),
    passes(
        "push_down_broadcasts",
        "whatever the order of axes",
        "any((x.kind == 'array' and (not (_is_broadcast(x) or x.in_c_order)) for x in op.inputs))",
        "False",
    ),
    passes(
        "fuse_scatter_add.rule",
        "onto -0",
        "scattered.primitive is p.scatter and once and unsigned.get(rest)",
        "scattered.primitive is p.scatter and once",
    ),
    passes(
        "_names_no_place_twice",
        "from the end",
        "not known or any(((column < 0).any() for column in known))",
        "not known",
    ),
    passes(
        "_names_no_place_twice",
        "a place twice",
        "len(np.unique(np.stack(known, 1), axis=0)) == known[0].size",
        "True",
    ),
    passes(
        "flatten_indices.rule",
        "unchecked",
        "not all((_in_range(index, n, bounds.get(index)) for index, n in limits))",
        "False",
    ),
    passes(
        "is_taken",
        "an index of bits",
        "index.kind == 'array' and index.dtype.kind in 'iu' and (index.dtype != np.uint64)",
        "index.kind == 'array'",
    ),
    passes(
        "split_means",
        "of integers",
        "kinds not in ({('array', 'f')}, {('array', 'd')})",
        "op.kind != 'array'",
    ),
    # ── compiler/memory.py ────────────────────────────────────────────────────────────────────────
    memory("_last_uses", "written over", "last_use[owner] = NEVER", "pass"),
    memory(
        "_reused_operand",
        "that is a view of another",
        "all((y is x or owner not in owners[y] for y in op.inputs))",
        "True",
    ),
    memory(
        "_reused_operand",
        "an argument",
        "len(owners[x]) == 1 and owner.primitive is not None and owner.in_c_order",
        "len(owners[x]) == 1 and owner.in_c_order",
    ),
    memory("plan_memory", "that are arguments", "plan.copied.add(op)", "pass"),
    memory(
        "plan_memory",
        "needed for other rows",
        "reused is not None and reused not in shared.get(op, ())",
        "reused is not None",
    ),
    memory(
        "_share_buffers",
        "needed for the next block",
        "end = number[loop_at[end].ops[-1]]",
        "pass",
    ),
    memory(
        "_share_buffers",
        "blocks",
        "memory is first and memory.size * memory.dtype.itemsize >= CLEARED",
        "memory.size * memory.dtype.itemsize >= CLEARED",
    ),
    memory("recycled", "that are held", "holders.index(nobody)", "0"),
    memory("recycled", "read-only", "array.setflags(write=True)", "pass"),
    memory("recycled", "the older", "[array, *arrays[:1]]", "[*arrays[:1], array]"),
    # ── compiler/row_blocks.py ────────────────────────────────────────────────────────────────────
    blocks(
        "_Stretches.works_by_row",
        "any order of axes",
        "op.facts.exact or all((y.in_c_order for y in op.inputs))",
        "True",
    ),
    blocks(
        "_Stretches.works_by_row",
        "sums in another dtype",
        "rows and last and (not converts)",
        "rows and last",
    ),
    blocks(
        "_Stretches.works_by_row",
        "a vector as long as the rows",
        "rows and self.fast and (len(vector) == 1) and (vector != (n,))",
        "rows and self.fast and (len(vector) == 1)",
    ),
    blocks("_Stretches.loop", "left out", "outlast | inside & self.wanted", "outlast"),
    blocks("_Stretches.assign", "in any order", "level = effects = max(level, effects)", "pass"),
    blocks("_Stretches.assign", "before they are checked", "checked[op.inputs[0]] = level", "pass"),
    # ── compiler/runtime.py ───────────────────────────────────────────────────────────────────────
    runtime(
        "_Driver.function",
        "of any shape",
        "f'    if v{i} is not k{i} and not fits(v{i}, op_{i}):'",
        "f'    if v{i} is not k{i} and False:'",
    ),
    runtime(
        "_Driver.guards",
        "that have been assigned",
        "f'{self.owner(leaf)}._value is f{i}'",
        "f'{self.owner(leaf)}._value is not None'",
    ),
    # ── compiler/outside_state.py and recorder.py ─────────────────────────────────────────────────
    outside(
        "StateRecorder._read_list",
        "equal for ever",
        "self.recording.guards.append((ref, first))",
        "pass",
    ),
    recorder(
        "StepRecorder.gradient_of", "whatever is there", "self.depends_on(node, '_grad')", "pass"
    ),
    recorder("StepRecorder.put_back", "left as they became", "leaf._value = value", "pass"),
    # ── compiler/codegen/naming.py ────────────────────────────────────────────────────────────────
    naming(
        "_Namer.free_name",
        "names of the module's own",
        "name in RESERVED or (op.is_constant and name == self.function)",
        "False",
    ),
    naming(
        "_Namer.free_name",
        "the target as the operand",
        "i - (op.primitive in (p.scatter, add_at, add_at_flat))",
        "i",
    ),
    # ── compiler/codegen/printer.py ───────────────────────────────────────────────────────────────
    printer(
        "_Printer.memory",
        "the last is full",
        "self.loop is not None and self.loop.n % self.loop.block",
        "False",
    ),
]
