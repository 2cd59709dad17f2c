"""Fit the rational tanh of ``skrnn/activations.py`` and print its coefficients.

``tanh(x) = x P(x^2) / Q(x^2)`` on ``[0, CLIP]``, minimax in relative error. The
numerator and denominator are linear in their coefficients once the equation is
multiplied by Q, so a few dozen weighted least-squares fits on Chebyshev nodes do:
each divides by the last Q and raises the weights where the error was largest
(Lawson's algorithm). Run ``python benchmarks/fit_tanh.py``.
"""

import numpy as np

CLIP = 7.90531110763549805  # tanh rounds to one in float32 from about here on
DEGREES = 4, 4  # of P and Q in x^2
NODES = 4000


def fit(clip=CLIP, degrees=DEGREES, rounds=400):
    """Return the coefficients of P and Q, lowest power first, and the error."""
    n_p, n_q = degrees[0] + 1, degrees[1] + 1
    x = clip * (0.5 - 0.5 * np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES))
    target = np.tanh(x)
    s = (x / clip) ** 2  # scaled to keep the system well conditioned
    weights = np.full(NODES, 1.0 / NODES)
    q = np.ones(NODES)
    best = None
    for _ in range(rounds):
        # x P - tanh(x) (Q - 1) = tanh(x), each row divided by tanh(x) Q
        rows = np.sqrt(weights) / (target * q)
        basis_p = x[:, None] * s[:, None] ** np.arange(n_p)
        basis_q = -target[:, None] * s[:, None] ** np.arange(1, n_q)
        matrix = np.hstack([basis_p, basis_q]) * rows[:, None]
        solution = np.linalg.lstsq(matrix, target * rows, rcond=None)[0]
        p = solution[:n_p]
        q_coefficients = np.concatenate([[1.0], solution[n_p:]])
        q = np.polynomial.polynomial.polyval(s, q_coefficients)
        error = np.abs(x * np.polynomial.polynomial.polyval(s, p) / (q * target) - 1.0)
        if best is None or error.max() < best[2]:
            best = p, q_coefficients, error.max()
        weights = weights * error
        weights = weights / weights.sum() + 1e-9
    p, q_coefficients, error = best
    powers = clip ** (-2.0 * np.arange(max(n_p, n_q)))
    return p * powers[:n_p], q_coefficients * powers[:n_q], error


if __name__ == "__main__":
    p, q, error = fit()
    print("P =", tuple(float(f"{c:.9e}") for c in p))
    print("Q =", tuple(float(f"{c:.9e}") for c in q))
    print(f"largest relative error of the fit: {error:.2e}")
