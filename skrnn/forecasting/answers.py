"""Forecasts in the form of the user's data."""

import numpy as np
import pandas as pd


def answer_horizon(form, values, panel, names=None):
    """Return the forecasts of a horizon; see :meth:`Form.answer`."""
    values = np.asarray(values)
    n_series, horizon = values.shape[:2]
    kind, labels = form.table.kind, form.table.labels
    if kind == "array":
        return values[0]
    if kind == "wide":
        return _wide_horizon(form, values, panel, names)
    if kind == "series":
        index = form.clock.times(panel.ends[0], horizon).rename(labels[0])
        return _column(values[0], index, labels[-1], names)
    series = np.repeat(np.arange(n_series), horizon)
    positions = np.repeat(panel.ends, horizon) + np.tile(np.arange(horizon), n_series)
    values = values.reshape(n_series * horizon, *values.shape[2:])
    ids, times = panel.ids[series], form.clock.times_at(positions)
    if kind == "long":
        return _long(form, values, ids, times, None, names)
    index = pd.MultiIndex.from_arrays([ids, times], names=labels[:2])
    return _column(values, index, labels[-1], names, not form.table.flat)


def answer_rows(form, values, request, panel, names=None):
    """Return a forecast for each row of a request; see :meth:`Form.answer_rows`."""
    values = np.asarray(values)
    kind, labels, rows = form.table.kind, form.table.labels, request.table
    if kind == "array":
        return values
    if kind == "wide":
        shape = len(rows.ids), len(rows.index), *values.shape[1:]
        return _wide(values.reshape(shape).swapaxes(0, 1), rows.index, rows.ids, names)
    if rows.index is None:
        index = form.clock.times_at(request.positions).rename(labels[0])
        return _column(values, index, labels[-1], names)
    if kind == "long" and not form.table.flat:
        ids, times = rows.ids[rows.codes], rows.times[rows.places]
        return _long(form, values, ids, times, rows.index, names)
    return _column(values, rows.index, labels[-1], names, not form.table.flat)


def _wide_horizon(form, values, panel, names):
    """Lay the horizons of series, which may end at different times, side by side."""
    n_series, horizon = values.shape[:2]
    first, last = panel.ends.min(), panel.ends.max() + horizon
    grid = np.full((last - first, n_series, *values.shape[2:]), np.nan)
    steps = (panel.ends - first)[:, np.newaxis] + np.arange(horizon)
    grid[steps, np.arange(n_series)[:, np.newaxis]] = values
    index = form.clock.times(first, last - first).rename(form.table.labels[0])
    return _wide(grid, index, panel.ids, names)


def _wide(grid, index, ids, names):
    """Return a frame of (n_times, n_series) or, with names, (..., n_names) values."""
    if names is None:
        return pd.DataFrame(grid, index=index, columns=ids)
    levels = [ids.get_level_values(i).repeat(len(names)) for i in range(ids.nlevels)]
    columns = pd.MultiIndex.from_arrays(
        [*levels, list(names) * len(ids)], names=[*ids.names, None]
    )
    return pd.DataFrame(grid.reshape(len(index), -1), index=index, columns=columns)


def _long(form, values, ids, times, index, names):
    """Return a long frame of the keys and the forecasts."""
    keys = form.table.names
    columns = {} if keys.id is None else {keys.id: ids}
    columns[keys.time] = times
    if names is None:
        columns[form.table.labels[-1]] = values
    else:
        columns |= dict(zip(names, values.T, strict=True))
    frame = pd.DataFrame(columns)
    return frame if index is None else frame.set_axis(index)


def _column(values, index, label, names, as_frame=False):
    """Return a Series, or a frame of one or, with names, several columns."""
    if names is not None:
        return pd.DataFrame(values, index=index, columns=list(names))
    series = pd.Series(values, index=index, name=label)
    return series.to_frame() if as_frame else series
