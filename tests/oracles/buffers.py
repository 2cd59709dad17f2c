"""Buffers of every form that `skrnn.simd` names, with random numbers."""

from skrnn.simd import by_row, lane_count

FORMS = [1, 2, "pairs", "units"]  # registers of a row of sequences, or how units lie


def shape_of(form, n_steps, n_rows, dtype):
    lanes = lane_count(dtype)
    return {
        1: (n_steps, n_rows, lanes),
        2: (n_steps, n_rows, 2, lanes),
        "pairs": (n_steps, n_rows, 1, lanes // 2, 2),
        "units": (n_steps, n_rows * lanes),
    }[form]


def rows_of(rng, n_steps, n_rows, dtype, form=1):
    return rng.normal(size=shape_of(form, n_steps, n_rows, dtype)).astype(dtype)


def by_unit(rows):
    """Return a buffer as (time, units, sequences), a copy where it is of pairs."""
    values = by_row(rows).swapaxes(2, 3)
    return values.reshape(len(values), -1, values.shape[3])
