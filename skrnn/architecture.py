"""What a network is made of, in numbers and strings, and what disturbs it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DecoderPart:
    """What writes the targets, step by step, from what was read.

    Its cells, and what is said of recurrent layers, are those of the architecture.

    Attributes
    ----------
    hidden_layer_sizes : tuple of int
        Units of each recurrent layer, from the fed targets up.
    n_channels : int
        Numbers of a target, or 1 where it is a token.
    n_tokens : int
        Size of the vocabulary that is fed; 0 means that targets are numbers.
    embedding_dim : int
        Numbers that stand for a token.
    begin : int
        The token that is fed before the first; a negative one is a vector of zeros.
    attention : str or None
        A key of `skrnn.stack.ATTENTIONS`; None lets the states be the outputs.
    combined_size : int
        Numbers that the states and their contexts are combined to; 0 means as many as
        the states have.
    """

    hidden_layer_sizes: tuple[int, ...]
    n_channels: int = 1
    n_tokens: int = 0
    embedding_dim: int = 0
    begin: int = -1
    attention: str | None = "dot"
    combined_size: int = 0


@dataclass(frozen=True)
class Architecture:
    """The stack of layers, from the inputs to the raw predictions.

    Attributes
    ----------
    cell : str
        A key of `skrnn.cells.CELLS`.
    activation : str
        A key of `skrnn.activations.ACTIVATIONS`; cells with their own ignore it.
    n_inputs : int
        Channels of a sequence.
    hidden_layer_sizes : tuple of int
        Units of each recurrent layer, from the input up.
    n_outputs : int
        Raw predictions of a sample, or of a step. 0 means that there is no output
        layer: the raw predictions are the outputs of the layer below.
    bidirectional : bool
        Whether each recurrent layer reads both ways, with so many units each way.
    residual : bool
        Whether recurrent layers but the first add their input to their output.
    layer_norm : bool
        Whether the gates of the cells are normalized.
    learn_initial_state : bool
    pooling : str, tuple of str or None
        Keys of `skrnn.stack.POOLINGS`; None means a prediction for each step.
    dense_layer_sizes : tuple of int
        Units of the hidden dense layers below the output.
    n_tokens : tuple of (int, int)
        Of each channel of tokens its place and the size of its vocabulary.
    embedding_dim : int
        Numbers that stand for a token.
    decoder : DecoderPart or None
        What writes targets with steps of their own; then there is no pooling.
    products_of_tokens : bool
        Whether the first layer may multiply its weights with the vector of each token
        once, not with that of each step, if the tokens are the only input and few. The
        inputs have no gradients then.
    tied : bool
        Whether the weights of the output layer are the vectors of tokens.
    cutoffs : tuple of int
        Where the tails of an adaptive softmax begin, whose raw predictions are those
        of its head; empty for a plain output.
    """

    cell: str
    activation: str
    n_inputs: int
    hidden_layer_sizes: tuple[int, ...]
    n_outputs: int
    bidirectional: bool = False
    residual: bool = False
    layer_norm: bool = False
    learn_initial_state: bool = False
    pooling: str | tuple[str, ...] | None = "last"
    dense_layer_sizes: tuple[int, ...] = ()
    n_tokens: tuple[tuple[int, int], ...] = ()
    embedding_dim: int = 0
    decoder: DecoderPart | None = None
    products_of_tokens: bool = False
    tied: bool = False
    cutoffs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Noise:
    """What disturbs a network while it is trained, and never when it predicts.

    Attributes
    ----------
    inputs : float
        Standard deviation of what is added to the inputs.
    input_dropout, dropout, recurrent_dropout : float
        Shares of inputs, outputs of layers and recurrent connections that are dropped.
    """

    inputs: float = 0.0
    input_dropout: float = 0.0
    dropout: float = 0.0
    recurrent_dropout: float = 0.0


NO_NOISE = Noise()
