"""The transcriber of `accuracy.py`, trained by a plain PyTorch loop.

The same layers, epochs, batches, rates and first bias of the output as
`RNNTranscriber`'s, on one thread.
"""

import numpy as np
import torch
from torch import nn

import torch_loop
from skrnn.metrics import character_error_rate

BLANK = 0


def what_is_missing(settings):
    """Return the names of the settings that the loop does not follow."""
    missing = torch_loop.what_is_missing(settings)
    usual = {"beam_width": 1, "language_model": None}
    return missing + [n for n, v in usual.items() if settings.get(n, v) != v]


class Network(torch_loop.Network):
    """Recurrent layers and a dense layer at each frame."""

    def forward(self, x, lengths):
        """Return the logits of padded x, (n_samples, n_frames, n_classes)."""
        return self.dense(self.read(x, lengths)[0])


class TorchTranscriber(torch_loop.TorchClassifier):
    """The loop with the loss of CTC, and the greedy transcript."""

    def _encode(self, y):
        self.symbols_ = sorted(set("".join(y)))
        numbers = {symbol: 1 + i for i, symbol in enumerate(self.symbols_)}
        return [torch.tensor([numbers[symbol] for symbol in text]) for text in y]

    def _make_network(self, n_channels, n_tokens):
        return Network(n_channels, 1 + len(self.symbols_), n_tokens, self.settings)

    def _train(self, X, targets):
        counts = np.bincount(np.concatenate(targets), minlength=1 + len(self.symbols_))
        counts[BLANK] = max(sum(map(len, X)) - counts.sum(), 0)
        share = (counts + 1.0) / (counts + 1.0).sum()
        self.network_.dense.bias.data = torch.tensor(np.log(share), dtype=torch.float32)
        super()._train(X, targets)

    def _loss(self, X, rows, targets):
        labels = [targets[i] for i in rows]
        losses = nn.functional.ctc_loss(
            self._logits(X).log_softmax(dim=2).transpose(0, 1),
            torch.cat(labels),
            torch.tensor([len(x) for x in X]),
            torch.tensor([len(numbers) for numbers in labels]),
            blank=BLANK,
            reduction="none",
        )
        return losses.mean()

    def predict(self, X):
        """Return the symbols of the best path of each sequence."""
        self.network_.eval()
        X = [self._scaled(torch_loop.frames(x, self.settings)) for x in X]
        texts = []
        with torch.no_grad():
            for i in range(0, len(X), 64):
                part = X[i : i + 64]
                best = self._logits(part).argmax(dim=2).numpy()
                for x, path in zip(part, best, strict=True):
                    path = path[: len(x)]
                    is_new = np.append(True, path[1:] != path[:-1])
                    labels = path[is_new & (path != BLANK)]
                    texts.append("".join(self.symbols_[k - 1] for k in labels))
        return texts

    def score(self, X, y):
        """Return 1 minus the character error rate."""
        return 1.0 - character_error_rate(list(y), self.predict(X))
