"""Log mel spectra and cepstral coefficients of recordings."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context, clone
from sklearn.utils._param_validation import Interval, StrOptions

from skrnn.audio.filters import cosines, filter_edges, mel_filters
from skrnn.audio.recordings import read_recordings
from skrnn.audio.spectra import Analysis, window_of
from skrnn.audio.trajectories import normalized, slopes
from skrnn.callbacks import CallbackSupportMixin, with_callbacks
from skrnn.sequences import PaddedData, Sequences

CONSTRAINTS: dict = {
    "sample_rate": [Interval(Real, 0, None, closed="neither")],
    # in seconds: whoever means milliseconds is told
    "frame_length": [Interval(Real, 0, 1, closed="right")],
    "frame_shift": [Interval(Real, 0, 1, closed="right")],
    "n_fft": [Interval(Integral, 1, None, closed="left"), None],
    "window": [StrOptions({"hann", "hamming"})],
    "center": ["boolean"],
    "preemphasis": [Interval(Real, 0, 1, closed="both"), None],
    "power": [Interval(Real, 0, None, closed="neither")],
    "n_mels": [Interval(Integral, 1, None, closed="left")],
    "f_min": [Interval(Real, 0, None, closed="left")],
    "f_max": [Interval(Real, 0, None, closed="neither"), None],
    "mel_scale": [StrOptions({"htk", "slaney"})],
    "norm": [StrOptions({"slaney"}), None],
    "log_floor": [Interval(Real, 0, None, closed="neither")],
    "normalize": [StrOptions({"mean", "mean_variance"}), None],
    "deltas": [Interval(Integral, 0, 2, closed="both")],
}


class _SpeechFeatures(CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """What the features have in common: all but what they make of log energies."""

    _parameter_constraints: ClassVar[dict] = CONSTRAINTS
    _name: ClassVar[str]  # of a feature

    def __init_subclass__(cls, **kwargs):
        # sequences do not fit into the frames that set_output would make
        super().__init_subclass__(auto_wrap_output_keys=None, **kwargs)

    @property
    def _n_static(self):
        """The number of features before their slopes."""
        raise NotImplementedError

    def _projection(self):
        """Return what multiplies the log energies from the right, or None."""
        raise NotImplementedError

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters and the recordings: there is nothing to learn.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_values), list or Series of 1-D arrays, \
                Sequences or DataFrame
            The recordings, see :meth:`transform`.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer.

        Raises
        ------
        ValueError
            If parameters contradict each other, or as :meth:`transform`.
        """
        context = self._init_callback_context()
        context.call_on_fit_task_begin(estimator=self, X=X)
        self._analysis()
        self._projection()
        read_recordings(self, X, reset=True)
        context.call_on_fit_task_end(estimator=self, X=X)
        return self

    def transform(self, X: Any) -> Any:
        """Compute the features of all frames of each recording.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_values), list or Series of 1-D arrays, \
                Sequences or DataFrame
            The recordings, of one channel: the rows of an array; a list, a 1-D object
            array or a Series of arrays of any lengths; Sequences; or a frame with an
            (instance, time) index. Arrays of int8, int16, int32 or uint8 are PCM,
            brought between -1 and 1 by their type. Other numbers are taken as they are,
            and so are those of Sequences, which have made floats of integers.

        Returns
        -------
        features : Sequences, or ndarray of shape (n_samples, n_frames, n_features)
            An array if `X` is one, or a list of lists of numbers. Otherwise Sequences,
            with the labels of a Series or a frame in ``features.index``. float32 if
            all recordings are that or PCM, else float64.

        Raises
        ------
        ValueError
            If a recording is empty, has several channels, or holds something other
            than finite numbers whose energies are so too; the message says which.
        TypeError
            If `X` is sparse, or holds objects that are no numbers.
        """
        self._validate_params()  # where nothing was fitted
        analysis, projection = self._analysis(), self._projection()
        # An unfitted one has no names or columns to compare with.
        fitted = hasattr(self, "n_channels_in_")
        reader = self if fitted else clone(self)
        data, index = read_recordings(reader, X, reset=not fitted)
        n_frames = analysis.n_frames(data.lengths)
        ends = np.cumsum(n_frames)
        features = np.empty((ends[-1], self._n_features_out), data.dtype)
        for block in data.blocks():
            taken = data.take(block)[:, 0]
            with np.errstate(over="ignore", invalid="ignore"):  # which raises
                energies = analysis.energies(taken, data.lengths[block])
            counts = n_frames[block]
            finite = np.isfinite(energies).all(axis=1)
            if not finite.all():
                at = np.searchsorted(np.cumsum(counts), finite.argmin(), side="right")
                raise ValueError(
                    f"The values of sample {np.arange(len(data))[block][at]} are too "
                    "large for their energies: scale the recording."
                )
            last = ends[block][-1]
            features[last - counts.sum() : last] = self._features(
                energies, counts, projection
            )
        if isinstance(data, PaddedData):
            return features.reshape(len(data), -1, features.shape[1])
        return Sequences._of(features, ends - n_frames, n_frames, index, None)

    def _features(self, energies, n_frames, projection):
        """Turn the energies of some recordings into their features."""
        np.maximum(energies, self.log_floor, out=energies)
        static = np.log(energies, out=energies)
        if projection is not None:
            static = static @ projection
        if self.normalize is not None:
            static = normalized(static, n_frames, self.normalize == "mean_variance")
        parts = [static]
        for _ in range(self.deltas):
            parts.append(slopes(parts[-1], n_frames))
        return np.concatenate(parts, axis=1)

    def _analysis(self):
        """Return what is computed of each frame, or raise."""
        n_values = self._n_values("frame_length")
        n_fft = self._check_n_fft(n_values)
        return Analysis(
            window=window_of(self.window, n_values),
            shift=self._n_values("frame_shift"),
            n_fft=n_fft,
            filters=self._filters(n_fft),
            power=self.power,
            preemphasis=self.preemphasis or 0.0,
            center=self.center,
        )

    def _n_values(self, name):
        """Return a time as a number of values."""
        n_values = round(getattr(self, name) * self.sample_rate)
        if n_values < 1:
            raise ValueError(
                f"{name}={getattr(self, name)} is in seconds, and shorter than a value "
                f"at sample_rate={self.sample_rate}."
            )
        return n_values

    def _check_n_fft(self, n_values):
        if self.n_fft is None:
            return 2 ** (n_values - 1).bit_length()
        if self.n_fft < n_values:
            raise ValueError(
                f"n_fft={self.n_fft} must be at least the values of a frame, of which "
                f"frame_length={self.frame_length} has {n_values} at "
                f"sample_rate={self.sample_rate}."
            )
        return self.n_fft

    def _filters(self, n_fft):
        """Return the filters, or raise if one lets nothing through."""
        nyquist = self.sample_rate / 2
        f_max = nyquist if self.f_max is None else self.f_max
        if f_max > nyquist:
            raise ValueError(
                f"f_max={f_max} Hz is above half of sample_rate={self.sample_rate}, "
                "beyond which recordings hold nothing."
            )
        edges = filter_edges(self.n_mels, self.f_min, f_max, self.mel_scale)
        if not (np.diff(edges) > 0).all():
            raise ValueError(f"f_min={self.f_min} must be well below f_max={f_max}.")
        filters = mel_filters(self.sample_rate, n_fft, edges, self.norm)
        empty = ~filters.any(axis=1)
        if empty.any():
            first = int(empty.argmax())
            raise ValueError(
                f"Filter {first} of n_mels={self.n_mels}, from {edges[first]:.1f} to "
                f"{edges[first + 2]:.1f} Hz, would always be silent: the frequencies "
                f"of the spectrum are {self.sample_rate / n_fft:.1f} Hz apart. Set "
                f"{self._finer(n_fft, edges)}fewer n_mels."
            )
        return filters

    def _finer(self, n_fft, edges):
        """Name the smallest power of two with which no filter is empty."""
        for exponent in range(n_fft.bit_length(), 16):
            filters = mel_filters(self.sample_rate, 2**exponent, edges)
            if filters.any(axis=1).all():
                return f"n_fft={2**exponent}, or "
        return ""

    @property
    def _n_features_out(self):
        return self._n_static * (1 + self.deltas)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray:
        """Give the names of the features, the channels of the output.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored.

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_features,)
            The name of the class in lowercase and a number; slopes begin with
            ``delta_`` and their slopes with ``delta2_``.
        """
        prefixes = ("", "delta_", "delta2_")[: 1 + self.deltas]
        return np.array(
            [f"{p}{self._name}{i}" for p in prefixes for i in range(self._n_static)],
            dtype=object,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags


class LogMel(_SpeechFeatures):
    """Log mel spectra: how loud each band of pitch is, every 10 ms.

    A recording is cut into short frames that overlap. Of each frame the energy in
    bands that are as wide as the ear tells pitches apart is computed, and its natural
    logarithm is taken. A recording becomes a sequence with a step for each frame and a
    channel for each band, for :class:`~skrnn.RNNClassifier` and others to read.

    Nothing is learned from the data, so `transform` needs no `fit`.

    Parameters
    ----------
    sample_rate : float, default=16000
        Values per second of the recordings, which say nothing of it themselves.
    frame_length : float, default=0.025
        Seconds of a frame, in (0, 1].
    frame_shift : float, default=0.01
        Seconds from the start of a frame to that of the next, in (0, 1]: the steps of
        the sequences.
    n_fft : int, default=None
        Values that the Fourier transform takes, zeros behind those of the frame.
        More put the frequencies of the spectrum closer, for many bands. None means the
        smallest power of two that holds a frame.
    window : {"hann", "hamming"}, default="hann"
        What multiplies the values of a frame, so that it begins and ends softly.
    center : bool, default=False
        Whether the middle of frame i, rather than its start, is at ``i * frame_shift``,
        with silence around the recording. Otherwise frames hold recorded values only,
        and what is left behind the last whole frame is not looked at; a recording
        shorter than a frame is filled up with zeros.
    preemphasis : float, default=0.97
        The share of the value before that is subtracted from each value, in [0, 1],
        which raises high frequencies. None or 0 subtracts nothing.
    power : float, default=2.0
        Exponent of the magnitudes of the spectrum: 2 for energies, 1 for amplitudes.
    n_mels : int, default=40
        Number of bands.
    f_min : float, default=0.0
        Where the lowest band begins, in Hz.
    f_max : float, default=None
        Where the highest band ends, in Hz. None means half of `sample_rate`.
    mel_scale : {"htk", "slaney"}, default="htk"
        The pitch by which bands are equally wide: ``2595 * log10(1 + f / 700)`` [1]_
        [2]_, or that of Slaney's toolbox, linear up to 1000 Hz and logarithmic
        above [3]_.
    norm : {"slaney"}, default=None
        Divide the weights of each band by its width in Hz. None leaves the peak of each
        triangle at 1. The difference adds a constant to each channel.
    log_floor : float, default=1e-10
        What smaller energies are raised to before the logarithm. The default is below
        the rounding of 16 bits.
    normalize : {"mean", "mean_variance"}, default=None
        Subtract from each channel its mean over the recording, which takes away the
        microphone and the loudness, and divide it by its standard deviation. None
        changes nothing.
    deltas : {0, 1, 2}, default=0
        1 adds the slope of each channel as a further channel, by regression on the two
        frames before and after [4]_. 2 adds the slope of the slope too.

    Attributes
    ----------
    n_features_in_ : int
        1, or the number of columns if `X` was two-dimensional in `fit`.
    n_channels_in_ : int
        1.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the columns, if `X` had names that are all strings.

    See Also
    --------
    MFCC : Fewer features, of the shape of the spectrum.
    skrnn.SequenceScaler : Standardizes channels over all recordings.

    Notes
    -----
    With ``center=True, preemphasis=None`` the energies are those of librosa's
    ``melspectrogram(htk=True, norm=None)`` and of torchaudio's
    ``MelSpectrogram(pad_mode="constant")``, with the same times, in values, as
    `win_length` and `hop_length`, and the same `n_fft`.

    A recording of n values has ``1 + (n - frame) // shift`` frames, with `center`
    ``1 + n // shift``, where frame and shift are in values.

    References
    ----------
    .. [1] Stevens, S. S., Volkmann, J. and Newman, E. B. "A scale for the measurement
       of the psychological magnitude pitch", Journal of the Acoustical Society of
       America 8 (1937).
    .. [2] O'Shaughnessy, D. "Speech communication: human and machine" (1987).
    .. [3] Slaney, M. "Auditory toolbox, version 2", Interval Research Corporation,
       technical report 1998-010 (1998).
    .. [4] Furui, S. "Speaker-independent isolated word recognition using dynamic
       features of speech spectrum", IEEE Transactions on Acoustics, Speech, and Signal
       Processing 34 (1986).

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.audio import LogMel
    >>> seconds = np.arange(8000) / 16000
    >>> tones = [np.sin(2 * np.pi * 440 * seconds), np.sin(2 * np.pi * 880 * seconds)]
    >>> X = LogMel(16000).fit_transform(tones)
    >>> X
    Sequences(n_samples=2, n_channels=40, lengths=48..48)
    >>> [int(x[20].argmax()) for x in X]
    [7, 12]
    """

    _name = "logmel"

    def __init__(
        self,
        sample_rate: float = 16000,
        *,
        frame_length: float = 0.025,
        frame_shift: float = 0.01,
        n_fft: int | None = None,
        window: str = "hann",
        center: bool = False,
        preemphasis: float | None = 0.97,
        power: float = 2.0,
        n_mels: int = 40,
        f_min: float = 0.0,
        f_max: float | None = None,
        mel_scale: str = "htk",
        norm: str | None = None,
        log_floor: float = 1e-10,
        normalize: str | None = None,
        deltas: int = 0,
    ) -> None:
        self.sample_rate = sample_rate
        self.frame_length = frame_length
        self.frame_shift = frame_shift
        self.n_fft = n_fft
        self.window = window
        self.center = center
        self.preemphasis = preemphasis
        self.power = power
        self.n_mels = n_mels
        self.f_min = f_min
        self.f_max = f_max
        self.mel_scale = mel_scale
        self.norm = norm
        self.log_floor = log_floor
        self.normalize = normalize
        self.deltas = deltas

    @property
    def _n_static(self):
        return self.n_mels

    def _projection(self):
        return None


class MFCC(_SpeechFeatures):
    """Mel-frequency cepstral coefficients: the shape of the spectrum in few numbers.

    The log mel spectra of :class:`LogMel` are turned by an orthonormal discrete cosine
    transform into coefficients that hardly depend on each other: the first one says how
    loud a frame is, the next ones how the energy is spread, from coarse to fine [1]_.
    A recording becomes a sequence with a step for each frame and a channel for each
    coefficient.

    Nothing is learned from the data, so `transform` needs no `fit`.

    Parameters
    ----------
    sample_rate : float, default=16000
        Values per second of the recordings, which say nothing of it themselves.
    n_mfcc : int, default=13
        Number of coefficients, the first ones.
    lifter : float, default=None
        Multiply coefficient i by ``1 + lifter / 2 * sin(pi * i / lifter)``, which
        brings fine and coarse ones to a similar size; HTK's is 22. None multiplies
        nothing: networks that standardize their input need none.
    frame_length, frame_shift, n_fft, window, center, preemphasis, power, n_mels, \
            f_min, f_max, mel_scale, norm, log_floor : as of :class:`LogMel`
        What the log mel spectra are, with the same defaults.
    normalize : {"mean", "mean_variance"}, default=None
        Subtract from each coefficient its mean over the recording, which takes away the
        microphone and the loudness, and divide it by its standard deviation. None
        changes nothing.
    deltas : {0, 1, 2}, default=0
        1 adds the slope of each coefficient as a further channel, by regression on the
        two frames before and after. 2 adds the slope of the slope too.

    Attributes
    ----------
    n_features_in_ : int
        1, or the number of columns if `X` was two-dimensional in `fit`.
    n_channels_in_ : int
        1.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the columns, if `X` had names that are all strings.

    See Also
    --------
    LogMel : The spectra themselves.
    skrnn.SequenceScaler : Standardizes channels over all recordings.

    References
    ----------
    .. [1] Davis, S. B. and Mermelstein, P. "Comparison of parametric representations
       for monosyllabic word recognition in continuously spoken sentences", IEEE
       Transactions on Acoustics, Speech, and Signal Processing 28 (1980).

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.audio import MFCC
    >>> noise = np.random.default_rng(0).normal(size=(2, 8000))
    >>> MFCC(8000, deltas=2).fit_transform(noise).shape
    (2, 98, 39)
    """

    _parameter_constraints: ClassVar[dict] = {
        **CONSTRAINTS,
        "n_mfcc": [Interval(Integral, 1, None, closed="left")],
        "lifter": [Interval(Real, 0, None, closed="neither"), None],
    }
    _name = "mfcc"

    def __init__(
        self,
        sample_rate: float = 16000,
        *,
        n_mfcc: int = 13,
        lifter: float | None = None,
        frame_length: float = 0.025,
        frame_shift: float = 0.01,
        n_fft: int | None = None,
        window: str = "hann",
        center: bool = False,
        preemphasis: float | None = 0.97,
        power: float = 2.0,
        n_mels: int = 40,
        f_min: float = 0.0,
        f_max: float | None = None,
        mel_scale: str = "htk",
        norm: str | None = None,
        log_floor: float = 1e-10,
        normalize: str | None = None,
        deltas: int = 0,
    ) -> None:
        self.sample_rate = sample_rate
        self.n_mfcc = n_mfcc
        self.lifter = lifter
        self.frame_length = frame_length
        self.frame_shift = frame_shift
        self.n_fft = n_fft
        self.window = window
        self.center = center
        self.preemphasis = preemphasis
        self.power = power
        self.n_mels = n_mels
        self.f_min = f_min
        self.f_max = f_max
        self.mel_scale = mel_scale
        self.norm = norm
        self.log_floor = log_floor
        self.normalize = normalize
        self.deltas = deltas

    @property
    def _n_static(self):
        return self.n_mfcc

    def _projection(self):
        if self.n_mfcc > self.n_mels:
            raise ValueError(
                f"n_mfcc={self.n_mfcc} coefficients cannot be computed of "
                f"n_mels={self.n_mels} bands: set fewer, or more n_mels."
            )
        return cosines(self.n_mfcc, self.n_mels, self.lifter).T
