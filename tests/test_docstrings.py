"""What both estimators say of the hyperparameters that they share."""

import inspect
import re

from skrnn import RNNClassifier, RNNRegressor

# what is another thing in each of them, or has another default
OF_EACH = {"dropout", "init", "input_noise", "loss", "pooling"}
OF_EACH |= {"standardize", "validation_fraction"}


def entries(estimator):
    """Return what the docstring says of each hyperparameter, references left out."""
    text = inspect.getdoc(estimator)
    text = text[text.index("Parameters\n---") : text.index("Attributes\n---")]
    found = re.split(r"^([a-z]\w*(?:, \w+)*) : ", text, flags=re.MULTILINE)
    pairs = zip(found[1::2], found[2::2], strict=True)
    return {name: re.sub(r"\[\d+\]_", "", entry) for name, entry in pairs}


def test_each_hyperparameter_is_described_with_its_default():
    for estimator in (RNNRegressor, RNNClassifier):
        described = {
            name: entry
            for names, entry in entries(estimator).items()
            for name in names.split(", ")
        }
        parameters = inspect.signature(estimator).parameters
        assert set(described) == set(parameters)
        for name, parameter in parameters.items():
            head = " ".join(described[name].split())
            default = parameter.default
            shown = repr(default).replace("'", '"').replace("e-0", "e-")
            assert shown in head.replace("1e-4", "0.0001"), name


def test_both_say_the_same():
    ours, theirs = entries(RNNRegressor), entries(RNNClassifier)
    different = {n for n in ours.keys() & theirs.keys() if ours[n] != theirs[n]}
    assert different == OF_EACH
