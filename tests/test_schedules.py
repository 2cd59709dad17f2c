"""Learning rates."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skrnn.schedules import Schedule
from tests.oracles.optimizers import cosine_rates


def make(name, initial=0.1, power_t=0.5, n_updates=20, warmup_fraction=0.2):
    return Schedule(name, initial, power_t, n_updates, warmup_fraction)


def test_minibatches_are_shared_out_over_the_epochs():
    schedule = make("cosine", n_updates=3)
    schedule.begin(4)
    rates = [schedule.rate(u, 0) for u in range(12)]
    assert_allclose(rates, [make("cosine", n_updates=12).rate(u, 0) for u in range(12)])


def test_constant():
    schedule = make("constant")
    assert [schedule.rate(u, 5 * u) for u in range(3)] == [0.1, 0.1, 0.1]
    assert not schedule.reduce()
    assert schedule.rate(3, 15) == 0.1


def test_invscaling_is_scikit_learns():
    schedule = make("invscaling", power_t=0.25)
    # SGDOptimizer.iteration_ends: rate_init / (t + 1) ** power_t, t samples seen
    rates = [schedule.rate(u, seen) for u, seen in enumerate([0, 15, 80])]
    assert_allclose(rates, [0.1, 0.1 / 2, 0.1 / 3])
    assert not schedule.reduce()


def test_adaptive_divides_by_five_down_to_the_smallest():
    schedule = make("adaptive", initial=1e-4)
    rates = []
    while True:
        rates.append(schedule.rate(0, 0))
        if not schedule.reduce():
            break
        assert len(rates) < 100
    assert_allclose(rates, 1e-4 / 5.0 ** np.arange(len(rates)))
    assert rates[-1] <= 1e-6 < rates[-2]


@pytest.mark.parametrize("n_updates, fraction", [(20, 0.2), (7, 0.0), (10, 0.5)])
def test_cosine(n_updates, fraction):
    schedule = make("cosine", n_updates=n_updates, warmup_fraction=fraction)
    rates = [schedule.rate(u, 0) for u in range(n_updates)]
    assert_allclose(rates, cosine_rates(0.1, n_updates, round(fraction * n_updates)))
    assert max(rates) == pytest.approx(0.1)
    assert min(rates) > 0
    # what goes on for longer than was planned
    assert schedule.rate(n_updates, 0) == pytest.approx(0)
    assert schedule.rate(10 * n_updates, 0) == pytest.approx(0)


@pytest.mark.parametrize("fraction", [0.25, 0.3, 1.0])
@pytest.mark.parametrize("n_updates", [1, 2, 3, 11])
def test_cosine_rises_then_falls(n_updates, fraction):
    schedule = make("cosine", n_updates=n_updates, warmup_fraction=fraction)
    rates = [schedule.rate(u, 0) for u in range(n_updates)]
    top = rates.index(max(rates))
    assert 0 < min(rates) and max(rates) <= 0.1
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_only_cosine_runs_its_course():
    names = ["constant", "invscaling", "adaptive", "cosine"]
    assert [make(name).runs_its_course for name in names] == [False] * 3 + [True]
