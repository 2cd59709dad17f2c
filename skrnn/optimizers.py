"""Optimizers: one pass over the flat vectors of parameters, gradient and moments.

Each is a jitted function ``update(parameters, gradient, first, second, decayed, t,
rates)``: `first` and `second` are its moments, `decayed` is 1 where weight decay
applies, t counts updates from 1, and `rates` are the numbers that `Optimizer` lists.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from skrnn._jit import kernel
from skrnn.parameters import aligned_copy, aligned_zeros


@kernel
def combine(slots, n_slots, parameters, penalized, penalty, max_norm, gradient):
    """Sum the slots in order, add the L2 penalty, clip.

    `penalty` times the parameters is added where `penalized` is 1. A `max_norm` of 0
    leaves the gradient as it is. Returns the norm before clipping and the penalty.
    """
    for i in range(len(gradient)):
        gradient[i] = slots[0, i]
    for s in range(1, n_slots):
        for i in range(len(gradient)):
            gradient[i] += slots[s, i]
    squares = weight_squares = 0.0
    for i in range(len(gradient)):
        weight = penalized[i] * parameters[i]
        g = gradient[i] + penalty * weight
        gradient[i] = g
        weight_squares += np.float64(weight) * np.float64(weight)
        squares += np.float64(g) * np.float64(g)
    norm = math.sqrt(squares)
    if max_norm > 0.0 and norm > max_norm:
        factor = gradient.dtype.type(max_norm / norm)
        for i in range(len(gradient)):
            gradient[i] *= factor
    return norm, 0.5 * penalty * weight_squares


@kernel
def adam(parameters, gradient, first, second, decayed, t, rates):
    """Adam (Kingma and Ba 2015, algorithm 1), with decoupled weight decay.

    The decay (AdamW, Loshchilov and Hutter 2019) is 0 for plain Adam.
    """
    number = parameters.dtype.type
    learning_rate, beta_1, beta_2, epsilon, decay = rates
    step = number(learning_rate / (1.0 - beta_1**t))
    correction = number(1.0 / math.sqrt(1.0 - beta_2**t))
    b1, b2, eps = number(beta_1), number(beta_2), number(epsilon)
    c1, c2 = number(1.0 - beta_1), number(1.0 - beta_2)
    shrink = number(learning_rate * decay)
    for i in range(len(parameters)):
        g = gradient[i]
        m = b1 * first[i] + c1 * g
        v = b2 * second[i] + c2 * g * g
        first[i] = m
        second[i] = v
        p = parameters[i]
        p -= shrink * decayed[i] * p
        parameters[i] = p - step * m / (math.sqrt(v) * correction + eps)


@kernel
def rmsprop(parameters, gradient, first, second, decayed, t, rates):
    """RMSprop (Tieleman and Hinton 2012)."""
    number = parameters.dtype.type
    learning_rate, rho, epsilon = rates
    step, b, c, eps = (
        number(learning_rate),
        number(rho),
        number(1.0 - rho),
        number(epsilon),
    )
    for i in range(len(parameters)):
        g = gradient[i]
        v = b * second[i] + c * g * g
        second[i] = v
        parameters[i] -= step * g / (math.sqrt(v) + eps)


@kernel
def sgd(parameters, gradient, first, second, decayed, t, rates):
    """Gradient descent with momentum, of Nesterov's kind or the classical one."""
    number = parameters.dtype.type
    learning_rate, momentum, nesterov = rates
    step, b = number(learning_rate), number(momentum)
    for i in range(len(parameters)):
        v = b * first[i] - step * gradient[i]
        first[i] = v
        if nesterov > 0.0:
            v = b * v - step * gradient[i]
        parameters[i] += v


# name: update, and the settings that follow the learning rate in its `rates`
SOLVERS = {
    "adam": (adam, ("beta_1", "beta_2", "epsilon", "weight_decay")),
    "adamw": (adam, ("beta_1", "beta_2", "epsilon", "weight_decay")),
    "rmsprop": (rmsprop, ("rho", "epsilon")),
    "sgd": (sgd, ("momentum", "nesterovs_momentum")),
}


@dataclass
class Optimizer:
    """The state of an optimizer: arrays and numbers only.

    Parameters
    ----------
    solver : str
        A key of `SOLVERS`.
    settings : tuple of float
        The settings that `SOLVERS` lists, in that order.
    first, second, decayed : ndarray of shape (n_parameters,)
        Moments, and where weight decay applies.
    n_updates : int
        Updates so far.
    """

    solver: str
    settings: tuple
    first: np.ndarray
    second: np.ndarray
    decayed: np.ndarray
    n_updates: int = 0

    @classmethod
    def create(cls, solver, settings, decayed):
        """Return an optimizer before its first update."""
        moments = [aligned_zeros(decayed.shape, decayed.dtype) for _ in range(2)]
        values = tuple(float(settings[name]) for name in SOLVERS[solver][1])
        return cls(solver, values, *moments, decayed)

    def copy(self):
        """Return an optimizer in the same state with moments of its own."""
        first, second = aligned_copy(self.first), aligned_copy(self.second)
        return replace(self, first=first, second=second)

    def restore(self, other):
        """Go back to the state of a copy."""
        self.first[:], self.second[:] = other.first, other.second
        self.n_updates = other.n_updates

    def step(self, parameters, gradient, learning_rate):
        """Update the parameters in place."""
        self.n_updates += 1
        update = SOLVERS[self.solver][0]
        rates = (float(learning_rate), *self.settings)
        update(
            parameters,
            gradient,
            self.first,
            self.second,
            self.decayed,
            self.n_updates,
            rates,
        )
