"""What a step reads, writes and relies on outside: followed, or recorded again, or refused."""

import builtins
import copy
import logging
import os
import sys
import threading
import weakref
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from types import MappingProxyType, ModuleType, SimpleNamespace

import numpy as np
import pytest
from bits import assert_same_bits
from compiler_helpers import X3

import tinygrad_ce as tg
from tinygrad_ce import nn, optim
from tinygrad_ce.compiler import RecordingError
from tinygrad_ce.compiler.guards import is_same, snapshot


def weights():
    return tg.Tensor([1.0, 2.0, 3.0], requires_grad=True, name="w")


def assert_follows(make, change=lambda world, i: None, calls=5):
    """Check that a compiled step and the step itself agree after each call, without the net.

    `make` returns a world, a step of it, and a function of its state.
    """
    (one, eager, state), (other, step, other_state) = make(), make()
    compiled = tg.compile(step, verify=0)
    for i in range(calls):
        expected, got = eager(tg.Tensor(X3 + i)), compiled(X3 + i)
        assert_same_bits([got, *other_state()], [expected, *state()])
        change(one, i)
        change(other, i)
    return compiled


def training(kind=optim.SGD, after=lambda o: None, **options):
    def make():
        w = weights()
        o = kind([w], lr=0.5, **options)

        def step(x):
            o.zero_grad()
            loss = (w * x).sum()
            loss.backward()
            o.step()
            after(o)
            return loss

        return o, step, lambda: [w.data, np.array(o.lr)]

    return make


# ── Optimizers ────────────────────────────────────────────────────────────────────────────────────


def test_a_schedule_inside_is_followed_without_recording_again():
    def halve(o):
        o.lr *= 0.5

    assert len(assert_follows(training(after=halve))._reasons) == 1


def test_hyper_parameters_that_change_inside_or_outside_are_followed():
    def decay(o):
        o.momentum = o.momentum * 0.5

    def change(o, i):
        o.lr, o.weight_decay, o.momentum = 0.1 * i, 0.01 * i, 0.5

    assert_follows(training(after=decay, momentum=0.9))
    assert_follows(training(momentum=0.9), change)


def test_a_rate_that_is_returned_is_a_number_and_one_that_is_compared_is_refused():
    o = optim.SGD([weights()], lr=0.5)
    rate = tg.compile(lambda: o.lr)
    assert rate() == 0.5
    o.lr = 0.25
    assert type(rate()) is float
    assert rate() == 0.25
    with pytest.raises(RecordingError, match="was read while"):
        tg.compile(lambda: max(0.1, o.lr))()


def test_state_that_is_assigned_inside_is_refused_and_outside_followed():
    def forget(o):
        o.velocity = [0 * v for v in o.velocity]

    with pytest.raises(RecordingError, match=r"SGD\.velocity was assigned list"):
        assert_follows(training(after=forget, momentum=0.9))
    assert_follows(training(momentum=0.9), lambda o, i: forget(o))


def test_an_optimizer_of_the_users_with_arrays_and_a_counter():
    class Signs(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, lr)
            self.mask, self.count = np.array([1.0, 0.0, 1.0]), 0

        def update(self, states, i, value, g):
            self.count += 1
            return value - self.lr * self.count * np.sign(g) * self.mask

    def change(o, i):
        o.mask[:] = i

    assert_follows(training(Signs), change)


def test_an_optimizer_that_is_made_inside_starts_anew_at_each_call():
    def make():
        w = weights()

        def step(x):
            o = optim.SGD([w], lr=0.1, momentum=0.9)
            for _ in range(2):
                o.zero_grad()
                (w * x).sum().backward()
                o.step()
            return w * 1

        return w, step, lambda: [w.data]

    assert_follows(make)


# ── Leaves ────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_assigned_is_read_where_it_is_used_later():
    def make():
        w, target = weights(), tg.Tensor([0.0, 0.0, 0.0], name="target")

        def step(x):
            w.data = w * x
            before = target * 1
            target.data = w
            return (before + target).sum()

        return w, step, lambda: [w.data, target.data]

    assert_follows(make)


def test_a_loss_from_before_an_update_goes_back_through_the_old_values():
    def make():
        w = weights()
        o = optim.SGD([w], lr=0.1)

        def step(x):
            loss = (w * x).sum() ** 2
            loss.backward(retain_graph=True)
            o.step()
            loss.backward()
            o.step()
            return loss

        return o, step, lambda: [w.data, w.grad]

    assert_follows(make)


def test_a_graph_that_is_freed_inside_cannot_be_walked_again():
    w = weights()

    def step(x):
        loss = (w * x).sum()
        loss.backward()
        loss.exp().backward()

    with pytest.raises(RuntimeError, match="has been freed"):
        tg.compile(lambda x: [step(x * w), step(x)])(X3)


@pytest.mark.parametrize("name", [None, "b"])
def test_a_leaf_that_is_unfrozen_gets_its_gradient(name):
    def make():
        w, b = weights(), tg.Tensor(X3, name=name)

        def step(x):
            loss = (w * x + b).sum()
            loss.backward()
            return loss

        return b, step, lambda: [w.grad, np.zeros(3) if b.grad is None else b.grad]

    assert_follows(make, lambda b, i: setattr(b, "requires_grad", i % 2 == 0))


def test_requires_grad_can_be_switched_inside():
    def make():
        w = weights()

        def step(x):
            w.requires_grad = not w.requires_grad
            return (w * x).sum()

        return w, step, lambda: [w.data, np.array(w.requires_grad)]

    assert_follows(make)


@pytest.mark.parametrize("attribute", ["data", "grad", "requires_grad"])
def test_a_tensor_of_the_caller_is_not_assigned_to(attribute):
    values = {"data": lambda x: x * 2, "grad": lambda x: x * 2, "requires_grad": lambda x: True}

    def step(x):
        setattr(x, attribute, values[attribute](x))

    with pytest.raises(RecordingError, match="an argument, was assigned"):
        tg.compile(step)(tg.Tensor(X3))


def test_masks_with_another_number_of_elements():
    w = weights()
    f = tg.compile(lambda x: tg.gradients((w * x)[x > 2].mean(), [w])[0], verify=0)
    for x in (X3, X3 + 1, X3 + 2, X3):
        assert_same_bits(f(x), tg.gradients((w * x)[x > 2].mean(), [w])[0])
    assert len(f._reasons) == 3


def test_a_draw_before_a_mask_is_made_once():
    def make():
        rng = np.random.default_rng(0)
        return rng, lambda x: x[tg.sample(rng.normal, size=3) > 0].sum(), lambda: [rng.normal()]

    assert_follows(make)


def made_by_copying(x, w):
    return tg.Tensor(x * w, requires_grad=True)


def made_by_detaching(x, w):
    made = (x * w).detach()
    made.requires_grad = True
    return made


def made_of_what_needs_no_gradient(x, w):
    made = x[::-1] * 2
    made.data = made * x
    made.requires_grad = True
    return made


@pytest.mark.parametrize(
    "make_leaf", [made_by_copying, made_by_detaching, made_of_what_needs_no_gradient]
)
def test_a_leaf_that_is_made_inside_gets_its_gradient(make_leaf):
    def make():
        w = weights()

        def step(x):
            made = make_leaf(x, w)
            o = optim.SGD([made], lr=0.1, momentum=0.5)
            for _ in range(2):
                o.zero_grad()
                (made**2 * w).sum().backward()
                o.step()
            (made**3).sum().backward()
            return made * 1 + made.grad

        return w, step, lambda: [w.grad]

    assert_follows(make)

    def reads(x):
        return x * make_leaf(x, weights()).sum().item()

    with pytest.raises(RecordingError, match="was read"):
        tg.compile(reads)(X3)


# ── Modules ───────────────────────────────────────────────────────────────────────────────────────


def test_layers_tensors_and_modes_that_are_replaced_are_followed():
    def make():
        model = nn.Sequential(nn.Linear(3, 2, rng=0, dtype=float), nn.Dropout(0.5, rng=1))

        def step(x):
            loss = (model(x) ** 2).sum()
            model.train(not model.training)
            return loss

        return model, step, lambda: [np.array(model.training), np.array(model.layers[1].training)]

    def change(model, i):
        if i == 1:
            model.layers = (nn.Linear(3, 4, rng=i, dtype=float), *model.layers[1:])
        if i == 2:
            model.layers[0].bias = None
        if i == 3:
            model.layers[0].weight = tg.Tensor(np.ones((3, 1)), requires_grad=True)

    assert_follows(make, change)


def test_a_parameter_that_is_added_is_seen_by_a_step_that_lists_them():
    def make():
        model = nn.Linear(3, 2, rng=0, dtype=float)
        sums = [p.sum() for p in model.parameters()]
        return model, lambda x: sum(p.sum() for p in model.parameters()) * x, lambda: sums

    assert_follows(make, lambda model, i: setattr(model, f"w{i}", tg.Tensor(X3, True)))


# ── What the code names, and side effects ─────────────────────────────────────────────────────────

FACTOR = 2.0
PRINT = print


def test_globals_cells_and_attributes_that_the_code_names_are_followed(monkeypatch):
    class Options:
        power = 2
        scale = (1.0, 3.0)

    def make():
        options, function = Options(), np.exp

        def step(x):
            return function(x) * FACTOR * options.scale[0] ** options.power

        def change(kind, i):
            nonlocal function
            function = np.tanh if i % 2 else np.exp
            options.power, options.scale = i, [0.5 * i]

        return change, step, list

    assert_follows(make, lambda change, i: change(None, i))
    f = tg.compile(lambda x: x * FACTOR)
    f(X3)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    assert_same_bits(f(X3), tg.Tensor(X3 * 3))


class Named:
    """Whose attributes are read in many ways: what the step's code names, and how it changes."""

    __slots__ = ("__weakref__", "slot")
    plain = 1.0

    def __init__(self):
        self.slot = 1.0

    @property
    def through_a_property(self):
        return self.slot

    def method(self):
        return 1.0

    def __call__(self):
        return self.slot

    def __getitem__(self, index):
        return self.slot * index


class Layer(nn.Module):
    def forward(self, x):
        return x


ONES = np.ones(3)


def with_defaults(x, factor=1.0, *, table={"k": [ONES]}):  # noqa: B006
    return x * factor * table["k"][0]


def with_an_attribute(x):
    return x * with_an_attribute.factor


OWN_MODULE = ModuleType("own")
exec("factor = 1.0\ndef scale(x): return x * factor", OWN_MODULE.__dict__)
REFERENCE = weakref.ref(NAMED := Named())
LAYER, LINEAR = Layer(), nn.Linear(3, 1, rng=0, dtype=float)
DEEP = {"a": [{"b": ({"c": [1.0]},)}]}


def set_deep(k):
    DEEP["a"][0]["b"][0]["c"][0] = k


class Strange(dict):
    """A dict of the user's own."""


ORDERED, STRANGE, PROXIED = OrderedDict(k=1.0), Strange(k=1.0), {"k": 1.0}
PROXY, BYTES, LATER = MappingProxyType(PROXIED), bytearray(1), SimpleNamespace()
sys.modules["own"] = OWN_MODULE


def imports(x):
    import own  # noqa: PLC0415

    return x * own.factor


def asks(x):
    return x * LATER.k if hasattr(LATER, "k") else x


def may_lack_a_global(x):
    try:
        return x * MISSING_FACTOR
    except NameError:
        return x


READS = {
    "import": (imports, lambda k: setattr(OWN_MODULE, "factor", k)),
    "ordered": (lambda x: x * ORDERED["k"], lambda k: ORDERED.update(k=k)),
    "own dict": (lambda x: x * STRANGE["k"], lambda k: STRANGE.update(k=k)),
    "proxy": (lambda x: x * PROXY["k"], lambda k: PROXIED.update(k=k)),
    "bytes": (lambda x: x * BYTES[0], lambda k: BYTES.__setitem__(0, int(k))),
    "weak": (lambda x: x * REFERENCE().slot, lambda k: setattr(NAMED, "slot", k)),
    "getattr": (lambda x: x * getattr(NAMED, "slot"), lambda k: setattr(NAMED, "slot", k)),  # noqa: B009
    "hasattr": (asks, lambda k: vars(LATER).update({"k": k} if k > 1 else {})),
    "no global": (may_lack_a_global, lambda k: k > 1 and globals().update(MISSING_FACTOR=k)),
    "slot": (lambda x: x * NAMED.slot, lambda k: setattr(NAMED, "slot", k)),
    "property": (lambda x: x * NAMED.through_a_property, lambda k: setattr(NAMED, "slot", k)),
    "call": (lambda x: x * NAMED(), lambda k: setattr(NAMED, "slot", k)),
    "index": (lambda x: x * NAMED[2], lambda k: setattr(NAMED, "slot", k)),
    "class": (lambda x: x * NAMED.plain, lambda k: setattr(Named, "plain", k)),
    "method": (lambda x: x * NAMED.method(), lambda k: setattr(Named, "method", lambda self: k)),
    "forward": (lambda x: LAYER(x) * 1, lambda k: setattr(Layer, "forward", lambda self, x: x * k)),
    "forward of one": (
        lambda x: LINEAR(x) * 1,
        lambda k: setattr(LINEAR, "forward", lambda x: x * k),
    ),
    "defaults": (with_defaults, lambda k: setattr(with_defaults, "__defaults__", (k,))),
    "default": (with_defaults, ONES.fill),
    "of a function": (with_an_attribute, lambda k: setattr(with_an_attribute, "factor", k)),
    "module": (lambda x: OWN_MODULE.scale(x) * 1, lambda k: setattr(OWN_MODULE, "factor", k)),
    "partial": (partial(with_defaults, factor=ONES), ONES.fill),
    "deep": (lambda x: x * DEEP["a"][0]["b"][0]["c"][0], set_deep),
    "wrapped": (tg.no_grad()(lambda x: x * NAMED.slot), lambda k: setattr(NAMED, "slot", k)),
}
with_an_attribute.factor = 1.0


@pytest.mark.parametrize("kind", READS)
def test_whatever_way_a_step_names_what_it_reads_it_follows_it(kind):
    step, change = READS[kind]
    compiled = tg.compile(step, verify=0)
    for k in (1.0, 2.0, 3.0):
        change(k)
        assert_same_bits([compiled(X3)], [step(tg.Tensor(X3))])


class Owner:
    count, last = 0, None

    def __call__(self):
        self.count += 1


def appends(x, log, owner):
    log.append(x * 2)


def counts(x, log, owner):
    owner.count += 1


def keeps(x, log, owner):
    owner.last = x * 2


def keeps_deep_inside(x, log, owner):
    vars(owner)["hidden"] = (x * 2,)


def prints(x, log, owner):
    print(x)


def prints_text(x, log, owner):
    print("text")


def writes_a_file(x, log, owner):
    with open(os.devnull, "w") as file:
        file.write("text")


def logs(x, log, owner):
    logging.getLogger("test").warning("text")


def starts_a_thread(x, log, owner):
    threading.Thread(target=log.append, args=(1,)).start()


def counts_in_a_call(x, log, owner):
    owner()


def catches_the_refusal(x, log, owner):
    with suppress(Exception):
        x.sum().item()


def catches_all(x, log, owner):
    with suppress(BaseException):
        owner.last = copy.deepcopy(tg.Tensor(x))


EFFECTS = [
    appends, counts, keeps, keeps_deep_inside, prints, prints_text, writes_a_file, logs,
    starts_a_thread, counts_in_a_call, catches_the_refusal, catches_all,
]  # fmt: skip


@pytest.mark.parametrize("effect", EFFECTS)
def test_side_effects_are_refused_and_leave_nothing(effect):
    log, owner = [], Owner()
    with pytest.raises(RecordingError, match="return"):
        tg.compile(lambda x: effect(x, log, owner))(X3)
    assert (log, owner.count, owner.last) == ([], 0, None)
    assert print is builtins.print is PRINT


def test_a_list_that_is_an_argument_is_not_changed():
    given = [1]
    with pytest.raises(RecordingError, match="a list or dict that is an argument"):
        tg.compile(lambda x, log: (log.append(2), x * 2)[1])(X3, given)
    assert given == [1]


def test_another_thread_may_print_while_a_step_is_recorded(capsys):
    thread = threading.Thread(target=lambda: [print("text") for _ in range(100)])
    thread.start()
    for i in range(20):
        tg.compile(lambda x, i=i: x * i)(X3)
    thread.join()
    assert capsys.readouterr().out == "text\n" * 100


def test_the_state_of_an_optimizer_that_is_made_inside_can_be_read():
    def make():
        w = weights()

        def step(x):
            o = optim.Adam([w], lr=0.1)
            for _ in range(2):
                (w * x).sum().backward()
                o.step()
                o.lr = o.lr * 0.5
            return w * o.t[0] + o.m[0] * o.lr

        return w, step, lambda: [w.data, w.grad]

    assert_follows(make)


def test_what_changes_at_once_and_a_recorder_inside_are_refused():
    class Changing:
        @property
        def value(self):
            return object()

    assert is_same([1.0, {"a": X3.copy()}], snapshot([1.0, {"a": X3}]))
    assert not is_same([1.0, {"a": X3 + 1}], snapshot([1.0, {"a": X3}]))
    assert not is_same(X3[::-1], snapshot(X3[::-1].copy()))
    assert not is_same((0.0, 1), (-0.0, 1))
    assert not is_same([1], [True])
    assert tg.compile(lambda x: x * 2)(X3).data.tolist() == [2, 4, 6]


def test_a_gradient_that_is_cleared_before_the_second_call():
    def make():
        w = weights()
        w.grad = X3

        def step(x):
            loss = (w * x).sum()
            loss.backward()
            return loss

        return w, step, lambda: [w.grad]

    assert_follows(make, lambda w, i: setattr(w, "grad", None if i % 2 == 0 else X3))


def test_a_target_that_shares_the_array_that_it_is_assigned_again():
    def make():
        w, target = weights(), tg.Tensor([0.0, 0.0, 0.0], name="target")

        def step(x):
            before = (target * x).sum()
            target.data = w
            return before

        return target, step, lambda: [target.data]

    def change(target, i):
        if i > 1:
            target.data = X3 * i

    step = assert_follows(make)
    assert len(step._reasons) == 1

    def shared():
        target, step, state = make()
        step(tg.Tensor(X3))
        return target, step, state

    assert_follows(shared, change)
