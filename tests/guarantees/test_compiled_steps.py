"""A compiled step means what the step means: random programs, and all that happens between calls.

Each run makes two equal worlds of two models, a target network and two optimizers, and a step from
a list of statements. One world runs it, the other compiles it. Between calls, whatever a user can
change is changed in both. All bits must agree after each call, or the compiled step must refuse.
"""

import copy
import os
import warnings
from collections import Counter
from contextlib import nullcontext

import numpy as np
import pytest
from attacks import in_threads
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinygrad_ce as tg
from tinygrad_ce import nn, optim
from tinygrad_ce.compiler import RecordingError
from tinygrad_ce.compiler.guards import same_bits

pytestmark = pytest.mark.slow

RUNS = max(300, int(os.environ.get("RANDOM_GRAPHS") or 0))
PHASES = [Phase.generate]
REASONS = Counter()
COUNTS = {"equal": 0, "refused": 0, "failed": 0, "runs": 0}


class Rule:
    """An object of the user's, of which a step reads attributes in many ways."""

    __slots__ = ("hidden", "table")

    def __init__(self):
        self.hidden, self.table = 1.5, np.array([1.0, 2.0])

    @property
    def factor(self):
        return self.hidden

    def __call__(self, x):
        return x * self.table[0]

    def change(self, x):
        return x * self.factor


class Signs(optim.Optimizer):
    """An optimizer of the user's, with an array, a counter and state."""

    scalar_state = ("lr", "count")
    per_parameter_state = ("last",)

    def __init__(self, params, lr):
        super().__init__(params, lr)
        self.count, self.scale, self.last = 0, np.array([0.5]), self._zeros()

    def update_parameters(self):
        self.count = self.count + 1
        super().update_parameters()

    def update(self, states, i, value, g):
        last, states["last"][i] = states["last"][i], g
        return value - self.lr * self.scale.item() * (np.sign(g) + 0.1 * last) / self.count


class World:
    """What is outside of the step."""

    def __init__(self, kinds, dtype):
        self.rule = Rule()
        self.rule_of_class = type("Variant", (Rule,), {"offset": 0.5, "__slots__": ()})()
        self.nested = tg.compile(lambda x, shift: (x * shift).tanh().sum(), verify=0)
        self.log, self.counter = [], 0
        self.a = nn.Sequential(
            nn.Linear(2, 3, rng=0, dtype=dtype), nn.BatchNorm1d(3, dtype=dtype), nn.Tanh(),
            nn.Dropout(0.5, rng=1), nn.Linear(3, 2, rng=2, dtype=dtype),
        )  # fmt: skip
        self.b = nn.MLP([2, 3, 1], rng=3, dtype=dtype)
        self.target = nn.MLP([2, 3, 1], rng=4, dtype=dtype)
        self.constant = tg.Tensor(np.array([0.5, 2.0], dtype))
        self.shift = tg.Tensor(np.array([0.25, -1.0], dtype), name="shift")
        self.scale = 1.5
        self.options = {"power": 2, "weights": [1.0, 0.5]}
        self.oa, self.ob = (
            KINDS[kind](model.parameters())
            for kind, model in zip(kinds, (self.a, self.b), strict=True)
        )

        self.schedule_a = optim.lr_scheduler.OneCycleLR(self.oa, max_lr=0.2, total_steps=7)
        self.schedule_b = optim.lr_scheduler.ReduceLROnPlateau(self.ob, factor=0.5, patience=1)

    def tensors(self):
        models = [self.a, self.b, self.target]
        return [t for m in models for _, t in m._named_tensors()] + [self.constant, self.shift]

    def state(self):
        """All that can be seen, by name."""
        found = {}
        for i, t in enumerate(self.tensors()):
            found[f"tensor {i} {t.name}"] = t._value
            found[f"gradient {i} {t.name}"] = t._grad
            found[f"requires_grad {i}"] = t._requires_grad
        for name in ("oa", "ob"):
            for key, value in vars(getattr(self, name)).items():
                parts = enumerate(value) if isinstance(value, list | tuple) else [(0, value)]
                if key != "params":
                    found |= {f"{name}.{key}[{i}]": part for i, part in parts}
        for name in ("schedule_a", "schedule_b"):
            found |= {f"{name}.{k}": x for k, x in getattr(self, name).state_dict().items()}
        for m in (self.a, self.b, *self.a.layers):
            found[f"{m} training"] = m._training
            found[f"{m} calls"] = getattr(m, "calls", None)
        found["draws"] = repr(self.a.layers[3].rng.bit_generator.state)
        return found


KINDS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.02),
    "AdamW": lambda p: optim.AdamW(p, lr=0.02),
    "Nesterov": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "AMSGrad": lambda p: optim.Adam(p, lr=0.02, amsgrad=True),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.02, momentum=0.5, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1),
    "Signs": lambda p: Signs(p, lr=0.02),
}

# ── What a step does ──────────────────────────────────────────────────────────────────────────────


def clip(w, model):
    for p in model.parameters():
        if p.grad is not None:
            p.grad = p.grad * 0.5


def update_target(w, share):
    for t, p in zip(w.target.layers, w.b.layers, strict=True):
        if isinstance(t, nn.Linear):
            t.weight.data = p.weight if share == 1 else (1 - share) * t.weight + share * p.weight


def inner_loop(w, x):
    optimizer = optim.SGD([w.b.layers[0].weight], lr=0.1, momentum=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        (w.b(x) ** 2).sum().backward()
        optimizer.step()


def set_requires_grad(w, wanted):
    w.b.layers[0].weight.requires_grad = wanted


def count(w):
    w.b.calls = getattr(w.b, "calls", 0) + 1


def power_of_losses(w, found, x):
    total = w.options["weights"][0] * (w.a(x) ** w.options["power"]).sum()
    found.append(total * w.scale)


def adapt(w, x, found):
    """A leaf that is made inside is trained there, and its state is read."""
    shift = tg.Tensor(x * w.shift, requires_grad=True)
    optimizer = optim.Adam([shift], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (w.b(x + shift) ** 2).sum().backward()
        optimizer.step()
    found += [shift.detach(), shift.grad, optimizer.t[0], optimizer.m[0] * 0.5]
    found.append((shift * x).sum())


def clip_norm(w, model):
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    if gradients:
        norm = np.sqrt(sum((g * g).sum() for g in gradients))
        for p in model.parameters():
            if p.grad is not None:
                p.grad = p.grad * np.minimum(1.0, 0.1 / (norm + 1e-6)).astype(p.dtype)


def penalty(w, x, found):
    p = w.b.layers[0].weight
    if p.requires_grad:
        (g,) = tg.gradients((w.b(x) ** 2).sum(), [p], create_graph=True)
        found.append((g * g).sum())


def sensitivity(w, x, found):
    p = w.b.layers[0].weight
    if p.requires_grad:
        found += tg.gradients((w.b(x) ** 2).sum(), [p])
    found.append(tg.grad(lambda x: (w.b(x) ** 2).sum())(x).sum())


def with_defaults(x, table=np.ones(2), *, options={"power": [1.0]}):  # noqa: B006, B008
    return x * table * options["power"][0]


def swallow(w, x, found):
    try:
        w.counter = x.sum().item()
    except Exception:
        found.append(x * 7)


# Of these, each is refused by a compiled step.
REFUSED = {
    "swallow": swallow,
    "print": lambda w, x, found: print(end=""),
    "log": lambda w, x, found: w.log.append(1),
    "count outside": lambda w, x, found: setattr(w, "counter", w.counter + 1),
    "read": lambda w, x, found: found.append(w.shift * float(x.sum().item())),
    "copy a Tensor": lambda w, x, found: found.append(copy.deepcopy(w.shift.detach()) * x),
}

STATEMENTS = {
    "adapt": adapt,
    "penalty": penalty,
    "sensitivity": sensitivity,
    "clip norm": lambda w, x, found: clip_norm(w, w.a),
    "rule": lambda w, x, found: found.append(w.rule.change(x).sum() + w.rule(x).sum()),
    "class": lambda w, x, found: found.append(x * w.rule_of_class.offset),
    "table": lambda w, x, found: found.append((x * w.rule.table).sum()),
    "defaults": lambda w, x, found: found.append(with_defaults(x)),
    "nested": lambda w, x, found: found.append(w.nested(x, w.shift.detach())),
    "gradient": lambda w, x, found: found.append(w.b.layers[0].weight.grad),
    "no grad": lambda w, x, found: found.append(tg.no_grad()(w.b)(x)),
    "clear": lambda w, x, found: setattr(w.shift, "grad", None),
    "loss a": lambda w, x, found: found.append(((w.a(x) * w.constant + w.shift) ** 2).mean()),
    "loss b": lambda w, x, found: found.append(((w.b(w.a(x)) - 1) ** 2).mean()),
    "loss of b alone": lambda w, x, found: found.append((w.b(w.a(x).detach()) ** 2).mean()),
    "loss of target": lambda w, x, found: found.append(((w.b(x) - w.target(x)) ** 2).mean()),
    "options": lambda w, x, found: power_of_losses(w, found, x),
    "zero a": lambda w, x, found: w.oa.zero_grad(),
    "zero b": lambda w, x, found: w.ob.zero_grad(),
    "back": lambda w, x, found: found[-1].backward(retain_graph=True),
    "back from first": lambda w, x, found: found[0].backward(),
    "clip a": lambda w, x, found: clip(w, w.a),
    "clip b": lambda w, x, found: clip(w, w.b),
    "step a": lambda w, x, found: w.oa.step(),
    "step b": lambda w, x, found: w.ob.step(),
    "schedule": lambda w, x, found: setattr(w.oa, "lr", w.oa.lr * 0.9),
    "one cycle": lambda w, x, found: w.schedule_a.step(),
    "plateau": lambda w, x, found: w.schedule_b.step(found[-1].sum()),
    "clip together": lambda w, x, found: optim.clip_grad_norm_(w.ob.params, 0.1),
    "use lr": lambda w, x, found: found.append(found[-1] * w.ob.lr),
    "momentum": lambda w, x, found: found.append(x.sum() * getattr(w.ob, "momentum", 3.0)),
    "set momentum": lambda w, x, found: setattr(w.ob, "weight_decay", 0.25),
    "target": lambda w, x, found: update_target(w, 1),
    "average": lambda w, x, found: update_target(w, 0.1),
    "train": lambda w, x, found: w.a.train(),
    "eval": lambda w, x, found: w.a.eval(),
    "freeze": lambda w, x, found: set_requires_grad(w, False),
    "unfreeze": lambda w, x, found: set_requires_grad(w, True),
    "mask": lambda w, x, found: found.append((w.shift * x[x[:, 0] > 0]).sum()),
    "inner loop": lambda w, x, found: inner_loop(w, x),
    "count": lambda w, x, found: count(w),
    "shift": lambda w, x, found: setattr(w.shift, "data", (w.shift + x.sum(0)).detach()),
}

TYPICAL = [
    ["loss a", "zero a", "back", "step a"],
    [
        "loss of b alone",
        "loss b",
        "zero b",
        "back from first",
        "step b",
        "zero a",
        "back",
        "step a",
    ],
    ["loss b", "back", "loss a", "back", "clip a", "step a", "zero a"],
    ["loss of target", "zero b", "back", "step b", "average"],
]

# ── What happens between calls ────────────────────────────────────────────────────────────────────


def other(t, seed):
    return np.random.default_rng(seed).normal(size=t.shape).astype(t.dtype)


def assign(w, i):
    t = w.tensors()[i % len(w.tensors())]
    t.data = abs(other(t, i)) + 0.1


def assign_gradient(w, i):
    t = w.tensors()[i % len(w.tensors())]
    t.grad = None if i % 3 == 0 else other(t, i)


def switch(w, i):
    t = w.tensors()[i % len(w.tensors())]
    t.requires_grad = not t.requires_grad


def replace_layer(w, i):
    w.b.layers = (nn.Linear(2, 3, rng=i, dtype=w.shift.dtype), *w.b.layers[1:])


def replace_tensor(w, i):
    w.a.layers[0].weight = tg.Tensor(other(w.a.layers[0].weight, i), requires_grad=i % 2 == 0)


def choose_parameters(w, i):
    w.ob.params = [p for p in w.ob.params if p.ndim == 1 + i % 2] or w.ob.params
    for name in w.ob.per_parameter_state:
        if name != "t" and getattr(w.ob, name):
            setattr(w.ob, name, w.ob._zeros())
    if hasattr(w.ob, "t"):
        w.ob.t = [i] * len(w.ob.params)


def tie(w, i):
    w.target.layers[0].weight = w.b.layers[0].weight


def load(w, i):
    w.target.load_state_dict({k: v + i for k, v in w.target.state_dict().items()})


def rebind(w, i):
    w.constant = tg.Tensor(other(w.constant, i), name=None if i % 2 else "c")


def set_rate(w, i):
    w.oa.lr = [0.1, 0.01, 1, np.float32(0.5)][i % 4]


def set_momentum(w, i):
    for name in ("momentum", "weight_decay", "eps"):
        if hasattr(w.ob, name):
            setattr(w.ob, name, [0.0, 0.5, 0.9][i % 3])


def set_method(w, i):
    kind = type(w.rule_of_class)
    kind.offset = float(i)
    kind.change = [Rule.change, lambda self, x: x * i][i % 2]


def replace_rule(w, i):
    w.rule = [w.rule_of_class, Rule()][i % 2]


def move_in_place(w, i):
    w.rule.table[:] = i


CHANGES = {
    "nothing": lambda w, i: None,
    "method": set_method,
    "slot": lambda w, i: setattr(w.rule, "hidden", float(i)),
    "in place": move_in_place,
    "rule": replace_rule,
    "default": lambda w, i: with_defaults.__defaults__[0].fill(i),
    "default inside": lambda w, i: with_defaults.__kwdefaults__["options"]["power"].insert(0, i),
    "forward": lambda w, i: setattr(w.b, "forward", lambda x: nn.MLP.forward(w.b, x) * i),
    "scale of Signs": lambda w, i: getattr(w.oa, "scale", np.ones(1)).fill(i),
    "gradient of shift": lambda w, i: setattr(w.shift, "requires_grad", i % 2 == 0),
    "assign": assign,
    "assign gradient": assign_gradient,
    "switch": switch,
    "replace layer": replace_layer,
    "replace tensor": replace_tensor,
    "choose parameters": choose_parameters,
    "tie": tie,
    "load": load,
    "rebind": rebind,
    "lr": set_rate,
    "momentum": set_momentum,
    "train": lambda w, i: w.a.train(i % 2 == 0),
    "scale": lambda w, i: setattr(w, "scale", float(i)),
    "options": lambda w, i: w.options.update(power=1 + i % 3),
    "weights": lambda w, i: w.options["weights"].insert(0, float(i % 4)),
}


SURROUNDINGS = {
    "nothing": nullcontext,
    "no_grad": tg.no_grad,
    "scope": lambda: tg.scope("around"),
    "errstate": lambda: np.errstate(all="ignore"),
    "printoptions": lambda: np.printoptions(precision=1, formatter={"all": str}),
}


def run(step, x, surroundings):
    """The outcome of a call: a result, or the type of an error."""
    try:
        if surroundings == "thread":
            found = in_threads([lambda: step(x)])[0]
            if isinstance(found, BaseException):
                raise found
            return found
        with SURROUNDINGS[surroundings]():
            return step(x)
    except RecordingError:
        raise
    except (RuntimeError, ValueError, ArithmeticError) as error:
        return type(error)


def assert_same(got, expected, names):
    for name, a, b in zip(names, got, expected, strict=True):
        if isinstance(a, tg.Tensor) and isinstance(b, tg.Tensor) and name.startswith("result"):
            assert a.requires_grad == b.requires_grad, name
        arrays = [isinstance(t, tg.Tensor | np.ndarray | np.generic | float | int) for t in (a, b)]
        a, b = (t._value if isinstance(t, tg.Tensor) else t for t in (a, b))
        assert same_bits(a, b) if all(arrays) else a == b, (name, a, b)


PROGRAMS = st.lists(st.sampled_from(sorted(STATEMENTS)), max_size=8)
CHANGE = st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 40))
AROUND = st.sampled_from(["nothing"] * 6 + [*sorted(SURROUNDINGS), "thread"])
CALL = st.tuples(st.lists(CHANGE, max_size=2), st.integers(2, 3), st.booleans(), AROUND)


@given(
    PROGRAMS,
    st.sampled_from([[], *TYPICAL]),
    st.lists(CALL, min_size=2, max_size=6),
    st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(sorted(KINDS))),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from([None, 0, 0]),
    st.sampled_from([None] * 30 + sorted(REFUSED)),
    st.sampled_from([copy.copy, copy.deepcopy] + [lambda step: step] * 6),
)
@settings(phases=PHASES, max_examples=RUNS, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_step_and_any_change_between_calls(
    extra, typical, calls, kinds, dtype, verify, refused, copied
):
    program = typical + extra
    with_defaults.__defaults__[0].fill(1)
    with_defaults.__kwdefaults__["options"]["power"][:] = [1.0]

    def make():
        world = World(kinds, dtype)

        def step(x):
            found = []
            for name in program:
                if found or name not in ("back", "back from first", "use lr", "plateau"):
                    STATEMENTS[name](world, x, found)
            if refused:
                REFUSED[refused](world, x, found)
            return found

        return world, step

    (eager, step), (other_world, other_step) = make(), make()
    compiled = tg.compile(other_step, verify=verify)
    COUNTS["runs"] += 1
    for i, (changes, rows, same_dtype, around) in enumerate(calls):
        for name, number in changes:
            for world in (eager, other_world)[: 1 if name.startswith("default") else 2]:
                CHANGES[name](world, number)
        x = np.random.default_rng(i).normal(size=(rows, 2))
        x = x.astype(dtype if same_dtype else np.float64)
        expected = run(step, tg.Tensor(x), around)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                got = run(compiled, x, around)
        except RecordingError as error:
            COUNTS["refused"] += 1
            REASONS[str(error)[:60]] += 1
            return
        assert not refused or isinstance(got, type), f"{refused} is refused"
        if isinstance(expected, type) or isinstance(got, type):
            COUNTS["failed"] += 1
            assert got is expected, (got, expected)
            return  # what a step has done before an error is not undone
        assert_same(got, expected, [f"result {i}" for i in range(len(expected))])
        names = eager.state().keys()
        assert_same(other_world.state().values(), eager.state().values(), names)
        COUNTS["equal"] += 1
        compiled = copied(compiled)


def test_most_of_these_calls_were_compiled():
    assert COUNTS["equal"] > 5 * COUNTS["refused"], (COUNTS, REASONS)
    print(COUNTS, REASONS)
