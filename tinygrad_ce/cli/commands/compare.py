"""``tinygrad-ce compare``."""

from __future__ import annotations

import argparse

import numpy as np

from ...verify.chain_rule import check_cross_entropy, check_random_logits
from ...verify.four_ways import check_four_ways
from .. import compare_output, logits_input
from ..logits_input import Problem
from ..options import UsageError, add_seed, any_path, positive_number, whole_number

MAX_CLASSES = 1_000
MAX_ELEMENTS = 10**6  # second derivatives that are compared
MAX_PROVED = 5  # logits in a proof: what is derived grows with their square


def add_arguments(parser: argparse.ArgumentParser) -> None:
    logits_input.add_logits(parser)
    rows = "rows of logits with the label in the last column; a header is skipped"
    parser.add_argument("--csv", type=any_path, metavar="FILE", help=rows)
    add_seed(parser, "of random logits, where none are given")
    number = f"the number of random logits (default: {logits_input.CLASSES})"
    parser.add_argument("--classes", type=whole_number(1, MAX_CLASSES), metavar="C", help=number)
    scale = f"the standard deviation of random logits (default: {logits_input.SCALE:g})"
    parser.add_argument("--scale", type=positive_number, metavar="S", help=scale)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object; see below")
    proof = (
        "print instead why they agree for all logits: what backprop does, step by step, in "
        f"symbols, for up to {MAX_PROVED} logits; needs SymPy"
    )
    form.add_argument("--prove", action="store_true", help=proof)
    form.add_argument("--latex", action="store_true", help="the same in LaTeX")
    parser.epilog = compare_output.SCHEMA


@np.errstate(over="ignore")  # logits may be as far apart as float64 goes
def run(arguments: argparse.Namespace) -> int:
    """Compare the gradients of cross-entropy, found in four ways, on given or random logits.

    ∂L/∂p, the Jacobian of softmax, ∂L/∂z and the Hessian: by autograd, by the closed form, by
    central differences, and to 50 digits. Exits with status 1 if a row disagrees.
    """
    problem = logits_input.read_problem(arguments)
    if arguments.prove or arguments.latex:
        return _prove(problem, arguments.latex)
    n, n_classes = problem.logits.shape
    if n * n_classes**2 > MAX_ELEMENTS:
        raise UsageError(
            f"{n:,} rows of {n_classes:,} logits have {n * n_classes**2:,} second derivatives: "
            f"up to {MAX_ELEMENTS:,} are compared"
        )
    derivatives = check_four_ways(problem.logits, problem.target)
    chain = check_cross_entropy(problem.logits, problem.target)
    if problem.random:
        chain.append(check_random_logits(seed=arguments.seed))
    show = compare_output.as_json if arguments.json else compare_output.as_text
    print(show(problem, derivatives, chain))
    return 0 if compare_output.all_agree(derivatives, chain) else 1


def _prove(problem: Problem, latex: bool) -> int:
    n_classes = problem.logits.shape[1]
    if n_classes > MAX_PROVED:
        raise UsageError(f"a proof is of up to {MAX_PROVED} logits, got {n_classes}")
    from ... import symbolic

    proofs = [
        symbolic.prove(n_classes, label, of=of)
        for label in sorted(set(problem.target.tolist()))
        for of in ("gradient", "hessian")
    ]
    shown = [f"\\[\n{proof.latex()}\n\\]" if latex else str(proof) for proof in proofs]
    print(("\n\n" if latex else f"\n\n{'─' * 80}\n\n").join(shown))
    return 0 if all(proof.holds for proof in proofs) else 1
