"""Interruptions at random bytecodes, and by signals at random times: all has happened, or nothing.

python tests/campaigns/interruptions.py --minutes 10
"""

import gc
import os
import signal
import sys

import campaign
import numpy as np

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce.engine.context import MODE

CODE = (os.path.dirname(tg.__file__), "<tinygrad_ce", "<string>")
X, Y = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32), np.arange(6) % 2
KINDS = [
    lambda p: optim.SGD(p, lr=0.1),
    lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    optim.Adam,
    optim.AdamW,
]


class Interrupted(BaseException):
    """What the handler of a signal raises."""


class World:
    """A model in training, a compiled step, and what can be interrupted."""

    def __init__(self, rng):
        self.model = nn.Sequential(
            nn.Linear(3, 4, rng=rng), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2, rng=rng)
        )
        self.optimizer = KINDS[rng.integers(len(KINDS))](self.model.parameters())
        self.compiled = tg.compile(self.step, verify=0)
        self.model.eval().train()
        for _ in range(2):
            self.step(X, Y)
            self.compiled(X, Y)
        self.state = {name: array + 1 for name, array in self.model.state_dict().items()}

    def step(self, x, y):
        loss = F.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def go_back(self):
        self.loss.backward()

    def prepare(self, name):
        """What has to be there before an action, which is interrupted."""
        if name == "backward":
            self.loss = F.cross_entropy(self.model.eval()(X), Y)
            self.model.train()
        if self.optimizer.params[0].grad is None:
            for p in self.optimizer.params:
                p.grad = np.ones(p.shape)

    def act(self, name):
        actions = {
            "step": self.optimizer.step,
            "zero_grad": self.optimizer.zero_grad,
            "backward": self.go_back,
            "load_state_dict": lambda: self.model.load_state_dict(self.state),
            "compiled": lambda: self.compiled(X, Y),
        }
        actions[name]()

    def bound(self, name):
        """What the action binds, all of it or nothing."""
        values = [t._value for _, t in self.model._named_tensors()]
        parameters = [p._value for p in self.optimizer.params]
        gradients = [p._grad for p in self.optimizer.params]
        state = [
            x for kind in self.optimizer.per_parameter_state for x in getattr(self.optimizer, kind)
        ]
        return {
            "step": parameters + state,
            "zero_grad": gradients,
            "backward": gradients,
            "load_state_dict": values,
            "compiled": values + gradients + state,
        }[name]


ACTIONS = ["step", "zero_grad", "backward", "load_state_dict", "compiled"]


def at_a_bytecode(k, action):
    """Run an action, and raise in front of its k-th bytecode in the package; say if it came."""
    left = k

    def trace(frame, event, argument):
        nonlocal left
        if not frame.f_code.co_filename.startswith(CODE):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if not left:
                sys.settrace(None)
                raise Interrupted
        return trace

    mode = MODE.get()
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        action()
    except Interrupted:
        MODE.set(mode)  # which a trace can leave on, and a signal cannot
        return True
    finally:
        sys.settrace(None)
    return False


def at_a_time(seconds, action):
    """Run an action, and let a signal raise after some time; say if it came."""
    armed = [True]

    def handler(*_):
        if armed:
            raise Interrupted

    before = signal.signal(signal.SIGALRM, handler)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            action()
            armed.clear()
        except Interrupted:
            return True
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Interrupted:  # between the last two lines
        return True
    finally:
        armed.clear()
        signal.signal(signal.SIGALRM, before)
    return False


def attack(seed):
    """Interrupt 200 actions of a new world; yield what was found."""
    rng = np.random.default_rng(seed)
    world, mode = World(rng), MODE.get()
    took = dict.fromkeys(ACTIONS, 3e-4)
    for name in rng.choice(ACTIONS, 200):
        world.prepare(name)
        before = world.bound(name)
        gc.disable()  # what is raised in a callback of the collector is lost
        try:
            if rng.random() < 0.3:
                k = int(rng.integers(1, 3000))
                came = at_a_bytecode(k, lambda name=name: world.act(name))
            else:
                came = at_a_time(rng.uniform(1e-6, took[name]), lambda name=name: world.act(name))
                took[name] = max(2e-5, took[name] * (0.99 if not came else 1.01))
        finally:
            gc.enable()
        assert MODE.get() is mode, f"a mode is on after {name}, {seed}"
        after = world.bound(name)
        same = [a is b or (type(a) is int and a == b) for a, b in zip(before, after, strict=True)]
        assert len(set(same)) == 1, f"{name} was interrupted halfway, {seed}"
        yield f"{name}: {'interrupted' if came else 'done'}, {'before' if same[0] else 'after'}"


if __name__ == "__main__":
    campaign.run(attack, __doc__)
