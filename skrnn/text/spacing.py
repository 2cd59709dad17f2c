"""Words that know what stands before them, so that a text can be put together again."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class SpacedWords:
    """Split a text into words, each with the white space before it.

    The first has a space too, so that it is the same token as further on. Joined by
    `join` they are the text again, but for white space around it, and for what no word
    has: where there is more than white space between two words, a single space stands
    for it if it has any.

    Parameters
    ----------
    pattern : str
        Regular expression of a word; of a capturing group its content is the word.
    lowercase : bool
        Whether to convert to lowercase first.
    """

    pattern: str
    lowercase: bool

    def __call__(self, text):
        """Return the tokens of a text, a list of str."""
        text = text.lower() if self.lowercase else text
        pattern = re.compile(self.pattern)
        if pattern.groups > 1:
            raise ValueError(
                "token_pattern may have one capturing group, but "
                f"{self.pattern!r} has {pattern.groups}. Write (?:...) for a group "
                "that does not capture."
            )
        tokens, end = [], 0
        for match in pattern.finditer(text):
            begin, last = match.span(pattern.groups)
            if begin == last:  # an empty match, or a group that took no part
                continue
            gap = text[end:begin]
            if not (gap.isspace() or not gap):
                gap = " " if re.search(r"\s", gap) else ""
            tokens.append((gap if tokens else " ") + text[begin:last])
            end = last
        return tokens

    @staticmethod
    def join(tokens):
        """Return the text of such tokens, whose first may be any of them."""
        return "".join(tokens).removeprefix(" ")
