"""Drawing the next token."""

import numpy as np


def draw_tokens(
    log_probabilities, random_state, temperature=1.0, top_k=None, top_p=1.0
):
    """Draw a token for each row.

    Parameters
    ----------
    log_probabilities : ndarray of shape (n, n_tokens)
        -inf for tokens that must not be drawn; up to a constant for each row.
    random_state : numpy.random.RandomState
    temperature : float, default=1.0
        By which the logarithms are divided; at 0 the most likely token is taken.
    top_k : int or None, default=None
        Draw among the so many most likely tokens only (Fan, Lewis and Dauphin 2018).
    top_p : float, default=1.0
        Draw among the fewest of the most likely tokens whose probabilities have at
        least this sum (Holtzman et al. 2020).

    Returns
    -------
    tokens : ndarray of intp of shape (n,)
    """
    scores = np.asarray(log_probabilities, dtype=np.float64)
    if temperature == 0.0:
        return scores.argmax(axis=1)
    # the largest at 0 first: a tiny temperature must not make all infinite
    scores = (scores - scores.max(axis=1, keepdims=True)) / temperature
    order = np.argsort(-scores, axis=1, kind="stable")
    if top_k is not None:
        order = order[:, :top_k]
    probabilities = np.exp(np.take_along_axis(scores, order, axis=1))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    before = probabilities.cumsum(axis=1) - probabilities
    probabilities[before >= top_p] = 0.0
    below = probabilities.cumsum(axis=1)
    drawn = random_state.random_sample((len(scores), 1)) * below[:, -1:]
    # rounding must not lead beyond the last token that has a probability
    last = np.count_nonzero(probabilities, axis=1) - 1
    places = np.minimum((below <= drawn).sum(axis=1), last)
    return np.take_along_axis(order, places[:, np.newaxis], axis=1)[:, 0]
