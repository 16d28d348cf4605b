"""The mutations of layers and optimizers."""

from mutations.mutation import of

layer = of("nn/layers.py", "nn")
module = of("nn/module.py", "nn")
optimizer = of("optim/optimizer.py", "optim")
rule = of("optim/rules.py", "optim")

MUTATIONS = [
    # ── nn/ ──────────────────────────────────────────────────────────────────────────────────────
    layer("Linear.forward", "no bias", "y if self.bias is None else y + self.bias", "y"),
    layer("Dropout.forward", "also in evaluation", "self.training", "True"),
    module(
        "Module.named_parameters",
        "a shared parameter twice",
        "value.requires_grad and id(value) not in seen",
        "value.requires_grad",
    ),
    module(
        "Module.load_state_dict", "a state that does not fit", "own.keys() != state.keys()", "False"
    ),
    # ── optim/ ────────────────────────────────────────────────────────────────────────────────────
    rule("SGD.update", "up the slope", "value - self.lr * g", "value + self.lr * g"),
    rule(
        "SGD.update",
        "momentum",
        "self._momentum * velocity[i] + g",
        "self._momentum * (velocity[i] + g)",
    ),
    optimizer(
        "Optimizer._add_decay",
        "weight decay grows",
        "g + self.weight_decay * value",
        "g - self.weight_decay * value",
    ),
    rule(
        "SGD.momentum",
        "a velocity without momentum",
        "momentum and (not self.velocity)",
        "not self.velocity",
        "guarantees",
    ),
    rule(
        "Adam.update",
        "no bias correction of m",
        "self.lr * root / (1 - beta1 ** t)",
        "self.lr * root",
    ),
    rule("Adam.update", "no bias correction of v", "(1 - beta2 ** t) ** 0.5", "1.0"),
    rule("Adam.update", "no bias correction of ε", "self.eps * root", "self.eps"),
    rule("Adam.update", "step not counted", "t = states['t'][i] = states['t'][i] + 1", "t = 1"),
    rule("Adam.update", "g for g²", "g * g", "g"),
    rule("Adam.update", "ε in the root", "np.sqrt(v) + eps", "np.sqrt(v + eps)"),
    rule(
        "AdamW._shrink",
        "decay not decoupled from lr",
        "self.lr * self.weight_decay",
        "self.weight_decay",
    ),
    rule("Optimizer.__init__", "a parameter twice", "len(self.params)", "0"),
    rule(
        "Optimizer.zero_grad", "gradients are not cleared", "clear_gradients(self.params)", "pass"
    ),
]
