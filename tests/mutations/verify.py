"""The mutations of the checkers."""

from mutations.mutation import of

gradcheck = of("verify/finite_differences.py", "verify/test_finite_differences.py")
compare = of("verify/comparison.py", "verify/test_comparison.py")

MUTATIONS = [
    # ── verify/finite_differences.py ──────────────────────────────────────────────────────────────
    gradcheck(
        "_check",
        "nan passes",
        "~(np.abs(actual - expected) <= limit)",
        "np.abs(actual - expected) > limit",
    ),
    gradcheck("_checkable", "float32", "array.dtype in (np.float16, np.float32)", "False"),
    gradcheck("gradcheck", "no second order", "order == 2", "False"),
    gradcheck(
        "_differences",
        "loose",
        "16 * EPS",
        "1e10 * EPS",
    ),
    gradcheck("_weighted", "no weights", "f(*xs) * weights", "f(*xs)"),
    # ── verify/comparison.py ──────────────────────────────────────────────────────────────────────
    compare("_why_not", "broadcasts", "a.shape != b.shape", "False"),
    compare("_why_not", "dtypes", "a.dtype != b.dtype", "False"),
    compare(
        "_compare",
        "nan is close",
        "bool(np.all(difference <= limit))",
        "not np.any(difference > limit)",
    ),
    compare("_ordinal", "byte order", "x.astype(x.dtype.newbyteorder('='))", "x", "guarantees"),
]
