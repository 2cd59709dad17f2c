"""From an architecture to the layers of a network, in their order."""

from dataclasses import replace
from functools import partial

from skrnn.activations import ACTIVATIONS
from skrnn.cells import CELLS
from skrnn.layers import (
    AdaptiveSoftmax,
    AdditiveAttention,
    Attention,
    Bidirectional,
    Decoder,
    Dense,
    DotAttention,
    Dropout,
    Embedding,
    GaussianNoise,
    LastStep,
    Max,
    Mean,
    RecurrentLayer,
    Residual,
    SeveralPoolings,
    Tied,
    TokenLayer,
    Vocabulary,
)

# Tokens whose products are computed beforehand, see `_has_products`.
LARGEST_VOCABULARY = 512

POOLINGS = {"last": LastStep, "mean": Mean, "max": Max, "attention": Attention}
ATTENTIONS = {"dot": DotAttention, "additive": AdditiveAttention}


# The noise inside a decoder is numbered from here.
DECODER_STREAMS = 100_000


class _Stack:
    """Layers by name, the last of them, and how many outputs it has.

    The noise of layers is numbered from `first_stream`.
    """

    def __init__(self, n_inputs, first_stream=0):
        self.layers = {}
        self.top = None
        self.size = n_inputs
        self._first_stream = first_stream

    def add(self, name, layer):
        self.layers[name] = layer
        self.top = layer
        self.size = layer.n_outputs

    def add_noise(self, name, kind, strength):
        if strength:
            self.add(name, kind(self.size, strength, self.stream))

    @property
    def stream(self):
        """A number by which the noise of no two layers is the same."""
        return self._first_stream + len(self.layers)


def noise_in(architecture, noise):
    """Return what of the noise there is a place for in an architecture."""
    first, last = CELLS[architecture.cell].recurrent_blocks
    if first == last:  # no recurrent connections to drop
        return replace(noise, recurrent_dropout=0.0)
    return noise


def build_layers(architecture, noise):
    """Return the layers by name, from the inputs to the raw predictions.

    Parameters
    ----------
    architecture : Architecture
    noise : Noise
        Of which nothing is left where all of it is zero.
    """
    stack = _Stack(architecture.n_inputs)
    if architecture.n_tokens:
        kind = Vocabulary if _has_products(architecture, noise) else Embedding
        embedding = kind(stack.size, architecture.n_tokens, architecture.embedding_dim)
        stack.add("embedding", embedding)
    stack.add_noise("input_noise", GaussianNoise, noise.inputs)
    stack.add_noise("input_dropout", Dropout, noise.input_dropout)
    _add_recurrent(stack, architecture, noise)
    if architecture.decoder is not None:
        stack.add("decoder", _decoder(architecture, noise, stack))
        if stack.layers["decoder"].combines:
            stack.add_noise("decoder_dropout", Dropout, noise.dropout)
    if architecture.pooling is not None:
        stack.add("pooling", _pooling(architecture.pooling, stack.size))
    for i, n_units in enumerate(architecture.dense_layer_sizes):
        stack.add(f"dense_layers.{i}", Dense(stack.size, n_units, activation="relu"))
        stack.add_noise(f"dense_dropout.{i}", Dropout, noise.dropout)
    if architecture.n_outputs:
        _add_output(stack, architecture)
    return stack.layers


def _has_products(architecture, noise):
    """Whether the first layer has the product of each token, not of each step."""
    if not architecture.products_of_tokens:
        return False
    (_, n_tokens), *others = architecture.n_tokens
    alone = not others and architecture.n_inputs == 1 and not architecture.bidirectional
    noisy = noise.inputs or noise.input_dropout
    return alone and not noisy and n_tokens <= LARGEST_VOCABULARY


def _add_output(stack, architecture):
    n_outputs, cutoffs = architecture.n_outputs, architecture.cutoffs
    if architecture.tied and cutoffs:
        raise ValueError(
            "A tied output has no cutoffs: set one of tied=False, cutoffs=()."
        )
    if architecture.tied:
        _add_tied_output(stack, n_outputs)
    elif cutoffs:
        stack.add("output", AdaptiveSoftmax(stack.size, n_outputs, cutoffs))
    else:
        stack.add("output", Dense(stack.size, n_outputs))


def _add_tied_output(stack, n_outputs):
    """Add an output layer that borrows a table, and a projection to its vectors."""
    name, n_units = _table_of(stack, n_outputs)
    if stack.size != n_units:
        stack.add("projection", Dense(stack.size, n_units))
    stack.add("output", Tied(n_units, n_outputs, name))


def _table_of(stack, n_tokens):
    """Return the name of the last table of so many tokens, and its vectors' size."""
    found = [
        (f"{place}.{name}", shape)
        for place, layer in stack.layers.items()
        for name, shape in layer.parameter_shapes().items()
        if name.endswith("vectors")
    ]
    for name, (n_rows, n_units) in reversed(found):
        if n_rows == n_tokens:
            return name, n_units
    raise ValueError(
        f"A tied output of {n_tokens} classes shares the vectors of as many tokens, "
        f"but the tables are {dict(found)}."
    )


def _pooling(names, size):
    """Return the pooling of a name, or those of several side by side."""
    if isinstance(names, str):
        return POOLINGS[names](size)
    return SeveralPoolings({name: POOLINGS[name](size) for name in names})


def _decoder(architecture, noise, below):
    """Return the decoder; its layers are as the encoder's, but go one way."""
    part = architecture.decoder
    begin, n_fed = None, part.n_channels
    stack = _Stack(n_fed, DECODER_STREAMS)
    if part.n_tokens:
        begin = part.begin
        tokens = Embedding(n_fed, ((0, part.n_tokens),), part.embedding_dim)
        stack.add("embedding", tokens)
    stack.add_noise("input_dropout", Dropout, noise.input_dropout)
    of_decoder = replace(
        architecture,
        hidden_layer_sizes=part.hidden_layer_sizes,
        bidirectional=False,
        learn_initial_state=False,
    )
    _add_recurrent(stack, of_decoder, noise, given_initial_state=True)
    attention, n_joined = None, stack.size
    if part.attention is not None:
        attention = ATTENTIONS[part.attention](below.size, stack.size)
        n_joined += below.size
    combination = None
    if attention or part.combined_size:
        n_units = part.combined_size or stack.size
        combination = Dense(n_joined, n_units, activation="tanh")
    return Decoder(
        below.size, n_fed, begin, stack.layers, attention, combination, stack.stream
    )


def _add_recurrent(stack, architecture, noise, **options):
    """Add the recurrent layers, and the dropout after each."""
    for i, n_units in enumerate(architecture.hidden_layer_sizes):
        layer = _recurrent(architecture, noise, stack, n_units, **options)
        if architecture.residual and i > 0:
            layer = Residual(layer)
        stack.add(f"layers.{i}", layer)
        stack.add_noise(f"dropout.{i}", Dropout, noise.dropout)


def _recurrent(architecture, noise, stack, n_units, **options):
    """Return the next recurrent layer, one way or both ways."""
    kind = RecurrentLayer
    if isinstance(stack.top, Vocabulary):
        kind = partial(TokenLayer, stack.top)
    ways = [
        kind(
            CELLS[architecture.cell],
            ACTIVATIONS[architecture.activation],
            stack.size,
            n_units,
            layer_norm=architecture.layer_norm,
            learn_initial_state=architecture.learn_initial_state,
            recurrent_dropout=noise.recurrent_dropout,
            stream=1000 * (1 + way) + stack.stream,
            **options,
        )
        for way in range(1 + architecture.bidirectional)
    ]
    return Bidirectional(*ways) if architecture.bidirectional else ways[0]
