"""Features of sequences: the hidden states of a network that learned without labels."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils._param_validation import StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import check_is_fitted

from skrnn._constraints import CONSTRAINTS
from skrnn.callbacks import CallbackSupportMixin, with_callbacks
from skrnn.regressor import RNNRegressor
from skrnn.sequences import check_sequences

# What the network takes as it is.
PASSED_ON = (
    "hidden_layer_sizes",
    "cell",
    "activation",
    "bidirectional",
    "residual",
    "layer_norm",
    "learn_initial_state",
    "dropout",
    "recurrent_dropout",
    "input_noise",
    "differences",
    "bptt_steps",
    "solver",
    "alpha",
    "batch_size",
    "learning_rate",
    "learning_rate_init",
    "max_iter",
    "shuffle",
    "random_state",
    "tol",
    "verbose",
    "early_stopping",
    "validation_fraction",
    "n_iter_no_change",
    "max_grad_norm",
    "standardize",
    "n_channels",
    "n_jobs",
)
# Of task="reconstruct", where an undisturbed network would learn to copy.
INPUT_DROPOUT = 0.5


class RNNTransformer(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Features of sequences for any estimator: states of a network fitted without y.

    The network learns to predict the sequences themselves, and each sequence then
    becomes the pooled states of its last layer: a row of numbers, as
    :class:`~sklearn.linear_model.LogisticRegression` or
    :class:`~sklearn.cluster.KMeans` take it.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(64,)
        Units of each recurrent layer, from the input up. The last is the number of
        features, with `bidirectional` twice that.
    task : {"forecast", "reconstruct"}, default="forecast"
        What is learned: at each step to predict the next one [1]_; or to tell the
        sequence from a disturbed one, see `input_dropout` and `input_noise`, by a
        denoising autoencoder [2]_ whose layers are as wide as they are made.
    pooling : {"last", "mean", "max"}, default="mean"
        How the states of all steps become one vector: that of the last step, their
        mean, or the largest of each unit. The last state of a layer that reads
        backwards has seen the last step only.
    cell : {"rnn", "lstm", "gru", "mingru"}, default="gru"
        The recurrence, as in :class:`~skrnn.RNNRegressor`.
    activation : {"tanh", "relu", "logistic", "identity"}, default="tanh"
        Activation of ``cell="rnn"``.
    bidirectional : bool, default=False
        Whether each layer also reads the sequences backwards, which only
        ``task="reconstruct"`` allows: it sees the next step.
    residual : bool, default=False
        Whether each layer but the first adds its input to its output.
    layer_norm : bool, default=False
        Whether the cells' gates are normalized over the units.
    learn_initial_state : bool, default=False
        Whether the states before the first step are learned.
    dropout : float, default=0.0
        Share of the outputs of each layer that is dropped in training, in [0, 1).
    input_dropout : float or "auto", default="auto"
        Share of the inputs that is dropped in training, in [0, 1). "auto" is 0.5 with
        ``task="reconstruct"`` unless there is `input_noise`, and otherwise 0.
    recurrent_dropout : float, default=0.0
        Share of the recurrent connections that is dropped in training, in [0, 1).
    input_noise : float, default=0.0
        Standard deviation of what is added to the standardized inputs in training.
    differences : bool, default=False
        Whether the differences to the step before are further channels of the input.
    bptt_steps : int or None, default=None
        Steps that the gradient goes back through time at most; None means all.
    solver : {"adam", "adamw", "rmsprop", "sgd"}, default="adam"
        The optimizer.
    alpha : float, default=0.0001
        Strength of the L2 penalty on the weights.
    batch_size : int or "auto", default="auto"
        Samples of a minibatch. "auto" is an eighth of those that are trained on, but
        not less than 8 and not more than 64.
    learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, \
            default="cosine"
        How the rate changes.
    learning_rate_init : float, default=0.005
        The initial, and for "cosine" the largest, rate.
    max_iter : int, default=100
        Epochs at most.
    shuffle : bool, default=True
        Whether each epoch takes the samples in another order.
    random_state : int, RandomState instance or None, default=None
        Source of all that is random. An int gives the same bits every time.
    tol : float, default=1e-4
        Training ends when the loss, or with `early_stopping` the validation score, has
        not become better by at least `tol` for more than `n_iter_no_change` epochs.
    verbose : bool, default=False
        Whether to print the loss of each epoch.
    early_stopping : bool, default=False
        Whether to hold out a part of the sequences, to stop when the R² of their
        prediction no longer improves, and to end with the best weights.
    validation_fraction : float, default=0.1
        The part that is held out, in (0, 1).
    n_iter_no_change : int or numpy.inf, default=10
        See `tol`.
    max_grad_norm : float or None, default=1.0
        Largest norm of the gradient; a longer one is shortened to it.
    standardize : bool, default=True
        Whether each channel is brought to mean 0 and standard deviation 1, so that all
        count the same.
    n_channels : int or None, default=None
        Channels that the rows of 2-D X are flattened from.
    n_jobs : int or None, default=None
        Threads.

    Attributes
    ----------
    network_ : RNNRegressor
        The fitted network. ``RNNClassifier(..., init=transformer.network_)`` goes on
        from it where there are labels.
    n_iter_ : int
        Epochs of training.
    n_features_in_ : int
        Channels seen in fit; columns where X was 2-D.
    n_channels_in_ : int
        Channels seen in fit.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had them.

    See Also
    --------
    RNNRegressor.hidden_states : The same of a network that was fitted with y.

    Notes
    -----
    With ``task="forecast"`` the last step of each sequence has no next one and is an
    input only; sequences of a single step have features, but nothing is learned from
    them. Tokens are not supported.

    References
    ----------
    .. [1] Dai and Le, "Semi-supervised sequence learning", NeurIPS 2015.
    .. [2] Vincent et al., "Extracting and composing robust features with denoising
       autoencoders", ICML 2008.

    Examples
    --------
    Waves of two frequencies, half of which have a label:

    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skrnn import RNNTransformer
    >>> rng = np.random.default_rng(0)
    >>> is_fast = np.arange(40) % 2
    >>> phases = rng.uniform(0, 6, size=(40, 1))
    >>> X = np.sin((0.4 + 0.5 * is_fast[:, np.newaxis]) * np.arange(30) + phases)
    >>> features = RNNTransformer((8,), cell="gru", max_iter=60, random_state=0)
    >>> states = features.fit_transform(X)
    >>> states.shape
    (40, 8)
    >>> model = LogisticRegression(C=100).fit(states[:20], is_fast[:20])
    >>> model.score(states[20:], is_fast[20:])
    1.0
    """

    _parameter_constraints: dict = {
        **{name: CONSTRAINTS[name] for name in PASSED_ON},
        "task": [StrOptions({"forecast", "reconstruct"})],
        "pooling": [StrOptions({"last", "mean", "max"})],
        "input_dropout": [StrOptions({"auto"}), *CONSTRAINTS["input_dropout"]],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | ArrayLike = (64,),
        *,
        task: str = "forecast",
        pooling: str = "mean",
        cell: str = "gru",
        activation: str = "tanh",
        bidirectional: bool = False,
        residual: bool = False,
        layer_norm: bool = False,
        learn_initial_state: bool = False,
        dropout: float = 0.0,
        input_dropout: float | str = "auto",
        recurrent_dropout: float = 0.0,
        input_noise: float = 0.0,
        differences: bool = False,
        bptt_steps: int | None = None,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "cosine",
        learning_rate_init: float = 0.005,
        max_iter: int = 100,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        max_grad_norm: float | None = 1.0,
        standardize: bool = True,
        n_channels: int | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.task = task
        self.pooling = pooling
        self.cell = cell
        self.activation = activation
        self.bidirectional = bidirectional
        self.residual = residual
        self.layer_norm = layer_norm
        self.learn_initial_state = learn_initial_state
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.recurrent_dropout = recurrent_dropout
        self.input_noise = input_noise
        self.differences = differences
        self.bptt_steps = bptt_steps
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.max_grad_norm = max_grad_norm
        self.standardize = standardize
        self.n_channels = n_channels
        self.n_jobs = n_jobs

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the network to sequences.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms that :class:`~skrnn.RNNRegressor` takes.
        y : None
            Ignored.

        Returns
        -------
        self : RNNTransformer
            The fitted transformer.

        Raises
        ------
        ValueError
            If X is not a set of finite sequences; if `task` is "forecast" and no
            sequence has a next step, or the network is bidirectional; or if training
            diverges.
        """
        if self.task == "forecast" and self.bidirectional:
            raise ValueError(
                "bidirectional=True sees the next step, which task='forecast' is to "
                "predict: set task='reconstruct'."
            )
        context = self._init_callback_context()
        context.call_on_fit_task_begin(estimator=self, X=X)
        data = check_sequences(self, X, reset=True, n_channels=self.n_channels)
        targets, weights = _reconstruction(data)
        if self.task == "forecast":
            targets, weights = _next_steps(data)
        settings = {name: getattr(self, name) for name in PASSED_ON}
        network = RNNRegressor(
            return_sequences=True, input_dropout=self._input_dropout(), **settings
        )
        self.network_ = network.fit(X, targets, weights)
        self.n_iter_ = network.n_iter_
        self._n_features_out = network._states(data, self.pooling).shape[1]
        context.call_on_fit_task_end(estimator=self, X=X)
        return self

    def _input_dropout(self):
        if self.input_dropout != "auto":
            return self.input_dropout
        is_copy = self.task == "reconstruct" and not self.input_noise
        return INPUT_DROPOUT if is_copy else 0.0

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of sequences.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            With the channels of fit.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features)
            Pooled states of the last layer, with `bidirectional` first those ahead,
            then those backwards. By ``set_output(transform="pandas")`` a DataFrame,
            with a row for each instance of X.
        """
        check_is_fitted(self)
        data = check_sequences(self, X, reset=False, n_channels=self.n_channels)
        states = self.network_._states(data, self.pooling)
        is_frame = _get_output_config("transform", self)["dense"] == "pandas"
        if not is_frame or data.index is None:
            return states
        import pandas as pd

        # scikit-learn would take the index of X, which may have a row for each step
        columns = self.get_feature_names_out()
        return pd.DataFrame(states, index=data.index, columns=columns)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _steps_of_samples(values, data):
    """Return an array for each sample, of shape (length,) where that has one channel.

    A single channel is no axis: RNNRegressor warns at columns, as scikit-learn does.
    """
    values = values[:, 0] if values.shape[1] == 1 else values
    return np.split(values, data.lengths.cumsum()[:-1])


def _reconstruction(data):
    """Return the steps themselves as targets, all of the same weight."""
    return _steps_of_samples(data.take(slice(None)), data), None


def _next_steps(data):
    """Return the step after each one as targets, and their weights.

    Raises
    ------
    ValueError
        If there is none: all sequences have one step.
    """
    last = data.lengths.cumsum() - 1
    weights = np.ones((last[-1] + 1, 1))
    weights[last] = 0.0
    if not weights.any():
        raise ValueError(
            "task='forecast' predicts the next step, but all sequences have one step "
            "(2-D X with n_features=1, or as many as n_channels). Set "
            "task='reconstruct'."
        )
    steps = data.take(slice(None))
    following = np.append(steps[1:], steps[-1:], axis=0)
    following[last] = steps[last]  # of weight 0, but the target's range is checked
    return _steps_of_samples(following, data), _steps_of_samples(weights, data)
