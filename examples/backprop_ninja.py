"""Backprop by hand, and by machine: a companion to the lecture "Becoming a Backprop Ninja".

    python examples/backprop_ninja.py
    python examples/backprop_ninja.py --names names.txt --steps 200000

The lecture (Andrej Karpathy, "Building makemore Part 4: Becoming a Backprop Ninja") takes a small
network that spells names, and finds the gradient of every number in it without autograd. This
script does the lecture's four exercises and checks them against autograd:

1. the gradients of all 26 intermediate values and parameters, one by one;
2. the gradient of cross-entropy in one expression;
3. the gradient of batch normalization in one expression;
4. the network trained twice from the same start on the same batches, with gradients by hand and by
   autograd.

In exercise 1, autograd agrees to the last bit, since by hand it is the same operations in the same
order. The single expressions of exercises 2 and 3 are other operations, and agree up to rounding:
to 3e-17 in float64, and to 2e-8 in float32. So the two losses of exercise 4 are equal but for
rounding: in float64 they are at most 1e-15 apart in the first thousand steps, and 6e-14 in 200,000.

Variables are called what the lecture calls them, so that the two can be read side by side.

Names are read from a file with one name a line. The list that lies beside this script, names.txt,
was compiled for it from memory: 1,891 given names that are common somewhere in the world. The
lecture's list is longer, so its losses are not those of the short one; --names takes it as it is.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import tinygrad_ce as tg
from tinygrad_ce import closed_form
from tinygrad_ce.verify import Comparison, table

Array = NDArray[Any]

NAMES = Path(__file__).with_name("names.txt")

block_size = 3  # how many letters the network sees to predict the next one
n_embd = 10  # how many numbers stand for a letter
batch_size = 32

PARAMETERS = ("C", "W1", "b1", "W2", "b2", "bngain", "bnbias")

# What exercise 1 wants the gradients of, from the loss backward.
INTERMEDIATES = (
    *("logprobs", "probs", "counts_sum_inv", "counts_sum", "counts", "norm_logits"),
    *("logit_maxes", "logits", "h", "W2", "b2", "hpreact", "bngain", "bnbias", "bnraw"),
    *("bnvar_inv", "bnvar", "bndiff2", "bndiff", "bnmeani", "hprebn", "embcat", "W1", "b1"),
    *("emb", "C"),
)


# ── The data: which letter follows these three? ───────────────────────────────────────────────────


def read_names(path: Path) -> list[str]:
    """The names in a file that has one a line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text in UTF-8") from None
    words = [line.strip() for line in lines if line.strip()]
    for word in words:
        if "." in word:
            raise ValueError(f"{path}: {word!r} holds a dot, which means the end of a name")
    if len(words) < 10:
        raise ValueError(
            f"{path} has {len(words)} names: at least 10 are needed, one a line, "
            "for a training set and a test set"
        )
    return words


def build_vocabulary(words: Sequence[str]) -> list[str]:
    """The characters by their number; the dot, which begins and ends a name, is number 0."""
    return [".", *sorted(set("".join(words)))]


def build_dataset(words: Sequence[str], itos: Sequence[str]) -> tuple[Array, Array]:
    """An example for each character of each name: X (n, 3), what comes before, and Y (n,), it."""
    stoi = {character: i for i, character in enumerate(itos)}
    X, Y = [], []
    for word in words:
        context = [0] * block_size
        for character in word + ".":
            ix = stoi[character]
            X.append(context)
            Y.append(ix)
            context = [*context[1:], ix]
    return np.array(X), np.array(Y)


def split(words: Sequence[str], seed: int) -> tuple[list[str], list[str], list[str]]:
    """For training 80 % of the names, for validation 10 %, and 10 % for a test at the very end."""
    shuffled = [words[i] for i in np.random.default_rng(seed).permutation(len(words))]
    n1, n2 = int(0.8 * len(words)), int(0.9 * len(words))
    return shuffled[:n1], shuffled[n1:n2], shuffled[n2:]


# ── The network, in steps that are each small enough to differentiate by hand ─────────────────────


def make_parameters(vocab_size: int, n_hidden: int, seed: int) -> dict[str, Array]:
    """The first weights, by name. None is zero or one, so that no mistake can hide behind those."""
    rng = np.random.default_rng(seed)
    fan_in = n_embd * block_size
    return {
        "C": rng.standard_normal((vocab_size, n_embd)),
        # tanh flattens what passes through it; a gain of 5/3 makes up for that.
        "W1": rng.standard_normal((fan_in, n_hidden)) * (5 / 3) / fan_in**0.5,
        "b1": rng.standard_normal(n_hidden) * 0.1,  # of no effect: see exercise 1
        "W2": rng.standard_normal((n_hidden, vocab_size)) * 0.1,
        "b2": rng.standard_normal(vocab_size) * 0.1,
        "bngain": rng.standard_normal((1, n_hidden)) * 0.1 + 1,
        "bnbias": rng.standard_normal((1, n_hidden)) * 0.1,
    }


def forward(parameters: dict[str, Any], Xb: Array, Yb: Array) -> SimpleNamespace:
    """From a batch of contexts to its loss; returns every intermediate value, by name.

    The same lines serve both sides. With parameters that are Tensors, the values are Tensors, and
    record how they were made; with arrays, they are arrays, and nothing is recorded.
    """
    C, W1, b1, W2, b2, bngain, bnbias = (parameters[name] for name in PARAMETERS)
    n = len(Yb)
    # Embedding: each letter is looked up in C, and the three of a context are joined.
    emb = C[Xb]
    embcat = emb.reshape(n, -1)
    # The first layer.
    hprebn = embcat @ W1 + b1
    # Batch normalization: each unit gets mean 0 and variance 1 over the batch. The variance has
    # n - 1, not n, in its denominator (Bessel's correction), so that it is right on average.
    bnmeani = 1 / n * hprebn.sum(0, keepdims=True)
    bndiff = hprebn - bnmeani
    bndiff2 = bndiff**2
    bnvar = 1 / (n - 1) * bndiff2.sum(0, keepdims=True)
    bnvar_inv = (bnvar + 1e-5) ** -0.5
    bnraw = bndiff * bnvar_inv
    hpreact = bngain * bnraw + bnbias
    # The nonlinearity, and the second layer.
    h = np.tanh(hpreact)
    logits = h @ W2 + b2
    # Cross-entropy. The largest logit is subtracted first, so that exp cannot overflow.
    logit_maxes = logits.max(1, keepdims=True)
    norm_logits = logits - logit_maxes
    counts = np.exp(norm_logits)
    counts_sum = counts.sum(1, keepdims=True)
    counts_sum_inv = counts_sum**-1
    probs = counts * counts_sum_inv
    logprobs = np.log(probs)
    loss = -logprobs[np.arange(n), Yb].mean()
    return SimpleNamespace(**locals())


def as_tensors(parameters: dict[str, Array]) -> dict[str, tg.Tensor]:
    """The parameters as leaves of a graph."""
    return {
        name: tg.Tensor(array, requires_grad=True, name=name) for name, array in parameters.items()
    }


# ── Exercise 1: every gradient by hand ────────────────────────────────────────────────────────────


def backward(v: SimpleNamespace, Xb: Array, Yb: Array) -> dict[str, Array]:
    """∂loss/∂x for every x in INTERMEDIATES, from the arrays v that forward() returned.

    Read it from the top as the chain rule from the loss backward; dx means ∂loss/∂x. Two patterns
    recur. What is repeated in the forward pass (a row of biases that is added to every example) is
    summed in the backward pass; what is summed forward is repeated backward. And a value that is
    used twice gets a gradient from both uses, which add up.
    """
    n = len(Yb)

    # loss = -mean of the entries at the labels: each of these n has weight -1/n, all others 0.
    dlogprobs = np.zeros_like(v.logprobs)
    dlogprobs[np.arange(n), Yb] = -1 / n
    # d log x / dx = 1/x: where the right letter had a small probability, the push is large.
    dprobs = dlogprobs / v.probs
    # probs = counts · counts_sum_inv, each the other's slope; the one column was repeated: sum.
    dcounts_sum_inv = (v.counts * dprobs).sum(1, keepdims=True)
    # d x⁻¹ / dx = -x⁻²
    dcounts_sum = -(v.counts_sum**-2) * dcounts_sum_inv
    # counts is used twice: in probs, and in its own sum, which passes its gradient to each term.
    dcounts = v.counts_sum_inv * dprobs + dcounts_sum
    # d eˣ / dx = eˣ, and that is what counts is.
    dnorm_logits = v.counts * dcounts
    # Subtracted from each logit of its row: minus their sum. Softmax does not change when a number
    # is added to all logits, so this is 0 but for rounding.
    dlogit_maxes = -dnorm_logits.sum(1, keepdims=True)
    # logits is used twice: as it is, and the largest of each row as the maximum.
    dlogits = dnorm_logits + (v.logits == v.logit_maxes) * dlogit_maxes
    # logits[i,k] = Σⱼ h[i,j] W2[j,k] + b2[k]: only one arrangement of the two factors has the right
    # shape, and it is the right one.
    dh = dlogits @ v.W2.T
    dW2 = v.h.T @ dlogits
    # Added to each row: the sum over rows.
    db2 = dlogits.sum(0)
    # d tanh x / dx = 1 - tanh² x, and tanh x is h.
    dhpreact = (1 - v.h**2) * dh
    # hpreact = bngain · bnraw + bnbias, with a row each for gain and bias: sums over rows again.
    dbngain = (v.bnraw * dhpreact).sum(0, keepdims=True)
    dbnbias = dhpreact.sum(0, keepdims=True)
    dbnraw = v.bngain * dhpreact
    # bnraw = bndiff · bnvar_inv, with one row of bnvar_inv.
    dbnvar_inv = (v.bndiff * dbnraw).sum(0, keepdims=True)
    # d x^(-1/2) / dx = -1/2 x^(-3/2)
    dbnvar = -0.5 * (v.bnvar + 1e-5) ** -1.5 * dbnvar_inv
    # A sum over rows, times 1/(n - 1): the same for each row.
    dbndiff2 = 1 / (n - 1) * np.ones_like(v.bndiff2) * dbnvar
    # bndiff is used twice: in bnraw, and squared, with the slope 2 · bndiff.
    dbndiff = v.bnvar_inv * dbnraw + 2 * v.bndiff * dbndiff2
    # One row, subtracted from all: minus the sum.
    dbnmeani = -dbndiff.sum(0, keepdims=True)
    # hprebn is used twice: as it is, and in the mean, to which each row contributes 1/n.
    dhprebn = dbndiff + 1 / n * np.ones_like(v.hprebn) * dbnmeani
    # A matrix product again.
    dembcat = dhprebn @ v.W1.T
    dW1 = v.embcat.T @ dhprebn
    # Normalisation subtracts the mean, and b1 with it: no effect on the loss, a gradient of 0 but
    # for rounding. bnbias does what b1 would have done.
    db1 = dhprebn.sum(0)
    # The same numbers in another shape.
    demb = dembcat.reshape(v.emb.shape)
    # A row of C for each letter of each context; a row that was looked up often gets it all added.
    dC = np.zeros_like(v.C)
    np.add.at(dC, Xb, demb)

    by_hand = locals()
    return {name: by_hand[f"d{name}"] for name in INTERMEDIATES}


def exercise_1(parameters: dict[str, Array], Xb: Array, Yb: Array) -> list[Comparison]:
    """All 26 gradients by hand, against what autograd finds in a single backward pass."""
    by_hand = backward(forward(parameters, Xb, Yb), Xb, Yb)
    v = forward(as_tensors(parameters), Xb, Yb)
    by_autograd = tg.gradients(v.loss, [getattr(v, name) for name in INTERMEDIATES])
    return [
        tg.compare(found, by_hand[name], name)
        for name, found in zip(INTERMEDIATES, by_autograd, strict=True)
    ]


# ── Exercises 2 and 3: what all these steps come to ───────────────────────────────────────────────


def cross_entropy_backward(probs: Array, Yb: Array) -> Array:
    """∂loss/∂logits: what eight steps of exercise 1 come to.

    For one example with the label y, loss = log Σ exp(logits) - logits[y]. The first term has the
    slope exp(logits) / Σ exp(logits), which is probs, and the second pulls at the label alone.
    """
    n, vocab_size = probs.shape
    dlogits: Array = (probs - np.eye(vocab_size, dtype=probs.dtype)[Yb]) / n
    return dlogits


def batch_norm_backward(dhpreact: Array, bngain: Array, bnraw: Array, bnvar_inv: Array) -> Array:
    """∂loss/∂hprebn: what seven steps of exercise 1 come to.

    Each example moves its own output, which gives the first term, and those of all others through
    the mean, which gives the second, and through the variance, which gives the third. So what is
    left of the gradient has no part along a common shift or a common stretch of the batch.
    """
    n = len(dhpreact)
    shift, stretch = dhpreact.sum(0), n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0)
    dhprebn: Array = bngain * bnvar_inv / n * (n * dhpreact - shift - stretch)
    return dhprebn


def exercise_2(parameters: dict[str, Array], Xb: Array, Yb: Array) -> Comparison:
    """Cross-entropy's gradient in one expression, against autograd."""
    v = forward(as_tensors(parameters), Xb, Yb)
    (by_autograd,) = tg.gradients(v.loss, [v.logits])
    return tg.compare(by_autograd, cross_entropy_backward(v.probs.data, Yb), "logits")


def exercise_3(parameters: dict[str, Array], Xb: Array, Yb: Array) -> Comparison:
    """Batch normalization's gradient in one expression, against autograd."""
    v = forward(as_tensors(parameters), Xb, Yb)
    dhpreact, by_autograd = tg.gradients(v.loss, [v.hpreact, v.hprebn])
    by_hand = batch_norm_backward(dhpreact, v.bngain.data, v.bnraw.data, v.bnvar_inv.data)
    return tg.compare(by_autograd, by_hand, "hprebn")


# ── Exercise 4: putting it together ───────────────────────────────────────────────────────────────

Gradients = dict[str, Array]


def gradients_by_hand(parameters: dict[str, Array], Xb: Array, Yb: Array) -> tuple[Any, Gradients]:
    """The loss of a batch and the gradients of the parameters, without autograd."""
    v = forward(parameters, Xb, Yb)
    dlogits = cross_entropy_backward(v.probs, Yb)
    dh = dlogits @ v.W2.T
    dW2 = v.h.T @ dlogits
    db2 = dlogits.sum(0)
    dhpreact = (1 - v.h**2) * dh
    dbngain = (v.bnraw * dhpreact).sum(0, keepdims=True)
    dbnbias = dhpreact.sum(0, keepdims=True)
    dhprebn = batch_norm_backward(dhpreact, v.bngain, v.bnraw, v.bnvar_inv)
    dembcat = dhprebn @ v.W1.T
    dW1 = v.embcat.T @ dhprebn
    db1 = dhprebn.sum(0)
    dC = np.zeros_like(v.C)
    np.add.at(dC, Xb, dembcat.reshape(v.emb.shape))
    found = (dC, dW1, db1, dW2, db2, dbngain, dbnbias)
    return v.loss, dict(zip(PARAMETERS, found, strict=True))


def gradients_by_autograd(
    parameters: dict[str, Array], Xb: Array, Yb: Array
) -> tuple[Any, Gradients]:
    """The same, all of it left to autograd."""
    tensors = as_tensors(parameters)
    loss = forward(tensors, Xb, Yb).loss
    found = tg.gradients(loss, [tensors[name] for name in PARAMETERS])
    return loss.item(), dict(zip(PARAMETERS, found, strict=True))


class Twins:
    """Two networks that start as one and see the same batches.

    The first learns by gradients by hand, the second by autograd.
    """

    def __init__(self, parameters: dict[str, Array], X: Array, Y: Array, seed: int) -> None:
        self.by_hand = {name: array.copy() for name, array in parameters.items()}
        self.by_autograd = {name: array.copy() for name, array in parameters.items()}
        self.X, self.Y = X, Y
        self.rng = np.random.default_rng(seed)

    def step(self, lr: float) -> tuple[float, float]:
        """One step of gradient descent for each; returns their losses before the step."""
        ix = self.rng.integers(0, len(self.X), batch_size)
        Xb, Yb = self.X[ix], self.Y[ix]
        loss_by_hand, gradients = gradients_by_hand(self.by_hand, Xb, Yb)
        descend(self.by_hand, gradients, lr)
        loss_by_autograd, gradients = gradients_by_autograd(self.by_autograd, Xb, Yb)
        descend(self.by_autograd, gradients, lr)
        return float(loss_by_hand), loss_by_autograd


def descend(parameters: dict[str, Array], gradients: Gradients, lr: float) -> None:
    """One step against the gradient."""
    for name, parameter in parameters.items():
        parameter -= lr * gradients[name]


def learning_rate(step: int, steps: int) -> float:
    """0.1 for the first half of the way, 0.01 for the second."""
    return 0.1 if 2 * step < steps else 0.01


def train(twins: Twins, steps: int) -> float:
    """Train both; prints their losses meanwhile, and returns by how much they ever differed."""
    bar, write = progress(steps)
    write("     step  learning rate  loss by hand        loss by autograd    difference")
    apart = 0.0
    for step in bar:
        lr = learning_rate(step, steps)
        by_hand, by_autograd = twins.step(lr)
        apart = max(apart, abs(by_hand - by_autograd))
        if step % max(steps // 10, 1) == 0 or step == steps - 1:
            difference = by_hand - by_autograd
            write(f"{step:9,}  {lr:<13}  {by_hand:.15f}  {by_autograd:.15f}  {difference:.1e}")
    return apart


def progress(steps: int) -> tuple[Iterable[int], Callable[[str], Any]]:
    """The steps behind a progress bar, if tqdm is installed, and a way to print beside it."""
    try:
        from tqdm import tqdm
    except ImportError:
        return range(steps), print
    bar = tqdm(range(steps), desc="training", unit="step", disable=None, leave=False)
    return bar, bar.write


# ── With the trained network ──────────────────────────────────────────────────────────────────────


class Speller:
    """A trained network, with the mean and the variance of all of the training set.

    In training, batch normalization takes both from the batch. A single example has no variance,
    so they are measured once, when training is over.
    """

    def __init__(self, parameters: dict[str, Array], X: Array) -> None:
        self.parameters = parameters
        hprebn = self._hprebn(X)
        self.bnmean = hprebn.mean(0, keepdims=True)
        self.bnvar = hprebn.var(0, keepdims=True, ddof=1)

    def _hprebn(self, X: Array) -> Array:
        p = self.parameters
        hprebn: Array = p["C"][X].reshape(len(X), -1) @ p["W1"] + p["b1"]
        return hprebn

    def logits(self, X: Array) -> Array:
        """The logits of the letter behind each context of X (n, 3)."""
        p = self.parameters
        bnraw = (self._hprebn(X) - self.bnmean) * (self.bnvar + 1e-5) ** -0.5
        logits: Array = np.tanh(p["bngain"] * bnraw + p["bnbias"]) @ p["W2"] + p["b2"]
        return logits

    def loss(self, X: Array, Y: Array) -> float:
        """The mean cross-entropy."""
        return float(closed_form.cross_entropy(self.logits(X), Y))

    def spell(self, itos: Sequence[str], rng: np.random.Generator) -> str:
        """A new name, letter by letter, each drawn from the probabilities that the network sees."""
        context, name = [0] * block_size, ""
        while True:
            probs = closed_form.softmax(self.logits(np.array([context]))[0])
            ix = int(rng.choice(len(itos), p=probs))
            if ix == 0 or len(name) == 40:
                return name
            name += itos[ix]
            context = [*context[1:], ix]


# ── From the command line ─────────────────────────────────────────────────────────────────────────


def report_exercises_1_to_3(X: Array, Y: Array, vocab_size: int, seed: int) -> bool:
    """Print the comparisons for one batch, in float64 and in float32; returns if all are close."""
    ix = np.random.default_rng(seed).integers(0, len(X), batch_size)
    Xb, Yb = X[ix], Y[ix]
    first = make_parameters(vocab_size, 64, seed)
    close = True
    for dtype in (np.float64, np.float32):
        parameters = {name: array.astype(dtype) for name, array in first.items()}
        for title, rows in (
            ("Exercise 1: every gradient by hand", exercise_1(parameters, Xb, Yb)),
            ("Exercise 2: cross-entropy at once", [exercise_2(parameters, Xb, Yb)]),
            ("Exercise 3: batch normalization at once", [exercise_3(parameters, Xb, Yb)]),
        ):
            print(f"{title}, {np.dtype(dtype)}\n\n{table(rows)}\n")
            close = close and all(row.close for row in rows)
    return close


def report_exercise_4(words: Sequence[str], itos: Sequence[str], steps: int, seed: int) -> None:
    """Train, and print how it went."""
    training, validation, _ = split(words, seed)
    Xtr, Ytr = build_dataset(training, itos)
    Xdev, Ydev = build_dataset(validation, itos)
    parameters = make_parameters(len(itos), 200, seed)
    n_parameters = sum(array.size for array in parameters.values())
    print(
        f"Exercise 4: {steps:,} steps on {len(training):,} names ({len(Xtr):,} examples), "
        f"with {n_parameters:,} parameters\n"
    )
    twins = Twins(parameters, Xtr, Ytr, seed)
    apart = train(twins, steps)
    print(f"\nThe two losses were never further apart than {apart:.1e}.\n")
    for how, trained in (("by hand", twins.by_hand), ("by autograd", twins.by_autograd)):
        speller = Speller(trained, Xtr)
        print(
            f"{how:11}  training loss {speller.loss(Xtr, Ytr):.4f}, "
            f"validation loss {speller.loss(Xdev, Ydev):.4f}"
        )
    rng = np.random.default_rng(seed)
    names = [speller.spell(itos, rng) or "(an empty one)" for _ in range(10)]
    print(f"\nNames by the network: {', '.join(names)}")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def whole(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on, got {text!r}")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Do the exercises; returns the exit status: 1 if a gradient by hand is wrong."""
    parser = Parser(description="Backprop by hand, compared with autograd.", allow_abbrev=False)
    parser.add_argument(
        "--names",
        type=Path,
        default=NAMES,
        metavar="FILE",
        help="names, one a line (default: the list beside this script)",
    )
    parser.add_argument(
        "--steps",
        type=whole,
        default=500,
        metavar="N",
        help="steps of training in exercise 4; 0 leaves it out (default: %(default)s; "
        "the lecture: 200000)",
    )
    parser.add_argument("--seed", type=whole, default=0, metavar="S", help="(default: 0)")
    arguments = parser.parse_args(argv)
    try:
        words = read_names(arguments.names)
    except (OSError, ValueError) as error:
        parser.error(" ".join(str(error).split()))
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that knows no Δ prints a ? for it
        sys.stdout.reconfigure(errors="replace")

    itos = build_vocabulary(words)
    X, Y = build_dataset(split(words, arguments.seed)[0], itos)
    close = report_exercises_1_to_3(X, Y, len(itos), arguments.seed)
    if arguments.steps:
        report_exercise_4(words, itos, arguments.steps, arguments.seed)
    return 0 if close else 1


if __name__ == "__main__":
    sys.exit(main())
