"""What the network reads of X: prepared, and brought to scale."""

import operator
from dataclasses import dataclass, field

import numpy as np

from skrnn.scaling import channel_statistics
from skrnn.sequences import (
    Differences,
    Filled,
    Frames,
    Indicator,
    PaddedData,
    SkipMissing,
    SkipPadding,
    backward_to,
    of_steps,
)


@dataclass
class InputForm:
    """How X becomes the channels of the network; arrays, numbers and strings only.

    Attributes
    ----------
    missing, differences, steps_per_frame, padding_token
        As the hyperparameters.
    n_tokens : tuple of (int, int)
        Of each channel of tokens its place and the size of its vocabulary.
    embedding_dim : int
        0 without tokens.
    n_channels : int
        Channels of the network.
    mean, scale : ndarray of shape (n_channels,)
        How they are standardized.
    """

    missing: str
    differences: bool
    steps_per_frame: int
    padding_token: int | None
    n_tokens: tuple[tuple[int, int], ...]
    embedding_dim: int
    n_channels: int
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0))
    scale: np.ndarray = field(default_factory=lambda: np.ones(0))

    @classmethod
    def of(cls, estimator, data, fitted=None):
        """Return the form of a data set that the hyperparameters ask for.

        With the vocabularies of a form that was `fitted`, if any.
        """
        places = token_places(estimator, data)
        n_channels = data.n_channels * (1 + (estimator.missing == "indicator"))
        n_channels *= 1 + bool(estimator.differences)
        n_channels *= estimator.steps_per_frame
        form = cls(
            missing=estimator.missing,
            differences=bool(estimator.differences),
            steps_per_frame=int(estimator.steps_per_frame),
            padding_token=estimator.padding_token,
            n_tokens=(),
            embedding_dim=0,
            n_channels=n_channels,
        )
        if places:
            if fitted is not None and places == [place for place, _ in fitted.n_tokens]:
                form.n_tokens = fitted.n_tokens
            else:
                form.n_tokens = _vocabularies(estimator, data, places)
            form.embedding_dim = _embedding_dim(estimator)
            _refuse_with_tokens(estimator)
        elif estimator.padding_token is not None:
            raise ValueError("padding_token needs tokens: set embedding_dim.")
        if estimator.return_sequences and form.steps_per_frame > 1:
            raise ValueError(
                "With return_sequences=True each step has a target, so steps_per_frame "
                f"must be 1, got {form.steps_per_frame}."
            )
        form.mean, form.scale = np.zeros(n_channels), np.ones(n_channels)
        return form

    @property
    def skips(self):
        """Whether there may be steps that the network does not see."""
        return self.missing == "mask" or self.padding_token is not None

    def is_like(self, other):
        """Whether the channels mean the same as those of another form."""
        mine, theirs = vars(self).copy(), vars(other).copy()
        for learned in ("mean", "scale"):
            del mine[learned], theirs[learned]
        return mine == theirs

    def has_channels_of(self, other):
        """Whether channel by channel the same numbers are read as by another form."""

        def of(form):
            tokens = [place for place, _ in form.n_tokens]
            flags = form.missing == "indicator", form.differences
            return form.n_channels, form.steps_per_frame, *flags, tokens

        return of(self) == of(other)

    def present(self, data):
        """Return the data set without the steps that are skipped."""
        if self.missing == "mask":
            data = SkipMissing(data)
        if self.padding_token is not None:
            places = [place for place, _ in self.n_tokens]
            data = SkipPadding(data, places, self.padding_token)
        return data

    def _steps(self, data):
        """Return the data set before values take the place of missing ones."""
        data = self.present(data)
        if self.missing == "indicator":
            data = Indicator(data)
        return Differences(data) if self.differences else data

    def learn_scales(self, data, weights, rows):
        """Standardize by the steps of these rows, all steps of a frame alike."""
        mean, scale = channel_statistics(self._steps(data), weights, rows)
        # what is this small has no reciprocal: as good as constant
        scale[scale < np.finfo(data.dtype).tiny] = 1.0
        for place, _ in self.n_tokens:
            mean[place], scale[place] = 0.0, 1.0
        self.mean = np.tile(mean, self.steps_per_frame)
        self.scale = np.tile(scale, self.steps_per_frame)

    def prepare(self, data):
        """Return the data set that the network reads."""
        data = self._steps(data)
        if self.missing == "indicator":
            data = Filled(data, self.mean[: data.n_channels])
        return Frames(data, self.steps_per_frame) if self.steps_per_frame > 1 else data

    def spread(self, data, values):
        """Share out a number for each step of the network among the steps of X.

        The steps of a frame get equal parts, what is skipped gets 0.
        """
        n = self.steps_per_frame
        present, parts = self.present(data), np.repeat(values / n, n)[:, np.newaxis]
        one_channel = of_steps(np.empty((present.lengths.sum(), 1)), present.lengths)
        every = slice(None)
        parts = Frames(one_channel, n).backward(every, parts)
        return backward_to(data, present, every, parts)[:, 0]

    # --- one step at a time ---------------------------------------------------------

    @property
    def n_remembered(self):
        """Numbers of the step before: its values, and whether there is one."""
        return self._n_read + 1 if self.differences else 0

    @property
    def _n_read(self):
        """Channels of X."""
        n = self.n_channels // self.steps_per_frame
        n //= 1 + self.differences
        return n // (1 + (self.missing == "indicator"))

    @property
    def is_plain(self):
        """Whether the network reads X as it is."""
        read_otherwise = self.differences or self.missing == "indicator"
        return not (read_otherwise or self.steps_per_frame > 1)

    def next_step(self, x, memory):
        """Return the next step of some streams as the network reads it.

        Parameters
        ----------
        x : array-like of shape (n_streams, n_channels), or with frames of shape \
                (n_streams, steps_per_frame, n_channels)
        memory : ndarray of shape (n_streams, n_remembered)

        Returns
        -------
        x : ndarray of shape (n_streams, n_channels of the network)
        memory : ndarray of shape (n_streams, n_remembered)
        """
        n, dtype = len(memory), memory.dtype
        x = np.asarray(x, dtype)
        frame = (self.steps_per_frame,) if self.steps_per_frame > 1 else ()
        if x.shape != (n, *frame, self._n_read):
            raise ValueError(
                f"x has shape {x.shape}, expected {(n, *frame, self._n_read)}: the "
                "next step of each of the streams whose states were passed."
            )
        steps = x.reshape(n, -1, self._n_read)
        if self.differences:
            known = memory[:, -1:] > 0
            before = np.where(known, memory[:, :-1], steps[:, 0])
            memory = np.hstack([steps[:, -1], np.ones((n, 1), dtype)])
            steps = np.hstack([before[:, np.newaxis], steps])
        data = self._steps(PaddedData(steps))
        values = data.take(slice(None)).reshape(n, -1, data.n_channels)
        values = values[:, -self.steps_per_frame :].reshape(n, -1)
        if self.missing == "indicator":
            values = np.where(np.isnan(values), self.mean.astype(dtype), values)
        return values, memory


# --- tokens ---------------------------------------------------------------------------


def token_places(estimator, data):
    """Return which channels hold tokens."""
    if estimator.embedding_dim is None and estimator.embeddings is None:
        return []
    channels = estimator.token_channels
    if channels is None:
        return list(range(data.n_channels))
    names = getattr(estimator, "feature_names_in_", None)
    places = []
    for channel in np.atleast_1d(np.asarray(channels, dtype=object)):
        place = channel
        if isinstance(channel, str):
            if names is None or channel not in names:
                raise ValueError(f"token_channels names {channel!r}, not a channel.")
            place = list(names).index(channel)
        place = operator.index(place)
        if not 0 <= place < data.n_channels:
            raise ValueError(
                f"token_channels has {place}, but X has {data.n_channels} channels."
            )
        places.append(place)
    return places


def _embedding_dim(estimator):
    if estimator.embeddings is None:
        return int(estimator.embedding_dim)
    n_numbers = given_embeddings(estimator).shape[1]
    if estimator.embedding_dim not in (None, n_numbers):
        raise ValueError(
            f"embeddings has {n_numbers} columns, but embedding_dim="
            f"{estimator.embedding_dim}."
        )
    return n_numbers


def given_embeddings(estimator):
    """Return the table that the user passes: a row for each token."""
    table = np.asarray(estimator.embeddings)
    if table.ndim != 2 or table.dtype.kind not in "iuf" or not table.size:
        raise ValueError(
            "embeddings must be an array of numbers of shape (n_tokens, n_dimensions), "
            f"got shape {table.shape} of {table.dtype}."
        )
    if not np.isfinite(table).all():
        raise ValueError("embeddings must be finite.")
    return table


def _vocabularies(estimator, data, places):
    """Return the place and the number of tokens of each channel of tokens."""
    size = estimator.n_tokens
    if estimator.embeddings is not None:
        size = len(given_embeddings(estimator))
        if estimator.n_tokens not in (None, size):
            raise ValueError(
                f"embeddings has {size} rows, but n_tokens={estimator.n_tokens}."
            )
    if size is None:
        largest = np.zeros(len(places))
        for block in data.blocks():
            tokens = data.take(block)[:, places]
            largest = np.maximum(largest, np.nanmax(tokens, axis=0, initial=0))
        return tuple(
            (place, int(token) + 1)
            for place, token in zip(places, largest, strict=True)
        )
    return tuple((place, int(size)) for place in places)


def _refuse_with_tokens(estimator):
    if estimator.steps_per_frame > 1 or estimator.differences:
        raise ValueError(
            "steps_per_frame and differences are for channels of numbers; with "
            "embedding_dim leave them at 1 and False."
        )


def check_tokens(data, n_tokens, unknown_tokens):
    """Raise at the first token that is no whole number, or beyond the vocabulary."""
    places = [place for place, _ in n_tokens]
    sizes = np.array([size for _, size in n_tokens])
    for block in data.blocks():
        tokens = data.take(block)[:, places]
        tokens = np.where(np.isnan(tokens), 0, tokens)  # skipped, or refused before
        whole = tokens == np.floor(tokens)
        known = (tokens >= 0) & (tokens < sizes)
        good = whole & known if unknown_tokens == "error" else whole
        if good.all():
            continue
        step, channel = np.argwhere(~good)[0]
        token = tokens[step, channel]
        ends = np.cumsum(data.lengths[block])
        row = int(np.searchsorted(ends, step, side="right"))
        sample = block.start + row
        step -= ends[row] - data.lengths[sample]
        where = f"sample {sample}, step {step}, channel {places[channel]}"
        if not whole[~good][0]:
            raise ValueError(f"Tokens must be whole numbers, got {token}: {where}.")
        raise ValueError(
            f"Token {token:.0f} is not in the vocabulary of n_tokens="
            f"{sizes[channel]}, 0 to {sizes[channel] - 1}: {where}. Set n_tokens, or "
            'unknown_tokens="ignore".'
        )
