"""scikit-learn's own checks, for every cell and for settings that take other paths.

Left out, because they cannot pass by their meaning:

- `warm_start=True`: a check fits the same object twice and expects the first result.
- `early_stopping=True` with `shuffle=False`: the last rows are held out, so that
  repeating rows holds out others; and one sample cannot be divided.
- a list of quantiles: predictions have one axis more than the targets.
- `class_weight="balanced"`: checks call partial_fit, which refuses it.
- `loss="poisson"`: a check of several outputs uses negative targets, whatever the
  tag `positive_only` says.
"""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from skrnn import RNNClassifier, RNNRegressor, RNNTransformer

pytestmark = [
    pytest.mark.contract,
    # The fits are brief on purpose.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

# Small and brief, and yet enough for the checks that want a good score.
BRIEF = {"cell": "rnn", "hidden_layer_sizes": (8,), "max_iter": 40}
LONGER = {"hidden_layer_sizes": (16,), "max_iter": 80}
LONG = {"hidden_layer_sizes": (16,), "max_iter": 150}
BOTH = [
    {"cell": "rnn"},
    {"cell": "lstm", **LONGER},
    {"cell": "gru", **LONGER},
    {"hidden_layer_sizes": (8, 8), "max_grad_norm": None},
    {"activation": "relu", "n_jobs": 2, **LONGER},
    {"solver": "sgd", "learning_rate_init": 0.1, "learning_rate": "adaptive"},
    {"solver": "adamw", "learning_rate": "cosine"},
    {"solver": "rmsprop", "standardize": False},
    {"pooling": "attention", "layer_norm": True, "learn_initial_state": True, **LONG},
    {"hidden_layer_sizes": (8, 8, 8), "residual": True, "pooling": "max"},
    {"dense_layer_sizes": (8,), "steps_per_frame": 2, "differences": True},
    {"dropout": 0.1, "input_dropout": 0.05, "recurrent_dropout": 0.1, **LONGER},
    {"input_noise": 0.1, "adversarial_eps": 0.01, "missing": "indicator"},
    {"bptt_steps": 5, "missing": "mask", "pooling": "last", **LONGER},
]
REGRESSORS = [
    {"loss": "absolute_error", "batch_size": 16},
    {"loss": "huber", "early_stopping": True},
    {"loss": "quantile"},
]
CLASSIFIERS = [
    {"loss": "squared_error", "batch_size": 16},
    {"label_smoothing": 0.1, "freeze": "output.bias"},
]
TRANSFORMERS = [
    {"cell": "gru"},
    {"task": "reconstruct", "bidirectional": True, "pooling": "last"},
    {"task": "reconstruct", "input_noise": 0.1, "pooling": "max", "n_jobs": 2},
]
ESTIMATORS = [RNNRegressor(**{**BRIEF, **s}) for s in BOTH + REGRESSORS]
ESTIMATORS += [RNNClassifier(**{**BRIEF, **s}) for s in BOTH + CLASSIFIERS]
ESTIMATORS += [RNNTransformer(**{**BRIEF, **s}) for s in TRANSFORMERS]

# A row of weight 2 and two rows agree to the last bit in the canonical order only.
NEEDS_SHUFFLE = {"check_sample_weight_equivalence_on_dense_data"}
# Here y hangs on steps in certain places, and neither the gates of a mingru nor a mean
# know what place a step has.
POSITIONLESS = {"cell": "mingru", "bidirectional": True, "pooling": "mean"}
NEEDS_POSITIONS = {"check_regressors_train", "check_classifiers_train"}
NEEDS_POSITIONS |= {"check_class_weight_classifiers"}
# The validation score weighs classes too, and is perfect before training is.
NEEDS_ALL_EPOCHS = {"check_class_weight_classifiers"}


def name_of(value):
    """Name an estimator by its settings, and a check by its function."""
    function = getattr(value, "func", value)
    return getattr(function, "__name__", None) or " ".join(str(value).split())


def checks_of(estimator, but=()):
    pairs = estimator_checks_generator(estimator)
    return [(e, check) for e, check in pairs if name_of(check) not in but]


PAIRS = [pair for estimator in ESTIMATORS for pair in checks_of(estimator)]
for kind in (RNNRegressor, RNNClassifier):
    PAIRS += checks_of(kind(**BRIEF, shuffle=False), but=NEEDS_SHUFFLE)
    PAIRS += checks_of(kind(**BRIEF | POSITIONLESS), but=NEEDS_POSITIONS)
PAIRS += checks_of(RNNClassifier(**BRIEF, early_stopping=True), but=NEEDS_ALL_EPOCHS)


# A list: what parametrize_with_checks of scikit-learn 1.6 gives, pytest 9 refuses.
@pytest.mark.parametrize(("estimator", "check"), PAIRS, ids=name_of)
def test_scikit_learn_contract(estimator, check):
    check(estimator)
