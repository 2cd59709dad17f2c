"""skrnn's prediction without what the public `predict` adds to it.

The data are checked and the estimator is fitted; what is timed is the same from there
on as onnxruntime's: arrays in, arrays out. The difference to `skrnn_peer` is the cost
of reading and checking what a user may pass, and of the form of the answer.
"""

from peers.protocol import serve
from peers.skrnn_peer import SkrnnPeer
from skrnn.sequences import check_sequences


class InsidePeer(SkrnnPeer):
    """The estimators, below validation."""

    def prepare(self, work, threads, seconds):
        """Return what times calls."""
        if work.task != "predict":
            raise NotImplementedError("the inside is measured in prediction only")
        return super().prepare(work, threads, seconds)

    def call(self, model, X):
        """Return a function without arguments that predicts."""
        data = check_sequences(model, X, reset=False, n_channels=model.n_channels)
        return lambda: model._predict_raw(data)


if __name__ == "__main__":
    serve(InsidePeer())
