"""Texts: each character or word becomes a number, and numbers become texts again."""

from skrnn.text.tokenizer import SequenceTokenizer

__all__ = ["SequenceTokenizer"]
