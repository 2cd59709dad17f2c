"""Classification of sequences."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import check_array, column_or_1d

from skrnn._base import BaseRNN
from skrnn._constraints import CONSTRAINTS
from skrnn._deferred import losses
from skrnn._samples import Validation, class_weights
from skrnn.callbacks import with_callbacks

PART = 2**16  # samples whose predictions are worked on together


def _by_parts(function, raw):
    """Return ``function(raw)``, of a function that maps each row by itself."""
    starts = range(0, len(raw), PART)
    return np.concatenate([function(raw[i : i + PART]) for i in starts])


class RNNClassifier(ClassifierMixin, BaseRNN):
    """Recurrent network for the classification of sequences.

    Recurrent layers read the steps of a sequence, and a dense layer maps what `pooling`
    makes of their states to the probabilities of the classes, or of several labels;
    with `return_sequences` the state after each step to those of that step.

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
        product, as in cuDNN, a minimal one [19]_ whose gates hang on the inputs
        alone: quick, and good at remembering over many steps, or the LSTM with
        nothing but its forget gate [20]_: half the weights, and half the time.
    activation : {"tanh", "relu", "logistic", "identity"}, default="tanh"
        Activation of ``cell="rnn"``. The other cells have their own and ignore it.
    loss : {"log_loss", "squared_error"}, default="log_loss"
        What is minimized: the logistic loss, or half the squared error of the
        probabilities, as older recipes have it.
    label_smoothing : float, default=0.1
        Share of each target of "log_loss" that is given to all classes alike [18]_, in
        [0, 1). Other losses do not have it. See the notes.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of the classes; "balanced" makes them inverse to their frequencies.
        They multiply `sample_weight`.
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
    pooling : {"last", "mean", "max", "attention"} or sequence of these, \
            default=("last", "max")
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
    dropout : float, default=0.2
        Share of the outputs of each hidden layer that is dropped in training, step by
        step [12]_, in [0, 1).
    input_dropout : float, default=0.0
        The same share of the inputs, in [0, 1).
    recurrent_dropout : float, default=0.0
        Share of the recurrent connections that is dropped, the same ones at all steps
        of a sequence [13]_, in [0, 1). ``cell="mingru"`` has none.
    input_noise : float, default=0.3
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
        taken over, those of the output only if it is a classifier of the same classes
        (of a dict, if the shapes are the same); from a model also how its channels were
        standardized, whatever `standardize` says. In a search, which clones what it is
        given, wrap a model in :class:`~sklearn.frozen.FrozenEstimator`.
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
        The part that is held out, with the shares of the
        classes kept where possible, in (0, 1).
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
        Whether each channel is brought to mean 0 and
        standard deviation 1, weighted, over all steps of the training samples.
    n_channels : int or None, default=None
        Channels that the rows of 2-D X are flattened from: columns t * n_channels to
        (t + 1) * n_channels - 1 are step t. NaN to the end of a row is then padding.
    n_jobs : int or None, default=None
        Threads. None means 1 unless in a :obj:`joblib.parallel_config` context, -1 all
        processors. Small batches stay on one thread.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted; for several labels their numbers.
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
        Outputs of the last layer, as in MLPClassifier.
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
    RNNRegressor : Regression from sequences.
    SequenceScaler : Standardizes sequences outside of the estimator.
    sklearn.neural_network.MLPClassifier : The network without a time axis, whose
        parameters and attributes these are.

    Notes
    -----
    A `sample_weight` of 2 is exactly, to the last bit, the same as having the sample
    twice: before training, identical samples are merged and ordered by their content.

    With `label_smoothing`, probabilities are drawn towards equal ones, by a tenth of
    the way by default. Where they themselves are needed, not the classes alone, see
    whether 0 is better, or calibrate:
    :class:`~sklearn.calibration.CalibratedClassifierCV`.

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
    .. [18] Szegedy et al., "Rethinking the inception architecture for computer vision",
       CVPR 2016.
    .. [19] Feng et al., "Were RNNs all we needed?", arXiv 2410.01201, 2024.
    .. [20] van der Westhuizen and Lasenby, "The unreasonable effectiveness of the
       forget gate", arXiv 1804.04849, 2018.

    Examples
    --------
    Which of two signs occurs more often, in sequences of unequal length:

    >>> import numpy as np
    >>> from skrnn import RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.choice([-1.0, 1.0], size=rng.integers(3, 12)) for _ in range(200)]
    >>> y = ["more" if x.sum() > 0 else "not more" for x in X]
    >>> model = RNNClassifier((8,), max_iter=60, random_state=0, tol=0)
    >>> model = model.set_params(n_iter_no_change=np.inf).fit(X, y)
    >>> model.predict([np.ones(5), -np.ones(7)])
    array(['more', 'not more'], dtype='<U8')
    >>> model.score(X, y) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **CONSTRAINTS,
        "loss": [StrOptions({"log_loss", "squared_error"})],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | ArrayLike = (64,),
        *,
        cell: str = "gru",
        activation: str = "tanh",
        loss: str = "log_loss",
        label_smoothing: float = 0.1,
        class_weight: dict | list | str | None = None,
        bidirectional: bool = False,
        residual: bool = False,
        layer_norm: bool = False,
        learn_initial_state: bool = False,
        pooling: str | Sequence[str] = ("last", "max"),
        dense_layer_sizes: int | ArrayLike = (),
        return_sequences: bool = False,
        dropout: float = 0.2,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        input_noise: float = 0.3,
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
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
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
        """Fit the network to sequences X and their classes y.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            Training sequences, in any of the forms of the class's documentation.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Classes, numbers or strings; or for several labels a 1 for each that a
            sample has. With `return_sequences` those of each step: (length,) or
            (length, n_labels) for each sequence.
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
        self : RNNClassifier
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
        self,
        X: Any,
        y: Any,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
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
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Classes, with `return_sequences` those of each step.
        classes : array-like of shape (n_classes,), default=None
            All classes that any call will bring; required in the first.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, with `return_sequences` of sequences or of steps.

        Returns
        -------
        self : RNNClassifier
            The estimator, trained a little further.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' is not defined for partial_fit, which sees "
                "a part of the classes at a time; pass a dict of weights."
            )
        declared = None
        if hasattr(self, "_parameters"):
            if classes is not None and not np.array_equal(
                self.classes_, unique_labels(classes)
            ):
                raise ValueError(
                    f"classes={classes!r} differs from the first call: {self.classes_}."
                )
        elif classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        else:
            declared = unique_labels(classes)
        return self._fit(
            X, y, sample_weight, Validation(), incremental=True, classes=declared
        )

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class for each sequence.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms of the class's documentation.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; for several labels that of each label. With
            `return_sequences` for each step: in the shape of X, with the classes as
            the last axis or, for a frame, the columns.
        """
        data, raw = self._checked_raw(X)
        return self._in_shape(X, data, self._probabilities(raw))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms of the class's documentation.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; with `return_sequences` for each step, in the
            shape of `predict_proba`.
        """
        data, raw = self._checked_raw(X)
        p = self._probabilities(raw)
        with np.errstate(divide="ignore"):
            return self._in_shape(X, data, np.log(p, out=p))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the log-odds, or for several classes unnormalized log-probabilities.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms of the class's documentation.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            The raw predictions of the network; one column for each class, or label,
            and of two classes one number, positive for the second. With
            `return_sequences` for each step, in the shape of X.
        """
        data, raw = self._checked_raw(X)
        return self._in_shape(X, data, self._response(raw, "decision_function"))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sequence.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms of the class's documentation.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Classes; for several labels a 1 for each with a probability above a half.
            With `return_sequences` those of each step, in the shape of X; a step that
            is skipped has those of the step before.
        """
        data, raw = self._checked_raw(X)
        return self._in_shape(X, data, _by_parts(self._classes, raw))

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy: the share of right predictions.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            Test sequences.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their classes, with `return_sequences` those of all steps, of which those
            that are skipped do not count.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, with `return_sequences` of sequences or of steps.

        Returns
        -------
        score : float
            Between 0 and 1; of several labels all must be right.
        """
        # imported here: a tenth of a second that few need
        from sklearn.metrics import accuracy_score

        data, present = self._read_for_prediction(X)
        truth, weights = self._truth(data, present, y, sample_weight)
        predicted = _by_parts(self._classes, self._predict_raw(present))
        return accuracy_score(truth, predicted, sample_weight=weights)

    def _response(self, raw, response_method):
        if response_method == "predict":
            return self._classes(raw)
        if response_method == "predict_proba":
            return self._probabilities(raw)
        if response_method == "decision_function":
            return raw[:, 0] if self._kind == "binary" else raw
        raise ValueError(
            'response_method must be "predict", "predict_proba" or '
            f'"decision_function", got {response_method!r}.'
        )

    # --- what BaseRNN asks for ------------------------------------------------------

    def _declare(self, classes):
        self._declared_classes = classes

    def _encode(self, y, reset):
        # first, because check_classification_targets stumbles over NaN
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y", estimator=self)
        check_classification_targets(y)
        y_type = type_of_target(y, input_name="y")
        is_multilabel = y_type == "multilabel-indicator"
        if not is_multilabel:
            y = column_or_1d(y, warn=True)
        if reset:
            self._learn_classes(y, is_multilabel)
        if is_multilabel != (self._kind == "multilabel"):
            raise ValueError(f"y is {y_type}, expected {self._kind}.")
        if is_multilabel:
            if y.shape[1] != self.n_outputs_:
                raise ValueError(
                    f"y has {y.shape[1]} labels, expected {self.n_outputs_}."
                )
            return y.astype(np.float64)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y contains classes {unknown.tolist()} that are not among "
                f"{self.classes_.tolist()}."
            )
        return np.searchsorted(self.classes_, y).astype(np.float64)[:, None]

    def _learn_classes(self, y, is_multilabel):
        if is_multilabel:
            self.classes_ = np.arange(y.shape[1])
            declared = self._declared_classes
            if declared is not None and len(declared) != y.shape[1]:
                raise ValueError(
                    f"classes has {len(declared)} labels, but y has {y.shape[1]}."
                )
            self._kind = "multilabel"
        else:
            declared = self._declared_classes
            self.classes_ = np.unique(y) if declared is None else declared
            self._kind = "binary" if len(self.classes_) == 2 else "multiclass"
        self.n_outputs_ = 1 if self._kind == "binary" else len(self.classes_)
        is_softmax = self._kind == "multiclass"
        self.out_activation_ = "softmax" if is_softmax else "logistic"

    def _new_objective(self):
        return (self.loss,)

    def _loss(self):
        (name,) = self._objective
        kind = "multiclass" if self._kind == "multiclass" else "binary"
        smoothing = np.array([float(self.label_smoothing)])
        return losses.CLASSIFICATION_LOSSES[name][kind], smoothing

    def _n_raw_outputs(self):
        return self.n_outputs_

    def _predicts_like(self, other):
        return (
            isinstance(other, RNNClassifier)
            and self._kind == other._kind
            and np.array_equal(self.classes_, other.classes_)
        )

    @property
    def _weighs_classes(self):
        return self.class_weight is not None

    def _class_weights(self, targets, sample_weight):
        if self._kind != "multilabel":
            return class_weights(
                self.class_weight, self.classes_, targets[:, 0], sample_weight
            )
        columns = targets.T
        of_labels = self.class_weight
        if not isinstance(of_labels, list):
            of_labels = [of_labels] * len(columns)
        if len(of_labels) != len(columns):
            raise ValueError(
                f"class_weight has {len(of_labels)} dicts for {len(columns)} labels."
            )
        factors = [
            class_weights(of_label, np.arange(2), column, sample_weight)
            for of_label, column in zip(of_labels, columns, strict=True)
        ]
        return np.prod(factors, axis=0)

    def _probabilities(self, raw):
        """Return a column for each class."""

        def probabilities(raw):
            p = self._from_raw(raw)
            p = np.hstack([1.0 - p, p]) if self._kind == "binary" else p
            return p.astype(raw.dtype)

        return _by_parts(probabilities, raw)

    def _classes(self, raw):
        """Return the chosen classes."""
        chosen = self._choose(self._from_raw(raw))
        if self._kind == "multilabel":
            return chosen.astype(int)
        return self.classes_[chosen[:, 0]]

    def _from_raw(self, raw):
        loss, _ = self._loss()
        return loss.predict(raw.astype(np.float64))

    def _choose(self, probabilities):
        """Return the chosen targets, as encoded."""
        if self._kind == "multiclass":
            return probabilities.argmax(axis=1)[:, None]
        return (probabilities > 0.5).astype(np.intp)

    def _score_encoded(self, targets, probabilities, sample_weight):
        # imported here: a tenth of a second that few need
        from sklearn.metrics import accuracy_score

        chosen = self._choose(probabilities)
        return accuracy_score(
            targets.astype(np.intp), chosen, sample_weight=sample_weight
        )

    def _strata(self, targets, n_held_out):
        if self._kind == "multilabel" or self._inputs.per_step:
            return None
        counts = np.unique(targets, return_counts=True)[1]
        fits = len(counts) <= n_held_out <= len(targets) - len(counts)
        is_possible = counts.min() > 1 and fits
        return targets[:, 0] if is_possible else None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
