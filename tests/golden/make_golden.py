"""Write the golden files: networks of PyTorch, their gradients and their training.

Run by hand, where PyTorch is installed: ``python tests/golden/make_golden.py``. A
file holds one network, its parameters and their gradients under skrnn's names and in
skrnn's columns, so that tests/test_golden.py needs no PyTorch to compare.
"""

import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
# file: cell and activation
KINDS = {
    "rnn": ("rnn", "tanh"),
    "rnn_relu": ("rnn", "relu"),
    "lstm": ("lstm", "tanh"),
    "gru": ("gru", "tanh"),
}
DEPTHS = (1, 2)
NAMES = [f"{kind}_{depth}" for kind in KINDS for depth in DEPTHS]

LENGTHS = (5, 2, 7, 1, 4)
N_INPUTS, N_UNITS, N_OUTPUTS = 3, 5, 2
N_UPDATES = 10
RATE = 0.02
# solver: its settings in skrnn's words
SOLVERS = {
    "adam": {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-6, "weight_decay": 0.0},
    "adamw": {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-6, "weight_decay": 0.1},
    "rmsprop": {"rho": 0.9, "epsilon": 1e-3},
    "sgd": {"momentum": 0.9, "nesterovs_momentum": 1.0},
}


def to_skrnn(cell, recurrent, output):
    """Give PyTorch's parameters, or their gradients, skrnn's names and columns.

    Parameters
    ----------
    cell : str
    recurrent : list of (weight_ih, weight_hh, bias_ih, bias_hh), one for each layer
    output : (weight, bias)
    """
    named = {}
    for i, (w, v, b_w, b_v) in enumerate(recurrent):
        bias = b_w + b_v  # PyTorch has two that always come as a sum ...
        if cell == "gru":  # ... but for the candidate; rows r, z, n become n, r, z
            r, z, n = np.split(v, 3)
            v = np.concatenate([n, r, z])
            bias_r, bias_z, _ = np.split(bias, 3)
            recurrent_n, input_n = np.split(b_v, 3)[2], np.split(b_w, 3)[2]
            bias = np.concatenate([recurrent_n, bias_r, bias_z, input_n])
        named[f"layers.{i}.input_weights"] = w.T
        named[f"layers.{i}.recurrent_weights"] = v.T
        named[f"layers.{i}.bias"] = bias
    named["output.weights"] = output[0].T
    named["output.bias"] = output[1]
    return named


class Reference:
    """A network of PyTorch in float64 over a fixed batch of ragged sequences."""

    def __init__(self, cell, activation, depth):
        import torch

        self.torch = torch
        self.cell = cell
        module = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
        options = {"nonlinearity": activation} if cell == "rnn" else {}
        self.recurrent = module(
            N_INPUTS, N_UNITS, depth, batch_first=True, dtype=torch.float64, **options
        )
        self.output = torch.nn.Linear(N_UNITS, N_OUTPUTS, dtype=torch.float64)
        rng = np.random.default_rng(20_240_501 + depth)
        self.inputs = rng.normal(size=(len(LENGTHS), max(LENGTHS), N_INPUTS))
        self.targets = rng.normal(size=(len(LENGTHS), N_OUTPUTS))
        with torch.no_grad():
            for parameter in self.parameters():
                values = 0.5 * rng.normal(size=parameter.shape)
                parameter.copy_(torch.from_numpy(values))
        self._tie_biases()

    def parameters(self):
        return [*self.recurrent.parameters(), *self.output.parameters()]

    def _tie_biases(self):
        """Hold at 0 the second of two biases that only count as a sum."""
        for name, bias in self.recurrent.named_parameters():
            if name.startswith("bias_hh"):
                free = self.torch.zeros_like(bias)
                if self.cell == "gru":
                    free[2 * N_UNITS :] = 1.0
                bias.data *= free
                bias.register_hook(lambda gradient, free=free: gradient * free)

    def raw(self):
        rnn = self.torch.nn.utils.rnn
        packed = rnn.pack_padded_sequence(
            self.torch.from_numpy(self.inputs),
            list(LENGTHS),
            batch_first=True,
            enforce_sorted=False,
        )
        states = self.recurrent(packed)[1]
        hidden = states[0] if self.cell == "lstm" else states
        return self.output(hidden[-1])

    def loss(self):
        """Half the mean squared error."""
        return 0.5 * (self.raw() - self.torch.from_numpy(self.targets)).pow(2).mean()

    def named(self, of):
        """Return arrays by skrnn's names; `of` picks the value or the gradient."""
        layers = [
            [of(parameter).detach().numpy().copy() for parameter in layer]
            for layer in self.recurrent.all_weights
        ]
        output = [of(p).detach().numpy().copy() for p in self.output.parameters()]
        return to_skrnn(self.cell, layers, output)

    def optimizer(self, solver):
        optim, settings = self.torch.optim, SOLVERS[solver]
        weights = [p for p in self.parameters() if p.ndim == 2]
        biases = [p for p in self.parameters() if p.ndim == 1]
        if solver in ("adam", "adamw"):
            groups = [
                {"params": weights, "weight_decay": settings["weight_decay"]},
                {"params": biases, "weight_decay": 0.0},
            ]
            make = optim.Adam if solver == "adam" else optim.AdamW
            betas = settings["beta_1"], settings["beta_2"]
            return make(groups, lr=RATE, betas=betas, eps=settings["epsilon"])
        if solver == "rmsprop":
            rho, eps = settings["rho"], settings["epsilon"]
            return optim.RMSprop(self.parameters(), lr=RATE, alpha=rho, eps=eps)
        momentum = settings["momentum"]
        return optim.SGD(self.parameters(), lr=RATE, momentum=momentum, nesterov=True)


def golden(name):
    """Return the arrays of a file."""
    kind, depth = name.rsplit("_", 1)
    cell, activation = KINDS[kind]
    reference = Reference(cell, activation, int(depth))
    loss = reference.loss()
    loss.backward()
    arrays = {
        "inputs": reference.inputs,
        "targets": reference.targets,
        "raw": reference.raw().detach().numpy(),
        "loss": loss.detach().numpy(),
    }
    for key, value in reference.named(lambda p: p.data).items():
        arrays[f"parameters/{key}"] = value
    for key, value in reference.named(lambda p: p.grad).items():
        arrays[f"gradient/{key}"] = value
    for solver in SOLVERS:
        trained = Reference(cell, activation, int(depth))
        optimizer = trained.optimizer(solver)
        losses = []
        for _ in range(N_UPDATES):
            optimizer.zero_grad()
            loss = trained.loss()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        arrays[f"{solver}/losses"] = np.array(losses)
        for key, value in trained.named(lambda p: p.data).items():
            arrays[f"{solver}/{key}"] = value
    return arrays


def main(folder=FOLDER):
    """Write every file."""
    for name in NAMES:
        np.savez_compressed(Path(folder) / f"{name}.npz", **golden(name))


if __name__ == "__main__":
    main(*sys.argv[1:])
