"""The code that makes what is seen: a few lines of Python, with the same bits."""

from __future__ import annotations

from pprint import pformat

from .network_settings import OPTIMIZERS, Rates, Settings


def code_of(settings: Settings, rates: Rates, step: int, sizes: list[int]) -> str:
    """Return Python that trains as the page has, up to a step.

    Parameters
    ----------
    settings
        Of the training.
    rates
        The learning rates that there were, and from which step on.
    step
        The step that is shown.
    sizes
        Inputs, hidden units and classes of the model.

    >>> print(code_of(Settings(), ((0, 0.3),), 100, [2, 16, 16, 2]))
    import numpy as np
    <BLANKLINE>
    from tinygrad_ce import data, nn, optim
    from tinygrad_ce import functional as F
    from tinygrad_ce.play.point_sets import two_moons
    <BLANKLINE>
    X, y = two_moons(200, noise=0.15, rng=0)
    X, X_test, y, y_test = data.train_test_split(X, y, rng=0)
    <BLANKLINE>
    model = nn.MLP([2, 16, 16, 2], activation="tanh", rng=0)
    optimizer = optim.SGD(model.parameters(), lr=0.3)
    <BLANKLINE>
    rng = np.random.default_rng(0)
    losses = []
    for step in range(101):
        batch = rng.choice(len(X), 32, replace=False)
        loss = F.cross_entropy(model(X[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        if step < 100:
            optimizer.step()
    print(f"loss of the batch after {step} steps: {losses[-1]}")
    """
    name, options = OPTIMIZERS[settings.optimizer]
    arguments = "".join(f", {k}={v}" for k, v in options.items())
    lines = ["import numpy as np", ""]
    lines += ["from tinygrad_ce import data, nn, optim", "from tinygrad_ce import functional as F"]
    lines += _data_lines(settings)
    if settings.data != "given":
        lines += [f'model = nn.MLP({sizes}, activation="{settings.activation}", rng={settings.seed})']
        if settings.weight_scale != 1:
            lines += ["for layer in model.layers[::2]:"]
            lines += [f"    layer.weight.data *= {settings.weight_scale}"]
    lines += [f"optimizer = optim.{name}(model.parameters(), lr={rates[0][1]}{arguments})"]
    if len(rates) > 1:
        lines += [f"rates = {dict(rates)}"]
    lines += ["", f"rng = np.random.default_rng({settings.seed})", "losses = []"]
    lines += [f"for step in range({step + 1}):"]
    size = f"min({settings.batch}, len(X))" if settings.batch > 32 else str(settings.batch)
    lines += [f"    batch = rng.choice(len(X), {size}, replace=False)"]
    lines += ["    loss = F.cross_entropy(model(X[batch]), y[batch])"]
    lines += ["    optimizer.zero_grad()", "    loss.backward()", "    losses.append(loss.item())"]
    lines += [f"    if step < {step}:"]
    if len(rates) > 1:
        lines += ["        optimizer.lr = rates.get(step, optimizer.lr)"]
    lines += ["        optimizer.step()"]
    lines += ['print(f"loss of the batch after {step} steps: {losses[-1]}")']
    return "\n".join(lines)


def _data_lines(settings: Settings) -> list[str]:
    """What makes X and y, and splits them."""
    seed, kind = settings.data_seed, settings.data
    split = f"X, X_test, y, y_test = data.train_test_split(X, y, rng={seed})"
    standardize = [
        "standardizer = data.Standardizer().fit(X)",
        "X, X_test = standardizer.transform(X), standardizer.transform(X_test)",
    ]
    if kind == "given":
        return ["", "# model, X and y are as they were given to tg.play."]
    if kind == "drawn":
        rows = pformat([list(point) for point in settings.drawn], width=96, compact=True)
        points = f"points = np.array({rows}, np.float32)"
        return ["", points, "X, y = points[:, :2].copy(), points[:, 2].astype(int)", ""]
    if kind == "csv":
        read = f"table = data.read_csv({settings.csv_name!r}, target={settings.target!r})"
        return ["", read, "X, y = table.X.astype(np.float32), table.y", split, *standardize, ""]
    if kind == "iris":
        columns = "X = X[:, [2, 3]]  # the petals"
        return ["", "X, y, names = data.iris()", columns, split, *standardize, ""]
    if kind == "digits":
        return ["", "X, y, names = data.digits()", "X = X / np.float32(16)", split, ""]
    draw = f"X, y = {kind}({settings.points}, noise={settings.noise}, rng={seed})"
    return [f"from tinygrad_ce.play.point_sets import {kind}", "", draw, split, ""]
