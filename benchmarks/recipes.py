"""The tasks of `accuracy.py`: data, the scores to beat, and how skrnn is trained.

A recipe is what is passed to `RNNClassifier` or `RNNRegressor`, chosen on the training
part (`accuracy.py --search` and `--holdout` do that); all the rest is the default.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from sklearn.pipeline import make_pipeline

import datasets
from skrnn import (
    RNNClassifier,
    RNNLanguageModel,
    RNNRegressor,
    RNNSeq2Seq,
    RNNTranscriber,
)
from skrnn.metrics import bleu

# Metrics ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Metric:
    """A score of a fitted model on X and y."""

    name: str
    of: Callable
    is_error: bool = False

    def reaches(self, score, bar):
        """Return whether the score is as good as the bar."""
        return score <= bar if self.is_error else score >= bar


def accuracy(model, X, y):
    """Return the accuracy in %."""
    return 100 * model.score(X, y)


def squared_error(model, X, y):
    """Return the mean squared error."""
    return float(np.mean((model.predict(X) - y) ** 2))


def root_squared_error(model, X, y):
    """Return the root of the mean squared error."""
    return squared_error(model, X, y) ** 0.5


def copied(model, X, y, n_copied=10):
    """Return the share in % of the symbols at the end that are right."""
    predicted = np.stack(list(model.predict(X)))
    return 100 * float(np.mean(predicted[:, -n_copied:] == np.stack(y)[:, -n_copied:]))


def nats(model, X, y):
    """Return the mean negative log-likelihood of a token."""
    return -model.score(X)


def character_errors(model, X, y):
    """Return the character error rate in %."""
    return 100 * (1 - model.score(X, y))


def bleu_of(model, X, y):
    """Return the BLEU of what is predicted."""
    return bleu(y, model.predict(X), force=True)  # these are texts of single words


ACCURACY = Metric("accuracy, %", accuracy)
NATS = Metric("nats per character", nats, is_error=True)
EXACT = Metric("exact, %", accuracy)
BLEU = Metric("BLEU", bleu_of)
CER = Metric("character error rate, %", character_errors, is_error=True)
COPIED = Metric("copied, %", copied)
SQUARED_ERROR = Metric("squared error", squared_error, is_error=True)
RMSE = Metric("RMSE", root_squared_error, is_error=True)


# Tasks --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bars:
    """What others score, and what skrnn is to reach; None where nothing is known."""

    simple: float | None = None  # the best of ridge, SVC, forest, MLP, k-NN, tf-idf
    prototype: float | None = None  # a PyTorch network, mean over seeds
    published: float | None = None
    reach: float | None = None
    aim: float | None = None


@dataclass(frozen=True)
class Task:
    """A data set, the scores to beat, and a recipe."""

    load: Callable
    bars: Bars
    recipe: dict
    estimator: type = RNNClassifier
    metric: Metric = ACCURACY
    beside: Metric | None = None  # a second score, which needs sacrebleu
    tokenizer: dict | None = None  # of `SequenceTokenizer`, where X are strings
    needs: dict = field(default_factory=dict)  # what is passed by default too
    grid: dict = field(default_factory=dict)  # what `--search` tries
    in_time: bool = False  # whether samples are windows, in order of time
    quick: bool = False

    def make_model(self, settings, seed):
        """Return what a user would write: the estimator, after a tokenizer for text."""
        if self.tokenizer is None:
            return self.estimator(random_state=seed, **settings)
        from skrnn import SequenceTokenizer

        model = self.estimator(random_state=seed, **settings)
        return make_pipeline(SequenceTokenizer(**self.tokenizer), model)


POOLINGS = ["last", "mean", "max"]

TASKS = {
    "JapaneseVowels": Task(
        datasets.from_npz("JapaneseVowels.npz"),
        Bars(98.65, 98.2, 99.3, 98.4, 99.3),
        {"bidirectional": True, "batch_size": 32, "max_iter": 60},
        grid={"pooling": POOLINGS, "input_noise": [0.0, 0.3]},
        quick=True,
    ),
    "BasicMotions": Task(
        datasets.from_npz("BasicMotions.npz"),
        Bars(92.5, 100, 100, 100, 100),
        {
            "hidden_layer_sizes": (48,),
            "bidirectional": True,
            "steps_per_frame": 4,
            "pooling": ("mean", "max"),
            "learning_rate_init": 0.01,
            "batch_size": 8,
            "max_iter": 40,
        },
        grid={"pooling": POOLINGS, "steps_per_frame": [1, 4]},
        quick=True,
    ),
    "GunPoint": Task(
        datasets.from_npz("GunPoint.npz"),
        Bars(96, 97.8, 100, 98, 99.5),
        {
            "bidirectional": True,
            "differences": True,
            "steps_per_frame": 3,
            "pooling": ("mean", "max"),
            "batch_size": 16,
        },
        grid={"steps_per_frame": [3, 10], "pooling": POOLINGS},
        quick=True,
    ),
    "ItalyPowerDemand": Task(
        datasets.from_npz("ItalyPowerDemand.npz"),
        Bars(96.8, 96.75, 97.0, 96.8, 97.3),
        {
            "cell": "rnn",
            "hidden_layer_sizes": (32,),
            "bidirectional": True,
            "pooling": "last",
            "input_noise": 0.4,
            "dropout": 0.0,
            "learning_rate_init": 0.01,
            "solver": "adamw",
            "alpha": 0.01,
            "batch_size": 16,
            "max_iter": 60,
        },
        grid={"cell": ["rnn", "gru"], "input_noise": [0.0, 0.2, 0.4]},
        quick=True,
    ),
    "OSULeaf": Task(
        datasets.from_npz("OSULeaf.npz"),
        Bars(58.7, 78.7, 97.7, 80, 92),
        {
            "bidirectional": True,
            "differences": True,
            "steps_per_frame": 5,
            "pooling": ("mean", "max"),
            "dropout": 0.4,
            "batch_size": 32,
        },
        grid={"steps_per_frame": [5, 10], "dropout": [0.2, 0.4]},
        quick=True,
    ),
    "FSDD digit": Task(
        datasets.from_npz("fsdd_mfcc13.npz"),
        Bars(99.3, 99.2, None, 99.2, 99.8),
        {
            "bidirectional": True,
            "pooling": ("mean", "max"),
            "learning_rate_init": 0.004,
            "batch_size": 32,
            "max_iter": 12,
        },
        grid={"pooling": POOLINGS, "input_noise": [0.0, 0.2]},
    ),
    "FSDD speaker": Task(
        datasets.from_npz("fsdd_mfcc13.npz", "speaker"),
        Bars(99.7, 99.8, None, 99.8, 100),
        {
            "bidirectional": True,
            "pooling": ("mean", "max"),
            "learning_rate_init": 0.004,
            "batch_size": 32,
            "max_iter": 12,
        },
        grid={"pooling": POOLINGS, "input_noise": [0.0, 0.2]},
    ),
    "MNIST rows": Task(
        datasets.mnist(28),
        Bars(97.45, 98.87, None, 99.0, 99.4),
        {
            "hidden_layer_sizes": (128,),
            "label_smoothing": 0.0,
            "learning_rate_init": 0.004,
            "batch_size": 128,
            "max_iter": 10,
        },
        grid={"dropout": [0.0, 0.2], "pooling": POOLINGS},
    ),
    "MNIST pixels": Task(
        datasets.mnist(1),
        Bars(97.45, None, 98.5, 97, 99),
        {
            "hidden_layer_sizes": (128,),
            "label_smoothing": 0.0,
            "learning_rate_init": 0.004,
            "batch_size": 128,
            "max_iter": 4,
            "steps_per_frame": 14,
        },
        grid={"learning_rate_init": [0.001, 0.002]},
    ),
    "names": Task(
        datasets.names,
        Bars(82.8, 81.7, None, 82.5, 85),
        {
            "hidden_layer_sizes": (128,),
            "bidirectional": True,
            "embedding_dim": 64,
            "dropout": 0.5,
            "max_iter": 16,
        },
        tokenizer={"analyzer": "char", "min_frequency": 2},
        needs={"embedding_dim": 32},
        grid={"dropout": [0.3, 0.5], "pooling": POOLINGS},
    ),
    "rt-polarity": Task(
        datasets.rt_polarity,
        Bars(76.65, 74.05, None, 75, 78),
        {
            "bidirectional": True,
            "embedding_dim": 64,
            "dropout": 0.5,
            "input_dropout": 0.3,
            "learning_rate_init": 0.01,
            "max_iter": 4,
        },
        tokenizer={"analyzer": "word", "min_frequency": 2},
        needs={"embedding_dim": 32},
        grid={"pooling": POOLINGS, "input_dropout": [0.0, 0.5]},
    ),
    # The bar of the prototype took 150 s of CPU, "reach" is to take half of that.
    "Shakespeare": Task(
        datasets.shakespeare,
        Bars(prototype=1.492, reach=1.50, aim=1.40),
        {"learning_rate_init": 0.012, "max_iter": 7},
        estimator=RNNLanguageModel,
        metric=NATS,
    ),
    "Shakespeare, large": Task(
        datasets.shakespeare,
        Bars(prototype=1.492, reach=1.50, aim=1.40),
        {
            "hidden_layer_sizes": (352,),
            "dropout": 0.25,
            "learning_rate_init": 0.006,
            "max_iter": 10,
            "n_jobs": 2,
        },
        estimator=RNNLanguageModel,
        metric=NATS,
    ),
    "digit strings": Task(
        datasets.digit_strings,
        Bars(reach=3, aim=1),
        {
            "steps_per_frame": 2,
            "batch_size": 32,
            "learning_rate_init": 0.006,
            "max_iter": 10,
        },
        estimator=RNNTranscriber,
        metric=CER,
        grid={"steps_per_frame": [2, 3], "dropout": [0.2, 0.4]},
    ),
    # BLEU: 52 is to be reached, 62 the aim.
    "French to English": Task(
        datasets.translations,
        Bars(prototype=32.9, reach=33, aim=45),
        {"embedding_dim": 96, "max_iter": 14},
        estimator=RNNSeq2Seq,
        metric=EXACT,
        beside=BLEU,
        grid={"dropout": [0.3, 0.5], "attention": ["dot", "additive", None]},
    ),
    # Unknown words are seldom unknown in their first letters.
    "French to English, pieces": Task(
        datasets.translations,
        Bars(prototype=32.9, reach=33, aim=45),
        {
            "analyzer": re.compile(r"\b\w{1,4}|\w+|[^\w\s]").findall,
            "target_analyzer": "word",
            "embedding_dim": 96,
            "max_iter": 14,
            "beam_width": 5,
        },
        estimator=RNNSeq2Seq,
        metric=EXACT,
        beside=BLEU,
    ),
    # The classic synthetic tasks. The simple peer predicts the mean, guesses the
    # symbols, or is a ridge regression on the same lags.
    "adding 200": Task(
        datasets.adding_problem(200),
        Bars(simple=1 / 6, reach=0.005, aim=0.001),
        {"hidden_layer_sizes": (32,), "learning_rate_init": 0.01, "max_iter": 6},
        estimator=RNNRegressor,
        metric=SQUARED_ERROR,
        grid={"cell": ["lstm", "gru"], "learning_rate_init": [0.003, 0.01]},
    ),
    "adding 750": Task(
        datasets.adding_problem(750),
        Bars(simple=1 / 6, aim=0.005),
        {"hidden_layer_sizes": (32,), "learning_rate_init": 0.01, "max_iter": 20},
        estimator=RNNRegressor,
        metric=SQUARED_ERROR,
        grid={"cell": ["lstm", "gru"], "learning_rate_init": [0.003, 0.01]},
    ),
    "copying 100": Task(
        datasets.copying(100),
        Bars(simple=12.5, reach=99, aim=99.9),
        {
            "hidden_layer_sizes": (128,),
            "input_noise": 0.0,
            "dropout": 0.0,
            "label_smoothing": 0.0,
            "learning_rate_init": 0.003,
            "max_iter": 15,
        },
        metric=COPIED,
        needs={"return_sequences": True},
        grid={"cell": ["lstm", "gru"], "learning_rate_init": [0.001, 0.003]},
    ),
    "Mackey-Glass": Task(
        datasets.mackey_glass,
        Bars(simple=0.0004, published=0.00203, reach=0.00203, aim=0.0004),
        {"batch_size": 32, "max_iter": 200},
        estimator=RNNRegressor,
        metric=RMSE,
        grid={"cell": ["lstm", "gru"], "learning_rate_init": [0.003, 0.01]},
        in_time=True,
        quick=True,
    ),
}
