"""The mutations of layers and optimizers."""

from mutations.mutation import of

layer = of("nn/layers.py", "nn")
module = of("nn/module.py", "nn")
optimizer = of("optim/optimizer.py", "optim")
rule = of("optim/rules.py", "optim")
state = of("optim/state.py", "optim")
schedule = of("optim/lr_scheduler.py", "optim")
clipping = of("optim/clipping.py", "optim")
torch_state = of("nn/torch_state.py", "nn")
init = of("nn/init.py", "nn")
normalization = of("nn/normalization.py", "nn")

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
        "_WithMomentum.momentum",
        "a velocity without momentum",
        "self._momentum and (not self.velocity)",
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
    optimizer("_as_parameters", "a parameter twice", "len(parameters)", "0"),
    optimizer(
        "Optimizer.zero_grad", "gradients are not cleared", "clear_gradients(self.params)", "pass"
    ),
    rule("SGD.update", "Nesterov without momentum", "g + self._momentum * v", "g"),
    rule("Adam.update", "AMSGrad forgets", "np.maximum(states['v_max'][i], v)", "v"),
    rule("RMSprop.update", "not centered", "v - m * m", "v"),
    rule("Adagrad.update", "no decay of the rate", "states['t'][i] * self.lr_decay", "0"),
    state("Stateful._as_entries", "another shape", "arrays[i].shape != shape", "False"),
    schedule("StepLR.step", "a step too late", "self.count + 1", "self.count"),
    schedule(
        "LinearLR.compute_lr", "goes on", "np.minimum(self.count, self.total_iters)", "self.count"
    ),
    schedule("ReduceLROnPlateau.step", "counts while it rests", "better | idle", "better"),
    schedule(
        "_anneal_by_cosine",
        "upside down",
        "1 + np.cos(math.pi * share)",
        "1 - np.cos(math.pi * share)",
    ),
    clipping(
        "clip_grad_norm_",
        "grows",
        "minimum(max_norm / (total + 1e-06), 1.0)",
        "max_norm / (total + 1e-06)",
    ),
    torch_state("from_torch", "not transposed", "x.T.copy()", "x.copy()"),
    init("orthogonal_", "signs of QR", "np.sign(np.diag(r))", "1"),
    init("_kaiming_std", "the other fan", "mode == 'fan_out'", "mode == 'fan_in'"),
    normalization(
        "LayerNorm.forward",
        "unbiased",
        "(centered * centered).mean(axes, keepdims=True)",
        "(centered * centered).sum(axes, keepdims=True)",
    ),
]
