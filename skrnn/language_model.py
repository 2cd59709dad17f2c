"""Language models: the probability of each next character or word."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, check_scalar

from skrnn._choices import check_cutoffs, check_hidden_sizes
from skrnn._constraints import constraints_of
from skrnn._deferred import losses, stateful, training
from skrnn._learning import LearningEstimator, unchanged_if_refused
from skrnn._samples import errors_about
from skrnn.architecture import Architecture
from skrnn.callbacks import with_callbacks
from skrnn.text.documents import (
    BOUNDARY,
    between,
    check_same_reading,
    hold_out,
    ids_of,
    in_a_row,
    listed,
    refuse_unknown,
)
from skrnn.text.next_token import NextToken
from skrnn.text.tokenizer import UNKNOWN, SequenceTokenizer
from skrnn.text.writing import draw, written
from skrnn.threads import one_blas_thread

# Of e, for a float64.
MAX_EXPONENT = math.log(np.finfo(np.float64).max)


class RNNLanguageModel(LearningEstimator):
    r"""The probability of each next character or word of a text, and new text.

    The network reads a text token by token and predicts the next one from all before
    it. It is trained by truncated back-propagation through time [1]_: the texts, one
    after the other, are cut into `batch_size` streams that are read side by side, with
    an update after each `bptt_steps` tokens, from where on the states are carried.

    Each text begins with a boundary, and where the model was fitted to several texts it
    also predicts their ends.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of shape (n_layers,), default=(128,)
        Units of each recurrent layer.
    analyzer : {"char", "word"} or callable, default="char"
        What the tokens are, as in :class:`SequenceTokenizer`. Those of a callable are
        joined as they are if this gives all training texts again, else by spaces.
    lowercase : bool, default=False
        Convert texts to lowercase first.
    token_pattern : str, default=r"\w+|[^\w\s]"
        What a token is if ``analyzer="word"``. White space does not come back then:
        texts are generated with a space between tokens.
    max_features : int or None, default=None
        Keep so many tokens, the most frequent ones.
    min_frequency : int, default=1
        Keep tokens that occur so often in the training texts. With 2 or more the model
        learns when to expect an unknown token.
    unknown_tokens : {"ignore", "error"}, default="ignore"
        What to do with tokens that are not in the vocabulary: read them as one that
        stands for all of them, or raise an error.
    cell : {"rnn", "lstm", "gru", "mingru", "janet"}, default="lstm"
        The recurrence, see :class:`RNNRegressor`.
    embedding_dim : int or None, default=None
        Numbers that stand for a token. None means as many as the first layer has
        units.
    tied : bool, default=False
        Whether the output layer has the weights of the embedding [2]_: fewer
        parameters, better for words.
    cutoffs : "auto", array-like of int or None, default="auto"
        The adaptive softmax [3]_ for large vocabularies: the first of these ranks ends
        the most frequent tokens, between the others lie classes of rarer ones, which
        cost less. None means a softmax over all tokens; "auto" chooses it up to
        5000 tokens, and for any number with `tied`, which cannot be divided.
    layer_norm : bool, default=False
        Whether the gates are normalized.
    residual : bool, default=False
        Whether layers but the first add their input to their output.
    dropout, input_dropout, recurrent_dropout : float, default=0.0
        Shares of outputs of layers, of numbers of embeddings and of recurrent
        connections that are dropped in training.
    bptt_steps : int, default=64
        Tokens of each stream in an update.
    batch_size : int, default=32
        Streams; fewer are taken of texts with fewer tokens than `batch_size` times
        `bptt_steps`.
    solver : {"adam", "adamw", "rmsprop", "sgd"}, default="adam"
        The optimizer.
    alpha : float, default=0.0
        L2 penalty; the rate of decay of "adamw".
    learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, default="cosine"
        Its course, as of :class:`RNNRegressor`.
    learning_rate_init : float, default=0.005
        The largest learning rate.
    warmup_fraction : float, default=0.05
        Share of all updates in which "cosine" rises to it.
    max_iter : int, default=10
        Epochs: how often the texts are read.
    max_grad_norm : float or None, default=1.0
        Longer gradients are shortened to it.
    early_stopping : bool, default=False
        Hold out `validation_fraction` of the texts, or the end of a single one; stop
        when its score does not rise, and restore the best weights.
    validation_fraction : float, default=0.1
        What is held out.
    n_iter_no_change : int or numpy.inf, default=10
        Epochs without an improvement by `tol` after which training stops.
    tol : float, default=1e-4
        The smallest improvement that counts, in nats per token.
    random_state : int, RandomState instance or None, default=None
        For the initial weights, the order of the texts and the noise.
    verbose : bool, default=False
        Whether to print the loss of each epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and the vocabulary there are.
    n_jobs : int or None, default=None
        Threads. The results are the same, bit for bit, for any number.

    Attributes
    ----------
    tokenizer_ : SequenceTokenizer
        The fitted vocabulary.
    vocabulary_ : dict of str to int
        The id of each token.
    n_tokens_ : int
        Ids, with those of the boundary, 0, and of unknown tokens, 1.
    loss_curve_ : list of float
        Of each epoch the mean negative log-likelihood of a token, in nats.
    validation_scores_ : list of float or None
        Of each epoch the score of what is held out.
    n_iter_ : int
        Epochs.
    weights_ : dict of str to ndarray
        The parameters.

    References
    ----------
    .. [1] Williams and Peng, "An efficient gradient-based algorithm for on-line
       training of recurrent network trajectories", Neural Computation 2, 1990.
    .. [2] Press and Wolf, "Using the output embedding to improve language models",
       EACL 2017.
    .. [3] Grave, Joulin, Cissé, Grangier and Jégou, "Efficient softmax approximation
       for GPUs", ICML 2017.

    Examples
    --------
    >>> from skrnn import RNNLanguageModel
    >>> text = "to be or not to be, that is the question. " * 50
    >>> model = RNNLanguageModel(32, max_iter=60, bptt_steps=16, random_state=0)
    >>> model = model.fit(text)
    >>> model.generate("to be", 26, temperature=0)
    'to be or not to be, that is the'
    >>> model.score(text) > -0.1  # nats per character
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (128,),
        *,
        analyzer: str | Callable = "char",
        lowercase: bool = False,
        token_pattern: str = r"\w+|[^\w\s]",
        max_features: int | None = None,
        min_frequency: int = 1,
        unknown_tokens: str = "ignore",
        cell: str = "lstm",
        embedding_dim: int | None = None,
        tied: bool = False,
        cutoffs: str | Sequence[int] | None = "auto",
        layer_norm: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        bptt_steps: int = 64,
        batch_size: int = 32,
        solver: str = "adam",
        alpha: float = 0.0,
        learning_rate: str = "cosine",
        learning_rate_init: float = 0.005,
        warmup_fraction: float = 0.05,
        max_iter: int = 10,
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
        self.analyzer = analyzer
        self.lowercase = lowercase
        self.token_pattern = token_pattern
        self.max_features = max_features
        self.min_frequency = min_frequency
        self.unknown_tokens = unknown_tokens
        self.cell = cell
        self.embedding_dim = embedding_dim
        self.tied = tied
        self.cutoffs = cutoffs
        self.layer_norm = layer_norm
        self.residual = residual
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.recurrent_dropout = recurrent_dropout
        self.bptt_steps = bptt_steps
        self.batch_size = batch_size
        self.solver = solver
        self.alpha = alpha
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
        "analyzer": [StrOptions({"char", "word"}), callable],
        "lowercase": ["boolean"],
        "token_pattern": [str],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "min_frequency": [Interval(Integral, 1, None, closed="left")],
        "tied": ["boolean"],
        "cutoffs": [StrOptions({"auto"}), "array-like", None],
        "bptt_steps": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
    }

    shuffle = False  # segments go on one after the other

    # --- fit ------------------------------------------------------------------------

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, *, X_val: Any = None) -> Self:
        """Learn the vocabulary and the probabilities of its tokens.

        Parameters
        ----------
        X : str, or list, 1-D array, Series or DataFrame of one column of n_texts str
            One text or several.
        y : None
            Ignored.
        X_val : as X, default=None
            Texts whose score is recorded after each epoch, and decides with
            `early_stopping`.

        Returns
        -------
        self : object
            Fitted model.

        Raises
        ------
        ValueError
            If X is no text, a text is empty or has no token, or training diverges.
        """
        return self._fit(X, X_val)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Read texts once, on from the weights there are.

        The first call learns the vocabulary; further ones may be used to fine-tune the
        model on another author's texts.

        Parameters
        ----------
        X : str, or list, 1-D array, Series or DataFrame of one column of n_texts str
            One text or several.
        y : None
            Ignored.

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
        return self._fit(X, None, incremental=True)

    def _fit(self, X, X_val, incremental=False):
        effective_n_jobs(self.n_jobs)  # raises before anything is changed
        continues = hasattr(self, "_parameters") and (incremental or self.warm_start)
        early_stopping = self.early_stopping and not incremental
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(np.iinfo(np.int32).max)
        with unchanged_if_refused(self):
            tokenizer = SequenceTokenizer(
                self.analyzer,
                lowercase=self.lowercase,
                token_pattern=self.token_pattern,
                max_features=self.max_features,
                min_frequency=self.min_frequency,
            )
            if continues:
                before, now = self.tokenizer_.get_params(), tokenizer.get_params()
                check_same_reading(before, now)
                ids = self._ids(X)
                self._check_same_network()
            else:
                self.tokenizer_ = tokenizer
                texts = listed(X)
                ids = ids_of(texts, self.tokenizer_, learn=True)
                self._closes = len(ids) > 1
                self._between = between(self.analyzer, texts)
            held_out = None
            if X_val is not None:
                with errors_about("the validation set"):
                    held_out = self._ids(X_val)
            elif early_stopping:
                ids, held_out = hold_out(ids, self.validation_fraction, random_state)
            if not continues:
                self._start(ids, seed)
        numbers = in_a_row(ids, random_state)
        self._train(X, numbers, held_out, seed, early_stopping, incremental)
        return self

    def _new_architecture(self):
        sizes = check_hidden_sizes(self)
        n_tokens = self.tokenizer_.n_tokens_
        return Architecture(
            cell=self.cell,
            activation="tanh",
            n_inputs=1,
            hidden_layer_sizes=sizes,
            n_outputs=n_tokens,
            residual=bool(self.residual),
            layer_norm=bool(self.layer_norm),
            pooling=None,
            n_tokens=((0, n_tokens),),
            embedding_dim=self.embedding_dim or sizes[0],
            products_of_tokens=True,
            tied=bool(self.tied),
            cutoffs=check_cutoffs(self, n_tokens),
        )

    def _start(self, ids, seed):
        """Initialize the network: it begins with how frequent each token is."""
        views = self._begin(self._new_architecture(), np.dtype(np.float32), seed)
        # where nothing is unknown in training, that stays without an influence
        views["embedding.0.vectors"][UNKNOWN] = 0.0
        counts = np.bincount(np.concatenate(ids), minlength=self.n_tokens_)
        counts[BOUNDARY] = len(ids)
        if "output.bias" in views and len(views["output.bias"]) == len(counts):
            views["output.bias"][:] = np.log((counts + 0.5) / (counts + 0.5).sum())

    def _train(self, X, numbers, held_out, seed, early_stopping, incremental):
        n = len(numbers) - 1
        n_streams = max(1, min(self.batch_size, n // self.bptt_steps))
        inputs, targets, weights = (
            stateful.Segments(part, n_streams, self.bptt_steps)
            for part in (numbers[:-1], numbers[1:], np.broadcast_to(1.0, (n,)))
        )
        training_set = training.TrainingSet(
            inputs,
            np.arange(len(inputs)),
            targets,
            weights,
            inputs.lengths.astype(np.float64),
            np.zeros(1, np.float32),
            np.ones(1, np.float32),
        )
        loss = losses.multiclass_log_loss
        if self._architecture.cutoffs:
            loss = losses.OwnLoss()
        self._learn(
            X,
            None,
            training_set,
            loss=loss,
            levels=np.zeros(1),
            batch_size=n_streams,
            score=None if held_out is None else lambda: self._finite_score(held_out),
            seed=seed,
            early_stopping=early_stopping,
            incremental=incremental,
        )

    def _make_trainer(self, *args, **kwargs):
        return stateful.StatefulTrainer(*args, **kwargs)

    def _finite_score(self, ids):
        score = self._mean_log_probability(ids)
        if not math.isfinite(score):
            raise training.Divergence
        return score

    # --- probabilities --------------------------------------------------------------

    def log_prob(self, X: Any) -> np.ndarray:
        """Return the logarithm of the probability of each text.

        Parameters
        ----------
        X : str, or list, 1-D array, Series or DataFrame of one column of n_texts str

        Returns
        -------
        log_prob : ndarray of float64 of shape (n_texts,)
            In nats: the sum over the tokens, and the end of the text where the model
            was fitted to several texts.

        Raises
        ------
        ValueError
            If X is no text, or a text has no token.
        """
        check_is_fitted(self)
        return self._log_probabilities(self._ids(X))

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean log-likelihood of a token, in nats: higher is better.

        Parameters
        ----------
        X : str, or list, 1-D array, Series or DataFrame of one column of n_texts str
        y : None
            Ignored.

        Returns
        -------
        score : float
            Ends of texts are tokens too where the model was fitted to several texts.

        Raises
        ------
        ValueError
            As of `log_prob`.
        """
        check_is_fitted(self)
        return self._mean_log_probability(self._ids(X))

    def perplexity(self, X: Any) -> float:
        """Return the exponential of minus the `score`: lower is better.

        Parameters
        ----------
        X : str, or list, 1-D array, Series or DataFrame of one column of n_texts str

        Returns
        -------
        perplexity : float
            Infinite where it is beyond all floats.
        """
        score = self.score(X)
        return math.exp(-score) if score > -MAX_EXPONENT else math.inf

    def bits_per_char(self, X: Any) -> float:
        """Return the bits that a character of the texts takes on average.

        Models of characters and of words can be compared by it, but for what words
        leave out: white space, and what unknown tokens stand for.

        Parameters
        ----------
        X : str, or list, 1-D array, Series or DataFrame of one column of n_texts str

        Returns
        -------
        bits : float
        """
        n_chars = sum(len(text) for text in listed(X))
        return float(-self.log_prob(X).sum() / math.log(2.0) / n_chars)

    def _mean_log_probability(self, ids):
        n_predicted = sum(len(text) + self._closes for text in ids)
        return float(self._log_probabilities(ids).sum() / n_predicted)

    def _log_probabilities(self, ids):
        n_threads = effective_n_jobs(self.n_jobs)
        return self._next_token().of_texts(ids, self._closes, n_threads)

    def _next_token(self):
        return NextToken(self._architecture, self._parameters)

    # --- new text -------------------------------------------------------------------

    def generate(
        self,
        prompt: str | Sequence[str] = "",
        length: int = 200,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        stop: str | Sequence[str] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> str | list[str]:
        """Write on from a prompt, token by token, each drawn from its probabilities.

        Parameters
        ----------
        prompt : str or list of str, default=""
            How the text begins. Several are gone on with side by side.
        length : int, default=200
            Tokens to add at most. A text may end before, where the model was fitted to
            several texts and so knows their ends.
        temperature : float, default=1.0
            Below 1 likely tokens are drawn more often than their probabilities say,
            above 1 less often; 0 takes the most likely one.
        top_k : int or None, default=None
            Draw among the so many most likely tokens only.
        top_p : float, default=1.0
            Draw among the fewest tokens that have this probability together.
        stop : str, list of str or None, default=None
            The text ends before the first of these after the prompt.
        random_state : int, RandomState instance or None, default=None
            For the draws.

        Returns
        -------
        text : str or list of str
            The prompt and what follows it.

        Raises
        ------
        ValueError
            If no token of a prompt is in the vocabulary, or one is not and
            ``unknown_tokens="error"``.
        """
        prompts = [prompt] if isinstance(prompt, str) else prompt
        if isinstance(prompts, bytes) or not isinstance(prompts, Iterable):
            raise TypeError(f"prompt must be a str or a list of str, got {prompt!r}.")
        prompts = list(prompts)
        if not prompts:
            return []
        pieces = [[text] for text in prompts]
        options = (length, temperature, top_k, top_p, stop, random_state)
        with one_blas_thread():  # which token is drawn may hang on the last digit
            for new in self._pieces(prompts, *options):
                for text, piece in zip(pieces, new, strict=True):
                    text.append(piece)
        texts = ["".join(text) for text in pieces]
        return texts[0] if isinstance(prompt, str) else texts

    def stream(
        self,
        prompt: str = "",
        length: int = 200,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        stop: str | Sequence[str] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> Iterator[str]:
        """Yield what `generate` adds to a prompt, as it is drawn.

        Parameters
        ----------
        prompt, length, temperature, top_k, top_p, stop, random_state
            As of `generate`, for one prompt.

        Yields
        ------
        piece : str
            A token, or more where it must be seen first whether `stop` has begun.
        """
        if not isinstance(prompt, str):
            raise TypeError(f"stream goes on with one prompt, a str, got {prompt!r}.")
        options = (length, temperature, top_k, top_p, stop, random_state)
        pieces = self._pieces([prompt], *options)
        return (piece for (piece,) in pieces if piece)

    def _pieces(self, prompts, length, temperature, top_k, top_p, stop, random_state):
        """Check what was asked for; return an iterator over new pieces of the texts."""
        check_is_fitted(self)
        check_scalar(length, "length", Integral, min_val=0)
        check_scalar(temperature, "temperature", Real, min_val=0.0)
        if not math.isfinite(temperature):
            raise ValueError(f"temperature must be finite, got {temperature}.")
        check_scalar(
            top_p, "top_p", Real, min_val=0.0, max_val=1.0, include_boundaries="right"
        )
        if math.isnan(top_p):
            raise ValueError("top_p must be a number, got NaN.")
        if top_k is not None:
            check_scalar(top_k, "top_k", Integral, min_val=1)
        stops = [stop] if isinstance(stop, str) else stop or []
        if not isinstance(stops, Iterable) or not all(
            isinstance(text, str) and text for text in stops
        ):
            raise ValueError(f"stop must hold texts that are not empty, got {stop!r}.")
        beginnings = [self._prompt_ids(text) for text in prompts]
        drawn = draw(
            self._next_token(),
            beginnings,
            length,
            self._closes,
            check_random_state(random_state),
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
        )
        strings = ["", "", *self.vocabulary_]
        begun = [bool(prompt) for prompt in prompts]
        return written(drawn, strings, self._between, begun, stops)

    def _prompt_ids(self, prompt):
        """Return the ids of a prompt, of which there may be none."""
        if not isinstance(prompt, str):
            raise TypeError(f"A prompt must be a str, got {prompt!r}.")
        if not prompt:
            return np.array([], dtype=np.intp)
        ids = self.tokenizer_.transform([prompt])[0][:, 0].astype(np.intp)
        if (ids == UNKNOWN).all():
            raise ValueError(
                f"No token of the prompt {prompt!r} is in the vocabulary, which has "
                f"{list(self.vocabulary_)[:5]} and others."
            )
        if self.unknown_tokens == "error":
            refuse_unknown([ids], [prompt], self.tokenizer_)
        return ids

    # --- texts and ids --------------------------------------------------------------

    @property
    def vocabulary_(self) -> dict[str, int]:
        """The id of each token."""
        return self.tokenizer_.vocabulary_

    @property
    def n_tokens_(self) -> int:
        """The number of ids."""
        return self.tokenizer_.n_tokens_

    def _ids(self, X):
        """Return the ids of each text, by the vocabulary there is."""
        texts = listed(X)
        ids = ids_of(texts, self.tokenizer_)
        if self.unknown_tokens == "error":
            refuse_unknown(ids, texts, self.tokenizer_)
        return ids

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags
