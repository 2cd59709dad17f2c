"""skrnn, through its public fit and predict."""

import time
import warnings

from sklearn.exceptions import ConvergenceWarning

from peers.protocol import Peer, powers_of_two_and_all_cores, seconds_per_step, serve
from skrnn import RNNRegressor


def make_regressor(work, n_epochs, n_jobs):
    """Return an estimator that trains for exactly n_epochs."""
    return RNNRegressor(
        hidden_layer_sizes=(work.n_units,) * work.n_layers,
        cell=work.cell,
        batch_size=work.batch_size,
        max_iter=n_epochs,
        n_iter_no_change=n_epochs + 1,
        tol=0.0,
        max_grad_norm=None,
        random_state=0,
        n_jobs=n_jobs,
    )


def fitted(work, n_epochs, n_jobs):
    """Return a fitted estimator and the seconds that its fit took."""
    X, y = work.data()
    model = make_regressor(work, n_epochs, n_jobs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        begin = time.perf_counter()
        model.fit(X, y)
        return model, time.perf_counter() - begin


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
        if work.task == "predict":
            return self._time_calls(work, threads, seconds)
        return self._time_fit(work, threads, seconds)

    def notes(self):
        """Return the cost of the kernels' first use, and the fixed cost of a fit."""
        return self._notes

    def call(self, model, X):
        """Return a function without arguments that predicts."""
        return lambda: model.predict(X)

    def _time_calls(self, work, n_jobs, seconds):
        call = self.call(fitted(work, 1, n_jobs)[0], work.data()[0])

        def run(n_calls):
            for _ in range(n_calls):
                call()

        return seconds_per_step(run, seconds)

    def _time_fit(self, work, n_jobs, seconds):
        def fit_seconds(n_epochs):
            return fitted(work, n_epochs, n_jobs)[1]

        # A step's time is the difference between a long fit and one of one epoch: the
        # peers' steps do not validate, standardize or order the data either. The
        # shortest fit of one epoch is subtracted, so that noise cannot flatter.
        first, one_epoch = fit_seconds(1), fit_seconds(1)
        if n_jobs == 1:
            # Loading or compiling the kernels: large for a cell's first row only.
            self._notes = {"first_fit_seconds": first - one_epoch}
        if one_epoch >= 4 * seconds:  # beside which the fixed costs are nothing
            return lambda: fit_seconds(1) / work.n_batches
        one_epoch = min(one_epoch, fit_seconds(1), fit_seconds(1))
        epoch = max((fit_seconds(3) - one_epoch) / 2, one_epoch / 50)
        fixed = max(0.0, one_epoch - epoch)
        self._notes["fixed_seconds_of_a_fit"] = fixed
        # Long enough that noise in what is subtracted is small beside the steps: where
        # a slow moment of the machine meets the short fit alone, steps look too quick.
        n_epochs = 1 + max(5, round(max(seconds, 5 * fixed) / epoch))
        n_steps = (n_epochs - 1) * work.n_batches

        def measure():
            nonlocal one_epoch
            for _ in range(5):
                one_epoch = min(one_epoch, fit_seconds(1))
                step = (fit_seconds(n_epochs) - one_epoch) / n_steps
                if step > 0:
                    return step
            raise RuntimeError("the time of the steps drowns in noise")

        return measure


if __name__ == "__main__":
    serve(SkrnnPeer())
