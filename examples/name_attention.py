"""A causal self-attention block that learns to write names, one character after another.

    python examples/name_attention.py

The model of "Attention is all you need" (Vaswani and others, 2017) with one block and one head,
made of layers and NumPy's functions. Each place of a name looks back at the characters before it,
and at itself, and says which character comes next.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim

NAMES = Path(__file__).with_name("names.txt").read_text(encoding="utf-8").split()
END = 0  # the token before the first character and behind the last one
LETTERS = [".", *sorted(set("".join(NAMES)))]
CONTEXT = 10  # characters; longer names are left out
PADDING = -1


def encode(names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return what the model reads, and what it is to say: integers of shape (N, CONTEXT)."""
    given = np.full((len(names), CONTEXT), END)
    wanted = np.full((len(names), CONTEXT), PADDING)
    for row, name in enumerate(names):
        tokens = [LETTERS.index(letter) for letter in name]
        given[row, 1 : len(tokens) + 1] = tokens
        wanted[row, : len(tokens) + 1] = [*tokens, END]
    return given, wanted


class CausalSelfAttention(nn.Module):
    """softmax(Q Kᵀ / √d) V, where no place looks at a later one."""

    def __init__(self, dim: int, rng: np.random.Generator) -> None:
        self.query, self.key, self.value, self.out = (
            nn.Linear(dim, dim, bias=False, rng=rng) for _ in range(4)
        )

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        """Map (N, T, dim) to the same shape."""
        n_places, dim = x.shape[1:]
        scores = self.query(x) @ self.key(x).mT * dim**-0.5
        later = np.triu(np.ones((n_places, n_places), bool), k=1)
        weights = F.softmax(tg.where(later, -np.inf, scores))
        return self.out(weights @ self.value(x))


class Block(nn.Module):
    """Attention between places, and then a perceptron at each, both added to what is there."""

    def __init__(self, dim: int, rng: np.random.Generator) -> None:
        self.norms = nn.ModuleList([nn.LayerNorm(dim), nn.LayerNorm(dim)])
        self.attention = CausalSelfAttention(dim, rng)
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim, rng=rng), nn.GELU("tanh"), nn.Linear(4 * dim, dim, rng=rng)
        )

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        """Map (N, T, dim) to the same shape."""
        x = x + self.attention(self.norms[0](x))
        return x + self.mlp(self.norms[1](x))


class Writer(nn.Module):
    """Tokens (N, T) to logits (N, T, number of letters)."""

    def __init__(self, dim: int = 32, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.letters = nn.Embedding(len(LETTERS), dim, rng=rng)
        self.places = nn.Embedding(CONTEXT, dim, rng=rng)
        for table in (self.letters, self.places):
            nn.init.normal_(table.weight, std=0.1, rng=rng)
        self.block = Block(dim, rng)
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, len(LETTERS), rng=rng))

    def forward(self, tokens: np.ndarray) -> tg.Tensor:
        """Return the logits of the next letter at each place."""
        x = self.letters(tokens) + self.places(np.arange(CONTEXT))
        return self.head(self.block(x))


def train(model: Writer, names: list[str], steps: int, rng: np.random.Generator) -> list[float]:
    """Train with AdamW on one cycle of learning rates, compiled; return the losses."""
    given, wanted = encode(names)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)

    @tg.compile
    def step(X: np.ndarray, y: np.ndarray) -> tg.Tensor:
        loss = F.cross_entropy(model(X), y, ignore_index=PADDING)
        optimizer.zero_grad()
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        return loss

    losses = []
    for _ in range(steps):
        rows = rng.integers(0, len(given), 64)
        losses.append(step(given[rows], wanted[rows]).item())
    return losses


def evaluate(model: Writer, names: list[str]) -> float:
    """Return the mean cross-entropy of a letter, in nats."""
    given, wanted = encode(names)
    with tg.no_grad():
        return F.cross_entropy(model(given), wanted, ignore_index=PADDING).item()


def write(model: Writer, n: int, rng: np.random.Generator) -> list[str]:
    """Return names that the model makes up."""
    tokens = np.full((n, CONTEXT), END)
    for place in range(CONTEXT - 1):
        with tg.no_grad():
            chances = F.softmax(model(tokens)[:, place]).data.astype(float).cumsum(-1)
        drawn = (rng.random((n, 1)) > chances / chances[:, -1:]).sum(-1)
        ended = (tokens[:, 1 : place + 1] == END).any(-1)
        tokens[:, place + 1] = np.where(ended, END, drawn)
    return ["".join(LETTERS[token] for token in row[1:] if token) for row in tokens]


def main() -> None:
    """Train, and print the losses and some names."""
    rng = np.random.default_rng(0)
    names = [str(name) for name in rng.permutation(NAMES) if len(name) < CONTEXT]
    n_train = len(names) * 9 // 10
    model = Writer()
    print(model)
    others = names[n_train:]
    print(f"{len(others)} names that it does not see: {evaluate(model, others):.3f} nats a letter")
    losses = train(model, names[:n_train], steps=400, rng=rng)
    print(f"after 400 steps: {evaluate(model, others):.3f}; last batches: {losses[-1]:.3f}")
    print("made up:", ", ".join(write(model, 12, rng)))


if __name__ == "__main__":
    main()
