"""torch.compile of the whole step: forward, backward and update in one graph.

Compiling the model alone, with `loss.backward()` and an optimizer around it, takes three times as
long at small sizes, and as long at large ones. The C++ wrapper spares the Python between kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch._inductor.config
import torch.nn.functional as F
from torch.func import functional_call, grad_and_value
from work import ADAM_LR, BETA1, BETA2, EPS, LR, Characters, CrossEntropy, Job, Training

from .pytorch import character_model, mlp


def compiled(step: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(step, fullgraph=True, options={"cpp_wrapper": True})


def training(task: Training) -> Job:
    return job(mlp(task.weights), task)


def characters(task: Characters) -> Job:
    return job(character_model(task), task)


def job(model: torch.nn.Module, task: Training | Characters) -> Job:
    X, y = torch.from_numpy(task.X), torch.from_numpy(task.y)
    params = {name: p.detach() for name, p in model.named_parameters()}
    running = dict(model.named_buffers())
    update = adam(params) if isinstance(task, Training) and task.adam else sgd

    def loss_of(params: Any, X: Any, y: Any) -> Any:
        # Batch normalization moves its averages in place, which nothing from outside may be.
        averages = {name: average.clone() for name, average in running.items()}
        return F.cross_entropy(functional_call(model, (params, averages), (X,)), y), averages

    @compiled
    def step(params: Any, X: Any, y: Any) -> Any:
        gradients, (loss, averages) = grad_and_value(loss_of, has_aux=True)(params, X, y)
        update(params, gradients)
        for name, average in averages.items():
            running[name].copy_(average)
        return loss

    def run() -> float:
        with torch.no_grad():
            return step(params, X, y).item()

    return Job(run)


def sgd(params: Any, gradients: Any) -> None:
    for name, p in params.items():
        p.sub_(gradients[name], alpha=LR)


def adam(params: Any) -> Callable[[Any, Any], None]:
    m = {name: torch.zeros_like(p) for name, p in params.items()}
    v = {name: torch.zeros_like(p) for name, p in params.items()}
    t = torch.zeros(())  # a Tensor, since a number that changes would be compiled again

    def update(params: Any, gradients: Any) -> None:
        t.add_(1)
        for name, p in params.items():
            g = gradients[name]
            m[name].mul_(BETA1).add_(g, alpha=1 - BETA1)
            v[name].mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            m_hat, v_hat = m[name] / (1 - BETA1**t), v[name] / (1 - BETA2**t)
            p.sub_(ADAM_LR * m_hat / (v_hat.sqrt() + EPS))

    return update


def cross_entropy(task: CrossEntropy) -> Job:
    logits, y = torch.from_numpy(task.logits), torch.from_numpy(task.y)
    both = compiled(grad_and_value(F.cross_entropy))

    def step() -> tuple[float, Any]:
        with torch.no_grad():
            gradient, loss = both(logits, y)
        return loss.item(), gradient

    return Job(step)


def compiling(task: Training) -> Job:
    def step() -> float:
        torch.compiler.reset()
        return training(task).step()

    torch._inductor.config.force_disable_caches = True  # those on disk outlive the process
    return Job(step)
