"""Panels larger than memory, read piece by piece."""

import os
import pickle
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from skrnn.forecasting.clock import label
from skrnn.forecasting.columns import Column
from skrnn.forecasting.model import NOTHING_TO_LEARN
from skrnn.forecasting.networks import N_PARTS
from skrnn.forecasting.panel import joined
from skrnn.forecasting.reading import read_panel


@contextmanager
def readable_again(pieces):
    """Give pieces that can be read again and again.

    Parameters
    ----------
    pieces : path, sequence, iterable, callable or iterator
        As of :meth:`RNNForecaster.fit_pieces`. What an iterator yields is kept in a
        temporary folder until the end of the context.

    Yields
    ------
    pieces : sequence of pieces, or callable
        A callable returns an iterable of pieces.
    """
    if isinstance(pieces, str | os.PathLike):
        yield parquet_files(pieces)
    elif isinstance(pieces, pd.Series | pd.DataFrame | pd.Index | np.ndarray):
        raise TypeError(
            f"pieces is a single {type(pieces).__name__}. Pass it to fit, or pass a "
            "list of pieces."
        )
    elif isinstance(pieces, Sequence) or callable(pieces):
        yield pieces
    elif isinstance(pieces, Iterator):
        with TemporaryDirectory(prefix="skrnn-") as folder:
            yield [_stored(piece, folder, i) for i, piece in enumerate(pieces)]
    elif isinstance(pieces, Iterable):
        yield partial(iter, pieces)
    else:
        raise TypeError(
            "pieces must be the path of a folder of parquet files, a list or another "
            "iterable of pieces, or a callable that returns one, got "
            f"{type(pieces).__name__}."
        )


def parquet_files(path):
    """Return the parquet files in a folder and the folders in it, sorted by name.

    Files and folders whose names begin with a dot or an underscore hold no rows.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    files = [
        file
        for file in sorted(path.rglob("*.parquet"))
        if file.is_file()
        and not any(part[0] in "._" for part in file.relative_to(path).parts)
    ]
    if not files:
        raise FileNotFoundError(f"There is no parquet file in {str(path)!r}.")
    return files


def _stored(piece, folder, number):
    """Write a piece into a folder, and return what reads it."""
    path = Path(folder) / str(number)
    with path.open("wb") as file:
        pickle.dump(_loaded(piece), file, protocol=pickle.HIGHEST_PROTOCOL)
    return partial(_restored, path)


def _restored(path):
    with path.open("rb") as file:
        return pickle.load(file)


def _loaded(piece):
    """Return the data of a piece."""
    if isinstance(piece, str | os.PathLike):
        return pd.read_parquet(piece)
    return piece() if callable(piece) else piece


def _has_rows(data):
    """Whether a piece has rows: engines leave empty partitions behind."""
    return len(data[0] if isinstance(data, tuple) else data) > 0


class PanelStream:
    """A panel in pieces, each of which holds whole series.

    Parameters
    ----------
    pieces : sequence of pieces, or callable
        What `readable_again` gives.
    random_state : RandomState
        Draws the samples, and the order of the pieces of a sequence in training.
    static : DataFrame, default=None
        The static columns, a row a series.
    **options
        Those of `read_panel`.

    Attributes
    ----------
    form : Form
        That of the first piece, with the levels of categorical columns of all.
    n_series, n_values : int
        How many there are in all pieces.
    """

    def __init__(self, pieces, random_state, static=None, **options):
        self._pieces = pieces
        self._random_state = random_state
        self._static = static
        self._options = options
        self.form = None
        self.n_series = self.n_values = 0

    def sample(self, n_values):
        """Read all pieces once, and return series of about so many values, drawn.

        All of them if there are no more, in their order.

        Parameters
        ----------
        n_values : int

        Returns
        -------
        panel : Panel

        Raises
        ------
        ValueError
            If there is no piece, one does not look like the first, a series goes on in
            the piece after it, or no series has two values.
        """
        self.form = self._common_form()
        sample, before, self.n_series, self.n_values = Sample(n_values), None, 0, 0
        n_learnable = 0
        for name, panel in self._panels(quiet=False):
            self._refuse_parts_of_series(name, panel, before)
            before = panel.ids
            self.n_series += len(panel)
            self.n_values += len(panel.values)
            n_learnable += (panel.lengths > 1).sum()
            sample.add(panel, self._random_state)
        if n_learnable == 0:  # `parts` would look for one without end
            raise ValueError(NOTHING_TO_LEARN)
        return sample.panel

    def parts(self, n_values):
        """Yield what each part of a training learns from, without end.

        All series lie in a row, which is gone through again and again: each part has
        the next ones of it, and every series comes as often as any other. Of a part
        that has more values a sample is drawn.

        Parameters
        ----------
        n_values : int

        Yields
        ------
        panel : Panel
        """
        n_parts = min(-(-self.n_values // n_values), N_PARTS)
        size = -(-self.n_series // n_parts)
        sample, room = Sample(n_values), size
        for panel in self._again_and_again():
            begin = 0
            while begin < len(panel):
                piece = panel.take(slice(begin, begin + room))
                sample.add(piece, self._random_state)
                begin, room = begin + len(piece), room - len(piece)
                if room == 0:
                    if (sample.panel.lengths > 1).any():
                        yield sample.panel
                    sample, room = Sample(n_values), size

    def _again_and_again(self):
        """Yield the panel of each piece, without end."""
        while True:
            n_series = 0
            for _, panel in self._panels(quiet=True):
                n_series += len(panel)
                yield panel
            if n_series == 0:
                raise ValueError(
                    "The pieces were there only once. The callable must return a new "
                    "iterator in each call."
                )

    def _panels(self, quiet):
        """Yield the name and the panel of each piece; if quiet, in any order."""
        for name, piece in self._in_order(shuffled=quiet):
            data = _loaded(piece)
            if _has_rows(data):
                yield name, self._panel(name, data, quiet)

    def _panel(self, name, data, quiet):
        with _naming(name), warnings.catch_warnings():
            if quiet:  # gaps have been told of
                warnings.simplefilter("ignore", UserWarning)
            return self._read(data, like=self.form)[0]

    def _in_order(self, shuffled=False):
        """Yield the name of each piece, and the piece."""
        pieces = self._pieces
        if callable(pieces):
            yield from ((f"piece {i}", piece) for i, piece in enumerate(pieces(), 1))
            return
        order = np.arange(len(pieces))
        if shuffled:
            self._random_state.shuffle(order)
        for i in order:
            is_path = isinstance(pieces[i], str | os.PathLike)
            yield f"file {pieces[i]}" if is_path else f"piece {i + 1}", pieces[i]

    def _read(self, data, like=None):
        X, y = data if isinstance(data, tuple) else (data, None)
        options = self._options if like is None else {"like": like}
        return read_panel(X, y, static=self._static, **options)

    def _common_form(self):
        """Return the form of the first piece, with the levels of all pieces."""
        form = None
        for name, piece in self._in_order():
            data = _loaded(piece)
            if not _has_rows(data):
                continue
            with _naming(name):
                if form is None:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore", UserWarning)
                        _, _, form = self._read(data)
                else:
                    form = _with_levels(form, data)
            if not _has_levels(form):
                break
        if form is None:
            raise ValueError("There is no piece with rows.")
        return form

    def _refuse_parts_of_series(self, name, panel, before):
        """Raise if a series is in the piece before too."""
        # those without a name of their own have that of the form
        if before is None or len(self.form.table.ids):
            return
        again = np.flatnonzero(before.get_indexer(panel.ids) >= 0)
        if len(again):
            raise ValueError(
                f"In {name}: series {label(panel.ids, again[0])} is also in the piece "
                "before. A piece must hold whole series: sort or partition the rows by "
                "series before they are cut into pieces."
            )


class Sample:
    """A random sample of series, drawn as they come, which may hold so many values.

    Each series draws a number, and those with the smallest are kept. So the sample is
    the same however the series are cut into pieces.

    Parameters
    ----------
    n_values : int
        At least one series is kept, however long.

    Attributes
    ----------
    panel : Panel
        The sample, in the order in which the series came.
    """

    def __init__(self, n_values):
        self._n_values = n_values
        self._keys = np.empty(0)
        self._limit = np.inf
        self.panel = None

    def add(self, panel, random_state):
        """Let further series take part."""
        keys = random_state.random_sample(len(panel))
        few = keys < self._limit
        if self.panel is not None:
            if not few.any():
                return
            panel = joined([self.panel, panel.take(few)])
            keys = np.append(self._keys, keys[few])
        order = keys.argsort()
        fits = panel.lengths[order].cumsum() <= self._n_values
        fits[0] = True
        if not fits.all():
            self._limit = keys[order[~fits][0]]
            kept = np.sort(order[fits])
            panel, keys = panel.take(kept), keys[kept]
        self.panel, self._keys = panel, keys


@contextmanager
def _naming(name):
    """Let errors of reading say which piece it was."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"In {name}: {error}") from error


def _has_levels(form):
    return any(column.levels is not None for column in _own_columns(form))


def _own_columns(form):
    """Return the columns that come with the rows of a piece."""
    return form.known + form.past + form.static


def _with_levels(form, data):
    """Return a form with the further levels that a piece has of its columns."""
    frame = data[0] if isinstance(data, tuple) else data

    def extended(columns):
        return tuple(_with_further(column, frame) for column in columns)

    return replace(
        form,
        known=extended(form.known),
        past=extended(form.past),
        static=extended(form.static),
    )


def _with_further(column, frame):
    if column.levels is None or column.name not in frame:
        return column  # its lack is told of when the piece is read
    found = Column.of(frame[column.name], column.name, strings=True).levels
    return (
        column if found is None else replace(column, levels=column.levels.union(found))
    )
