"""The lectures' programs, typed as a learner types them, with this library's names.

Andrej Karpathy, "Neural Networks: Zero to Hero": micrograd's demo, and "Building makemore", parts 2
to 4. Written from what they do. Where a line differs in more than a name, a comment says why.
"""

import random
from types import SimpleNamespace

import numpy as np

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn

SEED = 2147483647
block_size, n_embd, n_hidden, batch_size = 3, 10, 200, 32


# ── micrograd ─────────────────────────────────────────────────────────────────────────────────────


class Neuron:
    """One number at a time: every weight is a Tensor of its own."""

    def __init__(self, nin, nonlin=True):
        self.w = [tg.Tensor(random.uniform(-1, 1), requires_grad=True) for _ in range(nin)]
        self.b = tg.Tensor(0, requires_grad=True, dtype=float)
        self.nonlin = nonlin

    def __call__(self, x):
        act = sum((wi * xi for wi, xi in zip(self.w, x, strict=True)), self.b)
        return act.relu() if self.nonlin else act

    def parameters(self):
        return [*self.w, self.b]


class ScalarMLP:
    """Layers of neurons, each a list."""

    def __init__(self, nin, nouts):
        sizes = [nin, *nouts]
        self.layers = [
            [Neuron(sizes[i], nonlin=i != len(nouts) - 1) for _ in range(sizes[i + 1])]
            for i in range(len(nouts))
        ]

    def __call__(self, x):
        for layer in self.layers:
            x = [neuron(x) for neuron in layer]
        return x[0]

    def parameters(self):
        return [p for layer in self.layers for neuron in layer for p in neuron.parameters()]

    def zero_grad(self):
        for p in self.parameters():
            p.grad = 0


def expressions():
    """The expressions of micrograd's page: g, and its derivatives with respect to a and b."""
    a = tg.Tensor(-4.0, requires_grad=True)
    b = tg.Tensor(2.0, requires_grad=True)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()
    return g.data, a.grad, b.grad


def moons():
    """The demo's data: a hundred points of two moons, labelled -1 and 1."""
    from sklearn.datasets import make_moons

    np.random.seed(1337)  # noqa: NPY002  which make_moons draws from
    random.seed(1337)
    X, y = make_moons(n_samples=100, noise=0.1)
    return X, y * 2 - 1


def demo_with_scalars(steps):
    """The demo with a Tensor for each number: loss and accuracy of each step."""
    X, y = moons()
    model = ScalarMLP(2, [16, 16, 1])

    def loss():
        inputs = [list(map(tg.Tensor, row)) for row in X]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(y, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        reg_loss = 1e-4 * sum(p * p for p in model.parameters())
        accuracy = [(yi > 0) == (s.data > 0) for yi, s in zip(y, scores, strict=True)]
        return data_loss + reg_loss, sum(accuracy) / len(accuracy)

    for k in range(steps):
        total_loss, acc = loss()
        model.zero_grad()
        total_loss.backward()
        learning_rate = 1.0 - 0.9 * k / 100
        for p in model.parameters():
            p.data -= learning_rate * p.grad
        yield total_loss.data, acc


def demo_with_arrays(steps):
    """The demo with nn.MLP, and the weights that the scalars begin with."""
    X, y = moons()
    same = ScalarMLP(2, [16, 16, 1])
    model = nn.MLP(2, [16, 16, 1], activation="relu", dtype=float)
    for linear, layer in zip(model.layers[::2], same.layers, strict=True):
        linear.weight.data = np.array([[w.item() for w in neuron.w] for neuron in layer]).T
        linear.bias.data *= 0
    for k in range(steps):
        scores = model(X)[:, 0]
        data_loss = (1 + -y * scores).relu().mean()
        reg_loss = 1e-4 * sum((p * p).sum() for p in model.parameters())
        total_loss = data_loss + reg_loss
        model.zero_grad()
        total_loss.backward()
        learning_rate = 1.0 - 0.9 * k / 100
        for p in model.parameters():
            p.data -= learning_rate * p.grad
        yield total_loss.data, ((y > 0) == (scores.data > 0)).mean()


# ── makemore ──────────────────────────────────────────────────────────────────────────────────────


def build_dataset(words, stoi):
    """What comes before each character, and the character."""
    X, Y = [], []
    for w in words:
        context = [0] * block_size
        for ch in w + ".":
            X.append(context)
            Y.append(stoi[ch])
            context = [*context[1:], stoi[ch]]
    return np.array(X), np.array(Y)


def read_dataset(path):
    """Arrays for training and validation, of 80 % and of 10 % of the names."""
    words = path.read_text(encoding="utf-8").splitlines()
    chars = sorted(set("".join(words)))
    stoi = {s: i + 1 for i, s in enumerate(chars)} | {".": 0}
    random.seed(42)
    random.shuffle(words)
    n1, n2 = int(0.8 * len(words)), int(0.9 * len(words))
    Xtr, Ytr = build_dataset(words[:n1], stoi)
    Xdev, Ydev = build_dataset(words[n1:n2], stoi)
    return SimpleNamespace(train=(Xtr, Ytr), val=(Xdev, Ydev), vocab_size=len(stoi))


def randn(*shape, g):
    """torch.randn, with NumPy's generator in the place of torch.Generator."""
    return tg.Tensor(g.standard_normal(shape, np.float32))


def part_2(data, steps):
    """A perceptron on embedded characters: the losses of the two splits."""
    Xtr, Ytr = data.train
    g = np.random.default_rng(SEED)
    C = randn(data.vocab_size, n_embd, g=g)
    W1 = randn(block_size * n_embd, n_hidden, g=g)
    b1 = randn(n_hidden, g=g)
    W2 = randn(n_hidden, data.vocab_size, g=g)
    b2 = randn(data.vocab_size, g=g)
    parameters = [C, W1, b1, W2, b2]
    for p in parameters:
        p.requires_grad = True

    def logits_of(X):
        emb = C[X]
        h = np.tanh(emb.reshape(-1, block_size * n_embd) @ W1 + b1)
        return h @ W2 + b2

    lossi = []
    for i in range(steps):
        ix = g.integers(0, Xtr.shape[0], batch_size)
        loss = F.cross_entropy(logits_of(Xtr[ix]), Ytr[ix])

        for p in parameters:
            p.grad = None
        loss.backward()

        lr = 0.1 if i < steps / 2 else 0.01
        for p in parameters:
            p.data += -lr * p.grad
        lossi.append(loss.item())

    @tg.no_grad()
    def split_loss(split):
        x, y = getattr(data, split)
        return F.cross_entropy(logits_of(x), y).item()

    return lossi, split_loss("train"), split_loss("val")


def part_3(data, steps, calibrated=False):
    """With Kaiming's initialization, and batch normalization by hand."""
    Xtr, Ytr = data.train
    g = np.random.default_rng(SEED)
    fan_in = block_size * n_embd
    C = randn(data.vocab_size, n_embd, g=g)
    W1 = randn(fan_in, n_hidden, g=g) * (5 / 3) / fan_in**0.5
    W2 = randn(n_hidden, data.vocab_size, g=g) * 0.01
    b2 = randn(data.vocab_size, g=g) * 0
    bngain, bnbias = tg.ones((1, n_hidden), np.float32), tg.zeros((1, n_hidden), np.float32)
    bnmean_running, bnstd_running = np.zeros((1, n_hidden)), np.ones((1, n_hidden))
    parameters = [C, W1, W2, b2, bngain, bnbias]
    for p in parameters:
        p.requires_grad = True

    lossi = []
    for i in range(steps):
        ix = g.integers(0, Xtr.shape[0], batch_size)
        Xb, Yb = Xtr[ix], Ytr[ix]
        emb = C[Xb]
        embcat = emb.reshape(emb.shape[0], -1)
        hpreact = embcat @ W1
        bnmeani = hpreact.mean(0, keepdims=True)
        bnstdi = hpreact.std(0, keepdims=True, ddof=1)  # which PyTorch has by default
        hpreact = bngain * (hpreact - bnmeani) / bnstdi + bnbias
        with tg.no_grad():
            bnmean_running = 0.999 * bnmean_running + 0.001 * bnmeani
            bnstd_running = 0.999 * bnstd_running + 0.001 * bnstdi
        h = np.tanh(hpreact)
        logits = h @ W2 + b2
        loss = F.cross_entropy(logits, Yb)

        for p in parameters:
            p.grad = None
        loss.backward()

        lr = 0.1 if i < steps / 2 else 0.01
        for p in parameters:
            p.data += -lr * p.grad
        lossi.append(loss.item())

    mean, std = bnmean_running, bnstd_running
    if calibrated:  # over all of the training set
        with tg.no_grad():
            hpreact = C[Xtr].reshape(len(Xtr), -1) @ W1
            mean, std = hpreact.mean(0, keepdims=True), hpreact.std(0, keepdims=True, ddof=1)

    @tg.no_grad()
    def split_loss(split):
        x, y = getattr(data, split)
        hpreact = C[x].reshape(len(x), -1) @ W1
        h = np.tanh(bngain * (hpreact - mean) / std + bnbias)
        return F.cross_entropy(h @ W2 + b2, y).item()

    return lossi, split_loss("train"), split_loss("val")


class Linear:
    """Part 3's layers, which are PyTorch's, by hand."""

    def __init__(self, fan_in, fan_out, g, bias=True):
        self.weight = randn(fan_in, fan_out, g=g) / fan_in**0.5
        self.bias = tg.zeros(fan_out, np.float32) if bias else None

    def __call__(self, x):
        self.out = x @ self.weight
        if self.bias is not None:
            self.out += self.bias
        return self.out

    def parameters(self):
        return [self.weight] + ([] if self.bias is None else [self.bias])


class BatchNorm1d:
    """Batch normalization with running statistics."""

    def __init__(self, dim, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = tg.ones(dim, np.float32), tg.zeros(dim, np.float32)
        self.running_mean, self.running_var = tg.zeros(dim, np.float32), tg.ones(dim, np.float32)

    def __call__(self, x):
        if self.training:
            xmean, xvar = x.mean(0, keepdims=True), x.var(0, keepdims=True)
        else:
            xmean, xvar = self.running_mean, self.running_var
        xhat = (x - xmean) / np.sqrt(xvar + self.eps)
        self.out = self.gamma * xhat + self.beta
        if self.training:
            with tg.no_grad():
                m = self.momentum
                self.running_mean = (1 - m) * self.running_mean + m * xmean
                self.running_var = (1 - m) * self.running_var + m * xvar
        return self.out

    def parameters(self):
        return [self.gamma, self.beta]


class Tanh:
    """The nonlinearity."""

    def __call__(self, x):
        self.out = np.tanh(x)
        return self.out

    def parameters(self):
        return []


def part_3_deep(data, steps, normalized=False, gain=5 / 3):
    """Five hidden layers, and what the lecture plots of them after the last step.

    Returns the standard deviations of the outputs and of the gradients of each tanh, the part of
    outputs that is saturated, and log10 of the size of an update relative to that of each weight.
    """
    Xtr, Ytr = data.train
    g = np.random.default_rng(SEED)
    C = randn(data.vocab_size, n_embd, g=g)
    layers, width = [], n_embd * block_size
    for _ in range(5):
        layers.append(Linear(width, 100, g, bias=not normalized))
        layers += [BatchNorm1d(100)] * normalized + [Tanh()]
        width = 100
    layers += [Linear(100, data.vocab_size, g, bias=not normalized)]
    layers += [BatchNorm1d(data.vocab_size)] * normalized
    with tg.no_grad():
        last = layers[-1].gamma if normalized else layers[-1].weight
        last *= 0.1
        for layer in layers[:-1]:
            if isinstance(layer, Linear):
                layer.weight *= gain
    parameters = [C] + [p for layer in layers for p in layer.parameters()]
    for p in parameters:
        p.requires_grad = True

    for _ in range(steps):
        ix = g.integers(0, Xtr.shape[0], batch_size)
        x = C[Xtr[ix]].reshape(batch_size, -1)
        for layer in layers:
            x = layer(x)
        loss = F.cross_entropy(x, Ytr[ix])
        for layer in layers:
            layer.out.retain_grad()
        for p in parameters:
            p.grad = None
        loss.backward()
        lr = 0.1
        for p in parameters:
            p.data += -lr * p.grad
        with tg.no_grad():  # of arrays, NumPy's function in place of a method
            ud = [np.log10((lr * p.grad).std() / p.data.std()) for p in parameters if p.ndim == 2]
    tanhs = [layer.out for layer in layers if isinstance(layer, Tanh)]
    return SimpleNamespace(
        outputs=[t.data.std() for t in tanhs],
        gradients=[t.grad.std() for t in tanhs],
        saturated=[(abs(t.data) > 0.97).mean() for t in tanhs],
        updates=ud,
        loss=loss.item(),
    )


def part_4(data, steps):
    """The fourth exercise: training with gradients by hand, under no_grad."""
    Xtr, Ytr = data.train
    g = np.random.default_rng(SEED)
    fan_in, n = block_size * n_embd, batch_size
    C = randn(data.vocab_size, n_embd, g=g)
    W1 = randn(fan_in, n_hidden, g=g) * (5 / 3) / fan_in**0.5
    b1 = randn(n_hidden, g=g) * 0.1
    W2 = randn(n_hidden, data.vocab_size, g=g) * 0.1
    b2 = randn(data.vocab_size, g=g) * 0.1
    bngain = randn(1, n_hidden, g=g) * 0.1 + 1.0
    bnbias = randn(1, n_hidden, g=g) * 0.1
    parameters = [C, W1, b1, W2, b2, bngain, bnbias]
    for p in parameters:
        p.requires_grad = True

    def forward(Xb):
        emb = C[Xb]
        embcat = emb.reshape(emb.shape[0], -1)
        hprebn = embcat @ W1 + b1
        bnmean = hprebn.mean(0, keepdims=True)
        bnvar = hprebn.var(0, keepdims=True, ddof=1)
        bnvar_inv = (bnvar + 1e-5) ** -0.5
        bnraw = (hprebn - bnmean) * bnvar_inv
        hpreact = bngain * bnraw + bnbias
        h = np.tanh(hpreact)
        return embcat, bnvar_inv, bnraw, h, h @ W2 + b2

    lossi, largest = [], 0.0
    for i in range(steps):
        ix = g.integers(0, Xtr.shape[0], batch_size)
        Xb, Yb = Xtr[ix], Ytr[ix]
        if i % 100 == 0:  # autograd, to compare with
            F.cross_entropy(forward(Xb)[-1], Yb).backward()
        with tg.no_grad():
            embcat, bnvar_inv, bnraw, h, logits = forward(Xb)
            lossi.append(F.cross_entropy(logits, Yb).item())
            # A Tensor is not assigned into, an array is.
            dlogits = F.softmax(logits, 1).data.copy()
            dlogits[range(n), Yb] -= 1
            dlogits /= n
            dh = dlogits @ W2.T
            dW2 = h.T @ dlogits
            db2 = dlogits.sum(0)
            dhpreact = (1.0 - h**2) * dh
            dbngain = (bnraw * dhpreact).sum(0, keepdims=True)
            dbnbias = dhpreact.sum(0, keepdims=True)
            centered = n * dhpreact - dhpreact.sum(0)
            dhprebn = (bngain * bnvar_inv / n) * (
                centered - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0)
            )
            dembcat = dhprebn @ W1.T
            dW1 = embcat.T @ dhprebn
            db1 = dhprebn.sum(0)
            demb = dembcat.data.reshape(n, block_size, n_embd)
            dC = np.zeros_like(C.data)
            np.add.at(dC, Xb, demb)
            grads = [dC, dW1, db1, dW2, db2, dbngain, dbnbias]
            for p, grad in zip(parameters, grads, strict=True):
                if i % 100 == 0:
                    grad = grad.data if isinstance(grad, tg.Tensor) else grad
                    largest = max(largest, np.abs(p.grad - grad).max())
                    p.grad = None
                lr = 0.1 if i < steps / 2 else 0.01
                p.data += -lr * grad

    with tg.no_grad():
        hpreact = C[Xtr].reshape(len(Xtr), -1) @ W1 + b1
        bnmean, bnvar = hpreact.mean(0, keepdims=True), hpreact.var(0, keepdims=True, ddof=1)

    @tg.no_grad()
    def split_loss(split):
        x, y = getattr(data, split)
        hpreact = C[x].reshape(len(x), -1) @ W1 + b1
        h = np.tanh(bngain * (hpreact - bnmean) * (bnvar + 1e-5) ** -0.5 + bnbias)
        return F.cross_entropy(h @ W2 + b2, y).item()

    return lossi, split_loss("train"), split_loss("val"), largest
