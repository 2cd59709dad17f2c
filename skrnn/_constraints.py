"""What the hyperparameters that estimators share may be."""

from inspect import signature
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

# Names are written out, for their modules import numba; a test compares them.
POOLINGS = {"last", "mean", "max", "attention"}
CONSTRAINTS: dict = {
    "hidden_layer_sizes": [
        "array-like",
        Interval(Integral, 1, None, closed="left"),
    ],
    "cell": [StrOptions({"rnn", "lstm", "gru", "mingru", "janet"})],
    "activation": [StrOptions({"tanh", "relu", "logistic", "identity"})],
    "bidirectional": ["boolean"],
    "residual": ["boolean"],
    "layer_norm": ["boolean"],
    "learn_initial_state": ["boolean"],
    "pooling": [StrOptions(POOLINGS), "array-like"],
    "dense_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "return_sequences": ["boolean"],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "input_dropout": [Interval(Real, 0, 1, closed="left")],
    "recurrent_dropout": [Interval(Real, 0, 1, closed="left")],
    "input_noise": [Interval(Real, 0, None, closed="left")],
    "adversarial_eps": [Interval(Real, 0, None, closed="left")],
    "steps_per_frame": [Interval(Integral, 1, None, closed="left")],
    "differences": ["boolean"],
    "missing": [StrOptions({"error", "mask", "indicator"})],
    "embedding_dim": [None, Interval(Integral, 1, None, closed="left")],
    "embeddings": [None, "array-like"],
    "token_channels": [None, "array-like", Integral, str],
    "n_tokens": [None, Interval(Integral, 1, None, closed="left")],
    "padding_token": [None, Integral],
    "unknown_tokens": [StrOptions({"error", "ignore"})],
    "init": [None, dict, HasMethods("fit")],
    "freeze": ["array-like", str],
    "bptt_steps": [None, Interval(Integral, 1, None, closed="left")],
    "scoring": [None, str, callable],
    "solver": [StrOptions({"adam", "adamw", "rmsprop", "sgd"})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [
        StrOptions({"auto"}),
        Interval(Integral, 1, None, closed="left"),
    ],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive", "cosine"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "warmup_fraction": [Interval(Real, 0, 1, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "rho": [Interval(Real, 0, 1, closed="left")],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        # numpy.inf: never end for want of progress
        Options(Real, {np.inf}),
    ],
    "max_grad_norm": [None, Interval(Real, 0, None, closed="neither")],
    "standardize": ["boolean"],
    "n_channels": [None, Interval(Integral, 1, None, closed="left")],
    "n_jobs": [None, Integral],
}


def constraints_of(init):
    """Return those of the hyperparameters that an ``__init__`` shares with others."""
    names = signature(init).parameters
    return {name: CONSTRAINTS[name] for name in names if name in CONSTRAINTS}
