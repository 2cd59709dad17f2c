"""Optimisers: trajectories against their papers, and the sum of the slots."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from skrnn.optimizers import SOLVERS, Optimizer, combine
from skrnn.recording import Recording, run
from tests.oracles import optimizers as oracles

DTYPES = [np.float32, np.float64]
SETTINGS = {
    "beta_1": 0.8,
    "beta_2": 0.95,
    "epsilon": 1e-3,
    "weight_decay": 0.0,
    "rho": 0.9,
    "momentum": 0.7,
    "nesterovs_momentum": True,
}
RATE = 0.05
N_UPDATES = 12


def rtol_of(dtype):
    return 2e-5 if dtype == np.float32 else 1e-12


def problem(dtype):
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=9).astype(dtype)
    gradients = rng.normal(size=(N_UPDATES, 9)).astype(dtype)
    decayed = (np.arange(9) < 5).astype(dtype)
    return parameters, gradients, decayed


class Descent:
    """An optimizer whose recorded update is run step by step."""

    def __init__(self, solver, settings, parameters, decayed):
        self.optimizer = Optimizer.create(solver, settings, decayed)
        self.gradient = np.full_like(parameters, np.nan)
        self.calls = Recording()
        self.optimizer.record(self.calls, parameters, self.gradient)
        self.program = self.calls.program()

    def step(self, gradient, rate):
        self.gradient[:] = gradient
        self.optimizer.rates[0] = rate
        run(self.program)


def descend(solver, settings, dtype):
    parameters, gradients, decayed = problem(dtype)
    descent = Descent(solver, settings, parameters, decayed)
    for n, gradient in enumerate(gradients):
        assert descent.optimizer.n_updates == n
        descent.step(gradient, RATE)
        assert_array_equal(descent.gradient, gradient)
    assert descent.optimizer.n_updates == N_UPDATES
    return parameters


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("solver", ["adam", "adamw"])
def test_adam(solver, weight_decay, dtype):
    settings = SETTINGS | {"weight_decay": weight_decay}
    p, gradients, decayed = problem(dtype)
    expected = oracles.adam(p, gradients, RATE, 0.8, 0.95, 1e-3, weight_decay, decayed)
    assert_allclose(descend(solver, settings, dtype), expected, rtol=rtol_of(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rmsprop(dtype):
    p, gradients, _ = problem(dtype)
    expected = oracles.rmsprop(p, gradients, RATE, 0.9, 1e-3)
    result = descend("rmsprop", SETTINGS, dtype)
    assert_allclose(result, expected, rtol=rtol_of(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_sgd(momentum, nesterov, dtype):
    settings = SETTINGS | {"momentum": momentum, "nesterovs_momentum": nesterov}
    p, gradients, _ = problem(dtype)
    expected = oracles.sgd(p, gradients, RATE, momentum, nesterov)
    result = descend("sgd", settings, dtype)
    assert_allclose(result, expected, rtol=rtol_of(dtype), atol=rtol_of(dtype))


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_scikit_learns(nesterov):
    p, gradients, _ = problem(np.float64)
    theirs = SGDOptimizer([p], RATE, momentum=0.7, nesterov=nesterov)
    for gradient in gradients:
        theirs.update_params([p], [gradient])
    settings = SETTINGS | {"nesterovs_momentum": nesterov}
    assert_allclose(descend("sgd", settings, np.float64), p, rtol=1e-10)


def test_adam_is_scikit_learns_but_for_the_place_of_epsilon():
    p, gradients, _ = problem(np.float64)
    theirs = AdamOptimizer([p], RATE, beta_1=0.8, beta_2=0.95, epsilon=0.0)
    for gradient in gradients:
        theirs.update_params([p], [gradient])
    settings = SETTINGS | {"epsilon": 0.0}
    assert_allclose(descend("adam", settings, np.float64), p, rtol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_gradient_of_zero_moves_nothing(solver, dtype):
    parameters, _, decayed = problem(dtype)
    before = parameters.copy()
    descent = Descent(solver, SETTINGS, parameters, decayed)
    descent.step(0.0, RATE)
    assert_array_equal(parameters, before)


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_finds_the_minimum_of_a_bowl(solver):
    parameters, _, decayed = problem(np.float64)
    descent = Descent(solver, SETTINGS, parameters, decayed)
    for update in range(600):
        descent.step(parameters - 1.0, 0.05 * 0.98**update)
    assert_allclose(parameters, 1.0, atol=1e-3)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_copy_goes_its_own_way_and_leads_back(solver):
    parameters, gradients, decayed = problem(np.float64)
    descent = Descent(solver, SETTINGS, parameters, decayed)
    for gradient in gradients[:5]:
        descent.step(gradient, RATE)
    before, copy = parameters.copy(), descent.optimizer.copy()
    assert copy.n_updates == 5
    ends = []
    for _ in range(2):
        for gradient in gradients[5:]:
            descent.step(gradient, RATE)
        ends.append(parameters.copy())
        assert descent.optimizer.n_updates == N_UPDATES and copy.n_updates == 5
        # what was recorded goes on with the arrays that are restored
        descent.optimizer.restore(copy)
        parameters[:] = before
    assert_array_equal(ends[0], ends[1])
    assert (ends[0] != before).all()


# --- combine --------------------------------------------------------------------------


def combined(slots, n_slots, parameters, penalized, penalty, max_norm, gradient):
    """Fill the gradient; return its norm before clipping and the penalty."""
    found, limits = np.full(2, np.nan), np.array([penalty, max_norm])
    n_slots = np.array([n_slots])
    combine(slots, n_slots, parameters, penalized, limits, gradient, found)
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@given(
    n_slots=st.integers(1, 5),
    penalty=st.sampled_from([0.0, 0.3]),
    max_norm=st.sampled_from([0.0, 0.1, 1e6]),
    seed=st.integers(0, 2**32 - 1),
)
def test_combine(dtype, n_slots, penalty, max_norm, seed):
    rng = np.random.default_rng(seed)
    slots = rng.normal(size=(n_slots + 1, 7)).astype(dtype)
    parameters = rng.normal(size=7).astype(dtype)
    penalized = (np.arange(7) % 2).astype(dtype)
    gradient = np.full(7, np.nan, dtype)
    norm, value = combined(
        slots, n_slots, parameters, penalized, penalty, max_norm, gradient
    )
    expected = slots[:n_slots].sum(axis=0, dtype=np.float64)
    expected += penalty * penalized * parameters
    expected_norm = np.linalg.norm(expected)
    if 0 < max_norm < expected_norm:
        expected *= max_norm / expected_norm
    rtol = rtol_of(dtype)
    assert_allclose(norm, expected_norm, rtol=rtol)
    assert_allclose(gradient, expected, rtol=rtol, atol=rtol)
    squares = (penalized * parameters.astype(np.float64) ** 2).sum()
    assert_allclose(value, 0.5 * penalty * squares, rtol=rtol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("max_norm", [0.0, 1.0])
def test_combine_tells_of_a_gradient_that_is_not_finite(bad, max_norm, dtype):
    slots = np.zeros((2, 4), dtype)
    slots[1, 2] = bad
    zeros = np.zeros(4, dtype)
    with np.errstate(invalid="ignore"):
        norm, _ = combined(slots, 2, zeros, zeros, 0.0, max_norm, zeros.copy())
    assert not np.isfinite(norm)


def test_combine_of_large_gradients_does_not_overflow():
    slots = np.full((1, 4), 1e30, np.float32)
    zeros = np.zeros(4, np.float32)
    gradient = np.empty(4, np.float32)
    norm, _ = combined(slots, 1, zeros, zeros, 0.0, 1.0, gradient)
    assert_allclose(norm, 2e30)
    assert_allclose(gradient, 0.5, rtol=1e-6)
