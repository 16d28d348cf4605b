"""The mutations of the compiler."""

from mutations.mutation import of

COMPILER = ("compiler",)

passes = of("compiler/passes.py", *COMPILER)
memory = of("compiler/memory.py", *COMPILER)
blocks = of("compiler/row_blocks.py", *COMPILER)
runtime = of("compiler/runtime.py", *COMPILER)
recorder = of("compiler/recorder.py", *COMPILER)
naming = of("compiler/codegen/naming.py", *COMPILER)
printer = of("compiler/codegen/printer.py", *COMPILER)

MUTATIONS = [
    # ── compiler/passes.py ────────────────────────────────────────────────────────────────────────
    passes(
        "_spelled",
        "whatever their dtype",
        "(type(value), array.dtype, array.shape, array.tobytes())",
        "(array.shape, array.tobytes())",
    ),
    passes(
        "merge_equal.rule",
        "a product of itself",
        "of_itself.get(id(op)) is False and _is_product_of_itself(op)",
        "False",
    ),
    passes(
        "melt_broadcasts.rule",
        "whatever the dtype",
        "_promoted(cores) != _promoted(op.inputs)",
        "False",
    ),
    passes(
        "melt_broadcasts.rule",
        "whatever the order of axes",
        "any((x.kind == 'array' and (not (_is_spread(x) or x.in_c_order)) for x in op.inputs))",
        "False",
    ),
    passes(
        "melt_scatters.rule",
        "onto -0",
        "scattered.primitive is p.scatter and once and positive.get(id(rest))",
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
        "not all((_in_range(index, n, bounds.get(id(index))) for index, n in limits))",
        "False",
    ),
    passes(
        "is_taken",
        "an index of bits",
        "index.kind == 'array' and index.dtype.kind in 'iu' and (index.dtype != np.uint64)",
        "index.kind == 'array'",
    ),
    passes(
        "split_means.rule",
        "of integers",
        "kinds not in ({('array', 'f')}, {('array', 'd')})",
        "op.kind != 'array'",
    ),
    # ── compiler/memory.py ────────────────────────────────────────────────────────────────────────
    memory("_last_uses", "written over", "last_use[id(owner)] = NEVER", "pass"),
    memory(
        "_dying_operand",
        "that is a view of another",
        "all((y is x or owner not in owners[id(y)] for y in op.inputs))",
        "True",
    ),
    memory(
        "_dying_operand",
        "an argument",
        "len(owners[id(x)]) == 1 and owner.primitive is not None and owner.in_c_order",
        "len(owners[id(x)]) == 1 and owner.in_c_order",
    ),
    memory("planned", "that are arguments", "plan.copied.add(id(op))", "pass"),
    memory(
        "planned",
        "needed for other rows",
        "victim is not None and id(victim) not in shared.get(id(op), ())",
        "victim is not None",
    ),
    memory(
        "_share_buffers",
        "needed for the next block",
        "end = number[id(loop_at[end].ops[-1])]",
        "pass",
    ),
    memory(
        "_share_buffers",
        "blocks",
        "memory is first and memory.size * memory.dtype.itemsize >= CLEARED",
        "memory.size * memory.dtype.itemsize >= CLEARED",
    ),
    memory("unheld", "that are held", "holders.index(nobody)", "0"),
    memory("unheld", "read-only", "array.setflags(write=True)", "pass"),
    memory("unheld", "the older", "[array, *arrays[:1]]", "[*arrays[:1], array]"),
    # ── compiler/row_blocks.py ────────────────────────────────────────────────────────────────────
    blocks(
        "_Stretches.works_by_row",
        "any order of axes",
        "op.primitive in EXACT or all((y.in_c_order for y in op.inputs))",
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
    blocks(
        "_Stretches.assign", "before they are checked", "checked[id(op.inputs[0])] = level", "pass"
    ),
    # ── compiler/runtime.py ───────────────────────────────────────────────────────────────────────
    runtime(
        "_Driver.function",
        "of any shape",
        "f'    if {v} is not k_{v} and not fits({v}, op_{v}):'",
        "f'    if {v} is not k_{v} and False:'",
    ),
    runtime(
        "_Driver.conditions",
        "that have been assigned",
        "f'{self.owner(leaf)}._value is f{i}'",
        "f'{self.owner(leaf)}._value is not None'",
    ),
    runtime(
        "_Driver.conditions",
        "whoever needs one",
        "f'{self.owner(leaf)}._requires_grad is {leaf._requires_grad}'",
        "f'{self.owner(leaf)}._requires_grad is not None'",
    ),
    # ── compiler/recorder.py ──────────────────────────────────────────────────────────────────────
    recorder(
        "StepRecorder._read_list",
        "equal for ever",
        "self.recording.conditions.append((place, first))",
        "pass",
    ),
    recorder(
        "StepRecorder.gradient_of", "whatever is there", "self.depends_on(node, '_grad')", "pass"
    ),
    recorder("StepRecorder.put_back", "left as they became", "leaf._value = value", "pass"),
    # ── compiler/codegen/naming.py ────────────────────────────────────────────────────────────────
    naming(
        "_Namer.is_free",
        "names of the module's own",
        "name not in self.taken and (not (op.is_constant and name == self.function))",
        "True",
    ),
    naming(
        "_Namer.take",
        "the target as the operand",
        "not self.is_free(name, op) or until > i or held",
        "not self.is_free(name, op) or until > i",
    ),
    # ── compiler/codegen/printer.py ───────────────────────────────────────────────────────────────
    printer(
        "_Printer.memory",
        "the last is full",
        "self.loop is not None and self.loop.n % self.loop.block",
        "False",
    ),
]
