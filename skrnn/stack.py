"""From an architecture to the layers of a network, in their order."""

from dataclasses import replace

from skrnn.activations import ACTIVATIONS
from skrnn.cells import CELLS
from skrnn.layers import (
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
)

POOLINGS = {"last": LastStep, "mean": Mean, "max": Max, "attention": Attention}
ATTENTIONS = {"dot": DotAttention, "additive": AdditiveAttention}


# The noise inside a decoder is numbered from here.
DECODER_STREAMS = 100_000


class _Stack:
    """Layers by name, and how many outputs the last of them has.

    The noise of layers is numbered from `first_stream`.
    """

    def __init__(self, n_inputs, first_stream=0):
        self.layers = {}
        self.size = n_inputs
        self._first_stream = first_stream

    def add(self, name, layer):
        self.layers[name] = layer
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
        embedding = Embedding(
            stack.size, architecture.n_tokens, architecture.embedding_dim
        )
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
        stack.add("output", Dense(stack.size, architecture.n_outputs))
    return stack.layers


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
    ways = [
        RecurrentLayer(
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
