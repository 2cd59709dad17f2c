"""A linear model of windows, which networks may start from."""

import numpy as np

from skrnn.threads import one_blas_thread

# So much of the mean square of the features is added to that of each.
PENALTY = 1e-3
BLOCK = 4096


def fit_linear(windows, rows):
    """Fit a ridge regression of what follows on what the windows hold.

    Parameters
    ----------
    windows : Windows
    rows : ndarray of int
        The windows to learn from, of which those with unknown targets are left out.
        Each counts as much as an error of 1 is in its series.

    Returns
    -------
    coefficients : ndarray of float64 of shape (n_features, horizon)
        Zeros if there is nothing to learn from.
    """
    n_features = windows.flat(rows[:1]).shape[1]
    squares = np.zeros((n_features, n_features))
    products = np.zeros((n_features, windows.shape.horizon))
    with one_blas_thread():
        for begin in range(0, len(rows), BLOCK):
            block = rows[begin : begin + BLOCK]
            targets, scale = windows.targets(block)
            known = ~np.isnan(targets).any(axis=1)
            features = windows.flat(block[known])
            weighted = features * scale[known, np.newaxis]
            squares += weighted.T @ features
            products += weighted.T @ targets[known]
        mean = np.trace(squares) / len(squares)
        if not mean > 0.0:
            return np.zeros_like(products)
        penalty = np.full(len(squares), PENALTY * mean)
        penalty[-1] = PENALTY**3 * mean  # of the constant
        return np.linalg.solve(squares + np.diag(penalty), products)


def predict_linear(windows, rows, coefficients):
    """Return the forecasts, (n_rows, horizon), at the level and scale of windows."""
    # row by row the same bits whatever the other rows are
    return np.einsum("ij,jk->ik", windows.flat(rows), coefficients)
