"""The code that makes what is seen: a few lines of Python, with the same bits."""

from __future__ import annotations

from pprint import pformat

from .network_settings import OPTIMIZERS, Rates, Settings

_LOOP = """\

rng = np.random.default_rng({seed})
losses = []
for step in range({steps} + 1):
    batch = rng.choice(len(X), {batch}, replace=False)
    loss = F.cross_entropy(model(X[batch]), y[batch])
    optimizer.zero_grad()
    loss.backward()
    losses.append(loss.item())
    if step < {steps}:
{change}        optimizer.step()
print(f"loss of the batch after {{step}} steps: {{losses[-1]}}")"""


def code_of(
    settings: Settings, rates: Rates, step: int, sizes: list[int], batch_size: int
) -> str:  # fmt: skip
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
    batch_size
        From how many examples a step was made.

    >>> print(code_of(Settings(), ((0, 0.3),), 100, [2, 16, 16, 2], 32))
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
    for step in range(100 + 1):
        batch = rng.choice(len(X), 32, replace=False)
        loss = F.cross_entropy(model(X[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        if step < 100:
            optimizer.step()
    print(f"loss of the batch after {step} steps: {losses[-1]}")
    """
    change = ""
    lines = [*_data_lines(settings), "", *_model_lines(settings, sizes, rates[0][1])]
    if len(rates) > 1:
        lines += [f"rates = {dict(rates)}  # from which step on"]
        change = "        optimizer.lr = rates.get(step, optimizer.lr)\n"
    loop = _LOOP.format(seed=settings.seed, steps=step, batch=batch_size, change=change)
    return "\n".join([*lines, loop])


def _data_lines(settings: Settings) -> list[str]:
    """The imports, and what makes X and y, and splits them."""
    seed, kind = settings.data_seed, settings.data
    lines = ["import numpy as np", "", "from tinygrad_ce import data, nn, optim"]
    lines += ["from tinygrad_ce import functional as F"]
    split = f"X, X_test, y, y_test = data.train_test_split(X, y, rng={seed})"
    standardize = [
        "standardizer = data.Standardizer().fit(X)",
        "X, X_test = standardizer.transform(X), standardizer.transform(X_test)",
    ]
    if kind == "given":
        return [*lines, "", "# model, X and y are those that were given to tg.play."]
    if kind == "drawn":
        rows = pformat([list(point) for point in settings.drawn], width=96, compact=True)
        points = f"points = np.array({rows}, np.float32)"
        return [*lines, "", points, "X, y = points[:, :2].copy(), points[:, 2].astype(int)"]
    if kind == "csv":
        read = f"table = data.read_csv({settings.csv_name!r}, target={settings.target!r})"
        cast = "X, y = table.X.astype(np.float32), table.y"
        return [*lines, "", read, cast, split, *standardize]
    if kind == "iris":
        columns = "X = X[:, [2, 3]]  # the petals"
        return [*lines, "", "X, y, names = data.iris()", columns, split, *standardize]
    if kind == "digits":
        return [*lines, "", "X, y, names = data.digits()", "X = X / np.float32(16)", split]
    draw = f"X, y = {kind}({settings.points}, noise={settings.noise}, rng={seed})"
    return [*lines, f"from tinygrad_ce.play.point_sets import {kind}", "", draw, split]


def _model_lines(settings: Settings, sizes: list[int], rate: float) -> list[str]:
    name, options = OPTIMIZERS[settings.optimizer]
    arguments = "".join(f", {k}={v}" for k, v in options.items())
    lines = [f"optimizer = optim.{name}(model.parameters(), lr={rate}{arguments})"]
    if settings.data == "given":
        return lines
    if settings.weight_scale != 1:
        scale = f"    layer.weight.data *= {settings.weight_scale}"
        lines = ["for layer in model.layers[::2]:", scale, *lines]
    activation = f'activation="{settings.activation}", rng={settings.seed}'
    return [f"model = nn.MLP({sizes}, {activation})", *lines]
