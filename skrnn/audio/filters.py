"""The mel scale, its filters, and the cosine transform: constant matrices."""

import numpy as np

# Slaney's scale: linear up to a frequency, logarithmic above it.
LINEAR_HZ_PER_MEL = 200 / 3
LINEAR_UP_TO = 1000.0
LOG_STEP = np.log(6.4) / 27


def to_mel(hz, scale):
    """Give the pitch of frequencies in mel.

    Parameters
    ----------
    hz : array-like
        Frequencies, not negative.
    scale : {"htk", "slaney"}
        As of `mel_filters`.

    Returns
    -------
    mel : ndarray

    Examples
    --------
    >>> from skrnn.audio.filters import to_mel
    >>> to_mel([0, 1000, 6400], "slaney")
    array([ 0., 15., 42.])
    """
    hz = np.asarray(hz, dtype=np.float64)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    steps = np.log(np.maximum(hz, LINEAR_UP_TO) / LINEAR_UP_TO) / LOG_STEP
    return np.minimum(hz, LINEAR_UP_TO) / LINEAR_HZ_PER_MEL + steps


def to_hz(mel, scale):
    """Give the frequencies of a pitch: the inverse of `to_mel`.

    Parameters
    ----------
    mel : array-like
    scale : {"htk", "slaney"}

    Returns
    -------
    hz : ndarray

    Examples
    --------
    >>> from skrnn.audio.filters import to_hz
    >>> to_hz([0, 15, 42], "slaney").round(6)
    array([   0., 1000., 6400.])
    """
    mel = np.asarray(mel, dtype=np.float64)
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    knee = LINEAR_UP_TO / LINEAR_HZ_PER_MEL
    linear = np.minimum(mel, knee) * LINEAR_HZ_PER_MEL
    return linear * np.exp(LOG_STEP * np.maximum(mel - knee, 0.0))


def filter_edges(n_mels, f_min, f_max, scale):
    """Give the frequencies at which the filters begin, peak and end.

    Parameters
    ----------
    n_mels : int
    f_min, f_max : float
        Where the first filter begins and the last one ends, in Hz.
    scale : {"htk", "slaney"}

    Returns
    -------
    edges : ndarray of shape (n_mels + 2,)
        Filter i reaches from ``edges[i]`` to ``edges[i + 2]`` and peaks between them.
        They are as far from each other in mel.

    Examples
    --------
    >>> from skrnn.audio.filters import filter_edges
    >>> filter_edges(2, 100, 400, "slaney")
    array([100., 200., 300., 400.])
    """
    low, high = to_mel([f_min, f_max], scale)
    return to_hz(np.linspace(low, high, n_mels + 2), scale)


def mel_filters(sample_rate, n_fft, edges, norm=None):
    """Give the weights of the spectrum's frequencies in each filter.

    Parameters
    ----------
    sample_rate : float
    n_fft : int
        Values that the discrete Fourier transform takes.
    edges : ndarray of shape (n_mels + 2,)
        As `filter_edges` gives.
    norm : {"slaney"} or None, default=None
        None: the peak of each triangle is 1. "slaney": its area is, in Hz.

    Returns
    -------
    filters : ndarray of shape (n_mels, n_fft // 2 + 1)
        A row is 0 where no frequency of the spectrum lies within the filter.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.audio.filters import mel_filters
    >>> mel_filters(800, 8, np.array([0.0, 200.0, 300.0]))
    array([[0. , 0.5, 1. , 0. , 0. ]])
    """
    hz = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (hz - low) / (peak - low)
    falling = (high - hz) / (high - peak)
    filters = np.maximum(np.minimum(rising, falling), 0.0)
    if norm == "slaney":
        filters *= 2.0 / (high - low)
    return filters


def cosines(n_outputs, n_inputs, lifter=None):
    """Give the matrix of the orthonormal discrete cosine transform, of type II.

    Parameters
    ----------
    n_outputs : int
        Rows: the first coefficients.
    n_inputs : int
        Columns.
    lifter : float, default=None
        Multiplies coefficient i by ``1 + lifter / 2 * sin(pi * i / lifter)``.

    Returns
    -------
    matrix : ndarray of shape (n_outputs, n_inputs)

    Examples
    --------
    >>> from skrnn.audio.filters import cosines
    >>> cosines(2, 2).round(3)
    array([[ 0.707,  0.707],
           [ 0.707, -0.707]])
    """
    order = np.arange(n_outputs)[:, np.newaxis]
    matrix = np.cos(np.pi * order * (np.arange(n_inputs) + 0.5) / n_inputs)
    matrix *= np.sqrt(2.0 / n_inputs)
    matrix[0] *= np.sqrt(0.5)
    if lifter is not None:
        matrix *= 1.0 + lifter / 2.0 * np.sin(np.pi * order / lifter)
    return matrix
