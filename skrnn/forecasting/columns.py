"""Numbers of what columns hold."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from skrnn.sequences.numeric import holds_strings, refuse_masked


def as_numbers(column, where):
    """Return a column as float64, NaN where a value is missing.

    Parameters
    ----------
    column : Series, Index or ndarray of shape (n,)
        Of numbers or booleans, pandas' and Arrow's types and Decimals included.
    where : str
        What the column is called in errors.

    Returns
    -------
    values : ndarray of float64 of shape (n,)
    """
    refuse_masked(column, where)
    dtype = column.dtype
    if dtype.kind in "biuf" and not isinstance(dtype, pd.CategoricalDtype):
        if isinstance(dtype, np.dtype):
            return np.asarray(column, dtype=np.float64)
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if dtype.kind != "O" or isinstance(dtype, pd.CategoricalDtype | pd.StringDtype):
        raise TypeError(f"{where} must hold numbers, but has type {dtype}.")
    objects = np.array(column, dtype=object)
    missing = pd.isna(objects)
    objects[missing] = np.nan
    if holds_strings(objects):
        raise TypeError(
            f"{where} must hold numbers, but holds strings. Convert them with "
            "pd.to_numeric."
        )
    try:
        return objects.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{where} must hold numbers: {error}") from error


@dataclass(frozen=True)
class Column:
    """How a column becomes numbers: as it is, or an indicator of each level.

    Parameters
    ----------
    name : label
    levels : Index, default=None
        The levels seen when it was first read. None means that it holds numbers.
    """

    name: Hashable
    levels: pd.Index | None = None

    @classmethod
    def of(cls, column, name, strings=False):
        """Take the levels of a categorical column; with `strings` of strings too."""
        if isinstance(column.dtype, pd.CategoricalDtype):
            seen = column.cat.remove_unused_categories().cat.categories
            return cls(name, pd.Index(seen))
        if strings and holds_labels(column):
            return cls(name, pd.Index(pd.unique(column.dropna())).sort_values())
        return cls(name)

    @property
    def names(self):
        """The names of the numbers."""
        if self.levels is None:
            return [str(self.name)]
        return [f"{self.name}={level}" for level in self.levels]

    def encode(self, column, where):
        """Return the numbers of a column, of shape (n, n_names).

        An unknown level is no level at all, zeros; a missing one is NaN.
        """
        if self.levels is None:
            if holds_labels(column):
                raise TypeError(
                    f"{where} must hold numbers, but has type {column.dtype}. Use "
                    "booleans or, for levels, frame.astype({...: 'category'})."
                )
            return as_numbers(column, where)[:, np.newaxis]
        codes = self.levels.get_indexer(pd.Index(column.astype(object)))
        numbers = (codes[:, np.newaxis] == np.arange(len(self.levels))).astype(float)
        numbers[np.asarray(column.isna())] = np.nan
        return numbers


def holds_labels(column):
    """Whether a Series holds strings or categories."""
    if isinstance(column.dtype, pd.CategoricalDtype | pd.StringDtype):
        return True
    return column.dtype.kind == "O" and holds_strings(
        np.asarray(column.dropna(), dtype=object)
    )


def encode(columns, frame, where):
    """Return the numbers of some columns side by side, of shape (n, n_numbers)."""
    parts = [
        column.encode(frame[column.name], f"{where} column {column.name!r}")
        for column in columns
    ]
    return np.concatenate([np.empty((len(frame), 0)), *parts], axis=1)


def refuse_infinite(values, say):
    """Raise if a value is infinite; `say(row, column)` tells where it is."""
    infinite = np.isinf(values)
    if infinite.any():
        place = np.argwhere(infinite)[0]
        raise ValueError(f"{say(*place)} is infinite. Mark missing values with NaN.")
