"""The layers of the network, one in each file."""

from skrnn.layers._base import Shard
from skrnn.layers.dense import Dense
from skrnn.layers.pooling import LastStep
from skrnn.layers.recurrent import RecurrentLayer

__all__ = ["Dense", "LastStep", "RecurrentLayer", "Shard"]
