"""The layers of the network, one kind in each file."""

from skrnn.layers._base import ONE_STEP, Buffers, Labels, Layer, Shard
from skrnn.layers.adaptive import AdaptiveSoftmax
from skrnn.layers.bidirectional import Bidirectional
from skrnn.layers.cross_attention import AdditiveAttention, DotAttention
from skrnn.layers.decoder import Decoder
from skrnn.layers.dense import Dense
from skrnn.layers.embedding import Embedding
from skrnn.layers.noise import Dropout, GaussianNoise
from skrnn.layers.pooling import Attention, LastStep, Max, Mean
from skrnn.layers.recurrent import RecurrentLayer
from skrnn.layers.residual import Residual
from skrnn.layers.several import SeveralPoolings
from skrnn.layers.tied import Tied
from skrnn.layers.tokens import TokenLayer, Vocabulary

__all__ = [
    "AdaptiveSoftmax",
    "ONE_STEP",
    "AdditiveAttention",
    "Attention",
    "Bidirectional",
    "Buffers",
    "Decoder",
    "Dense",
    "DotAttention",
    "Dropout",
    "Embedding",
    "GaussianNoise",
    "Labels",
    "LastStep",
    "Layer",
    "Max",
    "Mean",
    "RecurrentLayer",
    "Residual",
    "SeveralPoolings",
    "Shard",
    "Tied",
    "TokenLayer",
    "Vocabulary",
]
