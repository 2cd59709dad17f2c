"""Regression from sequences."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_y, column_or_1d

from skrnn._base import BaseRNN
from skrnn._constraints import CONSTRAINTS
from skrnn._deferred import losses
from skrnn._samples import Validation
from skrnn.callbacks import with_callbacks
from skrnn.scaling import target_statistics
from skrnn.sequences.numeric import holds_strings


class RNNRegressor(RegressorMixin, BaseRNN):
    """Recurrent network for regression from sequences.

    Recurrent layers read the steps of a sequence, and a dense layer maps the state
    after its last step, or what else `pooling` makes of the states, to one or several
    outputs; with `return_sequences` the state after each step to those of that step.

    Sequences may be of any length. X may be

    - an array of shape (n_samples, n_timesteps, n_channels);
    - a 2-D array or wide frame with one univariate series a row, for instance the
      lags of a forecast; or, with `n_channels`, with a flattened sequence a row;
    - a list or object array of arrays of shape (length, n_channels), `Sequences`, or a
      frame with a two-level (instance, time) index, for sequences of unequal length.

    `Sequences` tells how such a set is made of pandas objects.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(64,)
        Units of each recurrent layer, from the input up.
    cell : {"rnn", "lstm", "gru", "mingru", "janet"}, default="gru"
        The recurrence: the simple one [1]_, long short-term memory [2]_ with a forget
        gate [3]_, the gated recurrent unit [4]_ with the reset gate after the
        product, as in cuDNN, a minimal one [18]_ whose gates hang on the inputs
        alone: quick, and good at remembering over many steps, or the LSTM with
        nothing but its forget gate [19]_: half the weights, and half the time.
    activation : {"tanh", "relu", "logistic", "identity"}, default="tanh"
        Activation of ``cell="rnn"``. The other cells have their own and ignore it.
    loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson"}, \
            default="squared_error"
        What is minimized: half the squared error; the absolute error, whose best
        prediction is the median; huber's mixture of both; the pinball loss of
        `quantile`; or half the Poisson deviance of counts, with a logarithmic link.
    quantile : float or array-like of float, default=0.5
        Level or levels of ``loss="quantile"``, in (0, 1). Several levels are predicted
        by one network and never cross.
    huber_delta : float, default=1.0
        Where ``loss="huber"`` turns from squared to linear, in units of the
        standardized target.
    bidirectional : bool, default=False
        Whether each layer also reads the sequences backwards [8]_: `hidden_layer_sizes`
        units each way. The whole sequence must then be known before the first
        prediction.
    residual : bool, default=False
        Whether each layer but the first adds its input to its output [9]_, for which
        all must have the same number of units. Lets deep stacks learn.
    layer_norm : bool, default=False
        Whether the cells' gates are brought to mean 0 and variance 1 over the units
        [10]_.
    learn_initial_state : bool, default=False
        Whether the states before the first step are learned; they are 0 otherwise.
    pooling : {"last", "mean", "max", "attention"} or sequence of these, default="last"
        How the states of the last layer become one vector for a sequence: that of its
        last step, the mean or the largest of all its steps, or the mean weighted by a
        softmax of each state's product with a learned vector [11]_; several of them
        side by side.
    dense_layer_sizes : int or array-like of int, default=()
        Units of hidden dense layers with the activation ``max(0, x)`` between the
        pooled vector and the output.
    return_sequences : bool, default=False
        Whether there is a target, and a prediction, for each step: `pooling` then does
        not apply. y has an array of shape (length,) or (length, k) for each sequence,
        or is an array of shape (n_samples, n_timesteps[, k]), or a Series or DataFrame
        with the (instance, time) index of X. Predictions come in the shape of X: an
        array for a 3-D or 2-D X, but once a row of it is padded, as for a list, an
        object array of arrays, each as long as its sequence; a Series or DataFrame for
        a frame with such an index. A `sample_weight` is given for each sequence, or
        for each step in one of the forms of y. Of steps that are skipped (`missing`,
        `padding_token`) neither targets nor weights count.
    dropout : float, default=0.0
        Share of the outputs of each hidden layer that is dropped in training, step by
        step [12]_, in [0, 1).
    input_dropout : float, default=0.0
        The same share of the inputs, in [0, 1).
    recurrent_dropout : float, default=0.0
        Share of the recurrent connections that is dropped, the same ones at all steps
        of a sequence [13]_, in [0, 1). ``cell="mingru"`` has none.
    input_noise : float, default=0.0
        Standard deviation of the normal noise that is added in training to what the
        first layer reads [14]_: to channels, in units of their standard deviation if
        `standardize`, and to the vectors of tokens, which begin with a length of about
        one.
    adversarial_eps : float, default=0.0
        How far standardized inputs are moved, each in the direction that raises the
        loss; half of the loss is that of the moved inputs [15]_. Takes twice the time.
    steps_per_frame : int, default=1
        Consecutive steps that are folded into one of so many times the channels: fewer
        steps are quicker, and more easily remembered. The last step of a sequence is
        repeated to fill its last frame.
    differences : bool, default=False
        Whether the differences to the step before are further channels.
    missing : {"error", "mask", "indicator"}, default="error"
        What NaN in X means: an error; that the step is skipped; or that the value is 0
        after standardizing, with a further channel for each that is 1 where it is
        missing.
    embedding_dim : int or None, default=None
        Learned numbers that stand for a token [16]_; None if X holds no tokens, which
        are whole numbers from 0.
    embeddings : array-like of shape (n_tokens, embedding_dim), default=None
        Numbers to begin with, for instance of word vectors; with
        ``freeze="embedding"`` they stay.
    token_channels : int, str, array-like of these or None, default=None
        Channels that hold tokens, by place or name. None means all, if there are any.
    n_tokens : int or None, default=None
        Size of the vocabulary. None means the largest token in fit and those below it.
    padding_token : int or None, default=None
        A token that stands for no step: such steps are skipped wherever they are.
    unknown_tokens : {"error", "ignore"}, default="error"
        What is done with tokens beyond the vocabulary. Zeros stand for ignored ones.
    init : fitted estimator, dict of str to ndarray or None, default=None
        A model, or its `weights_`, to begin with: parameters of the same names are
        taken over, those of the output only if it has the same loss and as many
        outputs (of a dict, if the shapes are the same), and are then turned to the
        scale of these targets; from a model also how its channels were standardized,
        whatever `standardize` says. In a search, which clones what it is given, wrap a
        model in :class:`~sklearn.frozen.FrozenEstimator`.
    freeze : str or sequence of str, default=()
        Parameters that stay as they are, by their names in `weights_` or by what stands
        before a dot in them: "embedding", "layers.0", "layers.1.bias", "output".
    bptt_steps : int or None, default=None
        Steps that the gradient goes back through time at most [17]_. Long sequences are
        then gone through in pieces of so many steps with an update after each, the
        states carried on, on one thread; a minibatch has 32 sequences at most in
        float32, 16 in float64 (with AVX-512, otherwise fewer). Needs ``pooling="last"``
        or `return_sequences`. None means all steps.
    solver : {"adam", "adamw", "rmsprop", "sgd"}, default="adam"
        The optimizer: Adam [5]_, Adam with decoupled weight decay [6]_, RMSprop, or
        gradient descent with momentum.
    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights, biases left out, divided by the sum
        of the weights of a batch's samples. With ``solver="adamw"`` the rate of decay.
    batch_size : int or "auto", default="auto"
        Samples of a minibatch. "auto" is an eighth of those that are trained on, but
        not less than 8 and not more than 64, which `partial_fit` takes.
    learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, \
            default="cosine"
        How the rate changes, with any solver: not at all; divided by
        ``(t + 1) ** power_t`` after t samples; divided by 5 whenever progress stops
        (see `tol`); or in a straight line up over the first `warmup_fraction` of
        training and then along a cosine down to 0. Training with "cosine" ends after
        `max_iter` epochs, or by `early_stopping`.
    learning_rate_init : float, default=0.005
        The initial, and for "cosine" the largest, rate.
    power_t : float, default=0.5
        Exponent of "invscaling".
    warmup_fraction : float, default=0.1
        Share of the updates that "cosine" spends rising, in [0, 1).
    max_iter : int, default=100
        Epochs at most.
    shuffle : bool, default=True
        Whether each epoch takes the samples in another order. Identical samples are
        then one sample with the sum of their weights. With False samples stay in the
        order of X, and `early_stopping` holds out the last ones.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, the split and the orders. An int gives the same
        bits every time, for any `n_jobs`.
    tol : float, default=1e-4
        Training ends when the loss, or with `early_stopping` the validation score, has
        not become better by at least `tol` for more than `n_iter_no_change` epochs.
        With "cosine" only `early_stopping` ends it before `max_iter`.
    verbose : bool, default=False
        Whether to print the loss of each epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and scales of an earlier fit.
    momentum : float, default=0.9
        Momentum of "sgd", in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether that is Nesterov's momentum.
    early_stopping : bool, default=False
        Whether to hold out a part of the training data, to stop when its score no
        longer improves, and to end with the best weights, stopped or not.
    scoring : str, callable or None, default=None
        How the validation set, where there is one, is scored: as
        :func:`sklearn.metrics.check_scoring` takes it, with `return_sequences` a
        scorer of :func:`skrnn.metrics.make_step_scorer`; None means `score`.
    validation_fraction : float, default=0.1
        The part that is held out, in (0, 1).
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the first and second moment of "adam" and "adamw", in [0, 1).
    epsilon : float, default=1e-8
        What "adam", "adamw" and "rmsprop" add to the denominator.
    rho : float, default=0.9
        Decay of the mean square of "rmsprop", in [0, 1).
    n_iter_no_change : int or numpy.inf, default=10
        See `tol`; ``numpy.inf`` to train for `max_iter` epochs in any case.
    max_grad_norm : float or None, default=1.0
        Largest Euclidean norm of the gradient of all parameters together; a longer one
        is shortened to it [7]_.
    standardize : bool, default=True
        Whether each channel, and the target,
        is brought to mean 0 and
        standard deviation 1, weighted, over all steps of the training samples.
    n_channels : int or None, default=None
        Channels that the rows of 2-D X are flattened from: columns t * n_channels to
        (t + 1) * n_channels - 1 are step t. NaN to the end of a row is then padding.
    n_jobs : int or None, default=None
        Threads. None means 1 unless in a :obj:`joblib.parallel_config` context, -1 all
        processors. Small batches stay on one thread.

    Attributes
    ----------
    loss_ : float
        The loss of the last epoch, the L2 penalty included.
    best_loss_ : float or None
        The smallest loss; None with `early_stopping`.
    loss_curve_ : list of float
        The loss of each epoch, of standardized targets where they are.
    validation_scores_ : list of float or None
        The score of the validation set after each epoch, where there is one.
    best_validation_score_ : float or None
        The best of them.
    weights_ : dict of str to ndarray
        Read-only views of the parameters.
    n_iter_ : int
        Epochs so far.
    t_ : int
        Samples seen so far.
    n_layers_ : int
        Layers, input and output included.
    n_outputs_ : int
        Outputs of the last layer, as in MLPRegressor.
    out_activation_ : str
        What is applied to them.
    n_features_in_ : int
        Channels seen in fit; columns where X was 2-D.
    n_channels_in_ : int
        Channels seen in fit.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had them.

    See Also
    --------
    RNNClassifier : Classification of sequences.
    SequenceScaler : Standardizes sequences outside of the estimator.
    sklearn.neural_network.MLPRegressor : The network without a time axis, whose
        parameters and attributes these are.

    Notes
    -----
    A `sample_weight` of 2 is exactly, to the last bit, the same as having the sample
    twice: before training, identical samples are merged and ordered by their content.

    References
    ----------
    .. [1] Elman, "Finding structure in time", Cognitive Science 14, 1990.
    .. [2] Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9,
       1997.
    .. [3] Gers, Schmidhuber and Cummins, "Learning to forget", Neural Computation 12,
       2000.
    .. [4] Cho et al., "Learning phrase representations using RNN encoder-decoder for
       statistical machine translation", EMNLP 2014.
    .. [5] Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    .. [6] Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.
    .. [7] Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural
       networks", ICML 2013.
    .. [8] Schuster and Paliwal, "Bidirectional recurrent neural networks", IEEE
       Transactions on Signal Processing 45, 1997.
    .. [9] He et al., "Deep residual learning for image recognition", CVPR 2016.
    .. [10] Ba, Kiros and Hinton, "Layer normalization", arXiv 1607.06450, 2016.
    .. [11] Yang et al., "Hierarchical attention networks for document classification",
       NAACL 2016; Bahdanau, Cho and Bengio, "Neural machine translation by jointly
       learning to align and translate", ICLR 2015.
    .. [12] Srivastava et al., "Dropout", JMLR 15, 2014; Zaremba, Sutskever and Vinyals,
       "Recurrent neural network regularization", arXiv 1409.2329, 2014.
    .. [13] Gal and Ghahramani, "A theoretically grounded application of dropout in
       recurrent neural networks", NeurIPS 2016.
    .. [14] Graves, "Practical variational inference for neural networks", NeurIPS 2011.
    .. [15] Goodfellow, Shlens and Szegedy, "Explaining and harnessing adversarial
       examples", ICLR 2015.
    .. [16] Bengio et al., "A neural probabilistic language model", JMLR 3, 2003.
    .. [17] Williams and Peng, "An efficient gradient-based algorithm for on-line
       training of recurrent network trajectories", Neural Computation 2, 1990.
    .. [18] Feng et al., "Were RNNs all we needed?", arXiv 2410.01201, 2024.
    .. [19] van der Westhuizen and Lasenby, "The unreasonable effectiveness of the
       forget gate", arXiv 1804.04849, 2018.

    Examples
    --------
    Forecast a series from its last 24 values:

    >>> import numpy as np
    >>> from skrnn import RNNRegressor
    >>> series = np.sin(np.arange(400) / 5)
    >>> windows = np.lib.stride_tricks.sliding_window_view(series, 25)
    >>> X, y = windows[:, :-1], windows[:, -1]
    >>> model = RNNRegressor((8,), cell="gru", max_iter=30, random_state=0, tol=0)
    >>> model = model.set_params(n_iter_no_change=np.inf).fit(X[:300], y[:300])
    >>> model.predict(X[300:]).shape
    (76,)
    >>> model.score(X[300:], y[300:]) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **CONSTRAINTS,
        "loss": [
            StrOptions(
                {"squared_error", "absolute_error", "huber", "quantile", "poisson"}
            )
        ],
        "quantile": ["array-like", Interval(Real, 0, 1, closed="neither")],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | ArrayLike = (64,),
        *,
        cell: str = "gru",
        activation: str = "tanh",
        loss: str = "squared_error",
        quantile: float | ArrayLike = 0.5,
        huber_delta: float = 1.0,
        bidirectional: bool = False,
        residual: bool = False,
        layer_norm: bool = False,
        learn_initial_state: bool = False,
        pooling: str | Sequence[str] = "last",
        dense_layer_sizes: int | ArrayLike = (),
        return_sequences: bool = False,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        input_noise: float = 0.0,
        adversarial_eps: float = 0.0,
        steps_per_frame: int = 1,
        differences: bool = False,
        missing: str = "error",
        embedding_dim: int | None = None,
        embeddings: ArrayLike | None = None,
        token_channels: int | str | ArrayLike | None = None,
        n_tokens: int | None = None,
        padding_token: int | None = None,
        unknown_tokens: str = "error",
        init: Any = None,
        freeze: str | ArrayLike = (),
        bptt_steps: int | None = None,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "cosine",
        learning_rate_init: float = 0.005,
        power_t: float = 0.5,
        warmup_fraction: float = 0.1,
        max_iter: int = 100,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        scoring: Any = None,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        rho: float = 0.9,
        n_iter_no_change: float = 10,
        max_grad_norm: float | None = 1.0,
        standardize: bool = True,
        n_channels: int | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.activation = activation
        self.loss = loss
        self.quantile = quantile
        self.huber_delta = huber_delta
        self.bidirectional = bidirectional
        self.residual = residual
        self.layer_norm = layer_norm
        self.learn_initial_state = learn_initial_state
        self.pooling = pooling
        self.dense_layer_sizes = dense_layer_sizes
        self.return_sequences = return_sequences
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.recurrent_dropout = recurrent_dropout
        self.input_noise = input_noise
        self.adversarial_eps = adversarial_eps
        self.steps_per_frame = steps_per_frame
        self.differences = differences
        self.missing = missing
        self.embedding_dim = embedding_dim
        self.embeddings = embeddings
        self.token_channels = token_channels
        self.n_tokens = n_tokens
        self.padding_token = padding_token
        self.unknown_tokens = unknown_tokens
        self.init = init
        self.freeze = freeze
        self.bptt_steps = bptt_steps
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.warmup_fraction = warmup_fraction
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.rho = rho
        self.n_iter_no_change = n_iter_no_change
        self.max_grad_norm = max_grad_norm
        self.standardize = standardize
        self.n_channels = n_channels
        self.n_jobs = n_jobs

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
        """Fit the network to sequences X and targets y.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            Training sequences, in any of the forms of the class's documentation.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. With `return_sequences` those of each step: (length,) or (length,
            n_outputs) for each sequence.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights: a sample of weight 2 counts exactly as if it were there twice. With
            `return_sequences` of the sequences, or of each step in a form of y.
        X_val, y_val : like X and y, default=None
            A validation set of one's own. Its scores go to `validation_scores_`; with
            `early_stopping` it takes the place of `validation_fraction`.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Weights of the validation set, in a form of `sample_weight`.

        Returns
        -------
        self : RNNRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or y is not of one of these forms, has values that are not finite, or
            if training diverges; the message says where and what to try.
        """
        validation = Validation(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Go once over the samples, and on from where training stands.

        The scales of `standardize` are learned in the first call, which should hence
        see a batch that is like those to come. `early_stopping` and `tol` do not apply,
        so an "adaptive" rate stays as it is, and so does a "cosine" one: nobody knows
        how many calls there will be.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            Training sequences.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. With `return_sequences` those of each step: (length,) or (length,
            n_outputs) for each sequence.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, with `return_sequences` of sequences or of steps.

        Returns
        -------
        self : RNNRegressor
            The estimator, trained a little further.
        """
        return self._fit(X, y, sample_weight, Validation(), incremental=True)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the targets of sequences X.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms of the class's documentation.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in the dtype of X; but float64 where the targets lie so far
            from 0 that float32 would not tell them apart. Several quantile levels are
            the last axis. With `return_sequences` a prediction for each step, in the
            shape of X; a step that is skipped has that of the step before.
        """
        data, raw = self._checked_raw(X)
        return self._in_shape(X, data, self._predicted(raw))

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return R², or with ``loss="quantile"`` the mean D² pinball score.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            Test sequences.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets, with `return_sequences` those of all steps, of which those
            that are skipped do not count.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, with `return_sequences` of sequences or of steps.

        Returns
        -------
        score : float
            1 for perfect predictions, 0 for those of a constant.
        """
        data, present = self._read_for_prediction(X)
        y, sample_weight = self._truth(data, present, y, sample_weight)
        y_pred = self._from_raw(self._predict_raw(present))
        y = _check_y(y, multi_output=True, y_numeric=True, estimator=self)
        return self._score_encoded(y.reshape(len(y), -1), y_pred, sample_weight)

    def _response(self, raw, response_method):
        if response_method != "predict":
            raise ValueError(f"A regressor has no {response_method!r}.")
        return self._predicted(raw)

    # --- what BaseRNN asks for ------------------------------------------------------

    def _encode(self, y, reset):
        # scikit-learn would parse strings, and take dates for nanoseconds
        array = np.asarray(y)
        if array.dtype.kind in "SUT" or holds_strings(array):
            raise ValueError("y must hold numbers, but it holds strings.")
        if array.dtype.kind in "mM":
            raise ValueError("y must hold numbers, but it holds dates or durations.")
        y = _check_y(y, multi_output=True, y_numeric=True, estimator=self)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if reset:
            self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
            self._y_is_1d = y.ndim == 1
            self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        targets = y.astype(np.float64, copy=False).reshape(len(y), -1)
        if targets.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {targets.shape[1]} outputs, expected {self.n_outputs_}."
            )
        if self.loss == "poisson" and (targets < 0).any():
            raise ValueError(
                "Some value(s) of y are out of the valid range of the loss 'poisson': "
                "y must not be negative."
            )
        return targets

    def _new_objective(self):
        """Return the loss, its parameters, and whether these are several levels."""
        if self.loss != "quantile":
            return self.loss, (float(self.huber_delta),), False
        levels = np.atleast_1d(np.asarray(self.quantile, dtype=np.float64))
        is_list = levels.ndim == 1 and 0 < len(levels) == len(np.unique(levels))
        if not is_list or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(
                "quantile must be one level, or several different ones, between 0 and "
                f"1, got {self.quantile!r}."
            )
        return self.loss, tuple(levels.tolist()), np.ndim(self.quantile) > 0

    def _loss(self):
        name, levels, _ = self._objective
        return losses.REGRESSION_LOSSES[name], np.array(levels)

    def _n_raw_outputs(self):
        _, levels, _ = self._new_objective()
        return self.n_outputs_ * len(levels)

    def _scale_targets(self, targets, weights):
        if self.standardize and self.loss != "poisson":
            self._target_mean, self._target_scale = target_statistics(targets, weights)
        else:
            self._target_mean = np.zeros(self.n_outputs_)
            self._target_scale = np.ones(self.n_outputs_)
        self._resolved = [char for char in "fd" if self._resolves(np.dtype(char))]

    def _predicted(self, raw):
        """Return the targets that raw predictions stand for."""
        y = self._from_raw(raw)
        y = y[:, 0] if self._y_is_1d else y
        return y.astype(raw.dtype) if raw.dtype.char in self._resolved else y

    def _predicts_like(self, other):
        return (
            isinstance(other, RNNRegressor)
            and self._objective == other._objective
            and self.n_outputs_ == other.n_outputs_
        )

    def _rescale_output(self, other, weights, bias):
        _, levels, _ = self._objective
        shift = (other._target_mean - self._target_mean) / self._target_scale
        factor = np.repeat(other._target_scale / self._target_scale, len(levels))
        weights *= factor
        bias[:] = bias * factor + np.repeat(shift, len(levels))

    def _resolves(self, dtype):
        """Whether predictions in this dtype tell targets apart where these lie."""
        limits = np.finfo(dtype)
        mean, scale = np.abs(self._target_mean), self._target_scale
        resolved = (mean * limits.eps < 1e-3 * scale) | (mean == 0)
        in_range = (scale > limits.tiny) & (mean + scale < 1e-3 * limits.max)
        return bool((resolved & in_range).all())

    def _standardized(self, targets):
        standardized = targets - self._target_mean
        standardized /= self._target_scale
        return standardized

    def _first_raw(self, samples, targets, weights):
        loss, levels = self._loss()
        return loss.constant(targets, weights, levels)

    def _from_raw(self, raw):
        """Return predictions of shape (n_samples, n_outputs[, n_levels])."""
        loss, levels = self._loss()
        _, _, has_levels_axis = self._objective
        y = loss.predict(raw.astype(np.float64))
        if not has_levels_axis:
            y *= self._target_scale
            y += self._target_mean
            return y
        y = y.reshape(len(y), self.n_outputs_, -1)
        y *= self._target_scale[:, None]
        y += self._target_mean[:, None]
        if len(levels) > 1:
            # quantiles may not cross: sorted ones are never worse
            # (Chernozhukov, Fernández-Val and Galichon 2010)
            y[:, :, np.argsort(levels)] = np.sort(y, axis=2)
        return y

    def _score_encoded(self, y, y_pred, sample_weight):
        # imported here: a tenth of a second that few need
        from sklearn.metrics import d2_pinball_score, r2_score

        name, levels, _ = self._objective
        if name != "quantile":
            return r2_score(y, y_pred, sample_weight=sample_weight)
        y_pred = y_pred.reshape(len(y), self.n_outputs_, -1)
        scores = [
            d2_pinball_score(y, y_pred[:, :, q], sample_weight=sample_weight, alpha=a)
            for q, a in enumerate(levels)
        ]
        return float(np.mean(scores))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags
