"""What counts as real numbers."""

import numpy as np


def computation_dtype(dtypes):
    """float32 if all are, else float64."""
    single = all(d.kind == "f" and d.itemsize == 4 for d in dtypes)
    return np.dtype(np.float32 if single else np.float64)


def numbers(array, where):
    """Convert an array that has no real dtype to float64, or raise."""
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {where} is complex.")
    if array.dtype.kind == "O" and not holds_strings(array):
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where} holds objects: {error}") from error
    kind = "strings" if array.dtype.kind in "OUST" else f"{array.dtype}"
    raise ValueError(f"X must hold numbers, but {where} holds {kind}.")


def holds_strings(array):
    """Whether an object array holds a string."""
    return array.dtype.kind == "O" and any(
        isinstance(value, str | bytes) for value in array.flat
    )


def refuse_masked(X, where):
    """Raise if X is a masked array."""
    if isinstance(X, np.ma.MaskedArray):
        raise ValueError(
            f"Masked arrays are not supported, because the mask would be lost: {where}."
            " Leave masked steps out, or fill them."
        )
