"""What is computed along the frames of each recording."""

import numpy as np

REACH = 2  # frames on either side that a slope is fitted to, as HTK's default


def normalized(values, lengths, divide):
    """Subtract the mean of each recording, and divide by its standard deviation.

    Parameters
    ----------
    values : ndarray of shape (lengths.sum(), n_channels)
        One recording after the other.
    lengths : ndarray of int of shape (n_recordings,)
        None is 0.
    divide : bool
        Whether to divide. What is constant but for rounding in a recording is not
        divided.

    Returns
    -------
    normalized : ndarray of the shape of `values`

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.audio.trajectories import normalized
    >>> normalized(np.array([[1.0], [5.0], [7.0]]), np.array([2, 1]), True).ravel()
    array([-1.,  1.,  0.])
    """
    mean = _means(values, lengths)
    values = values - np.repeat(mean, lengths, axis=0)
    if divide:
        scale = np.sqrt(_means(values**2, lengths))
        scale[scale <= 1e-12 * np.abs(mean)] = 1.0
        values /= np.repeat(scale, lengths, axis=0)
    return values


def _means(values, lengths):
    starts = np.cumsum(lengths) - lengths
    return np.add.reduceat(values, starts, axis=0) / lengths[:, np.newaxis]


def slopes(values, lengths):
    """Give the slope at each frame, by regression on the frames around it.

    Parameters
    ----------
    values : ndarray of shape (lengths.sum(), n_channels)
        One recording after the other. Beyond its ends a recording goes on with its
        first and its last frame.
    lengths : ndarray of int of shape (n_recordings,)

    Returns
    -------
    slopes : ndarray of the shape of `values`
        Per frame.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.audio.trajectories import slopes
    >>> slopes(np.array([[0.0], [1.0], [2.0], [3.0], [4.0]]), np.array([5])).ravel()
    array([0.5, 0.8, 1. , 0.8, 0.5])
    """
    ends = np.cumsum(lengths)
    first, last = np.repeat(ends - lengths, lengths), np.repeat(ends - 1, lengths)
    frames = np.arange(len(values))
    total = np.zeros_like(values)
    for n in range(1, REACH + 1):
        total += n * values[np.minimum(frames + n, last)]
        total -= n * values[np.maximum(frames - n, first)]
    return total / (2 * sum(n * n for n in range(1, REACH + 1)))
