"""The encoder and decoder of `accuracy.py`, trained by a plain PyTorch loop.

The same layers, sizes, updates and rates as `RNNSeq2Seq`'s, on one thread; texts become
tokens by the same vocabularies, and are written greedily.
"""

import time

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from skrnn._sides import Texts

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}
IGNORED = -100  # PyTorch's own number for targets that do not count
END, UNKNOWN = 0, 1
# What the loop does not do, and what each must be.
UNSUPPORTED = {
    "recurrent_dropout": 0.0,
    "residual": False,
    "layer_norm": False,
    "decoder_layer_sizes": None,
    "attention": "dot",
    "bidirectional": True,
    "tied": True,
    "scheduled_sampling": 0.0,
    "beam_width": 1,
    "early_stopping": False,
    "solver": "adam",
    "learning_rate": "cosine",
}


def what_is_missing(settings):
    """Return the names of the settings that the loop does not follow."""
    missing = [n for n, v in UNSUPPORTED.items() if settings.get(n, v) != v]
    missing += ["cell"] * (settings.get("cell", "gru") not in CELLS)
    sizes = np.ravel(settings["hidden_layer_sizes"])
    return missing + ["hidden_layer_sizes"] * (len(sizes) > 1)


class Network(nn.Module):
    """A bidirectional encoder, and a decoder with the attention of Luong et al."""

    def __init__(self, n_source, n_target, settings):
        super().__init__()
        (n,) = np.ravel(settings["hidden_layer_sizes"]).tolist()
        dim, cell = settings["embedding_dim"] or n, CELLS[settings["cell"]]
        self.source = nn.Embedding(n_source, dim)
        self.target = nn.Embedding(n_target, dim)
        for table in (self.source, self.target):
            nn.init.normal_(table.weight, std=dim**-0.5)
        self.encoder = cell(dim, n, batch_first=True, bidirectional=True)
        self.decoder = cell(dim, n, batch_first=True)
        self.bridge = nn.Linear(2 * n, n * (1 + (cell is nn.LSTM)))
        self.scores = nn.Linear(2 * n, n, bias=False)
        self.combination = nn.Linear(3 * n, n)
        self.projection = nn.Linear(n, dim) if n != dim else nn.Identity()
        self.bias = nn.Parameter(torch.zeros(n_target))
        self.input_dropout = nn.Dropout(settings["input_dropout"])
        self.dropout = nn.Dropout(settings["dropout"])

    def read(self, sources):
        """Return the memory of a list of sources, its mask, and the first state."""
        lengths = torch.tensor([len(source) for source in sources])
        x = self.input_dropout(self.source(pad_sequence(sources, batch_first=True)))
        packed = pack_padded_sequence(x, lengths, True, enforce_sorted=False)
        memory, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        mask = torch.arange(memory.shape[1]) < lengths[:, None]
        memory = self.dropout(memory)
        mean = (memory * mask[..., None]).sum(1) / lengths[:, None]
        first = torch.tanh(self.bridge(mean))[None]
        if isinstance(self.decoder, nn.LSTM):
            first = tuple(part.contiguous() for part in first.chunk(2, dim=-1))
        return (memory, self.scores(memory), mask), first

    def write(self, fed, read, state):
        """Return the logits of the steps after the vectors that are fed."""
        memory, mapped, mask = read
        top, state = self.decoder(self.input_dropout(fed), state)
        top = self.dropout(top)
        scores = top @ mapped.transpose(1, 2)
        weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(dim=-1)
        joined = torch.cat([weights @ memory, top], dim=-1)
        out = self.dropout(torch.tanh(self.combination(joined)))
        return self.projection(out) @ self.target.weight.T + self.bias, state

    def begin(self, n):
        """Return what is fed before the first token."""
        return torch.zeros(n, 1, self.target.embedding_dim)


class TorchTranslator:
    """The loop around `Network`, with a scikit-learn-like fit, predict and score.

    Parameters
    ----------
    n_epochs : int
    seed : int
    settings : dict
        Hyperparameters of `RNNSeq2Seq`.

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
        """Train on lists of texts."""
        begin = time.perf_counter()
        torch.set_num_threads(1)
        torch.manual_seed(self.seed)
        settings = self.settings
        names = ("lowercase", "token_pattern", "max_features", "min_frequency")
        shared = {name: settings[name] for name in names}
        analyzers = [settings["analyzer"]]
        analyzers += [settings["target_analyzer"] or analyzers[0]]
        self._sides = [
            Texts(analyzer, written, **shared)
            for analyzer, written in zip(analyzers, (False, True), strict=True)
        ]
        sources, targets = (
            as_tensors(side.learn(texts))
            for side, texts in zip(self._sides, (X, y), strict=True)
        )
        self.network_ = Network(*(side.n_tokens for side in self._sides), settings)
        counts = torch.tensor(self._sides[1].counts + 0.5)
        self.network_.bias.data = (counts / counts.sum()).log().float()
        n, n_batch = len(sources), settings["batch_size"]
        rate = settings["learning_rate_init"]
        optimizer = torch.optim.Adam(self.network_.parameters(), rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            rate,
            total_steps=self.n_epochs * -(-n // n_batch),
            pct_start=settings["warmup_fraction"],
            cycle_momentum=False,
        )
        loss_of = nn.CrossEntropyLoss(
            ignore_index=IGNORED, label_smoothing=settings["label_smoothing"]
        )
        max_norm = settings["max_grad_norm"]
        self.network_.train()
        for _ in range(self.n_epochs):
            for rows in torch.randperm(n).split(n_batch):
                loss = self._loss(
                    [sources[i] for i in rows], [targets[i] for i in rows], loss_of
                )
                optimizer.zero_grad()
                loss.backward()
                if max_norm is not None:
                    nn.utils.clip_grad_norm_(self.network_.parameters(), max_norm)
                optimizer.step()
                schedule.step()
        self.seconds_ = time.perf_counter() - begin
        return self

    def _loss(self, sources, targets, loss_of):
        read, state = self.network_.read(sources)
        padded = pad_sequence(targets, batch_first=True)
        fed = self.network_.target(padded[:, :-1])
        fed = torch.cat([self.network_.begin(len(sources)), fed], dim=1)
        logits, _ = self.network_.write(fed, read, state)
        expected = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
        return loss_of(logits.flatten(0, 1), expected.flatten())

    def predict(self, X, max_length=50):
        """Return the texts that are written greedily."""
        source, target = self._sides
        self.network_.eval()
        sources, written = as_tensors(source.read(X)), []
        with torch.no_grad():
            for first in range(0, len(sources), 256):
                written += self._write(sources[first : first + 256], max_length)
        return [target.text_of(ids) for ids in written]

    def _write(self, sources, max_length):
        read, state = self.network_.read(sources)
        fed, steps = self.network_.begin(len(sources)), []
        for _ in range(max_length):
            logits, state = self.network_.write(fed, read, state)
            logits[:, :, UNKNOWN] = -torch.inf
            tokens = logits.argmax(dim=-1)
            steps.append(tokens)
            fed = self.network_.target(tokens)
        rows = torch.cat(steps, dim=1).tolist()
        return [row[: row.index(END)] if END in row else row for row in rows]

    def score(self, X, y):
        """Return the share of texts that are predicted exactly."""
        truth = self._sides[1].normalized(y)
        pairs = zip(self.predict(X), truth, strict=True)
        return float(np.mean([a == b for a, b in pairs]))


def as_tensors(data):
    """Return the ids of a data set, a tensor for each text."""
    return [torch.from_numpy(ids[:, 0].astype(np.int64)) for ids in data]
