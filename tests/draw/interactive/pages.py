"""Graphs to step through, and a page that is open in a browser."""

from pathlib import Path

import numpy as np

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn
from tinygrad_ce.draw.formatting import number
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply


def parameter(data, name=None, dtype=None):
    return tg.Tensor(data, requires_grad=True, name=name, dtype=dtype)


def named(tensor, name):
    tensor.name = name
    return tensor


def cross_entropy():
    z = parameter([[2.0, 1.0, 0.1]], "logits")
    return named(F.cross_entropy(z, [0]), "loss")


def by_hand():
    z = parameter([2.0, 1.0, 0.1], "z")
    with tg.scope("cross-entropy"):
        s = named(z.exp().sum(), "s")
        return named(s.log() - z[0], "loss")


def three_flowers():
    """The article's network: petal and sepal in, three classes out."""
    X = tg.Tensor([[0.04, 0.42], [1.0, 0.54], [0.5, 0.37]], name="flowers")
    W1, b1 = parameter([[-2.5, -1.5], [0.6, 0.4]], "W1"), parameter([1.6, 0.7], "b1")
    W2 = parameter([[-0.1, 2.4, -2.2], [1.5, -5.2, 3.7]], "W2")
    b2 = parameter([0.0, 0.0, 1.0], "b2")
    with tg.scope("hidden"):
        h = (X @ W1 + b1).relu()
    with tg.scope("output"):
        z = named(h @ W2 + b2, "logits")
    return named(F.cross_entropy(z, [0, 2, 1]), "loss")


def mlp():
    model = nn.MLP([4, 16, 3], rng=0)
    X = tg.Tensor(np.random.default_rng(0).normal(size=(5, 4)), dtype=np.float32, name="X")
    return named(F.cross_entropy(model(X), [0, 1, 2, 1, 0]), "loss")


def square():
    a = parameter(3.0, "a")
    return named(a * a, "y")


def everything():
    """Broadcasts, repeated indices, reductions over axes, choices, joins: one of each."""
    rng = np.random.default_rng(1)
    A, b = parameter(rng.normal(size=(3, 2)), "A"), parameter(rng.normal(size=2), "b")
    t = A * b + 0.5
    picked = t[[0, 2, 0]] / 2
    joined = tg.concatenate([picked.T, t.T.relu()])
    reduced = joined.max(axis=1) + joined.mean(axis=1).sqrt() ** 2 - joined.sum(axis=0)[0]
    kept = tg.where(reduced > 0, reduced, -reduced).clip(-1, 5)
    spread = kept.reshape(2, 2) * tg.Tensor([[1.0], [2.0]])
    return named((spread @ spread.T).cumsum().sum() + tg.maximum(b, 0.1).sum(), "out")


def unreached():
    """A parameter that is needed for nothing but an index, and one whose gradient is 0."""
    a, b = parameter([1.0, 2.0], "a"), parameter([3.0, 0.5], "b")
    return named((a[tg.Tensor(b.data).argmax()] * 0.0 + a.sum() * 0.0 + b[0]).exp(), "y")


def of_400_nodes():
    rng = np.random.default_rng(0)
    h = tg.Tensor(rng.normal(size=(2, 3)), name="x")
    W = parameter(rng.normal(size=(3, 3)) * 0.4, "W")
    for i in range(100):
        with tg.scope(f"layer {i}"):
            h = (h @ W).tanh() + parameter(rng.normal(size=3))
    return named((h * h).mean(), "loss")


GRAPHS = [cross_entropy, by_hand, three_flowers, mlp, square, everything, unreached]


def everything_but_one():
    first = Primitive("first", "first", lambda a, b: a, lambda g, y, a, b: g, None)
    a, b = parameter(1.0, "a"), parameter(2.0, "b")
    return named(apply(first, b * 0.0, a) * 1.0, "y")


class Opened:
    """A page that is open in the browser, and what it has complained of or asked for."""

    def __init__(self, tab):
        self.tab = tab
        self.complaints = []
        self.requests = []
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.on("dialog", lambda dialog: (self.complaints.append("a dialog"), dialog.dismiss()))

    def press(self, *keys):
        for key in keys:
            self.tab.keyboard.press(key)

    def wait_until(self, expression):
        # Not by wait_for_function, which would need eval, and the page allows none.
        for _ in range(100):
            if self.tab.evaluate(expression):
                return
            self.tab.wait_for_timeout(50)
        raise AssertionError(expression)

    def step(self):
        return self.tab.evaluate("state.step")

    def go(self, step):
        self.tab.evaluate(f"go({step})")

    def last(self):
        return self.tab.evaluate("steps.length - 1")

    def text(self, selector):
        return " ".join(self.tab.inner_text(selector).split())

    def chosen(self):
        return self.tab.evaluate("state.chosen && byId.get(state.chosen).name")

    def numbers(self, id, what):
        """The numbers in a box of the graph, as they are written there; None for a heat map."""
        return self.tab.evaluate(
            """([id, what]) => {
                const part = drawn.parts.get(id)?.querySelector("." + what);
                if (!part || getComputedStyle(part).visibility === "hidden") return null;
                const texts = [...part.querySelectorAll(".number")];
                const shown = texts.filter((t) => getComputedStyle(t).visibility !== "hidden");
                return texts.length ? shown.map((t) => t.textContent) : null;
            }""",
            [id, what],
        )

    def matrix(self, caption, where="#explanation"):
        """The elements of a matrix with a caption that begins so, as written."""
        return self.tab.evaluate(
            """([caption, where]) => {
                for (const figure of document.querySelectorAll(`${where} figure`))
                    if (figure.textContent.startsWith(caption))
                        return [...figure.querySelectorAll("td")].map((td) => td.textContent);
                return null;
            }""",
            [caption, where],
        )


def same(shown, value):
    """Whether a number is written to the digits shown; a tie may be rounded either way."""
    written = shown.replace("−", "-")
    if written == number(value):
        return True
    unit = abs(float(written) - float(value))
    return unit <= 0.5001 * 10.0 ** (np.floor(np.log10(abs(float(value)))) - 3)


def assert_same(shown, array, of):
    array = np.ravel(array)
    assert len(shown) == len(array), of
    assert all(map(same, shown, array)), (of, shown, array)


def folded(page):
    """The names of the scopes that are folded in the layout that is shown."""
    return page.tab.eval_on_selector_all(
        "#view .folded .name", "names => names.map((name) => name.textContent.replace('+ ', ''))"
    )


def visible_in(page, element, frame):
    """Whether all of an element is inside of another one, or of the window."""
    return page.tab.evaluate(
        f"""() => {{
            const [a, b] = [{element}, {frame}].map((e) => e.getBoundingClientRect());
            const whole = {frame} === document.documentElement;
            const [right, bottom] = whole ? [innerWidth, innerHeight] : [b.right, b.bottom];
            const [left, top] = whole ? [0, 0] : [b.left, b.top];
            return a.left >= left - 1 && a.top >= top - 1 && a.right <= right + 1
                && a.bottom <= bottom + 1;
        }}"""
    )


def downloaded(page, kind):
    if not page.tab.evaluate("document.getElementById('export').open"):
        page.tab.click("#export summary")
    with page.tab.expect_download() as download:
        page.tab.click(f'[data-save="{kind}"]')
    return download.value.suggested_filename, Path(download.value.path()).read_text("utf-8")
