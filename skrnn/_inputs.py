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
    per_step : bool
        Whether there is a target for each step.
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
    per_step: bool
    n_channels: int
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0))
    scale: np.ndarray = field(default_factory=lambda: np.ones(0))

    @classmethod
    def of(cls, estimator, data, fitted=None):
        """Return the form of a data set that the hyperparameters ask for.

        With the vocabularies of a form that was `fitted`, if any, unless the
        hyperparameters name their size.
        """
        places = token_places(estimator, data)
        _refuse_together(estimator, data, places)
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
            per_step=bool(estimator.return_sequences),
            n_channels=n_channels,
        )
        if places:
            known = None if fitted is None else fitted.n_tokens
            form.n_tokens = _vocabularies(estimator, data, places, known)
            form.embedding_dim = _embedding_dim(estimator)
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
        is_masked = self.missing == "mask"
        if self.padding_token is not None:
            places = self._token_places
            return SkipPadding(data, places, self.padding_token, is_masked)
        return SkipMissing(data) if is_masked else data

    @property
    def _token_places(self):
        return [place for place, _ in self.n_tokens]

    @property
    def _fill_values(self):
        """What takes the place of NaN: the mean, and no token, which has zeros."""
        values = self.mean.copy()
        values[self._token_places] = NO_TOKEN
        return values

    def _with_derived(self, data):
        """Add the channels that are computed from others; what is missing stays."""
        if self.missing == "indicator":
            data = Indicator(data)
        return Differences(data) if self.differences else data

    def learn_scales(self, present, weights, rows, factors=None):
        """Standardize by the steps of these rows, all steps of a frame alike.

        Of weights there is one for each row, which multiplies the `factors`, a data set
        with one for each step.
        """
        steps = self._with_derived(present)
        mean, scale = channel_statistics(steps, weights, rows, factors)
        # what is this small has no reciprocal: as good as constant
        scale[scale < np.finfo(present.dtype).tiny] = 1.0
        for place, _ in self.n_tokens:
            mean[place], scale[place] = 0.0, 1.0
        self.mean = np.tile(mean, self.steps_per_frame)
        self.scale = np.tile(scale, self.steps_per_frame)

    def prepare(self, present):
        """Return the data set that the network reads, of the steps that it sees."""
        data = self._with_derived(present)
        if self.missing == "indicator":
            data = Filled(data, self._fill_values[: data.n_channels])
        return Frames(data, self.steps_per_frame) if self.steps_per_frame > 1 else data

    def spread(self, data, present, values):
        """Share out a number for each step of the network among the steps of X.

        The steps of a frame get equal parts, what is skipped gets 0.
        """
        n = self.steps_per_frame
        parts = np.repeat(values / n, n)[:, np.newaxis]
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
        """Whether the network reads X as it is, any finite numbers."""
        read_otherwise = self.differences or self.missing == "indicator"
        return not (read_otherwise or self.steps_per_frame > 1 or self.n_tokens)

    def next_step(self, x, memory, unknown_tokens):
        """Return the next step of some streams as the network reads it.

        Parameters
        ----------
        x : array-like of shape (n_streams, n_channels), or with frames of shape \
                (n_streams, steps_per_frame, n_channels)
        memory : ndarray of shape (n_streams, n_remembered)
        unknown_tokens : {"error", "ignore"}

        Returns
        -------
        x : ndarray of shape (n_streams, n_channels of the network)
        memory : ndarray of shape (n_streams, n_remembered)

        Raises
        ------
        ValueError
            If x has another shape, or a step that cannot be read or is skipped.
        """
        n, dtype = len(memory), memory.dtype
        x = np.asarray(x, dtype)
        frame = (self.steps_per_frame,) if self.steps_per_frame > 1 else ()
        if x.shape != (n, *frame, self._n_read):
            raise ValueError(
                f"x has shape {x.shape}, expected {(n, *frame, self._n_read)}: the "
                "next step of each of the streams whose states were passed."
            )
        self._check_step(x, unknown_tokens)
        steps = x.reshape(n, -1, self._n_read)
        values = self._derived(steps)
        if self.differences:
            before, known = memory[:, np.newaxis, :-1], memory[:, -1] > 0
            later = self._derived(np.hstack([before, steps]))[:, 1:]
            values[known] = later[known]
            memory = np.hstack([steps[:, -1], np.ones((n, 1), dtype)])
        values = values.reshape(n, -1)
        if self.missing == "indicator":
            fill_values = self._fill_values.astype(dtype)
            values = np.where(np.isnan(values), fill_values, values)
        return values, memory

    def _derived(self, steps):
        """Return steps of shape (n_streams, n_steps, n_channels) with their others."""
        data = self._with_derived(PaddedData(steps))
        return data.take(slice(None)).reshape(len(steps), -1, data.n_channels)

    def _check_step(self, x, unknown_tokens):
        """Raise if a stream has no such next step: not finite, skipped or no token."""
        bad = np.isinf(x) if self.missing == "indicator" else ~np.isfinite(x)
        if bad.any():
            place = tuple(np.argwhere(bad)[0])
            of_frame = f"step {place[1]} of the frame, " if x.ndim > 2 else ""
            raise ValueError(
                f"x has {x[place]} in stream {place[0]}, {of_frame}channel "
                f"{place[-1]}. Leave such streams out, step(x[rows], state[rows]), or "
                "impute what is missing."
            )
        if not self.n_tokens:
            return
        tokens = x[:, self._token_places]
        if self.padding_token is not None:
            is_padding = (tokens == self.padding_token).all(axis=1)
            if is_padding.any():
                raise ValueError(
                    f"x has padding_token={self.padding_token}, which is no step, in "
                    f"stream {is_padding.argmax()}. Leave such streams out: "
                    "step(x[rows], state[rows])."
                )
        sizes = np.array([size for _, size in self.n_tokens])
        wrong = _wrong_tokens(tokens, sizes, unknown_tokens)
        if wrong.any():
            stream, i = np.argwhere(wrong)[0]
            where = f"stream {stream}, channel {self._token_places[i]}"
            _refuse_token(tokens[stream, i], sizes[i], where)


# --- tokens ---------------------------------------------------------------------------

NO_TOKEN = -1  # in no vocabulary: zeros stand for it


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
        if place in places:
            raise ValueError(f"token_channels has channel {place} twice.")
        places.append(place)
    if not places:
        raise ValueError("token_channels is empty: leave it at None for all channels.")
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


def _vocabularies(estimator, data, places, known):
    """Return `_sizes`, or raise if the dtype does not tell so many tokens apart."""
    n_tokens = _sizes(estimator, data, places, known)
    most = 2 ** (np.finfo(data.dtype).nmant + 1)
    for place, size in n_tokens:
        if size > most:
            raise ValueError(
                f"{data.dtype} tells {most} tokens apart, but channel {place} has "
                f"{size}. Pass X as float64 or integers."
            )
    return n_tokens


def _sizes(estimator, data, places, known):
    """Return the place and the number of tokens of each channel of tokens.

    Where nothing says how many there are, they are those `known` from before, if these
    are the places, or else those of the data.
    """
    size = estimator.n_tokens
    if estimator.embeddings is not None:
        size = len(given_embeddings(estimator))
        if estimator.n_tokens not in (None, size):
            raise ValueError(
                f"embeddings has {size} rows, but n_tokens={estimator.n_tokens}."
            )
    if size is None and known is not None and places == [place for place, _ in known]:
        return known
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


def _refuse_together(estimator, data, places):
    """Raise at what needs tokens where there are none, and at what cannot have them."""
    if not places:
        of_tokens = {
            name: getattr(estimator, name)
            for name in ("token_channels", "n_tokens", "padding_token")
        }
        set_ones = [name for name, value in of_tokens.items() if value is not None]
        if estimator.unknown_tokens != "error":
            set_ones.append("unknown_tokens")
        if set_ones:
            raise ValueError(f"{set_ones[0]} needs tokens: set embedding_dim.")
        return
    if estimator.adversarial_eps and len(places) == data.n_channels:
        raise ValueError(
            "adversarial_eps moves numbers, but all channels hold tokens: leave it at "
            "0."
        )
    if estimator.steps_per_frame > 1 or estimator.differences:
        raise ValueError(
            "steps_per_frame and differences are for channels of numbers; with "
            "embedding_dim leave them at 1 and False."
        )


def check_tokens(data, n_tokens, unknown_tokens):
    """Raise at the first token that is no whole number, or beyond the vocabulary.

    Parameters
    ----------
    data : PaddedData, Sequences or SkipMissing
        If steps are left out, the error names the place in what they are left out of.
    n_tokens : tuple of (int, int)
        As in `InputForm`.
    unknown_tokens : {"error", "ignore"}
    """
    places = [place for place, _ in n_tokens]
    sizes = np.array([size for _, size in n_tokens])
    for block in data.blocks():
        tokens = data.take(block)[:, places]
        wrong = _wrong_tokens(tokens, sizes, unknown_tokens)
        if not wrong.any():
            continue
        at, i = np.argwhere(wrong)[0]
        ends = np.cumsum(data.lengths[block])
        row = int(np.searchsorted(ends, at, side="right"))
        sample = block.start + row
        step = int(at - ends[row] + data.lengths[sample])
        if isinstance(data, SkipMissing):
            step = data.source_step(sample, step)
        where = f"sample {sample}, step {step}, channel {places[i]}"
        _refuse_token(tokens[at, i], sizes[i], where)


def _wrong_tokens(tokens, sizes, unknown_tokens):
    """Tell which are no whole numbers or, unless ignored, not in the vocabulary."""
    missing = np.isnan(tokens)  # NO_TOKEN takes its place, or it was refused before
    right = tokens == np.floor(tokens)
    if unknown_tokens == "error":
        right &= (tokens >= 0) & (tokens < sizes)
    return ~(right | missing)


def _refuse_token(token, size, where):
    if token != np.floor(token):
        raise ValueError(f"Tokens must be whole numbers, got {token}: {where}.")
    raise ValueError(
        f"Token {token:.0f} is not in the vocabulary of n_tokens={size}, 0 to "
        f'{size - 1}: {where}. Set n_tokens, or unknown_tokens="ignore".'
    )
