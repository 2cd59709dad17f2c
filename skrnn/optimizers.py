"""Optimizers: one pass over the flat vectors of parameters, gradient and moments.

Each is a jitted function ``update(parameters, gradient, first, second, decayed, count,
rates)``: `first` and `second` are its moments, `decayed` is 1 where weight decay
applies, ``count[0]`` is the number of updates before this one, which it raises, and
`rates` holds the learning rate and the numbers that `SOLVERS` lists.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from skrnn._jit import kernel
from skrnn.parameters import aligned_copy, aligned_zeros


@kernel
def combine(slots, n_slots, parameters, penalized, limits, gradient, found):
    """Sum the first `n_slots[0]` slots in order, add the L2 penalty, clip.

    `limits` holds the penalty, times which the parameters are added where `penalized`
    is 1, and the largest norm, 0 for none. `found` gets the norm before clipping and
    the loss that the penalty adds: NaN if the norm is not finite.
    """
    penalty, max_norm = limits[0], limits[1]
    factor = gradient.dtype.type(penalty)
    for i in range(len(gradient)):
        gradient[i] = slots[0, i]
    for s in range(1, n_slots[0]):
        for i in range(len(gradient)):
            gradient[i] += slots[s, i]
    squares = weight_squares = 0.0
    for i in range(len(gradient)):
        weight = penalized[i] * parameters[i]
        g = gradient[i] + factor * weight
        gradient[i] = g
        weight_squares += np.float64(weight) * np.float64(weight)
        squares += np.float64(g) * np.float64(g)
    norm = math.sqrt(squares)
    if max_norm > 0.0 and norm > max_norm:
        factor = gradient.dtype.type(max_norm / norm)
        for i in range(len(gradient)):
            gradient[i] *= factor
    found[0] = norm
    found[1] = 0.5 * penalty * weight_squares if math.isfinite(norm) else math.nan


@kernel
def leave_out(slots, n_slots, frozen):
    """Set the gradient of frozen parameters to zero in the first `n_slots[0]` slots."""
    for s in range(n_slots[0]):
        for i in range(len(frozen)):
            if frozen[i]:
                slots[s, i] = 0.0


@kernel
def adam(parameters, gradient, first, second, decayed, count, rates):
    """Adam (Kingma and Ba 2015, algorithm 1), with decoupled weight decay.

    The decay (AdamW, Loshchilov and Hutter 2019) is 0 for plain Adam.
    """
    number = parameters.dtype.type
    count[0] += 1
    t = count[0]
    learning_rate, beta_1, beta_2 = rates[0], rates[1], rates[2]
    epsilon, decay = rates[3], rates[4]
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
def rmsprop(parameters, gradient, first, second, decayed, count, rates):
    """RMSprop (Tieleman and Hinton 2012)."""
    number = parameters.dtype.type
    count[0] += 1
    learning_rate, rho, epsilon = rates[0], rates[1], rates[2]
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
def sgd(parameters, gradient, first, second, decayed, count, rates):
    """Gradient descent with momentum, of Nesterov's kind or the classical one."""
    number = parameters.dtype.type
    count[0] += 1
    learning_rate, momentum, nesterov = rates[0], rates[1], rates[2]
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
    """The state of an optimizer: arrays and a name only.

    Parameters
    ----------
    solver : str
        A key of `SOLVERS`.
    rates : ndarray
        The learning rate of the next update, and the settings that `SOLVERS` lists.
    first, second, decayed : ndarray of shape (n_parameters,)
        Moments, and where weight decay applies.
    count : ndarray of shape (1,)
        The number of updates so far.
    """

    solver: str
    rates: np.ndarray
    first: np.ndarray
    second: np.ndarray
    decayed: np.ndarray
    count: np.ndarray

    @classmethod
    def create(cls, solver, settings, decayed):
        """Return an optimizer before its first update."""
        moments = [aligned_zeros(decayed.shape, decayed.dtype) for _ in range(2)]
        rates = [0.0, *(float(settings[name]) for name in SOLVERS[solver][1])]
        return cls(solver, np.array(rates), *moments, decayed, np.zeros(1, np.int64))

    @property
    def n_updates(self):
        """The number of updates so far."""
        return int(self.count[0])

    def copy(self):
        """Return an optimizer in the same state with arrays of its own."""
        return replace(
            self,
            rates=self.rates.copy(),
            first=aligned_copy(self.first),
            second=aligned_copy(self.second),
            count=self.count.copy(),
        )

    def hold(self, frozen, decayed):
        """Let frozen parameters, a mask or None, move no further; decay those given."""
        if frozen is not None:
            self.first[frozen] = 0.0  # the momentum of the updates before
        self.decayed = decayed

    def restore(self, other):
        """Go back to the state of a copy."""
        self.first[:], self.second[:] = other.first, other.second
        self.count[:] = other.count

    def record(self, calls, parameters, gradient):
        """Record an update of the parameters in place, at the rate in ``rates[0]``."""
        calls.add(
            SOLVERS[self.solver][0],
            parameters,
            gradient,
            self.first,
            self.second,
            self.decayed,
            self.count,
            self.rates,
        )
