"""Texts: each character or word becomes a number, and models of such sequences."""

from skrnn.text.language_model import RNNLanguageModel
from skrnn.text.tokenizer import SequenceTokenizer

__all__ = ["RNNLanguageModel", "SequenceTokenizer"]
