"""PyTorch: nn.RNN, nn.LSTM or nn.GRU, a linear layer on the last state, Adam."""

import torch

from peers.protocol import Peer, powers_of_two_and_all_cores, seconds_per_step, serve

CELLS = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


class Network(torch.nn.Module):
    """A recurrent layer, and one output from its last state."""

    def __init__(self, work):
        super().__init__()
        cell = CELLS[work.cell]
        self.recurrent = cell(
            work.n_channels, work.n_units, work.n_layers, batch_first=True
        )
        self.output = torch.nn.Linear(work.n_units, 1)

    def forward(self, x):
        """Return (batch,) for x of shape (batch, time, channels)."""
        states, _ = self.recurrent(x)
        return self.output(states[:, -1]).squeeze(-1)


class TorchPeer(Peer):
    """PyTorch in eager mode, as its tutorials write it."""

    packages = ("torch",)

    def thread_counts(self):
        """Return 1, 2, 4, ..., all cores."""
        return powers_of_two_and_all_cores()

    def prepare(self, work, threads, seconds):
        """Time steps with this number of threads."""
        make = fit_steps if work.task == "fit" else predict_calls
        run = make(Network(work).to(getattr(torch, work.dtype)), work)

        def run_with_threads(n_steps):
            torch.set_num_threads(threads)
            run(n_steps)

        return seconds_per_step(run_with_threads, seconds)


def fit_steps(network, work):
    """Return a function that takes n steps over shuffled minibatches."""
    X, y = map(torch.from_numpy, work.data())
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    loss_function = torch.nn.MSELoss()

    def run(n_steps):
        for step in range(n_steps):
            if step % work.n_batches == 0:
                batches = torch.randperm(len(X)).split(work.batch_size)
            rows = batches[step % work.n_batches]
            optimizer.zero_grad()
            loss = loss_function(network(X[rows]), y[rows])
            loss.backward()
            optimizer.step()

    return run


def predict_calls(network, work):
    """Return a function that predicts one batch n times, NumPy in and out."""
    X, _ = work.data()
    network.eval()

    def run(n_calls):
        with torch.inference_mode():
            for _ in range(n_calls):
                network(torch.from_numpy(X)).numpy()

    return run


if __name__ == "__main__":
    serve(TorchPeer())
