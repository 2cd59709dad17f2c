"""Whole networks without noise, one sequence at a time, in float64."""

import numpy as np

from tests.oracles.recurrent import CELLS


def parts(views, place):
    """Return the parameters of a layer by their own names."""
    n = len(place) + 1
    return {
        name[n:]: np.asarray(view, np.float64)
        for name, view in views.items()
        if name.startswith(f"{place}.")
    }


def embedded_tokens(tokens, table):
    """Return the rows of a table; unknown tokens have zeros."""
    unknown = np.zeros(table.shape[1])
    return np.array([table[int(i)] if 0 <= i < len(table) else unknown for i in tokens])


def embedded(x, architecture, vectors):
    """Return the vectors of the tokens of each step, and its numbers behind them."""
    places = [place for place, _ in architecture.n_tokens]
    unknown = np.zeros(architecture.embedding_dim)
    steps = []
    for x_t in x:
        step = []
        for place in places:
            table, token = vectors[f"{place}.vectors"], int(x_t[place])
            step.append(table[token] if 0 <= token < len(table) else unknown)
        step.append(np.delete(x_t, places))
        steps.append(np.concatenate(step))
    return np.array(steps)


def recurrent(x, architecture, weights):
    """Return the outputs of a recurrent layer: one way, or both side by side."""
    cell, activation = CELLS[architecture.cell], architecture.activation
    if not architecture.bidirectional:
        return cell(x, activation=activation, **weights)
    back = parts(weights, "reverse")
    ahead = {name: w for name, w in weights.items() if not name.startswith("reverse.")}
    return np.hstack(
        [
            cell(x, activation=activation, **ahead),
            cell(x[::-1], activation=activation, **back)[::-1],
        ]
    )


def pooled(x, pooling, query=None):
    if pooling == "last":
        return x[-1]
    if pooling == "mean":
        return x.mean(axis=0)
    if pooling == "max":
        return x.max(axis=0)
    scores = x @ query
    weights = np.exp(scores - scores.max())
    return weights @ x / weights.sum()


def raw_prediction(architecture, views, x):
    """Return the raw prediction for a sequence, or those for each of its steps."""
    x = np.asarray(x, np.float64)
    if architecture.n_tokens:
        x = embedded(x, architecture, parts(views, "embedding"))
    for i in range(len(architecture.hidden_layer_sizes)):
        below = x
        x = recurrent(x, architecture, parts(views, f"layers.{i}"))
        if architecture.residual and i > 0:
            x = x + below
    if architecture.pooling is not None:
        names, own = architecture.pooling, parts(views, "pooling")
        if isinstance(names, str):
            x = pooled(x, names, **own)
        else:
            x = np.hstack([pooled(x, name, **parts(own, name)) for name in names])
    for i in range(len(architecture.dense_layer_sizes)):
        dense = parts(views, f"dense_layers.{i}")
        x = np.maximum(x @ dense["weights"] + dense["bias"], 0.0)
    output = parts(views, "output")
    if architecture.tied:
        tables = parts(views, "embedding").values()
        (table,) = [t for t in tables if len(t) == architecture.n_outputs]
        output["weights"] = table.T
        if "projection.weights" in views:
            projection = parts(views, "projection")
            x = x @ projection["weights"] + projection["bias"]
    return x @ output["weights"] + output["bias"]
