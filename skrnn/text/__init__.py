"""Texts as sequences: each character or word becomes a number."""

from skrnn.text.tokenizer import SequenceTokenizer

__all__ = ["SequenceTokenizer"]
