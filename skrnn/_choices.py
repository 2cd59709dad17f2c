"""From hyperparameters to the network that they describe."""

import numpy as np

from skrnn._constraints import POOLINGS
from skrnn.architecture import Architecture, Noise

# With more tokens than these the output layer is an adaptive softmax.
LARGEST_PLAIN = 5000
LARGEST_HEAD = 2000


def check_sizes(name, sizes, what="the units of each layer", *, may_be_empty=False):
    """Return units of layers, or other positive integers, as a tuple, or raise."""
    array = np.atleast_1d(np.asarray(sizes))
    if may_be_empty and array.size == 0 and array.ndim == 1:
        return ()
    if not array.size or array.ndim > 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must hold {what}, positive integers, got {sizes!r}.")
    if (array < 1).any():
        raise ValueError(f"{name} must be > 0, got {sizes!r}.")
    return tuple(array.tolist())


def check_hidden_sizes(estimator):
    """Return the units of the recurrent layers as a tuple, or raise."""
    sizes = check_sizes("hidden_layer_sizes", estimator.hidden_layer_sizes)
    if estimator.residual:
        for i, (below, above) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            if below != above:
                raise ValueError(
                    "residual=True adds the input of each layer but the first to its "
                    f"output, so they must be as wide: layer {i} has {below} units, "
                    f"layer {i + 1} has {above} (hidden_layer_sizes={sizes})."
                )
    return sizes


def check_cutoffs(estimator, n_tokens, *, excluded=()):
    """Return the ranks that divide tokens for an adaptive softmax, or () for none.

    Parameters
    ----------
    estimator : estimator
        With `cutoffs` and `tied`.
    n_tokens : int
    excluded : sequence of str
        Hyperparameters that do not go together with cutoffs, beside `tied`.
    """
    excluded = [name for name in ("tied", *excluded) if getattr(estimator, name)]
    if isinstance(estimator.cutoffs, str):  # "auto"
        if n_tokens <= LARGEST_PLAIN or excluded:
            return ()
        first = min(LARGEST_HEAD, n_tokens // 10)
        return first, 4 * first
    if estimator.cutoffs is None:
        return ()
    cutoffs = check_sizes("cutoffs", estimator.cutoffs, "ranks of tokens")
    if excluded:
        given = ", ".join(f"{name}={getattr(estimator, name)}" for name in excluded)
        raise ValueError(
            f"cutoffs divide the tokens, but {given} takes all of them alike: set one "
            "of these only."
        )
    if list(cutoffs) != sorted(set(cutoffs)) or cutoffs[-1] >= n_tokens:
        raise ValueError(
            f"cutoffs must increase and stay below the {n_tokens} tokens, got "
            f"{estimator.cutoffs!r}."
        )
    return cutoffs


def check_pooling(estimator):
    """Return the pooling as a name, a tuple of several, or None, or raise."""
    if estimator.pooling is None or isinstance(estimator.pooling, str):
        return estimator.pooling
    names = tuple(str(name) for name in estimator.pooling)
    if not names or len(set(names)) < len(names) or not POOLINGS.issuperset(names):
        raise ValueError(
            f"pooling must be one of {sorted(POOLINGS)} or several different ones, got "
            f"{estimator.pooling!r}."
        )
    # in one order, so that the network is the same in whichever they come
    return tuple(sorted(names)) if len(names) > 1 else names[0]


def architecture_of(estimator, inputs, n_outputs):
    """Return the `Architecture` that an estimator's hyperparameters describe.

    Parameters
    ----------
    estimator : BaseRNN
    inputs : InputForm
    n_outputs : int
        Raw predictions of a sample or a step.

    Raises
    ------
    ValueError
        If sizes are not positive integers, `residual` meets layers of other widths, or
        `bptt_steps` what needs whole sequences.
    """
    sizes = check_hidden_sizes(estimator)
    if estimator.bptt_steps is not None:
        _check_pieces(estimator)
    return Architecture(
        cell=estimator.cell,
        activation=estimator.activation,
        n_inputs=inputs.n_channels,
        hidden_layer_sizes=sizes,
        n_outputs=n_outputs,
        bidirectional=bool(estimator.bidirectional),
        residual=bool(estimator.residual),
        layer_norm=bool(estimator.layer_norm),
        learn_initial_state=bool(estimator.learn_initial_state),
        pooling=None if estimator.return_sequences else check_pooling(estimator),
        dense_layer_sizes=check_sizes(
            "dense_layer_sizes", estimator.dense_layer_sizes, may_be_empty=True
        ),
        n_tokens=inputs.n_tokens,
        embedding_dim=inputs.embedding_dim,
    )


def _check_pieces(estimator):
    """Raise if what is learned needs whole sequences."""
    whole = None
    if estimator.bidirectional:
        whole = "bidirectional=True"
    elif not estimator.return_sequences and check_pooling(estimator) != "last":
        whole = f"pooling={estimator.pooling!r}"
    elif estimator.learn_initial_state:
        whole = "learn_initial_state=True"
    elif estimator.adversarial_eps:
        whole = f"adversarial_eps={estimator.adversarial_eps}"
    if whole:
        raise ValueError(
            f"bptt_steps cuts sequences, but {whole} needs whole ones. What does not "
            'is pooling="last", or return_sequences=True.'
        )


def noise_of(estimator):
    """Return the `Noise` that an estimator's hyperparameters describe."""
    return Noise(
        inputs=float(estimator.input_noise),
        input_dropout=float(estimator.input_dropout),
        dropout=float(estimator.dropout),
        recurrent_dropout=float(estimator.recurrent_dropout),
    )


def check_same_cell(fitted, estimator):
    """Raise if the weights of a fitted model would mean something else here."""
    theirs = fitted._architecture
    names = ["cell", "bidirectional", "layer_norm"]
    if theirs.cell == "rnn":
        names.append("activation")
    for name in names:
        old, new = getattr(theirs, name), getattr(estimator, name)
        if old != new:
            raise ValueError(
                f"init was fitted with {name}={old!r}, but here {name}={new!r}: its "
                "weights would mean something else."
            )


def take_over(weights, views, *, with_output):
    """Fill parameters with those of the same names of another network.

    Parameters
    ----------
    weights : dict of str to ndarray
    views : dict of str to ndarray
        What is filled.
    with_output : bool
        Whether to take those of the output layer too, if they have the same shapes.

    Returns
    -------
    took_output : bool

    Raises
    ------
    ValueError
        If a parameter below the output has another shape, or no name is the same.
    """
    below = [name for name in weights if not name.startswith("output.")]
    taken = [name for name in below if name in views]
    for name in taken:
        if views[name].shape != np.shape(weights[name]):
            raise ValueError(
                f"init has {name} of shape {np.shape(weights[name])}, but this network "
                f"needs {views[name].shape}."
            )
    if not taken:
        raise ValueError(
            "init has no layer with the name of one of this network: it has "
            f"{list(weights)}, needed are {list(views)}."
        )
    output = [name for name in views if name.startswith("output.")]
    took_output = with_output and all(
        name in weights and np.shape(weights[name]) == views[name].shape
        for name in output
    )
    for name in taken + output * took_output:
        views[name][:] = weights[name]
    return took_output


def frozen_parameters(layout, freeze):
    """Return which parameters stay as they are, a mask, or None for none.

    Parameters
    ----------
    layout : ParameterLayout
    freeze : sequence of str
        Names of parameters, or of what stands before a dot in them.

    Raises
    ------
    ValueError
        If a name is that of no parameter.
    """
    names = [freeze] if isinstance(freeze, str) else list(freeze)
    frozen = np.zeros(layout.size, bool)
    for name in names:
        found = [
            where
            for parameter, where in layout.slices.items()
            if parameter == name or parameter.startswith(f"{name}.")
        ]
        if not found:
            raise ValueError(
                f"freeze names {name!r}, but the parameters are {list(layout.slices)}."
            )
        for where in found:
            frozen[where] = True
    return frozen if names else None
