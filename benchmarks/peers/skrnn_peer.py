"""skrnn, through its public fit and predict."""

import time
import warnings

from sklearn.exceptions import ConvergenceWarning

from peers.protocol import Peer, powers_of_two_and_all_cores, seconds_per_step, serve
from skrnn import RNNRegressor


def make_regressor(work, n_epochs, n_jobs):
    """Return an estimator that trains for exactly n_epochs."""
    return RNNRegressor(
        hidden_layer_sizes=(work.n_units,),
        cell=work.cell,
        batch_size=work.batch_size,
        max_iter=n_epochs,
        n_iter_no_change=n_epochs + 1,
        tol=0.0,
        max_grad_norm=None,
        random_state=0,
        n_jobs=n_jobs,
    )


class SkrnnPeer(Peer):
    """The estimators, as a user calls them."""

    packages = ("scikit-learn", "numpy", "numba")

    def __init__(self):
        self._notes = {}

    def thread_counts(self):
        """Return 1, 2, 4, ..., all cores: values of n_jobs."""
        return powers_of_two_and_all_cores()

    def prepare(self, work, threads, seconds):
        """Compile, and return what times steps of fit or calls of predict."""
        if threads == 1:
            first, second = fit_seconds(work, 1, 1), fit_seconds(work, 1, 1)
            # Loading or compiling the kernels; large for a cell's first row only.
            self._notes = {"first_fit_seconds": first - second}
        if work.task == "fit":
            return self._time_fit(work, threads, seconds)
        X, y = work.data()
        model = make_regressor(work, 1, threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)

        def run(n_calls):
            for _ in range(n_calls):
                model.predict(X)

        return seconds_per_step(run, seconds)

    def notes(self):
        """Return the cost of the first fit, and the fixed cost of any fit."""
        return self._notes

    def _time_fit(self, work, n_jobs, seconds):
        # A step's time is the difference between a long fit and one of one epoch: the
        # peers' steps do not validate, standardize or order the data either. The
        # shortest fit of one epoch is subtracted, so that noise cannot flatter.
        one_epoch = min(fit_seconds(work, 1, n_jobs) for _ in range(3))
        epoch = max((fit_seconds(work, 3, n_jobs) - one_epoch) / 2, one_epoch / 50)
        n_epochs = 1 + max(2, round(seconds / epoch))
        n_steps = (n_epochs - 1) * work.n_batches
        step = (fit_seconds(work, n_epochs, n_jobs) - one_epoch) / n_steps
        fixed = max(0.0, one_epoch - step * work.n_batches)
        self._notes["fixed_seconds_of_a_fit"] = fixed

        def measure():
            nonlocal one_epoch
            one_epoch = min(one_epoch, fit_seconds(work, 1, n_jobs))
            return (fit_seconds(work, n_epochs, n_jobs) - one_epoch) / n_steps

        return measure


def fit_seconds(work, n_epochs, n_jobs):
    """Return the time of one fit."""
    X, y = work.data()
    model = make_regressor(work, n_epochs, n_jobs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        begin = time.perf_counter()
        model.fit(X, y)
        return time.perf_counter() - begin


if __name__ == "__main__":
    serve(SkrnnPeer())
