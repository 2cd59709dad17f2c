"""What does not change within a series."""

import numpy as np
import pandas as pd

from skrnn.forecasting.clock import label
from skrnn.forecasting.columns import encode, refuse_infinite
from skrnn.forecasting.keys import refuse_twice


def static_numbers(table, form, order, offsets, static):
    """Return the numbers of the static columns, of shape (n_series, n_numbers)."""
    first = order[offsets[:-1]]
    parts = [np.empty((len(table.ids), 0))]
    for column in form.static:
        values = table.columns[column.name]
        codes = pd.factorize(values)[0]
        same = codes == codes[first][table.codes]
        if not same.all():
            series = label(table.ids, table.codes[(~same).argmax()])
            raise ValueError(
                f"Static column {column.name!r} is not constant in series {series}."
            )
        parts.append(encode([column], table.columns.iloc[first], "Static"))
    if form.of_series:
        frame = static_frame(static, table.names)
        lines = frame.index.get_indexer(table.ids)
        if (lines < 0).any():
            series = label(table.ids, int((lines < 0).argmax()))
            raise ValueError(f"static has no row for series {series}.")
        parts.append(encode(form.of_series, frame.iloc[lines], "Static"))
    numbers = np.concatenate(parts, axis=1)
    refuse_infinite(
        numbers,
        lambda row, column: (
            f"Static {form.names['static'][column]!r} of series {label(table.ids, row)}"
        ),
    )
    return numbers


def static_frame(static, names):
    """Return the frame of static columns, indexed by series."""
    if static is None:
        return pd.DataFrame()
    if not isinstance(static, pd.DataFrame):
        raise TypeError(
            "static must be a DataFrame indexed by series, got "
            f"{type(static).__name__}."
        )
    if names.id in static.columns:
        static = static.set_index(names.id)
    refuse_twice(static)
    if not static.index.is_unique:
        twice = label(static.index[static.index.duplicated()], 0)
        raise ValueError(f"static has two rows for series {twice}.")
    return static
