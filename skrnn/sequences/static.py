"""Static features: what belongs to a sample as a whole."""

import numpy as np

from skrnn.sequences.frames import frame_values, is_pandas, string_names
from skrnn.sequences.numeric import numbers, refuse_masked


def read_static(static, n_samples, dtype, labels=None):
    """Read one row of numbers for each sample, and the names of the columns or None.

    Where the samples have labels, those of a frame's rows say which row is whose.
    """
    names = None
    if is_pandas(static, "DataFrame", "Series"):
        frame = static.to_frame() if static.ndim == 1 else static
        if labels is not None:
            frame = _aligned(frame, labels)
        array, names = frame_values(frame, "static "), string_names(frame.columns)
    else:
        array = _static_array(static)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or len(array) != n_samples or array.shape[1] == 0:
        raise ValueError(
            "static must have shape (n_samples, n_static), a row for each of the "
            f"{n_samples} samples, but has shape {array.shape}."
        )
    with np.errstate(over="ignore"):  # what overflows is reported as infinite
        return np.array(array, dtype=dtype, order="C"), names


def _static_array(static):
    refuse_masked(static, "static")
    try:
        array = np.asarray(static)
    except ValueError as error:
        raise ValueError(f"The rows of static are irregular: {error}.") from error
    return array if array.dtype.kind in "biuf" else numbers(array, "static")


def _aligned(frame, labels):
    """Bring the rows of a frame into the order of the labels of the samples."""
    if not frame.index.is_unique:
        twice = frame.index[frame.index.duplicated().argmax()]
        raise ValueError(f"static has more than one row for instance {twice!r}.")
    rows = frame.index.get_indexer(labels)
    if (rows < 0).any():
        label = labels[(rows < 0).argmax()]
        raise ValueError(
            f"static has no row for instance {label!r}: its index must hold the "
            "instances."
        )
    return frame.iloc[rows]
