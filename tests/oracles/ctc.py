"""Probabilities of labels by all paths there are, and by frames in plain NumPy."""

import itertools

import numpy as np


def log_softmax(raw):
    return raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)


def collapse(path):
    """Take repeats together, then leave out blanks."""
    return tuple(label for label, _ in itertools.groupby(path) if label != 0)


def log_probabilities_of_all(log_p):
    """Return the logarithm of the probability of all labels that so many frames make.

    Parameters
    ----------
    log_p : ndarray of shape (n_frames, n_classes)

    Returns
    -------
    log_probabilities : dict of tuple of int to float
    """
    n_frames, n_classes = log_p.shape
    found = {}
    for path in itertools.product(range(n_classes), repeat=n_frames):
        of_path = log_p[np.arange(n_frames), path].sum()
        labels = collapse(path)
        found[labels] = np.logaddexp(found.get(labels, -np.inf), of_path)
    return found


def occupancy(log_p, labels):
    """Return the share of the paths to some labels in each class at each frame."""
    n_frames, n_classes = log_p.shape
    shares = np.zeros_like(log_p)
    for path in itertools.product(range(n_classes), repeat=n_frames):
        if collapse(path) == tuple(labels):
            frames = np.arange(n_frames)
            shares[frames, path] += np.exp(log_p[frames, path].sum())
    return shares / shares[0].sum()


def loss(raw, labels):
    """Minus the logarithm of the probability, by Graves's recursion over the frames."""
    log_p = log_softmax(raw)
    states = [0]
    for label in labels:
        states += [label, 0]
    alpha = np.full(len(states), -np.inf)
    alpha[0] = 0.0  # before the first frame
    for row in log_p:
        new = alpha.copy()
        new[1:] = np.logaddexp(new[1:], alpha[:-1])
        for s in range(3, len(states), 2):
            if states[s] != states[s - 2]:
                new[s] = np.logaddexp(new[s], alpha[s - 2])
        alpha = new + row[states]
    return -np.logaddexp.reduce(alpha[-2:])
