"""Transcription: from sequences to texts, or to lists of labels, of other lengths."""

import warnings
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted, check_scalar

from skrnn._base import BaseRNN
from skrnn._constraints import constraints_of
from skrnn._deferred import ctc, decoding, losses, training
from skrnn._samples import Validation
from skrnn._transcripts import Alphabet, read_symbols, read_transcripts
from skrnn.callbacks import with_callbacks
from skrnn.language_model import RNNLanguageModel
from skrnn.sequences import of_steps
from skrnn.text.prefixes import PrefixModel

# Training samples of which one at least should have a symbol in the end.
N_LISTENED = 64


class RNNTranscriber(BaseRNN):
    """Recurrent network for transcripts: texts, or lists of labels, of any length.

    Recurrent layers read the steps of a sequence, and a dense layer says of each frame
    how probable each symbol is, or that there is none, "blank". Which frames belong to
    which symbol need not be known: the loss is that of connectionist temporal
    classification [1]_, minus the logarithm of the probability of all ways in which the
    frames can spell the transcript. Recordings become texts by this, from features such
    as :class:`skrnn.audio.MFCC`, and so do strokes of a pen, or movements.

    A sequence must have as many frames as its transcript has symbols, and one more
    between two neighbours that are alike. Transcripts come in the order of what they
    stand for.

    X may be of any form of numbers that :class:`RNNClassifier` takes. y has a
    transcript for each sequence: a list, array or Series of texts, whose symbols are
    characters; or of lists of labels, texts or numbers, such as phonemes, words or
    notes. One may be empty.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(64,)
        Units of each recurrent layer, from the input up.
    cell : {"rnn", "lstm", "gru", "mingru", "janet"}, default="gru"
        The recurrence, as in :class:`RNNClassifier`.
    activation : {"tanh", "relu", "logistic", "identity"}, default="tanh"
        Activation of ``cell="rnn"``.
    bidirectional : bool, default=True
        Whether each layer also reads the sequences backwards: `hidden_layer_sizes`
        units each way. False lets frames be predicted as they come, by `step`.
    residual : bool, default=False
        Whether each layer but the first adds its input to its output.
    layer_norm : bool, default=False
        Whether the cells' gates are normalized over the units.
    learn_initial_state : bool, default=False
        Whether the states before the first step are learned.
    dense_layer_sizes : int or array-like of int, default=()
        Units of hidden dense layers between the last recurrent layer and the output.
    dropout : float, default=0.2
        Share of the outputs of each hidden layer that is dropped in training, in
        [0, 1).
    input_dropout : float, default=0.0
        The same share of the inputs, in [0, 1).
    recurrent_dropout : float, default=0.0
        Share of the recurrent connections that is dropped in training, in [0, 1).
    input_noise : float, default=0.3
        Standard deviation of what is added to the standardized inputs in training.
    steps_per_frame : int, default=1
        Consecutive steps that are folded into one frame of so many times the channels:
        half the frames take half the time, as long as they suffice for the transcripts.
    differences : bool, default=False
        Whether the differences to the step before are further channels.
    missing : {"error", "mask", "indicator"}, default="error"
        What NaN in X means, as in :class:`RNNClassifier`.
    beam_width : int, default=1
        How transcripts are found. 1 takes the best symbol, or blank, of each frame.
        More is a search by beams [2]_ that keeps so many beginnings, in which all ways
        to spell a transcript count: slower, a little better, and what a
        `language_model` needs. Read when something is predicted, so it may be set after
        fit.
    language_model : RNNLanguageModel, object or None, default=None
        How likely transcripts are in themselves [3]_: a fitted model of characters, for
        lists of labels of words, or an object with the methods of
        :class:`skrnn.decoding.LanguageModel`. It stays as it is. In a search over
        hyperparameters, which clones what it is given, wrap a model in
        :class:`~sklearn.frozen.FrozenEstimator`.
    lm_weight : float, default=0.5
        What the logarithms of its probabilities count.
    length_bonus : float, default=0.0
        What each symbol adds to the score of a transcript in the search: a language
        model likes short ones best. With ``beam_width=1`` nothing is searched.
    init : fitted estimator, dict of str to ndarray or None, default=None
        A model, or its `weights_`, to begin with, as in :class:`RNNClassifier`. The
        output is taken over from a transcriber of the same symbols.
    freeze : str or sequence of str, default=()
        Parameters that stay as they are, as in :class:`RNNClassifier`.
    solver : {"adam", "adamw", "rmsprop", "sgd"}, default="adam"
        The optimizer.
    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights.
    batch_size : int or "auto", default="auto"
        Samples of a minibatch. "auto" is an eighth of those that are trained on, but
        not less than 8 and not more than 64.
    learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, \
            default="cosine"
        How the rate changes, as in :class:`RNNClassifier`.
    learning_rate_init : float, default=0.005
        The initial, and for "cosine" the largest, rate.
    warmup_fraction : float, default=0.1
        Share of the updates that "cosine" spends rising, in [0, 1).
    max_iter : int, default=100
        Epochs at most.
    shuffle : bool, default=True
        Whether each epoch takes the samples in another order. Identical samples are
        then one sample with the sum of their weights.
    random_state : int, RandomState instance or None, default=None
        Source of all that is random. An int gives the same bits every time, for any
        `n_jobs`.
    tol : float, default=1e-4
        Training ends when the loss, or with `early_stopping` the validation score, has
        not become better by at least `tol` for more than `n_iter_no_change` epochs.
        With "cosine" only `early_stopping` ends it before `max_iter`.
    verbose : bool, default=False
        Whether to print the loss of each epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and scales of an earlier fit.
    early_stopping : bool, default=False
        Whether to hold out a part of the training data, to stop when its score no
        longer improves, and to end with the best weights, stopped or not. In the first
        epochs, in which nothing right is written, the loss decides in its place.
    scoring : str, callable or None, default=None
        How the validation set, where there is one, is scored: as
        :func:`sklearn.metrics.check_scoring` takes it; None means `score`.
    validation_fraction : float, default=0.1
        The part that is held out, in (0, 1).
    n_iter_no_change : int or numpy.inf, default=10
        See `tol`; ``numpy.inf`` to train for `max_iter` epochs in any case.
    max_grad_norm : float or None, default=1.0
        Largest norm of the gradient; a longer one is shortened to it.
    standardize : bool, default=True
        Whether each channel is brought to mean 0 and standard deviation 1.
    n_channels : int or None, default=None
        Channels that the rows of 2-D X are flattened from.
    n_jobs : int or None, default=None
        Threads. None means 1 unless in a :obj:`joblib.parallel_config` context, -1 all
        processors.

    Attributes
    ----------
    symbols_ : ndarray of shape (n_symbols,)
        The characters, or labels, of transcripts, sorted.
    loss_ : float
        The loss of the last epoch, in nats for each transcript.
    best_loss_ : float or None
        The smallest loss; None with `early_stopping`.
    loss_curve_ : list of float
        The loss of each epoch.
    validation_scores_ : list of float or None
        The score of the validation set after each epoch, where there is one.
    best_validation_score_ : float or None
        The best of them.
    weights_ : dict of str to ndarray
        Read-only views of the parameters. Column 0 of ``output.weights`` is blank.
    n_iter_ : int
        Epochs so far.
    t_ : int
        Samples seen so far.
    n_layers_ : int
        Layers, input and output included.
    n_features_in_ : int
        Channels seen in fit; columns where X was 2-D.
    n_channels_in_ : int
        Channels seen in fit.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had them.

    See Also
    --------
    skrnn.audio.MFCC : Features of recordings.
    skrnn.metrics.character_error_rate : What `score` is 1 minus of.
    RNNClassifier : One class for a sequence, or with `return_sequences` for each step.

    References
    ----------
    .. [1] Graves, Fernández, Gomez and Schmidhuber, "Connectionist temporal
       classification: labelling unsegmented sequence data with recurrent neural
       networks", ICML 2006.
    .. [2] Graves, "Sequence transduction with recurrent neural networks", ICML
       workshop on representation learning, 2012.
    .. [3] Hannun, Maas, Jurafsky and Ng, "First-pass large vocabulary continuous
       speech recognition using bi-directional recurrent DNNs", arXiv 1408.2873, 2014.

    Examples
    --------
    Bursts of noise, short and long, are dots and dashes:

    >>> import numpy as np
    >>> from skrnn import RNNTranscriber
    >>> rng = np.random.default_rng(0)
    >>> def key(code):
    ...     parts = [p for c in code for p in ([1] * (1 if c == "." else 3), [0])]
    ...     return np.concatenate(parts) + rng.normal(0, 0.1, sum(map(len, parts)))
    >>> y = ["".join(rng.choice([".", "-"], rng.integers(1, 6))) for _ in range(300)]
    >>> X = [key(code) for code in y]
    >>> model = RNNTranscriber((16,), max_iter=30, random_state=0).fit(X, y)
    >>> model.predict([key("...---..."), key("-.-.")])
    array(['...---...', '-.-.'], dtype=object)
    """

    # what a network for transcripts is not asked for
    return_sequences = False  # there is no target for each step
    pooling = None  # but a prediction for each frame
    adversarial_eps = 0.0
    bptt_steps = None
    embedding_dim = embeddings = token_channels = n_tokens = padding_token = None
    unknown_tokens = "error"

    def __init__(
        self,
        hidden_layer_sizes: int | ArrayLike = (64,),
        *,
        cell: str = "gru",
        activation: str = "tanh",
        bidirectional: bool = True,
        residual: bool = False,
        layer_norm: bool = False,
        learn_initial_state: bool = False,
        dense_layer_sizes: int | ArrayLike = (),
        dropout: float = 0.2,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        input_noise: float = 0.3,
        steps_per_frame: int = 1,
        differences: bool = False,
        missing: str = "error",
        beam_width: int = 1,
        language_model: Any = None,
        lm_weight: float = 0.5,
        length_bonus: float = 0.0,
        init: Any = None,
        freeze: str | ArrayLike = (),
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "cosine",
        learning_rate_init: float = 0.005,
        warmup_fraction: float = 0.1,
        max_iter: int = 100,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        early_stopping: bool = False,
        scoring: Any = None,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        max_grad_norm: float | None = 1.0,
        standardize: bool = True,
        n_channels: int | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.activation = activation
        self.bidirectional = bidirectional
        self.residual = residual
        self.layer_norm = layer_norm
        self.learn_initial_state = learn_initial_state
        self.dense_layer_sizes = dense_layer_sizes
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.recurrent_dropout = recurrent_dropout
        self.input_noise = input_noise
        self.steps_per_frame = steps_per_frame
        self.differences = differences
        self.missing = missing
        self.beam_width = beam_width
        self.language_model = language_model
        self.lm_weight = lm_weight
        self.length_bonus = length_bonus
        self.init = init
        self.freeze = freeze
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.warmup_fraction = warmup_fraction
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.max_grad_norm = max_grad_norm
        self.standardize = standardize
        self.n_channels = n_channels
        self.n_jobs = n_jobs

    _parameter_constraints: dict = constraints_of(__init__) | {
        "beam_width": [Interval(Integral, 1, None, closed="left")],
        "language_model": [None, HasMethods(["initial", "advance"]), HasMethods("fit")],
        "lm_weight": [Interval(Real, 0, None, closed="left")],
        "length_bonus": [Interval(Real, None, None, closed="neither")],
    }

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Fit the network to sequences X and their transcripts y.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            Training sequences, in any of the forms of the class's documentation.
        y : list, array or Series of n_samples transcripts
            Texts, or lists of labels. One may be empty.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights: a sample of weight 2 counts exactly as if it were there twice. The
            symbols are those of all samples, whatever their weights.
        X_val, y_val : like X and y, default=None
            A validation set of one's own, of symbols that y has. Its scores go to
            `validation_scores_`; with `early_stopping` it takes the place of
            `validation_fraction`.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Weights of the validation set.

        Returns
        -------
        self : RNNTranscriber
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or y is not of one of these forms, X has values that are not finite, a
            transcript needs more frames than there are, or training diverges; the
            message says where and what to try.
        """
        validation = Validation(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        symbols: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Go once over the samples, and on from where training stands.

        The scales of `standardize` are learned in the first call, which should hence
        see a batch that is like those to come. `early_stopping` and `tol` do not apply,
        and a "cosine" rate stays as it is: nobody knows how many calls there will be.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            Training sequences.
        y : list, array or Series of n_samples transcripts
            Texts, or lists of labels.
        symbols : str or array-like of shape (n_symbols,), default=None
            All characters, or labels, that any call will bring. The first call may say
            so; None means those of its y.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        self : RNNTranscriber
            The estimator, trained a little further.

        Raises
        ------
        ValueError
            As of `fit`; and if `symbols` are not characters of texts, or labels, or
            others than in the first call, or if y has one that is not among them.
        """
        declared = None if symbols is None else read_symbols(symbols)
        if declared is not None and hasattr(self, "_parameters"):
            if not np.array_equal(self.symbols_, declared):
                raise ValueError(
                    f"symbols={symbols!r} differs from the first call: {self.symbols_}."
                )
        return self._fit(
            X, y, sample_weight, Validation(), incremental=True, classes=declared
        )

    def predict(self, X: Any) -> np.ndarray:
        """Return the transcript of each sequence.

        By `beam_width`, `language_model`, `lm_weight` and `length_bonus` as they are
        now, not as they were in fit.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms of the class's documentation.

        Returns
        -------
        y : ndarray of object of shape (n_samples,)
            Texts, or lists of labels, as in fit.
        """
        check_is_fitted(self)
        self._validate_params()  # some may have been set since fit
        return _objects(self._transcripts(*self._frames(X)))

    def predict_n_best(self, X: Any, n: int = 5) -> list[list[tuple[Any, float]]]:
        """Return the best transcripts of each sequence, and their scores.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms of the class's documentation.
        n : int, default=5
            How many at most. The search keeps no fewer, whatever `beam_width` is. With
            ``beam_width=1`` the first may differ from what `predict` returns, which
            does not search.

        Returns
        -------
        transcripts : list of n_samples lists of (transcript, score)
            The best first. The score is the logarithm of the probability of a
            transcript given the sequence, plus what a language model and `length_bonus`
            add.
        """
        check_scalar(n, "n", Integral, min_val=1)
        self._validate_params()  # some may have been set since fit
        raw, lengths = self._frames(X)
        decode, width = self._alphabet.decode, max(n, self.beam_width)
        return [
            [(decode(labels), float(score)) for labels, score in found[:n]]
            for found in self._search(raw, lengths, width)
        ]

    def frame_log_proba(self, X: Any) -> list[np.ndarray]:
        """Return the logarithms of the probabilities of the symbols at each frame.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms of the class's documentation.

        Returns
        -------
        log_probabilities : list of n_samples ndarray of shape (n_frames, 1 + n_symbols)
            The first column is that of blank, the others those of `symbols_`. There is
            a frame for each step, or for so many as `steps_per_frame` says; none for
            steps that are skipped.
        """
        raw, lengths = self._frames(X)
        return np.split(_log_softmax(raw), np.cumsum(lengths)[:-1])

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the character accuracy: 1 minus the character error rate.

        Of lists of labels it is the same of labels: 1 minus the label error rate.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            Test sequences.
        y : list, array or Series of n_samples transcripts
            The truth, which may have symbols that were not learned.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            1 is best, 0 is as bad as empty transcripts, and below that what has more
            wrong symbols than there are.

        Raises
        ------
        ValueError
            If X or y is not of these forms, they are not as many or in another order,
            or all transcripts of y that have a weight are empty.

        See Also
        --------
        skrnn.metrics.character_error_rate : What it is 1 minus of.
        """
        check_is_fitted(self)
        self._validate_params()
        truth = read_transcripts(y)
        self._alphabet.lay_out(truth)  # raises if it is of another kind
        data, present = self._read_for_prediction(X)
        _, sample_weight = self._truth(data, present, y, sample_weight)
        raw, lengths = self._raw_frames(present)
        return self._accuracy(truth, raw, lengths, sample_weight)

    def _accuracy(self, truth, raw, lengths, sample_weight):
        """Return the score of what is found in frames."""
        # imported here: a tenth of a second that few need
        from skrnn.metrics import character_error_rate, word_error_rate

        rate = character_error_rate if self._alphabet.is_text else word_error_rate
        found = self._transcripts(raw, lengths)
        return 1.0 - rate(truth, found, sample_weight=sample_weight)

    def step(
        self,
        x: ArrayLike,
        state: np.ndarray,
        *,
        response_method: str = "frame_log_proba",
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take streams a frame further: the next row of `frame_log_proba`.

        Parameters
        ----------
        x : array-like of shape (n_samples, n_channels)
            The next step of each stream; with `steps_per_frame` the next frame, of
            shape (n_samples, steps_per_frame, n_channels).
        state : ndarray of shape (n_samples, n_state)
            What `initial_state`, or the step before, returned. It is not changed.
        response_method : {"frame_log_proba"}, default="frame_log_proba"
            What to return: a transcript hangs on all frames.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, 1 + n_symbols)
            The first column is that of blank.
        state : ndarray of shape (n_samples, n_state)
            The new states.

        Raises
        ------
        ValueError
            As that of :class:`RNNClassifier`; with ``bidirectional=True`` in any case.
        """
        return super().step(x, state, response_method=response_method)

    def _response(self, raw, response_method):
        if response_method != "frame_log_proba":
            raise ValueError(
                f'response_method must be "frame_log_proba", got {response_method!r}.'
            )
        return _log_softmax(raw)

    # --- decoding -------------------------------------------------------------------

    @property
    def symbols_(self) -> np.ndarray:
        """The characters, or labels, of transcripts, sorted."""
        return self._alphabet.symbols

    def _frames(self, X):
        """Return the raw predictions for all frames, and how many each sample has."""
        _, present = self._read_for_prediction(X)
        return self._raw_frames(present)

    def _raw_frames(self, present):
        return self._predict_raw(present), self._inputs.prepare(present).lengths

    def _transcripts(self, raw, lengths):
        """Return the transcripts of frames."""
        if self.beam_width == 1 and self._prior() is None:
            found = decoding.greedy_ctc(raw, lengths)
        else:
            found = [best[0][0] for best in self._search(raw, lengths, self.beam_width)]
        return [self._alphabet.decode(labels) for labels in found]

    def _search(self, raw, lengths, width):
        """Return for each sample the best labels, and their scores, by pairs."""
        prior = self._prior(width)
        for frames in np.split(_log_softmax(raw), np.cumsum(lengths)[:-1]):
            transcripts, scores = decoding.beam_search_ctc(
                frames,
                width,
                language_model=prior,
                lm_weight=self.lm_weight,
                length_bonus=self.length_bonus,
            )
            yield list(zip(transcripts, scores, strict=True))

    def _prior(self, width=None):
        """Return the language model as the search asks for it, or None, or raise."""
        model = self.language_model
        if model is None or self.lm_weight == 0.0:
            return None
        if (width or self.beam_width) == 1:
            raise ValueError(
                "A language_model needs a search that compares transcripts: set "
                "beam_width to 16, say."
            )
        if isinstance(model, FrozenEstimator):
            model = model.estimator
        if isinstance(model, RNNLanguageModel):
            check_is_fitted(
                model,
                msg="language_model is a %(name)s that is not fitted. A search fits "
                "clones, which begin anew, those of language_model too: wrap that in "
                "sklearn.frozen.FrozenEstimator.",
            )
            return PrefixModel(model, self.symbols_, self._alphabet.is_text)
        if not hasattr(model, "advance"):
            raise TypeError(
                "language_model must be an RNNLanguageModel, one in a FrozenEstimator, "
                "or have the methods of skrnn.decoding.LanguageModel, got "
                f"{type(model).__name__}."
            )
        shape = np.shape(model.initial()[0])
        if shape != (self._n_raw_outputs(),):
            raise ValueError(
                "The rows of language_model must have a column for blank and each of "
                f"the {len(self.symbols_)} symbols_, but initial() gave the shape "
                f"{shape}."
            )
        return model

    # --- what BaseRNN asks for ------------------------------------------------------

    _targets_count_together = True

    def _declare(self, classes):
        self._declared_symbols = classes

    def _encode(self, y, reset):
        transcripts = read_transcripts(y)
        if reset:
            self._alphabet = Alphabet.of(transcripts, self._declared_symbols)
        return self._alphabet.encode(transcripts)

    def _targets_of_samples(self, y, reset):
        classes, lengths = self._encode(y, reset)
        return of_steps(classes[:, np.newaxis], lengths)

    def _read(self, X, y, sample_weight, **news):
        samples = super()._read(X, y, sample_weight, **news)
        self._prior()  # what it cannot do shows before anything is trained
        targets, weights = samples.targets, samples.score_weights
        lengths = self._inputs.prepare(samples.data).lengths
        offsets = np.append(0, np.cumsum(targets.lengths))
        needed = ctc.frames_needed(targets.take(slice(None))[:, 0], offsets)
        short = (needed > lengths) & (weights > 0)
        if short.any():
            sample, n = int(short.argmax()), self._inputs.steps_per_frame
            folded = f" of {n} steps each" if n > 1 else ""
            fewer = "a smaller steps_per_frame, " if n > 1 else ""
            raise ValueError(
                f"The transcript of sample {sample} has {targets.lengths[sample]} "
                f"symbols and needs {needed[sample]} frames, one for each and one "
                f"between neighbours that are alike, but there are {lengths[sample]}"
                f"{folded}. {np.count_nonzero(short)} of {len(short)} samples are "
                f"so: try {fewer}a smaller frame_shift of the features, or leave them "
                "out."
            )
        return samples

    @property
    def _idle_score(self):
        """That of empty transcripts, which a network writes at first."""
        return 0.0 if self.scoring is None else -np.inf

    def _validation_score(self, validation, held_out):
        if held_out is not None and self.scoring is None:
            labels, _ = held_out.used_targets()
            weights = np.repeat(
                held_out.used_score_weights(), held_out.targets.lengths[held_out.rows]
            )
            if not (weights[labels[:, 0] > 0] > 0).any():
                raise ValueError(
                    "The validation set has empty transcripts only, of which there is "
                    "no score: pass another one as X_val and y_val, or hold out more "
                    f"than validation_fraction={self.validation_fraction}."
                )
        return super()._validation_score(validation, held_out)

    def _train(self, X, y, samples, frozen, score, seed, early_stopping, incremental):
        super()._train(X, y, samples, frozen, score, seed, early_stopping, incremental)
        some = samples._replace(rows=samples.rows[:N_LISTENED])
        labels, _ = some.used_targets()
        if not incremental and (labels > 0).any() and not self._writes(some):
            warnings.warn(
                f"After {self.n_iter_} epochs the network writes nothing yet, as it "
                "does at first: try more of them (max_iter), or another "
                "learning_rate_init.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _writes(self, samples):
        """Whether the best path of one of these samples has a symbol."""
        return bool(self._predict_raw(samples.used_data()).argmax(axis=1).any())

    def _new_objective(self):
        return ("ctc",)

    def _loss(self):
        return losses.Loss(ctc.CTC()), np.zeros(1)

    def _n_raw_outputs(self):
        return 1 + len(self.symbols_)

    def _predicts_like(self, other):
        return (
            isinstance(other, RNNTranscriber)
            and self._alphabet.is_text == other._alphabet.is_text
            and np.array_equal(self.symbols_, other.symbols_)
        )

    def _first_raw(self, samples, targets, weights):
        """Return the logarithms of how often each symbol, and none, is at a frame.

        As if each had one frame: from there training is far quicker than from equal
        probabilities, which are those of transcripts as long as the sequences.
        """
        counts = np.bincount(
            targets[:, 0].astype(np.intp), weights, minlength=self._n_raw_outputs()
        )
        n_frames = self._inputs.prepare(samples.data).lengths[samples.rows]
        n_symbols = counts.sum() - counts[0]  # without those of empty transcripts
        counts[0] = max(n_frames @ samples.used_weights() - n_symbols, 0.0)
        return np.log((counts + 1.0) / (counts + 1.0).sum())

    def _score_on(self, samples):
        data = samples.used_data()
        raw = self._predict_raw(data)
        if not np.isfinite(raw).all():
            raise training.Divergence
        targets = samples.targets.take(samples.rows)[:, 0].astype(np.int64)
        ends = np.cumsum(samples.targets.lengths[samples.rows])
        truth = [
            self._alphabet.decode(labels[labels > 0])
            for labels in np.split(targets, ends[:-1])
        ]
        lengths = self._inputs.prepare(data).lengths
        return self._accuracy(truth, raw, lengths, samples.used_score_weights())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.one_d_labels = False
        tags.target_tags.two_d_labels = True
        # each sample has a list of labels
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        return tags


def _objects(transcripts):
    """Return transcripts as an array of objects."""
    array = np.empty(len(transcripts), dtype=object)
    array[:] = transcripts
    return array


def _log_softmax(raw):
    wide = raw.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(axis=1, keepdims=True))
    return wide.astype(raw.dtype)
