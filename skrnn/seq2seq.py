"""From sequences to sequences of other lengths: translation, and numbers to numbers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, check_scalar

from skrnn._choices import check_cutoffs, check_hidden_sizes, check_sizes
from skrnn._constraints import constraints_of
from skrnn._deferred import (
    ScheduledTrainer,
    beams,
    generation,
    losses,
    network_of,
    softmax,
    training,
)
from skrnn._learning import LearningEstimator, unchanged_if_refused
from skrnn._samples import StepWeights, Validation, errors_about, held_out_rows
from skrnn._sides import END, Numbers, Texts, holds_texts, is_one_number_each
from skrnn.architecture import Architecture, DecoderPart
from skrnn.callbacks import with_callbacks
from skrnn.sequences import Rows, check_target_index, of_steps
from skrnn.text.tokenizer import UNKNOWN


class Alignment(NamedTuple):
    """What each step of a target attended to.

    Attributes
    ----------
    weights : ndarray of shape (n_target_steps, n_source_steps)
        Rows add up to 1.
    source, target : list of str
        The tokens, or the numbers of steps.
    """

    weights: np.ndarray
    source: list
    target: list


class _Pairs(NamedTuple):
    """Sources and targets as data sets of as many samples."""

    sources: Any
    targets: Any

    def rows(self, rows):
        return _Pairs(Rows(self.sources, rows), self.targets[rows])


class RNNSeq2Seq(LearningEstimator):
    r"""Encoder and decoder with attention: from a sequence to one of another length.

    Recurrent layers read the source, forth and back. Others write the target token by
    token, beginning with a summary of what was read [1]_, and look at each step at the
    steps of the source by attention [2]_ [3]_. In training they read the target's own
    tokens, each a step later; the loss is the mean negative log-likelihood of a token.
    To predict, they read what they have written.

    X and y are texts, each side with a vocabulary of its own, such as sentences in two
    languages. Where X, or y, has sequences of numbers instead, these are standardized,
    and numbers are written by squared error.

    Words of targets keep the white space before them, which makes ``"I'm"`` the tokens
    ``" I"``, ``"'"`` and ``"m"``: so predictions are texts as they are written, and can
    be compared as they are.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of shape (n_layers,), default=(128,)
        Units of each recurrent layer that reads.
    decoder_layer_sizes : int, array-like of shape (n_layers,) or None, default=None
        Units of each recurrent layer that writes. None means as many as those that
        read.
    analyzer : {"char", "word"} or callable, default="word"
        What the tokens of texts are, as in :class:`SequenceTokenizer`. A callable gets
        the texts as they are, whatever `lowercase` says.
    target_analyzer : {"char", "word"}, callable or None, default=None
        The same for targets; None means `analyzer`. Tokens of a callable are joined as
        they are if this gives all training texts again, else by spaces.
    lowercase : bool, default=False
        Convert texts to lowercase first.
    token_pattern : str, default=r"\w+|[^\w\s]"
        What a token is if the analyzer is "word".
    max_features : int or None, default=None
        Keep so many tokens of each side, the most frequent ones.
    min_frequency : int, default=1
        Keep tokens that occur so often in the training texts. With 2 or more the model
        learns what to make of an unknown token.
    unknown_tokens : {"ignore", "error"}, default="ignore"
        What to do with tokens that are not in the vocabulary: read them as one that
        stands for all of them, or raise an error. It is never written.
    cell : {"rnn", "lstm", "gru", "mingru", "janet"}, default="gru"
        The recurrence, see :class:`RNNRegressor`.
    bidirectional : bool, default=True
        Whether sources are read both ways.
    attention : {"dot", "additive"} or None, default="dot"
        How steps of the source are scored: by their product with the state [3]_, or by
        a small network [2]_, which takes longer. None leaves the summary alone, which
        does for short sequences.
    embedding_dim : int or None, default=None
        Numbers that stand for a token. None means as many as the first layer has
        units.
    tied : bool, default=True
        Whether the output layer has the weights of the embedding of targets.
    cutoffs : "auto", array-like of int or None, default="auto"
        The adaptive softmax for large vocabularies, as of :class:`RNNLanguageModel`. It
        needs ``tied=False``, ``label_smoothing=0`` and ``scheduled_sampling=0``: with
        these "auto" chooses it for more than 5000 tokens.
    layer_norm : bool, default=False
        Whether the gates are normalized.
    residual : bool, default=False
        Whether layers but the first add their input to their output.
    dropout : float, default=0.3
        Share of the outputs of layers that is dropped in training.
    input_dropout, recurrent_dropout : float, default=0.0
        Shares of numbers of embeddings and of recurrent connections.
    label_smoothing : float, default=0.1
        Share of a token's probability that goes to all tokens alike in training.
    scheduled_sampling : float, default=0.0
        Share of the tokens read in training that give way to what the model predicts
        [4]_: it rises by equal steps from 0 in the first epoch to this in the last.
        `partial_fit` takes it as it is.
    beam_width : int, default=1
        Targets that are written side by side, of which the best is the prediction. 1
        takes the most likely token at each step. Read when something is predicted, so
        it may be set after fit.
    length_penalty : float, default=1.0
        Targets of a beam are compared by their log-probability over this power of
        their length; with 0 short ones are preferred.
    max_length : int or None, default=None
        Tokens of a prediction at most, its end among them. None means as many as the
        longest training target has, and for sources longer than those in training more
        in proportion.
    solver : {"adam", "adamw", "rmsprop", "sgd"}, default="adam"
        The optimizer.
    alpha : float, default=0.0
        L2 penalty; the rate of decay of "adamw".
    batch_size : int, default=64
        Pairs of a minibatch.
    learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, default="cosine"
        Its course, as of :class:`RNNRegressor`.
    learning_rate_init : float, default=0.004
        The largest learning rate.
    warmup_fraction : float, default=0.1
        Share of all updates in which "cosine" rises to it.
    max_iter : int, default=15
        Epochs.
    max_grad_norm : float or None, default=1.0
        Longer gradients are shortened to it.
    early_stopping : bool, default=False
        Hold out `validation_fraction` of the pairs; stop when their score does not
        rise, and restore the best weights. This score is the mean log-likelihood of a
        token, or of numbers R².
    validation_fraction : float, default=0.1
        What is held out.
    n_iter_no_change : int or numpy.inf, default=10
        Epochs without an improvement by `tol` after which training stops.
    tol : float, default=1e-4
        The smallest improvement that counts.
    random_state : int, RandomState instance or None, default=None
        For the initial weights, the order of the pairs and the noise.
    verbose : bool, default=False
        Whether to print the loss of each epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and the vocabularies there are.
    n_jobs : int or None, default=None
        Threads. The results are the same, bit for bit, for any number.

    Attributes
    ----------
    source_vocabulary_, target_vocabulary_ : dict of str to int or None
        The id of each token; None for numbers. 0 is the end, 1 an unknown token.
    n_features_in_ : int
        The channels of sources, or the columns of a 2-D X; there are none of texts.
    n_channels_in_ : int
        The channels of sources; there are none of texts.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the channels of sources, if they had any.
    loss_curve_ : list of float
        Of each epoch the loss, with label smoothing.
    validation_scores_ : list of float or None
        Of each epoch the score of what is held out.
    n_iter_ : int
        Epochs.
    weights_ : dict of str to ndarray
        The parameters.

    See Also
    --------
    RNNLanguageModel : The probability of texts by themselves.
    skrnn.inspection.AlignmentDisplay : What the words of a translation attended to.
    skrnn.metrics.bleu : How alike translations are.

    References
    ----------
    .. [1] Sutskever, Vinyals and Le, "Sequence to sequence learning with neural
       networks", NeurIPS 2014.
    .. [2] Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to
       align and translate", ICLR 2015.
    .. [3] Luong, Pham and Manning, "Effective approaches to attention-based neural
       machine translation", EMNLP 2015.
    .. [4] Bengio, Vinyals, Jaitly and Shazeer, "Scheduled sampling for sequence
       prediction with recurrent neural networks", NeurIPS 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn import RNNSeq2Seq
    >>> rng = np.random.default_rng(0)
    >>> X = ["".join(rng.choice(list("abcd"), rng.integers(2, 6))) for _ in range(400)]
    >>> y = [text[::-1] for text in X]
    >>> model = RNNSeq2Seq(24, analyzer="char", dropout=0, random_state=0)
    >>> model = model.set_params(learning_rate_init=0.02).fit(X, y)
    >>> model.predict(["abcd", "dab"])
    ['dcba', 'bad']
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (128,),
        *,
        decoder_layer_sizes: int | Sequence[int] | None = None,
        analyzer: str | Callable = "word",
        target_analyzer: str | Callable | None = None,
        lowercase: bool = False,
        token_pattern: str = r"\w+|[^\w\s]",
        max_features: int | None = None,
        min_frequency: int = 1,
        unknown_tokens: str = "ignore",
        cell: str = "gru",
        bidirectional: bool = True,
        attention: str | None = "dot",
        embedding_dim: int | None = None,
        tied: bool = True,
        cutoffs: str | Sequence[int] | None = "auto",
        layer_norm: bool = False,
        residual: bool = False,
        dropout: float = 0.3,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        label_smoothing: float = 0.1,
        scheduled_sampling: float = 0.0,
        beam_width: int = 1,
        length_penalty: float = 1.0,
        max_length: int | None = None,
        solver: str = "adam",
        alpha: float = 0.0,
        batch_size: int = 64,
        learning_rate: str = "cosine",
        learning_rate_init: float = 0.004,
        warmup_fraction: float = 0.1,
        max_iter: int = 15,
        max_grad_norm: float | None = 1.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        tol: float = 1e-4,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
        warm_start: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.decoder_layer_sizes = decoder_layer_sizes
        self.analyzer = analyzer
        self.target_analyzer = target_analyzer
        self.lowercase = lowercase
        self.token_pattern = token_pattern
        self.max_features = max_features
        self.min_frequency = min_frequency
        self.unknown_tokens = unknown_tokens
        self.cell = cell
        self.bidirectional = bidirectional
        self.attention = attention
        self.embedding_dim = embedding_dim
        self.tied = tied
        self.cutoffs = cutoffs
        self.layer_norm = layer_norm
        self.residual = residual
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.recurrent_dropout = recurrent_dropout
        self.label_smoothing = label_smoothing
        self.scheduled_sampling = scheduled_sampling
        self.beam_width = beam_width
        self.length_penalty = length_penalty
        self.max_length = max_length
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.warmup_fraction = warmup_fraction
        self.max_iter = max_iter
        self.max_grad_norm = max_grad_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs

    _parameter_constraints: dict = constraints_of(__init__) | {
        "decoder_layer_sizes": [
            None,
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "analyzer": [StrOptions({"char", "word"}), callable],
        "target_analyzer": [StrOptions({"char", "word"}), callable, None],
        "lowercase": ["boolean"],
        "token_pattern": [str],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "min_frequency": [Interval(Integral, 1, None, closed="left")],
        "attention": [StrOptions({"dot", "additive"}), None],
        "tied": ["boolean"],
        "cutoffs": [StrOptions({"auto"}), "array-like", None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "scheduled_sampling": [Interval(Real, 0, 1, closed="both")],
        "beam_width": [Interval(Integral, 1, None, closed="left")],
        "length_penalty": [Interval(Real, 0, None, closed="left")],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
    }

    # --- fit ------------------------------------------------------------------------

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Learn the vocabularies, or scales, and to write y from X.

        Parameters
        ----------
        X : list, 1-D array, Series or DataFrame of one column of n_samples str
            The sources. Or sequences of numbers in any form that
            :class:`RNNRegressor` takes.
        y : as X
            The targets, of any lengths.
        X_val, y_val : as X and y, default=None
            Pairs whose score is recorded after each epoch, and decides with
            `early_stopping`.

        Returns
        -------
        self : object
            Fitted model.

        Raises
        ------
        ValueError
            If X and y are not as many, a text is empty or has no token, a number is
            not finite, or training diverges.
        """
        return self._fit(X, y, Validation(X_val, y_val))

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any) -> Self:
        """Read pairs once, on from the weights there are.

        The first call learns the vocabularies, or scales.

        Parameters
        ----------
        X, y : as of `fit`

        Returns
        -------
        self : object
            Fitted model.

        Raises
        ------
        ValueError
            As of `fit`; and with ``unknown_tokens="error"`` if a token is not in the
            vocabulary.
        """
        return self._fit(X, y, Validation(), incremental=True)

    def _fit(self, X, y, validation, incremental=False):
        effective_n_jobs(self.n_jobs)  # raises before anything is changed
        continues = hasattr(self, "_parameters") and (incremental or self.warm_start)
        early_stopping = self.early_stopping and not incremental
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(np.iinfo(np.int32).max)
        with unchanged_if_refused(self):
            if continues:
                self._check_same_sides()
            else:
                self._new_sides(X, y)
            pairs = self._read(X, y, learn=not continues)
            if continues:
                self._check_same_network()
            else:
                self._publish_channels()
            held_out = None
            if validation.X is not None:
                with errors_about("the validation set"):
                    held_out = self._read(validation.X, validation.y)
                    self._need_two_steps(held_out)
            elif early_stopping:
                parts = held_out_rows(
                    len(pairs.sources), self.validation_fraction, random_state
                )
                pairs, held_out = (pairs.rows(rows) for rows in parts)
                self._need_two_steps(held_out)
            self._note_lengths(pairs, continues)
            if not continues:
                self._start(seed)
        self._train(X, y, pairs, held_out, seed, early_stopping, incremental)
        return self

    def _new_sides(self, X, y):
        """Begin to learn what X and y are made of."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but "
                "the target y is None."
            )
        self._source = self._side(holds_texts(X), written=False)
        self._target = self._side(holds_texts(y), written=True)
        if not self._target.is_text and is_one_number_each(y):
            raise ValueError(
                "y must hold a text, or a sequence of numbers, for each sample, but it "
                "has one number for each: RNNRegressor and RNNClassifier are for that."
            )

    def _check_same_sides(self):
        """Raise if the hyperparameters would now read X and y in another way."""
        self._source.check_same(self._side(self._source.is_text, written=False))
        self._target.check_same(self._side(self._target.is_text, written=True))

    def _side(self, is_text, written):
        """Return what learns how sources, or what is written, are made."""
        if not is_text:
            # channels of its own, and errors that have this name
            return Numbers(keeper=type(self)())
        analyzer = self.analyzer
        if written and self.target_analyzer is not None:
            analyzer = self.target_analyzer
        return Texts(
            analyzer,
            written,
            self.lowercase,
            self.token_pattern,
            self.max_features,
            self.min_frequency,
        )

    def _publish_channels(self):
        """Set what is known of the channels of X: of texts, nothing."""
        known = vars(self._source.keeper) if not self._source.is_text else {}
        for name in ("n_features_in_", "n_channels_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if name in known:
                setattr(self, name, known[name])

    def _read(self, X, y, *, learn=False, may_be_empty=False):
        """Return X and y as data sets; texts of y may have no token if that is said."""
        sources = self._source.learn(X) if learn else self._read_sources(X)
        with errors_about("y"):
            if learn:
                targets = self._target.learn(y)
            else:
                targets = self._target.read(y, self.unknown_tokens, may_be_empty)
        if len(sources) != len(targets):
            raise ValueError(
                "Found input variables with inconsistent numbers of samples: "
                f"X has {len(sources)}, y has {len(targets)}."
            )
        check_target_index(sources, y)
        if not self._target.is_text:
            targets = self._target.standardized(targets)
        return _Pairs(sources, targets)

    def _read_sources(self, X):
        return self._source.read(X, self.unknown_tokens)

    def _note_lengths(self, pairs, continues):
        """Note how long sources and targets are: what is written goes by that."""
        sources, targets = (part.lengths for part in pairs)
        longest = int(sources.max()), int(targets.max())
        lengths = {*targets.tolist()}
        if continues:
            longest = tuple(map(max, longest, self._longest))
            lengths.add(self._n_steps)
        self._longest = longest
        # of targets of numbers, unless it is told
        self._n_steps = lengths.pop() if len(lengths) == 1 else None

    def _new_architecture(self):
        sizes = check_hidden_sizes(self)
        source, target = self._source, self._target
        embedding_dim = int(self.embedding_dim or sizes[0])
        decoder = DecoderPart(
            self._decoder_sizes(sizes),
            n_channels=target.n_channels,
            n_tokens=target.n_tokens,
            embedding_dim=embedding_dim if target.is_text else 0,
            attention=self.attention,
        )
        return Architecture(
            cell=self.cell,
            activation="tanh",
            n_inputs=source.n_channels,
            hidden_layer_sizes=sizes,
            n_outputs=target.n_tokens or target.n_channels,
            bidirectional=bool(self.bidirectional),
            residual=bool(self.residual),
            layer_norm=bool(self.layer_norm),
            pooling=None,
            n_tokens=((0, source.n_tokens),) if source.is_text else (),
            embedding_dim=embedding_dim if source.is_text else 0,
            decoder=decoder,
            tied=bool(self.tied) and target.is_text,
            cutoffs=self._cutoffs() if target.is_text else (),
        )

    def _cutoffs(self):
        # which have a prediction for each token
        others = "label_smoothing", "scheduled_sampling"
        return check_cutoffs(self, self._target.n_tokens, excluded=others)

    def _decoder_sizes(self, sizes):
        if self.decoder_layer_sizes is None:
            return sizes
        sizes = check_sizes("decoder_layer_sizes", self.decoder_layer_sizes)
        if self.residual and len(set(sizes)) > 1:
            raise ValueError(
                "residual=True adds the input of each layer but the first to its "
                f"output, so they must be as wide, but decoder_layer_sizes={sizes}."
            )
        return sizes

    def _start(self, seed):
        """Initialize the network: it begins with how frequent each token is."""
        dtype = np.dtype(np.float32) if self._source.is_text else self._source.dtype
        views = self._begin(self._new_architecture(), dtype, seed)
        # where nothing is unknown in training, that stays without an influence
        if self._source.is_text:
            views["embedding.0.vectors"][UNKNOWN] = 0.0
        if self._target.is_text:
            views["decoder.embedding.0.vectors"][UNKNOWN] = 0.0
            counts = self._target.counts + 0.5
            if not self._architecture.cutoffs:
                views["output.bias"][:] = np.log(counts / counts.sum())

    def _train(self, X, y, pairs, held_out, seed, early_stopping, incremental):
        lengths = pairs.targets.lengths
        n, dtype = len(lengths), self._parameters.dtype
        training_set = training.TrainingSet(
            pairs.sources,
            np.arange(n),
            pairs.targets,
            StepWeights(np.broadcast_to(1.0, (n,)), None, lengths),
            lengths.astype(np.float64),
            *self._source.scaling(dtype),
        )
        loss, levels = losses.squared_error, np.zeros(1)
        if self._target.is_text:
            loss = losses.multiclass_log_loss
            levels[0] = self.label_smoothing
        if self._architecture.cutoffs:
            loss = losses.OwnLoss()
        self._n_epochs = 1 if incremental else self.max_iter
        self._learn(
            X,
            y,
            training_set,
            loss=loss,
            levels=levels,
            batch_size=min(self.batch_size, n),
            score=None if held_out is None else lambda: self._finite_score(held_out),
            seed=seed,
            early_stopping=early_stopping,
            incremental=incremental,
        )

    def _make_trainer(self, *args, **kwargs):
        if not self.scheduled_sampling:
            return super()._make_trainer(*args, **kwargs)
        rate = float(self.scheduled_sampling)
        return ScheduledTrainer(rate, self._n_epochs, *args, **kwargs)

    def _finite_score(self, pairs):
        """Return the validation score: of tokens the mean log-likelihood, or R²."""
        if self._target.is_text:
            told = self._log_probabilities(pairs)
        else:
            told = self._written_numbers(pairs.sources, pairs.targets.lengths)
        if not all(np.isfinite(of_pair).all() for of_pair in told):
            raise training.Divergence
        if not self._target.is_text:
            return _r2(pairs.targets, told)
        return float(np.concatenate(told).mean())

    # --- predictions ----------------------------------------------------------------

    def predict(self, X: Any, *, n_steps: Any = None) -> Any:
        """Write the target of each source.

        Parameters
        ----------
        X : as in fit
            The sources. What is unknown in a text is passed over as well as can be,
            though nothing of it may be known.
        n_steps : int, array-like of shape (n_samples,) or None, default=None
            Steps to write, of numbers alone, which know no end. None means as many as
            all training targets had.

        Returns
        -------
        y : list of str
            Or numbers: an array where y in fit was one and all have as many steps,
            else a list of arrays.

        Raises
        ------
        ValueError
            If X is not what the model was fitted to, or numbers are to be written and
            nobody says how many.
        """
        check_is_fitted(self)
        sources = self._read_sources(X)
        if not self._target.is_text:
            written = self._written_numbers(sources, self._steps_of(sources, n_steps))
            return self._target.as_given(written)
        if n_steps is not None:
            raise ValueError("n_steps is for numbers: texts end by themselves.")
        found = self._search(sources, 1)
        return [self._target.text_of(best[0].tokens) for best in found]

    def predict_n_best(self, X: Any, n: int = 5) -> list[list[tuple[str, float]]]:
        """Return several targets of each source, the best first.

        Parameters
        ----------
        X : as in fit
            The sources.
        n : int, default=5
            Targets of each. The beam is as wide, or `beam_width` if that is more.

        Returns
        -------
        targets : list of n_samples lists of (str, float)
            Texts and their log-probabilities, in the order of the latter divided by
            a power of the length, see `length_penalty`. These are those of the tokens
            as they were written, as of `log_prob`. A text that was cut off, see
            `max_length`, comes last, and without the probability of an end.

        Raises
        ------
        ValueError
            As of `predict`; and if the targets are numbers.
        """
        check_is_fitted(self)
        check_scalar(n, "n", Integral, min_val=1)
        self._need_texts("predict_n_best")
        return [
            [(self._target.text_of(one.tokens), one.log_probability) for one in best]
            for best in self._search(self._read_sources(X), n)
        ]

    def log_prob(self, X: Any, y: Any) -> np.ndarray:
        """Return the logarithm of the probability of each target, given its source.

        Parameters
        ----------
        X, y : as in fit
            Sources and targets, which may be empty here.

        Returns
        -------
        log_prob : ndarray of float64 of shape (n_samples,)
            In nats: the sum over the tokens and the end.

        Raises
        ------
        ValueError
            If X and y are not as many, or not what the model was fitted to.
        """
        check_is_fitted(self)
        self._need_texts("log_prob")
        logs = self._log_probabilities(self._read(X, y, may_be_empty=True))
        return np.array([of_pair.sum() for of_pair in logs])

    def score(self, X: Any, y: Any) -> float:
        """Return the share of targets that are predicted exactly, or of numbers R².

        Parameters
        ----------
        X, y : as in fit
            Sources and targets. With `lowercase` capitals make no difference; an
            unknown token is never right.

        Returns
        -------
        score : float
            R² is that of all steps, as many as each target has.

        Raises
        ------
        ValueError
            As of `log_prob`.
        """
        check_is_fitted(self)
        pairs = self._read(X, y, may_be_empty=True)
        if not self._target.is_text:
            self._need_two_steps(pairs)
            lengths = pairs.targets.lengths
            return _r2(pairs.targets, self._written_numbers(pairs.sources, lengths))
        truth = self._target.normalized(y)
        found = self._search(pairs.sources, 1)
        right = [
            self._target.text_of(best[0].tokens) == text
            for best, text in zip(found, truth, strict=True)
        ]
        return float(np.mean(right))

    def attention_weights(self, X: Any, y: Any = None) -> list[Alignment]:
        """Return how much each step of a target attends to each step of its source.

        Parameters
        ----------
        X : as in fit
            The sources.
        y : as in fit, default=None
            The targets; None means those that are predicted.

        Returns
        -------
        alignments : list of n_samples Alignment
            With ``weights`` of shape (n_target_steps, n_source_steps), rows of which
            add up to 1, and the tokens, or numbers of steps, ``source`` and
            ``target``. The end of a text has no row.

        Raises
        ------
        ValueError
            As of `log_prob`; and if there is no attention.
        """
        check_is_fitted(self)
        if self._architecture.decoder.attention is None:
            raise ValueError(
                "The model was fitted without attention: set attention to 'dot'."
            )
        if y is None:
            pairs = self._with_predictions(X)
        else:
            pairs = self._read(X, y, may_be_empty=True)
        found = generation.alignments(
            self._model(), pairs.sources, pairs.targets, self._n_threads()
        )
        sources = self._source.labels(pairs.sources)
        targets = self._target.labels(pairs.targets)
        if self._target.is_text:  # the end has no row
            found = [weights[:-1] for weights in found]
            targets = [target[:-1] for target in targets]
        parts = zip(found, sources, targets, strict=True)
        return [Alignment(*of_pair) for of_pair in parts]

    def _with_predictions(self, X):
        """Return sources and what is written of them as data sets."""
        sources = self._read_sources(X)
        if self._target.is_text:
            found = [best[0].tokens for best in self._search(sources, 1)]
            return _Pairs(sources, self._target.data_of(found))
        steps = self._steps_of(sources, None)
        written = np.concatenate(self._written_numbers(sources, steps))
        return _Pairs(sources, of_steps(written, steps))

    def _need_two_steps(self, pairs):
        if not self._target.is_text and pairs.targets.lengths.sum() < 2:
            raise ValueError(
                "R² of numbers compares steps: it needs two of them at least, but the "
                "targets have one."
            )

    def _need_texts(self, method):
        if not self._target.is_text:
            raise ValueError(
                f"{method} is for texts, but the targets in fit were numbers."
            )

    def _model(self):
        """Return the network as `skrnn.generation` takes it."""
        architecture, parameters = self._architecture, self._parameters
        scaling = self._source.scaling(parameters.dtype)
        if not architecture.cutoffs:
            return generation.Model(network_of(architecture), parameters, *scaling)
        body = network_of(replace(architecture, n_outputs=0, cutoffs=()))
        return generation.Model(
            body,
            parameters[: body.layout.size],
            *scaling,
            softmax.softmax_of(network_of(architecture), parameters),
        )

    def _n_threads(self):
        return effective_n_jobs(self.n_jobs)

    def _log_probabilities(self, pairs):
        return generation.log_probabilities(
            self._model(), pairs.sources, pairs.targets, self._n_threads()
        )

    def _search(self, sources, n_best):
        """Return the best targets of each source."""
        self._validate_params()  # some may have been set since fit
        longest_source, longest_target = self._longest
        steps = np.maximum(sources.lengths / longest_source, 1.0) * longest_target
        steps = np.ceil(steps).astype(np.int64)
        if self.max_length is not None:
            steps[:] = self.max_length
        return beams.beam_search(
            self._model(),
            sources,
            END,
            steps,
            width=max(self.beam_width, n_best),
            n_best=n_best,
            length_penalty=float(self.length_penalty),
            never=(UNKNOWN,),
            n_threads=self._n_threads(),
        )

    def _steps_of(self, sources, n_steps):
        """Return how many steps of numbers to write for each source."""
        if n_steps is None:
            n_steps = self._n_steps
        if n_steps is None:
            raise ValueError(
                "The targets in fit had different numbers of steps, and numbers know "
                "no end: pass n_steps, an integer or one for each source."
            )
        steps = np.asarray(n_steps)
        if steps.dtype.kind not in "iu" or steps.ndim > 1 or (steps < 1).any():
            raise ValueError(f"n_steps must be positive integers, got {n_steps!r}.")
        if steps.ndim and len(steps) != len(sources):
            raise ValueError(
                f"n_steps has {len(steps)} numbers for {len(sources)} sources."
            )
        return np.broadcast_to(steps, (len(sources),)).astype(np.int64)

    def _written_numbers(self, sources, n_steps):
        return generation.write_numbers(
            self._model(), sources, n_steps, self._n_threads()
        )

    # --- texts and ids --------------------------------------------------------------

    @property
    def source_vocabulary_(self) -> dict[str, int] | None:
        """The id of each token of sources; None for numbers."""
        return self._source.tokenizer.vocabulary_ if self._source.is_text else None

    @property
    def target_vocabulary_(self) -> dict[str, int] | None:
        """The id of each token of targets; None for numbers."""
        return self._target.tokenizer.vocabulary_ if self._target.is_text else None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        tags.target_tags.one_d_labels = False
        return tags


def _r2(targets, written):
    """Return R² over all steps, the mean over the channels."""
    # imported here: a tenth of a second that few need
    from sklearn.metrics import r2_score

    return float(r2_score(targets.take(slice(None)), np.concatenate(written)))
