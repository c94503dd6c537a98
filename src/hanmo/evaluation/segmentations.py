"""Tokens as a reader sees them."""

from __future__ import annotations

from typing import Protocol

__all__ = ["ShowsTokens", "show_tokens"]


class ShowsTokens(Protocol):
    """What is needed of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Text to ids."""
        ...

    def token_bytes(self, id: int, /) -> bytes:
        """The exact bytes of one token."""
        ...


def show_tokens(tokenizer: ShowsTokens, text: str) -> list[str]:
    """Cut a text into its tokens; one that is not whole characters is shown as its bytes, `<E4 B8>`.

    Args:
        tokenizer: any with `encode(text)` and `token_bytes(id)`.
        text: any text.

    Returns:
        One string per token; where all tokens are whole characters they join to `text`.
    """
    return [_shown(tokenizer.token_bytes(token)) for token in tokenizer.encode(text)]


def _shown(token: bytes) -> str:
    try:
        return token.decode("utf-8")
    except UnicodeDecodeError:
        return f"<{token.hex(' ').upper()}>"
