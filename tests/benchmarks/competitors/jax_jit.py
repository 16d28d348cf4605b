"""jax.jit of the whole step, whose state is donated: the new one may overwrite it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from work import ADAM_LR, BETA1, BETA2, EPS, LR, Chain, Characters, CrossEntropy, Job, Training


def training(task: Training) -> Job:
    jax.config.update("jax_enable_x64", task.X.dtype == np.float64)
    params = [jnp.array(w) for w in task.weights]
    if task.adam:
        zeros = [jax.tree.map(jnp.zeros_like, params) for _ in "mv"]
        return job(adam_step, (params, *zeros, jnp.zeros(())), task)
    return job(sgd_step, params, task)


def job(step: Callable[..., Any], state: Any, task: Training | Characters) -> Job:
    """Of a step from state, X and y to a new state and the loss."""
    jitted = jax.jit(step, donate_argnums=0)
    X, y = jnp.array(task.X), jnp.array(task.y)

    def run() -> float:
        nonlocal state
        state, loss = jax.block_until_ready(jitted(state, X, y))
        return float(loss)

    return Job(run)


def sgd_step(params: Any, X: Any, y: Any) -> Any:
    loss, gradients = jax.value_and_grad(loss_of)(params, X, y)
    return sgd(params, gradients), loss


def sgd(params: Any, gradients: Any) -> Any:
    return jax.tree.map(lambda p, g: p - LR * g, params, gradients)


def adam_step(state: Any, X: Any, y: Any) -> Any:
    params, m, v, t = state
    loss, gradients = jax.value_and_grad(loss_of)(params, X, y)
    t = t + 1
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, gradients)

    def updated(p: Any, m: Any, v: Any) -> Any:
        m_hat, v_hat = m / (1 - BETA1**t), v / (1 - BETA2**t)
        return p - ADAM_LR * m_hat / (jnp.sqrt(v_hat) + EPS)

    return (jax.tree.map(updated, params, m, v), m, v, t), loss


def loss_of(params: Any, X: Any, y: Any) -> Any:
    h = X
    for W, b in zip(params[:-2:2], params[1:-2:2], strict=True):
        h = jnp.tanh(h @ W + b)
    return mean_cross_entropy(h @ params[-2] + params[-1], y)


def mean_cross_entropy(logits: Any, y: Any) -> Any:
    """As optax has it: at large sizes this takes half the time of log_softmax."""
    picked = jnp.take_along_axis(logits, y[:, None], 1)[:, 0]
    return (jax.nn.logsumexp(logits, 1) - picked).mean()


def characters(task: Characters) -> Job:
    ones, zeros = jnp.ones(task.hidden), jnp.zeros(task.hidden)
    weights = (jnp.array(w) for w in (task.embedding, task.W1, task.W2, task.b2))
    params = [*weights, jnp.array(ones), jnp.array(zeros)]
    return job(characters_step, (params, (zeros, ones)), task)


def characters_step(state: Any, X: Any, y: Any) -> Any:
    params, running = state
    (loss, running), gradients = jax.value_and_grad(characters_loss, has_aux=True)(
        params, running, X, y
    )
    return (sgd(params, gradients), running), loss


def characters_loss(params: Any, running: Any, X: Any, y: Any) -> Any:
    C, W1, W2, b2, gamma, beta = params
    n = len(X)
    a = C[X].reshape(n, -1) @ W1
    mean, var = a.mean(0), a.var(0)
    h = jnp.tanh((a - mean) * (jax.lax.rsqrt(var + 1e-5) * gamma) + beta)
    average, variance = running
    running = 0.9 * average + 0.1 * mean, 0.9 * variance + 0.1 * (var * (n / (n - 1)))
    return mean_cross_entropy(h @ W2 + b2, y), running


def cross_entropy(task: CrossEntropy) -> Job:
    logits, y = jnp.array(task.logits), jnp.array(task.y)
    both = jax.jit(jax.value_and_grad(mean_cross_entropy))

    def step() -> tuple[float, Any]:
        loss, gradient = jax.block_until_ready(both(logits, y))
        return float(loss), gradient

    return Job(step)


def compiled_chain(task: Chain) -> Job:
    """Unrolled, as for the others. For a chain as such, JAX has `lax.scan`."""
    jax.config.update("jax_enable_x64", True)

    def chain(x: Any, a: Any) -> Any:
        for _ in range(task.times):
            x = x * task.factor + a
        return x

    jitted = jax.jit(jax.value_and_grad(chain, argnums=(0, 1)))
    x, a = jnp.array(task.x), jnp.array(task.a)

    def step() -> tuple[float, float, float]:
        value, (dx, da) = jax.block_until_ready(jitted(x, a))
        return float(value), float(dx), float(da)

    return Job(step)


def compiling(task: Training) -> Job:
    def step() -> float:
        jax.clear_caches()
        return training(task).step()

    return Job(step)


def compiling_chain(task: Chain) -> Job:
    def step() -> Any:
        jax.clear_caches()
        return compiled_chain(task).step()

    return Job(step)
