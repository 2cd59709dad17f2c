"""Samples that come one by one."""

import numpy as np

from skrnn.sequences.frames import common_names, frame_values, is_pandas
from skrnn.sequences.numeric import computation_dtype, numbers, refuse_masked


def join(items):
    """Lay samples end to end: values, lengths, and the names of the channels."""
    if not items:
        raise ValueError("Found 0 samples while a minimum of 1 is required.")
    arrays = [_steps(item, sample) for sample, item in enumerate(items)]
    lengths = np.fromiter(map(len, arrays), np.int64, len(arrays))
    channels = np.fromiter((a.shape[1] for a in arrays), np.int64, len(arrays))
    if not lengths.all():
        raise ValueError(f"A sequence has no steps: sample {lengths.argmin()}.")
    if (channels != channels[0]).any():
        odd = int((channels != channels[0]).argmax())
        raise ValueError(
            "All sequences must have the same number of channels: sample 0 has "
            f"{channels[0]}, sample {odd} has {channels[odd]}."
        )
    if channels[0] == 0:
        raise ValueError("The sequences have 0 channels, a minimum of 1 is required.")
    dtype = computation_dtype({a.dtype for a in arrays})
    with np.errstate(over="ignore"):  # what overflows is reported as infinite
        values = np.concatenate(arrays, dtype=dtype)
    return values, lengths, common_names(items)


def _steps(item, sample):
    """One sample as a numeric array of shape (length, n_channels)."""
    if type(item) is not np.ndarray:
        item = _item_array(item, sample)
    if item.dtype.kind not in "biuf":
        item = numbers(item, f"sample {sample}")
    if item.ndim == 2:
        return item
    if item.ndim == 1:
        return item[:, None]
    raise ValueError(
        "A sequence has shape (length, n_channels), or (length,) for one channel: "
        f"sample {sample} has shape {item.shape}."
    )


def _item_array(item, sample):
    if is_pandas(item, "DataFrame", "Series"):
        return frame_values(item, f"sample {sample}, ")
    refuse_masked(item, f"sample {sample}")
    if not isinstance(item, list | tuple) and not hasattr(item, "__array__"):
        raise ValueError(
            f"A sequence must be array-like: sample {sample} is a "
            f"{type(item).__name__}."
        )
    try:
        return np.asarray(item)
    except ValueError as error:
        raise ValueError(
            "The steps of a sequence must have the same number of channels: "
            f"sample {sample} is irregular ({error})."
        ) from error
