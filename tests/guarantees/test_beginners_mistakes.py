"""What beginners write: each is answered with what to write instead, and changes nothing."""

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim, train

Z = np.random.default_rng(0).normal(size=(5, 3))
Y = np.array([0, 1, 2, 1, 0])
T = tg.Tensor(Z, requires_grad=True)
NAMES = np.array(["setosa", "virginica", "versicolor", "virginica", "setosa"])
ONE_HOT = np.eye(3, dtype=int)[Y]


class Net(nn.Module):
    def __init__(self):
        self.first = nn.Linear(4, 8, rng=0)
        self.second = nn.Linear(16, 3, rng=0)

    def forward(self, x):
        return self.second(self.first(x).tanh())


def fit(y):
    model = nn.MLP([3, 3], rng=0)
    train.fit(model, optim.SGD(model.parameters(), 0.1), Z, y, epochs=1, batch_size=2, rng=0)


MISTAKES = [
    ("sizes one by one", lambda: nn.MLP(4, 16, 3), TypeError, r"write .*MLP\(\[4, 16, 3\]\)"),
    ("an activation in between", lambda: nn.MLP(4, "relu", 3), TypeError, "one list"),
    ("layers in a list", lambda: nn.Sequential([nn.Tanh()]), TypeError, r"\* in front of a list"),
    ("the model", lambda: optim.SGD(Net(), lr=0.1), TypeError, r"SGD\(model\.parameters\(\)"),
    ("a method", lambda: optim.Adam(Net().parameters), TypeError, r"Adam\(model\.parameters\(\)"),
    ("one Tensor", lambda: optim.SGD(tg.Tensor(1.0, True), 0.1), TypeError, r"write \[parameter"),
    ("named", lambda: optim.SGD(Net().named_parameters(), 0.1), TypeError,
     r"parameters\(\) lists"),
    ("swapped", lambda: F.cross_entropy(Y, Z), TypeError, "swapped: the logits come first"),
    ("swapped Tensors", lambda: F.cross_entropy(tg.Tensor(Y), tg.Tensor(Z)), TypeError, "swapped"),
    ("swapped floats", lambda: F.cross_entropy(Y * 1.0, Z), ValueError, "logits come first"),
    ("swapped, nll", lambda: F.nll_loss(Y, Z), TypeError, "swapped"),
    ("a column", lambda: F.cross_entropy(Z, Y[:, None]), ValueError, r"squeeze\(-1\) makes labels"),
    ("a column to fit", lambda: fit(Y[:, None]), ValueError, r"squeeze\(-1\) makes labels"),
    ("booleans", lambda: F.cross_entropy(Z[:, :2], Y > 0), TypeError, r"bool.*astype\(int\)"),
    ("booleans to fit", lambda: fit(Y > 0), TypeError, r"bool.*astype\(int\)"),
    ("one-hot", lambda: F.cross_entropy(Z, ONE_HOT), ValueError, r"float.*argmax\(-1\)"),
    ("strings", lambda: F.cross_entropy(Z, NAMES), TypeError, r"np\.unique\(.*return_inverse"),
    ("a list of str", lambda: F.cross_entropy(Z, [*NAMES]), TypeError, r"np\.unique\(.*return_inv"),
    ("objects", lambda: F.cross_entropy(Z, NAMES.astype(object)), TypeError, r"np\.unique\("),
    ("strings to fit", lambda: fit(NAMES), TypeError, r"np\.unique\("),
    ("float labels", lambda: F.cross_entropy(Z, tg.Tensor([0, 1, 2, 1, 0])), TypeError,
     r"float64: convert them with astype\(int\)"),
    ("features", lambda: nn.MLP([4, 8, 3])(Z), ValueError,
     r"Linear\(4, 8\) at MLP/Linear takes 4 features .* \(5, 3\)"),
    ("features of one row", lambda: nn.Linear(4, 3)(Z[0]), ValueError, r"takes 4 .* \(3,\)"),
    ("layers that do not fit", lambda: Net()(np.ones((2, 4))), ValueError,
     r"Linear\(16, 3\) at Net/Linear takes 16 features .* \(2, 8\)"),
    ("one target a row", lambda: F.mse_loss(Z[:, :1], Y * 1.0), ValueError, "never broadcasts"),
    ("features of an embedding", lambda: nn.Embedding(3, 2)(tg.Tensor([0, 1])), TypeError,
     r"float64: convert them with astype\(int\)"),
    ("an index", lambda: T[tg.Tensor([0, 1, 2])], IndexError, r"float64: convert it with astype"),
    ("an index of two", lambda: T[[0, 1], np.array([0.0, 1.0])], IndexError, r"astype\(int\)"),
    ("one float", lambda: T[tg.Tensor(1)], IndexError, r"astype\(int\)"),
    ("take", lambda: np.take(T, tg.Tensor([0, 1]), 0), TypeError, r"astype\(int\)"),
    ("take along", lambda: np.take_along_axis(T, tg.Tensor([[0.0]]), 1), ValueError,
     r"astype\(int\)"),
    ("no gradient yet", lambda: tg.compare(T.grad, Z), TypeError, r"was backward\(\) called"),
    ("a ragged list", lambda: tg.Tensor([[1.0, 2.0], [3.0]]), ValueError, "padding"),
    ("a ragged batch", lambda: nn.Linear(2, 1)([[1.0, 2.0], [3.0]]), ValueError, "padding"),
    ("backward twice", lambda: [loss.backward() for loss in [(T * T).sum()] * 2], RuntimeError,
     r"backward\(retain_graph=True\)"),
    ("logits as probabilities", lambda: F.binary_cross_entropy(Z, ONE_HOT * 1.0), ValueError,
     "binary_cross_entropy_with_logits"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "error", "says"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES]
)
def test_a_mistake_is_answered_by_what_to_write(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_the_remedies_work():
    assert nn.MLP([4, 16, 3], rng=0)[0].weight.shape == nn.MLP(4, [16, 3])[0].weight.shape
    expected = F.cross_entropy(Z, Y).item()
    _, numbers = np.unique(NAMES, return_inverse=True)
    assert F.cross_entropy(Z, np.unique(NAMES, return_inverse=True)[1]).item() != 0
    assert numbers.tolist() == [0, 2, 1, 2, 0]
    for y in (Y[:, None].squeeze(-1), ONE_HOT.astype(float), ONE_HOT.argmax(-1), [*Y.tolist()],
              tg.Tensor([0, 1, 2, 1, 0]).astype(int)):  # fmt: skip
        assert F.cross_entropy(Z, y).item() == pytest.approx(expected)
    assert F.cross_entropy(Z[:, :2], (Y > 0).astype(int)).shape == ()


def test_what_needs_no_remedy_works():
    @tg.no_grad
    def without(x):
        return x * 2

    assert not without(T).requires_grad
    assert T[tg.Tensor([0, 2]).astype(int)].shape == (2, 3)
    same = tg.compare(np.array([1.0, 2.0]), [1, 2])
    assert same.exact
    assert "int64" in same.by_value


def test_a_softmax_before_the_cross_entropy_is_warned_of():
    model = nn.Sequential(nn.Linear(3, 3, rng=0), nn.Softmax())
    with pytest.warns(UserWarning, match="leave out the softmax"):
        F.cross_entropy(model(Z), Y)


def test_a_forgotten_zero_grad_is_seen_in_the_repr():
    model = nn.MLP([3, 3], rng=0)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        F.cross_entropy(model(Z), Y).backward()
        optimizer.step()
    assert "gradients of 3 steps without zero_grad()" in repr(optimizer)
    model.zero_grad()
    assert "gradients cleared" in repr(optimizer)
