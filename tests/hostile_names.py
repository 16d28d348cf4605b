"""Names that nobody should have: what runs, breaks, hides or is taken for another."""

import random
import unicodedata

CODE = [
    "a\n    RAN('scope')\n    #", '"""+str(RAN("quotes"))+"""', "'''+RAN()+'''", "x\rRAN()", "\\",
    "#", "a\\", '"', '""""', "RAN()", "; RAN()", "(", "]", "{x}", "%s", "{0}", "\\N{DASH}",
    r"\xi", r"\u12", "\n", "\f", "\v", "\x85", "\u2028", "    ", "\t", "", " ",
    "from __future__ import braces", "*/ RAN() /*", "// RAN() \\",
]  # fmt: skip
TERMINAL = [
    "\x1b[31mred", "\x1b]0;title\x07", "\x9b2J", "\x00", "\x7f", "\b\b", "\u202ertl", "\u200f",
    "\u2066", "\ud800", "\udfff", "\udce9", "\u200b", "\ufeff", "\U000e0041", "שלום",
]  # fmt: skip
FOLDED = [  # pairs that Python takes for one, and what it folds into other names
    "φ", "ϕ", "ε", "ϵ", "µ", "μ", "θ", "ϑ", "ﬁ", "fi", "l", "ℓ", "K", "\u212a", "é", "e\u0301",
    "x₁", "x1", "x²", "x2", "W½", "Ⅷ", "０", "𝐱", "x", "ｘ", "한", "\u1112\u1161\u11ab", "ｎｐ",
    "ｍath", "ʟambda", "ﬀ", "\ufdfa", "⓿", "٣", "\u0301", "d", "dd", "dx",
]  # fmt: skip
TAKEN = [
    "np", "math", "cache", "getrefcount", "rng", "rows", "start", "block", "buffer_1", "spare_1",
    "step", "_step", "__step", "loss", "one", "zero", "two", "half", "c_0_5", "recycled",
    "_recycled", "sum", "check_labels", "add_rows", "annotations", "lambda", "None", "True",
    "class", "async", "match", "type", "print", "len", "range", "slice", "min", "bool",
    "__debug__", "__name__", "self", "x_1", "x_2", "exp", "softmax", "cross_entropy", "Linear",
    "update", "back through x", "0", "9lives", "_", "__", "a/b", "a.b",
]  # fmt: skip
LONG = ["n" * 10_000, "n" * 10_000 + "x", "φ" * 10_000, "\n" * 10_000, "\ufdfa" * 10_000]

ALL = [*CODE, *TERMINAL, *FOLDED, *TAKEN, *LONG]


def hostile_names(n, seed=0):
    """The names above, and others made of pieces of them."""
    rng = random.Random(seed)
    names = dict.fromkeys(ALL)
    while len(names) < n:
        pieces = rng.choices(ALL[: -len(LONG)], k=rng.randint(2, 5))
        names[rng.choice(["", "_", "\n", "."]).join(pieces)] = None
    return list(names)[:n]


def assert_shows_nothing_that_acts(text):
    """No control characters but line breaks, no marks of direction, and nothing without bytes."""
    text.encode()
    for c in set(text):
        assert c == "\n" or unicodedata.category(c) not in ("Cc", "Cs", "Cf", "Zl", "Zp"), repr(c)
