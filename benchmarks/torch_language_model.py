"""The language model of `accuracy.py`, trained by a plain PyTorch loop.

The same sizes, streams, updates and rates as `RNNLanguageModel`'s, on one thread.
"""

import time

import numpy as np
import torch
from torch import nn

from torch_loop import CELLS

# What the loop does not do, and what each must be.
UNSUPPORTED = {
    "recurrent_dropout": 0.0,
    "residual": False,
    "layer_norm": False,
    "tied": False,
    "early_stopping": False,
    "analyzer": "char",
    "solver": "adam",
    "learning_rate": "cosine",
}


def what_is_missing(settings):
    """Return the names of the settings that the loop does not follow."""
    missing = [n for n, v in UNSUPPORTED.items() if settings.get(n, v) != v]
    return missing + ["cell"] * (settings.get("cell", "lstm") not in CELLS)


class Network(nn.Module):
    """Vectors of characters, recurrent layers, and a prediction at each step."""

    def __init__(self, n_tokens, settings):
        super().__init__()
        sizes = np.ravel(settings["hidden_layer_sizes"]).tolist()
        n = settings["embedding_dim"] or sizes[0]
        self.embedding = nn.Embedding(n_tokens, n)
        layers = []
        for n_units in sizes:
            layer = CELLS[settings["cell"]](n, n_units, batch_first=True)
            layers.append(layer)
            n = n_units
            if isinstance(layer, nn.LSTM):
                layer.bias_ih_l0.data[n_units : 2 * n_units] = 1.0  # the forget gate
        self.layers = nn.ModuleList(layers)
        self.input_dropout = nn.Dropout(settings["input_dropout"])
        self.dropout = nn.Dropout(settings["dropout"])
        self.output = nn.Linear(n, n_tokens)

    def forward(self, x, states):
        """Return the logits of x (n_streams, n_timesteps), and the states."""
        x, after = self.input_dropout(self.embedding(x)), []
        for layer, state in zip(self.layers, states, strict=True):
            x, state = layer(x, state)
            x = self.dropout(x)
            after.append(state)
        return self.output(x), after


def detached(state):
    """Return a state through which no gradient goes."""
    if isinstance(state, tuple):
        return tuple(part.detach() for part in state)
    return state.detach()


class TorchLanguageModel:
    """The loop around `Network`, with a scikit-learn-like fit and score.

    Parameters
    ----------
    n_epochs : int
    seed : int
    settings : dict
        Hyperparameters of `RNNLanguageModel`.

    Attributes
    ----------
    seconds_ : float
        The time that fit took.
    """

    def __init__(self, n_epochs, seed, settings):
        self.n_epochs = n_epochs
        self.seed = seed
        self.settings = settings

    def fit(self, X, y=None):
        """Train on one text, the only item of X."""
        begin = time.perf_counter()
        torch.set_num_threads(1)
        torch.manual_seed(self.seed)
        (text,) = X
        self.ids_ = {char: i for i, char in enumerate(sorted(set(text)))}
        settings = self.settings
        self.network_ = Network(len(self.ids_), settings)
        ids = self._ids(text)
        n_streams, n_steps = settings["batch_size"], settings["bptt_steps"]
        length = (len(ids) - 1) // n_streams
        inputs = ids[: n_streams * length].view(n_streams, length)
        targets = ids[1 : n_streams * length + 1].view(n_streams, length)
        rate = settings["learning_rate_init"]
        optimizer = torch.optim.Adam(self.network_.parameters(), rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            rate,
            total_steps=self.n_epochs * -(-length // n_steps),
            pct_start=settings["warmup_fraction"],
            cycle_momentum=False,
        )
        loss_of, max_norm = nn.CrossEntropyLoss(), settings["max_grad_norm"]
        self.network_.train()
        for _ in range(self.n_epochs):
            states = [None] * len(self.network_.layers)
            for x, y in zip(
                inputs.split(n_steps, 1), targets.split(n_steps, 1), strict=True
            ):
                logits, states = self.network_(x, states)
                states = [detached(state) for state in states]
                loss = loss_of(logits.flatten(0, 1), y.flatten())
                optimizer.zero_grad()
                loss.backward()
                if max_norm is not None:
                    nn.utils.clip_grad_norm_(self.network_.parameters(), max_norm)
                optimizer.step()
                schedule.step()
        self.seconds_ = time.perf_counter() - begin
        return self

    def _ids(self, text):
        return torch.tensor([self.ids_[char] for char in text])

    def score(self, X, y=None):
        """Return the mean log-likelihood of a character, but for the first."""
        (text,) = X
        self.network_.eval()
        ids = self._ids(text)[None]
        with torch.no_grad():
            logits, _ = self.network_(ids[:, :-1], [None] * len(self.network_.layers))
        loss = nn.functional.cross_entropy(logits[0], ids[0, 1:])
        return -float(loss)
