"""Write the golden files: networks of PyTorch, their gradients and their training.

Run by hand, where PyTorch is installed: ``python tests/golden/make_golden.py``. A
file holds one network, its parameters and their gradients under skrnn's names and in
skrnn's columns, so that tests/test_golden.py needs no PyTorch to compare. One
file holds CTC losses alone, for tests/test_ctc.py.
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

# file: an architecture in skrnn's words
N_TOKENS, EMBEDDING_DIM, N_CLASSES = 4, 2, 3
OPTIONS = {
    "bidirectional_rnn": {
        "cell": "rnn",
        "sizes": (N_UNITS,) * 2,
        "bidirectional": True,
    },
    "bidirectional_lstm": {
        "cell": "lstm",
        "sizes": (N_UNITS,) * 2,
        "bidirectional": True,
    },
    "bidirectional_gru": {
        "cell": "gru",
        "sizes": (N_UNITS,) * 2,
        "bidirectional": True,
    },
    "embedding_gru": {
        "cell": "gru",
        "sizes": (N_UNITS,),
        "n_tokens": ((1, N_TOKENS),),
        "embedding_dim": EMBEDDING_DIM,
    },
    "attention_gru": {"cell": "gru", "sizes": (N_UNITS,), "pooling": "attention"},
    "layer_norm_lstm": {"cell": "lstm", "sizes": (N_UNITS,), "layer_norm": True},
    # of which the targets are classes
    "steps_gru": {"cell": "gru", "sizes": (N_UNITS,), "pooling": None},
    "smoothed_lstm": {"cell": "lstm", "sizes": (N_UNITS,)},
}
LABEL_SMOOTHING = {"steps_gru": 0.0, "smoothed_lstm": 0.15}
# a file of a loss alone
CTC, N_CTC_CLASSES = "ctc", 4

# a network of its own: an adaptive softmax over the states of each step
ADAPTIVE = {"sizes": (16,), "n_classes": 10, "cutoffs": (3, 6)}

# file: cell and attention of a network that writes, bidirectional where it reads
TRANSLATIONS = {
    "translation_dot_gru": ("gru", "dot"),
    "translation_additive_lstm": ("lstm", "additive"),
}
LABEL_LENGTHS = (3, 6, 1, 4, 2)
BEGIN = N_TOKENS - 1


def to_skrnn(cell, recurrent, output):
    """Give PyTorch's parameters, or their gradients, skrnn's names and columns.

    Parameters
    ----------
    cell : str
    recurrent : list of (weight_ih, weight_hh, bias_ih, bias_hh), one for each layer
    output : (weight, bias)
    """
    named = {}
    for i, weights in enumerate(recurrent):
        for name, values in layer_to_skrnn(cell, *weights).items():
            named[f"layers.{i}.{name}"] = values
    named["output.weights"] = output[0].T
    named["output.bias"] = output[1]
    return named


def layer_to_skrnn(cell, w, v, b_w, b_v):
    """Do so for one layer, and one way of it."""
    bias = b_w + b_v  # PyTorch has two that always come as a sum ...
    if cell == "gru":  # ... but for the candidate; rows r, z, n become n, r, z
        r, z, n = np.split(v, 3)
        v = np.concatenate([n, r, z])
        bias_r, bias_z, _ = np.split(bias, 3)
        recurrent_n, input_n = np.split(b_v, 3)[2], np.split(b_w, 3)[2]
        bias = np.concatenate([recurrent_n, bias_r, bias_z, input_n])
    return {"input_weights": w.T, "recurrent_weights": v.T, "bias": bias}


def recurrent_module(torch, cell, n_inputs, n_layers, **options):
    module = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
    return module(
        n_inputs, N_UNITS, n_layers, batch_first=True, dtype=torch.float64, **options
    )


def fill(torch, parameters, rng):
    """Give parameters random values."""
    with torch.no_grad():
        for parameter in parameters:
            values = 0.5 * rng.normal(size=parameter.shape)
            parameter.copy_(torch.from_numpy(values))


def tie_biases(torch, cell, module):
    """Hold at 0 the second of two biases that only count as a sum."""
    for name, bias in module.named_parameters():
        if name.startswith("bias_hh"):
            free = torch.zeros_like(bias)
            if cell == "gru":
                free[2 * N_UNITS :] = 1.0
            bias.data *= free
            bias.register_hook(lambda gradient, free=free: gradient * free)


class Reference:
    """A network of PyTorch in float64 over a fixed batch of ragged sequences."""

    def __init__(self, cell, activation, depth):
        import torch

        self.torch = torch
        self.cell = cell
        options = {"nonlinearity": activation} if cell == "rnn" else {}
        self.recurrent = recurrent_module(torch, cell, N_INPUTS, depth, **options)
        self.output = torch.nn.Linear(N_UNITS, N_OUTPUTS, dtype=torch.float64)
        rng = np.random.default_rng(20_240_501 + depth)
        self.inputs = rng.normal(size=(len(LENGTHS), max(LENGTHS), N_INPUTS))
        self.targets = rng.normal(size=(len(LENGTHS), N_OUTPUTS))
        fill(torch, self.parameters(), rng)
        tie_biases(torch, cell, self.recurrent)

    def parameters(self):
        return [*self.recurrent.parameters(), *self.output.parameters()]

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


class OptionReference:
    """A network of PyTorch with an option, over each sequence by itself."""

    def __init__(self, name):
        import torch

        self.torch, self.name, self.options = torch, name, OPTIONS[name]
        self.cell = self.options["cell"]
        self.n_ways = 1 + self.options.get("bidirectional", False)
        self.n_layers = len(self.options["sizes"])
        rng = np.random.default_rng(20_240_601)
        shape = len(LENGTHS), max(LENGTHS), N_INPUTS
        self.inputs, n_inputs = rng.normal(size=shape), N_INPUTS
        self.own = {}  # parameters that are of no module, by skrnn's names
        self.embedding = None
        if "n_tokens" in self.options:
            self.inputs[:, :, 1] = rng.integers(0, N_TOKENS, shape[:2])
            self.embedding = torch.nn.Embedding(
                N_TOKENS, EMBEDDING_DIM, dtype=torch.float64
            )
            n_inputs += EMBEDDING_DIM - 1
        self.recurrent = None
        if self.options.get("layer_norm"):
            n_gates = 4 * N_UNITS
            self._add("layers.0.input_weights", N_INPUTS, n_gates)
            self._add("layers.0.recurrent_weights", N_UNITS, n_gates)
            self._add("layers.0.bias", n_gates)
            self._add("layers.0.gain", n_gates)
        else:
            self.recurrent = recurrent_module(
                torch, self.cell, n_inputs, self.n_layers, bidirectional=self.n_ways > 1
            )
        if self.options.get("pooling") == "attention":
            self._add("pooling.query", N_UNITS)
        smoothing = LABEL_SMOOTHING.get(name)
        n_outputs = N_OUTPUTS if smoothing is None else N_CLASSES
        self.output = torch.nn.Linear(
            self.n_ways * N_UNITS, n_outputs, dtype=torch.float64
        )
        n_targets = sum(LENGTHS) if name == "steps_gru" else len(LENGTHS)
        if smoothing is None:
            self.targets = rng.normal(size=(n_targets, N_OUTPUTS))
        else:
            self.targets = rng.integers(0, N_CLASSES, size=(n_targets, 1))
        modules = [self.embedding, self.recurrent, self.output]
        for module in modules:
            if module is not None:
                fill(torch, module.parameters(), rng)
        fill(torch, self.own.values(), rng)
        if self.recurrent is not None:
            tie_biases(torch, self.cell, self.recurrent)
        self.x = torch.from_numpy(self.inputs).requires_grad_()

    def _add(self, name, *shape):
        parameter = self.torch.empty(shape, dtype=self.torch.float64)
        self.own[name] = self.torch.nn.Parameter(parameter)

    def _normalized_lstm(self, x):
        """Each gate with a normalization of its own, before gain and bias."""
        torch, own = self.torch, self.own
        weights, recurrences, bias, gain = (
            own[f"layers.0.{name}"]
            for name in ("input_weights", "recurrent_weights", "bias", "gain")
        )
        h = c = torch.zeros(N_UNITS, dtype=torch.float64)
        states = []
        for x_t in x:
            products = x_t @ weights + h @ recurrences
            i, f, n, o = (
                torch.nn.functional.layer_norm(block, (N_UNITS,), g, b, eps=1e-5)
                for block, g, b in zip(
                    products.split(N_UNITS),
                    gain.split(N_UNITS),
                    bias.split(N_UNITS),
                    strict=True,
                )
            )
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(n)
            h = torch.sigmoid(o) * torch.tanh(c)
            states.append(h)
        return torch.stack(states)

    def _raw_of(self, x):
        torch = self.torch
        if self.embedding is not None:
            vectors = self.embedding(x[:, 1].long())
            x = torch.cat([vectors, x[:, :1], x[:, 2:]], dim=1)
        if self.recurrent is None:
            states = self._normalized_lstm(x)
        else:
            states = self.recurrent(x[None])[0][0]
        pooling = self.options.get("pooling", "last")
        if pooling == "last":
            states = states[-1:]
        elif pooling == "attention":
            weights = torch.softmax(states @ self.own["pooling.query"], dim=0)
            states = (weights @ states)[None]
        return self.output(states)

    def raw(self):
        sequences = [x[:n] for x, n in zip(self.x, LENGTHS, strict=True)]
        return self.torch.cat([self._raw_of(x) for x in sequences])

    def loss(self):
        targets = self.torch.from_numpy(self.targets)
        if self.name in LABEL_SMOOTHING:
            entropy = self.torch.nn.CrossEntropyLoss(
                label_smoothing=LABEL_SMOOTHING[self.name]
            )
            return entropy(self.raw(), targets[:, 0])
        return 0.5 * (self.raw() - targets).pow(2).mean()

    def named(self, of):
        """Return arrays by skrnn's names; `of` picks the value or the gradient."""

        def array(parameter):
            return of(parameter).detach().numpy().copy()

        named = {name: array(parameter) for name, parameter in self.own.items()}
        if self.embedding is not None:
            named["embedding.1.vectors"] = array(self.embedding.weight)
        weights = [] if self.recurrent is None else self.recurrent.all_weights
        for i, of_way in enumerate(weights):
            layer, back = divmod(i, self.n_ways)
            place = f"layers.{layer}.reverse" if back else f"layers.{layer}"
            for name, values in layer_to_skrnn(self.cell, *map(array, of_way)).items():
                named[f"{place}.{name}"] = values
        named["output.weights"] = array(self.output.weight).T
        named["output.bias"] = array(self.output.bias)
        return named


class TranslationReference:
    """An encoder and a decoder of PyTorch, over each pair by itself."""

    def __init__(self, name):
        import torch

        self.torch, self.cell, self.attention = torch, *TRANSLATIONS[name]
        double, n = {"dtype": torch.float64}, N_UNITS
        rng = np.random.default_rng(20_261_121)
        self.sources = rng.normal(size=(len(LENGTHS), max(LENGTHS), N_INPUTS))
        shape = len(LENGTHS), max(LABEL_LENGTHS)
        self.labels = rng.integers(0, N_TOKENS, shape)
        linear, n_states = torch.nn.Linear, 2 * n if self.cell == "lstm" else n
        self.encoder = recurrent_module(
            torch, self.cell, N_INPUTS, 1, bidirectional=True
        )
        self.decoder = recurrent_module(torch, self.cell, EMBEDDING_DIM, 1)
        self.embedding = torch.nn.Embedding(N_TOKENS, EMBEDDING_DIM, **double)
        self.linear = {
            "decoder.bridge": linear(2 * n, n_states, **double),
            "decoder.combination": linear(3 * n, n, **double),
            "output": linear(n, N_TOKENS, **double),
        }
        self.of_attention = {"memory": linear(2 * n, n, bias=False, **double)}
        self.query = torch.nn.Parameter(torch.zeros(n, **double))
        if self.attention == "additive":
            self.of_attention["states"] = linear(n, n, **double)
        modules = [self.encoder, self.decoder, self.embedding]
        for module in (*modules, *self.linear.values(), *self.of_attention.values()):
            fill(torch, module.parameters(), rng)
        fill(torch, [self.query], rng)
        for module in (self.encoder, self.decoder):
            tie_biases(torch, self.cell, module)

    def _raw_of(self, source, labels):
        torch = self.torch
        memory = self.encoder(source[None])[0][0]
        given = torch.tanh(self.linear["decoder.bridge"](memory.mean(dim=0)))
        states = tuple(part[None, None] for part in given.split(N_UNITS))
        fed = torch.tensor([BEGIN, *labels[:-1].tolist()])
        below = self.embedding(fed)[None]
        first = states if self.cell == "lstm" else states[0]
        states = self.decoder(below, first)[0][0]
        mapped = self.of_attention["memory"](memory)
        if self.attention == "dot":
            scores = states @ mapped.T
        else:
            queries = self.of_attention["states"](states)
            scores = torch.tanh(queries[:, None] + mapped[None]) @ self.query
        contexts = torch.softmax(scores, dim=1) @ memory
        joined = torch.cat([contexts, states], dim=1)
        combined = torch.tanh(self.linear["decoder.combination"](joined))
        return self.linear["output"](combined)

    def pairs(self):
        """Yield each source with its labels."""
        for i, (n, n_labels) in enumerate(zip(LENGTHS, LABEL_LENGTHS, strict=True)):
            yield self.torch.from_numpy(self.sources[i, :n]), self.labels[i, :n_labels]

    def raw(self):
        return self.torch.cat([self._raw_of(*pair) for pair in self.pairs()])

    def loss(self):
        labels = np.concatenate([labels for _, labels in self.pairs()])
        entropy = self.torch.nn.CrossEntropyLoss(reduction="sum")
        return entropy(self.raw(), self.torch.from_numpy(labels))

    def named(self, of):
        """Return arrays by skrnn's names; `of` picks the value or the gradient."""

        def array(parameter):
            return of(parameter).detach().numpy().copy()

        named = {"decoder.embedding.0.vectors": array(self.embedding.weight)}
        places = ["layers.0", "layers.0.reverse", "decoder.layers.0"]
        layers = [*self.encoder.all_weights, *self.decoder.all_weights]
        for place, weights in zip(places, layers, strict=True):
            for name, values in layer_to_skrnn(self.cell, *map(array, weights)).items():
                named[f"{place}.{name}"] = values
        for place, module in self.linear.items():
            named[f"{place}.weights"] = array(module.weight).T
            named[f"{place}.bias"] = array(module.bias)
        place = "decoder.attention"
        for name, module in self.of_attention.items():
            named[f"{place}.{name}_weights"] = array(module.weight).T
        if self.attention == "additive":
            module = self.of_attention["states"]
            named[f"{place}.states_bias"] = array(module.bias)
            named[f"{place}.query"] = array(self.query)
        return named


def golden_translation(name):
    """Return the arrays of a file of a network that writes."""
    reference = TranslationReference(name)
    loss = reference.loss()
    loss.backward()
    arrays = {
        "sources": reference.sources,
        "labels": reference.labels,
        "raw": reference.raw().detach().numpy(),
        "loss": loss.detach().numpy(),
    }
    for key, value in reference.named(lambda p: p.data).items():
        arrays[f"parameters/{key}"] = value
    for key, value in reference.named(lambda p: p.grad).items():
        arrays[f"gradient/{key}"] = value
    return arrays


def golden_option(name):
    """Return the arrays of a file of an option."""
    reference = OptionReference(name)
    loss = reference.loss()
    loss.backward()
    arrays = {
        "inputs": reference.inputs,
        "targets": reference.targets,
        "raw": reference.raw().detach().numpy(),
        "loss": loss.detach().numpy(),
        "input_gradient": reference.x.grad.numpy(),
    }
    for key, value in reference.named(lambda p: p.data).items():
        arrays[f"parameters/{key}"] = value
    for key, value in reference.named(lambda p: p.grad).items():
        arrays[f"gradient/{key}"] = value
    return arrays


class AdaptiveReference:
    """A simple cell below PyTorch's adaptive softmax, over each sequence by itself."""

    def __init__(self):
        import torch

        self.torch = torch
        rng = np.random.default_rng(20_261_121)
        (n_units,), n_classes = ADAPTIVE["sizes"], ADAPTIVE["n_classes"]
        self.inputs = rng.normal(size=(len(LENGTHS), max(LENGTHS), N_INPUTS))
        self.targets = rng.integers(n_classes, size=(sum(LENGTHS), 1))
        shapes = {
            "layers.0.input_weights": (N_INPUTS, n_units),
            "layers.0.recurrent_weights": (n_units, n_units),
            "layers.0.bias": (n_units,),
        }
        self.own = {
            name: torch.nn.Parameter(torch.empty(shape, dtype=torch.float64))
            for name, shape in shapes.items()
        }
        self.output = torch.nn.AdaptiveLogSoftmaxWithLoss(
            n_units,
            n_classes,
            list(ADAPTIVE["cutoffs"]),
            head_bias=True,
            dtype=torch.float64,
        )
        fill(torch, [*self.own.values(), *self.output.parameters()], rng)

    def loss(self):
        """The mean over all steps."""
        weights, recurrences, bias = self.own.values()
        states = []
        for x, n in zip(self.torch.from_numpy(self.inputs), LENGTHS, strict=True):
            h = self.torch.zeros(len(bias), dtype=self.torch.float64)
            for x_t in x[:n]:
                h = self.torch.tanh(x_t @ weights + h @ recurrences + bias)
                states.append(h)
        targets = self.torch.from_numpy(self.targets[:, 0])
        return self.output(self.torch.stack(states), targets).loss

    def named(self, of):
        """Return arrays by skrnn's names; `of` picks the value or the gradient."""
        named = dict(self.own)
        named["output.weights"] = self.output.head.weight
        named["output.bias"] = self.output.head.bias
        for i, (projection, classes) in enumerate(self.output.tail):
            named[f"output.tails.{i}.projection.weights"] = projection.weight
            named[f"output.tails.{i}.classes.weights"] = classes.weight
        arrays = {name: of(p).detach().numpy().copy() for name, p in named.items()}
        return {
            name: a.T if name.startswith("output") else a for name, a in arrays.items()
        }


def golden_adaptive():
    """Return the arrays of the adaptive softmax's file."""
    reference = AdaptiveReference()
    loss = reference.loss()
    loss.backward()
    arrays = {
        "inputs": reference.inputs,
        "targets": reference.targets,
        "loss": loss.detach().numpy(),
    }
    for key, value in reference.named(lambda p: p.data).items():
        arrays[f"parameters/{key}"] = value
    for key, value in reference.named(lambda p: p.grad).items():
        arrays[f"gradient/{key}"] = value
    return arrays


def golden_ctc():
    """Return scores and labels, the losses and the gradient of their weighted sum."""
    import torch

    rng = np.random.RandomState(3)
    lengths, target_lengths = np.array([9, 12, 5, 1, 7]), np.array([4, 6, 0, 1, 3])
    labels = rng.randint(1, N_CTC_CLASSES, size=target_lengths.sum())
    labels[1] = labels[0]  # neighbours that are alike
    weights = np.array([1.0, 0.5, 2.0, 1.5, 1.0])
    scores = rng.normal(size=(lengths.max(), len(lengths), N_CTC_CLASSES))
    raw = torch.from_numpy(scores).requires_grad_()
    losses = torch.nn.functional.ctc_loss(
        raw.log_softmax(dim=2),
        torch.from_numpy(labels),
        torch.from_numpy(lengths),
        torch.from_numpy(target_lengths),
        reduction="none",
    )
    (torch.from_numpy(weights) @ losses).backward()
    return {
        "raw": scores,
        "lengths": lengths,
        "labels": labels,
        "target_lengths": target_lengths,
        "weights": weights,
        "losses": losses.detach().numpy(),
        "gradient": raw.grad.numpy(),
    }


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
    for name in OPTIONS:
        np.savez_compressed(Path(folder) / f"{name}.npz", **golden_option(name))
    for name in TRANSLATIONS:
        np.savez_compressed(Path(folder) / f"{name}.npz", **golden_translation(name))
    np.savez_compressed(Path(folder) / "adaptive.npz", **golden_adaptive())
    np.savez_compressed(Path(folder) / f"{CTC}.npz", **golden_ctc())


if __name__ == "__main__":
    main(*sys.argv[1:])
