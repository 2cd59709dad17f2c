"""The networks of `accuracy.py`'s recipes, trained by a plain PyTorch loop.

The same layers, epochs, batches and rates as skrnn's, on one thread, as a PyTorch user
would write them: minibatches are padded to their longest sequence and packed.
"""

import time

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
POOLINGS = {"last", "mean", "max"}
# What the loop does not do, and what each must be.
UNSUPPORTED = {
    "recurrent_dropout": 0.0,
    "residual": False,
    "layer_norm": False,
    "dense_layer_sizes": (),
    "learn_initial_state": False,
    "return_sequences": False,
    "adversarial_eps": 0.0,
    "bptt_steps": None,
    "class_weight": None,
    "early_stopping": False,
    "activation": "tanh",
    "loss": "log_loss",
}


def what_is_missing(settings):
    """Return the names of the settings that the loop does not follow."""
    missing = [n for n, v in UNSUPPORTED.items() if settings.get(n, v) != v]
    missing += ["cell"] * (settings.get("cell", "lstm") not in CELLS)
    missing += ["pooling"] * (not POOLINGS.issuperset(poolings(settings)))
    missing += ["solver"] * (settings.get("solver", "adam") not in ("adam", "adamw"))
    return missing


def poolings(settings):
    """Return the names of the poolings, which stand side by side."""
    return np.atleast_1d(settings.get("pooling", "last")).tolist()


def frames(x, settings):
    """Return one sequence with differences and joined steps, as the settings say."""
    x = np.asarray(x, np.float32).reshape(len(x), -1)
    if settings.get("differences"):
        x = np.hstack([x, np.diff(x, axis=0, prepend=x[:1])])
    k = settings.get("steps_per_frame", 1)
    missing = -len(x) % k  # the last step is repeated to fill its frame
    return np.pad(x, [(0, missing), (0, 0)], "edge").reshape(-(-len(x) // k), -1)


class Network(nn.Module):
    """Recurrent layers, pooling over time and a dense layer.

    Parameters
    ----------
    n_channels : int
    n_classes : int
    n_tokens : int
        Tokens to embed, 0 for sequences of numbers.
    settings : dict
        Hyperparameters of `RNNClassifier`.
    """

    def __init__(self, n_channels, n_classes, n_tokens, settings):
        super().__init__()
        self.embedding = None
        if n_tokens:
            n_channels = settings["embedding_dim"]
            self.embedding = nn.Embedding(n_tokens, n_channels)
        both = bool(settings.get("bidirectional", False))
        layers = []
        for n_units in np.ravel(settings.get("hidden_layer_sizes", 32)).tolist():
            cell = CELLS[settings.get("cell", "lstm")]
            layer = cell(n_channels, n_units, batch_first=True, bidirectional=both)
            layers.append(layer)
            n_channels = n_units * (1 + both)
            if isinstance(layer, nn.LSTM):
                for name, bias in layer.named_parameters():
                    if name.startswith("bias_ih"):
                        bias.data[n_units : 2 * n_units] = 1.0  # of the forget gate
        self.layers = nn.ModuleList(layers)
        self.dropout = nn.Dropout(settings.get("dropout", 0.0))
        self.input_dropout = nn.Dropout(settings.get("input_dropout", 0.0))
        self.noise = settings.get("input_noise", 0.0)
        self.poolings = poolings(settings)
        self.dense = nn.Linear(n_channels * len(self.poolings), n_classes)

    def forward(self, x, lengths):
        """Return the logits of padded x (n_samples, n_timesteps, n_channels)."""
        x, state = self.read(x, lengths)
        parts = [self.pool(name, x, lengths, state) for name in self.poolings]
        return self.dense(torch.cat(parts, dim=1))

    def read(self, x, lengths):
        """Return the outputs of the last layer at all steps, and its last state."""
        if self.embedding is not None:
            x = self.embedding(x[..., 0].long())
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)
        x = self.input_dropout(x)
        is_ragged = bool((lengths != lengths[0]).any())
        for layer in self.layers:
            if is_ragged:
                x = pack_padded_sequence(x, lengths, True, enforce_sorted=False)
            x, state = layer(x)
            if is_ragged:
                x, _ = pad_packed_sequence(x, batch_first=True)
            x = self.dropout(x)
        return x, state

    def pool(self, pooling, x, lengths, state):
        """Return what the dense layer sees of all steps."""
        if pooling == "last":
            state = state[0] if isinstance(state, tuple) else state
            return self.dropout(torch.cat(list(state), dim=1))
        valid = (torch.arange(x.shape[1]) < lengths[:, None])[..., None]
        if pooling == "max":
            return x.masked_fill(~valid, -torch.inf).amax(dim=1)
        return (x * valid).sum(dim=1) / lengths[:, None]


class TorchClassifier:
    """The loop around `Network`, with a scikit-learn-like fit.

    Parameters
    ----------
    n_epochs : int
    seed : int
    settings : dict
        Hyperparameters of `RNNClassifier`; `what_is_missing` tells which are not
        followed.

    Attributes
    ----------
    seconds_ : float
        The time that fit took.
    """

    def __init__(self, n_epochs, seed, settings):
        self.n_epochs = n_epochs
        self.seed = seed
        self.settings = settings

    def fit(self, X, y):
        """Train on sequences X of classes y."""
        begin = time.perf_counter()
        torch.set_num_threads(1)
        torch.manual_seed(self.seed)
        targets = self._encode(y)
        X = [frames(x, self.settings) for x in X]
        steps = np.concatenate(X)
        n_tokens = 0
        self.mean_, self.scale_ = np.float32(0), np.float32(1)
        if self.settings.get("embedding_dim"):
            n_tokens = int(steps.max()) + 1
        elif self.settings.get("standardize", True):
            self.mean_, self.scale_ = steps.mean(axis=0), steps.std(axis=0)
            self.scale_[self.scale_ == 0] = 1
        self.network_ = self._make_network(steps.shape[1], n_tokens)
        self._train([self._scaled(x) for x in X], targets)
        self.seconds_ = time.perf_counter() - begin
        return self

    def _encode(self, y):
        self.classes_, targets = np.unique(y, return_inverse=True)
        return torch.from_numpy(targets)

    def _make_network(self, n_channels, n_tokens):
        return Network(n_channels, len(self.classes_), n_tokens, self.settings)

    def _scaled(self, x):
        return torch.from_numpy((x - self.mean_) / self.scale_)

    def _train(self, X, targets):
        settings = self.settings
        batch_size = settings.get("batch_size", "auto")
        if batch_size == "auto":
            batch_size = max(8, min(64, len(X) // 8))
        batch_size = min(batch_size, len(X))
        rate = settings.get("learning_rate_init", 0.01)
        alpha = settings.get("alpha", 0.0001)
        if settings.get("solver") == "adamw":
            optimizer = torch.optim.AdamW(
                self.network_.parameters(), rate, weight_decay=alpha
            )
        else:
            optimizer = torch.optim.Adam(
                self.network_.parameters(), rate, weight_decay=alpha / batch_size
            )
        schedule = None
        if settings.get("learning_rate") == "cosine":
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer,
                rate,
                total_steps=self.n_epochs * -(-len(X) // batch_size),
                pct_start=settings.get("warmup_fraction", 0.1),
                cycle_momentum=False,
            )
        max_norm = settings.get("max_grad_norm", 1.0)
        self.network_.train()
        for _ in range(self.n_epochs):
            for rows in torch.randperm(len(X)).split(batch_size):
                loss = self._loss([X[i] for i in rows], rows, targets)
                optimizer.zero_grad()
                loss.backward()
                if max_norm is not None:
                    nn.utils.clip_grad_norm_(self.network_.parameters(), max_norm)
                optimizer.step()
                if schedule is not None:
                    schedule.step()

    def _loss(self, X, rows, targets):
        smoothing = self.settings.get("label_smoothing", 0.0)
        logits = self._logits(X)
        return nn.functional.cross_entropy(
            logits, targets[rows], label_smoothing=smoothing
        )

    def _logits(self, X):
        lengths = torch.tensor([len(x) for x in X])
        return self.network_(pad_sequence(X, batch_first=True), lengths)

    def score(self, X, y):
        """Return the accuracy."""
        self.network_.eval()
        X = [self._scaled(frames(x, self.settings)) for x in X]
        with torch.no_grad():
            parts = [
                self._logits(X[i : i + 256]).argmax(dim=1)
                for i in range(0, len(X), 256)
            ]
        predicted = self.classes_[torch.cat(parts).numpy()]
        return float(np.mean(predicted == np.asarray(y)))
