"""Names are data: whatever characters a user chose, none of them acts on what shows them."""

from __future__ import annotations

NAME_LENGTH = 32

# Joiners inside Persian or Indic words and emoji: not printable by themselves, but part of a text.
_JOINERS = "\u200c\u200d"


def printable(text: object, length: int = NAME_LENGTH) -> str:
    r"""Return the text in one line of `length` characters at most, all of them printable.

    What is not printable (control characters, lone surrogates, marks that turn the direction of
    writing) is shown as Python would escape it, which may be longer; from a long text,
    the middle is left out, since both ends of a name such as ``layers.0.weight`` identify it.

    >>> printable("two\nlines")
    'two\\nlines'
    >>> printable("encoder.layers.10.attention.weight", 20)
    'encoder.laye….weight'
    """
    text = str(text)
    if len(text) > length:
        head = (length - 1) * 2 // 3
        text = text[:head] + "…" + text[head + 1 - length :]
    return "".join(
        c if c.isprintable() or c in _JOINERS else c.encode("unicode_escape").decode() for c in text
    )
