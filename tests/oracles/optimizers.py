"""Optimisers and learning rates as their papers give them, one update at a time."""

import math

import numpy as np


def adam(p, gradients, rate, beta_1, beta_2, epsilon, weight_decay, decayed):
    m = v = np.zeros_like(p)
    for t, g in enumerate(gradients, start=1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat = m / (1 - beta_1**t)
        v_hat = v / (1 - beta_2**t)
        decay = rate * weight_decay * decayed * p
        p = p - decay - rate * m_hat / (np.sqrt(v_hat) + epsilon)
    return p


def rmsprop(p, gradients, rate, rho, epsilon):
    v = np.zeros_like(p)
    for g in gradients:
        v = rho * v + (1 - rho) * g**2
        p = p - rate * g / (np.sqrt(v) + epsilon)
    return p


def sgd(p, gradients, rate, momentum, nesterovs_momentum):
    """Velocity and look-ahead as in scikit-learn's SGDOptimizer."""
    velocity = np.zeros_like(p)
    for g in gradients:
        velocity = momentum * velocity - rate * g
        p = p + (momentum * velocity - rate * g if nesterovs_momentum else velocity)
    return p


def cosine_rates(initial, n_updates, n_warmup):
    """Rise in a straight line, then half a cosine from `initial` down."""
    rates = []
    for update in range(n_updates):
        if update < n_warmup:
            rates.append(initial * (update + 1) / (n_warmup + 1))
        else:
            progress = (update - n_warmup) / (n_updates - n_warmup)
            rates.append(initial * (1 + math.cos(math.pi * progress)) / 2)
    return rates
