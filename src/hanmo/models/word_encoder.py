"""Encoders over word vectors: a table, what the letters of a word add to it, and layers that look at its neighbours."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.models.inputs import one_input, refuse_arguments
from hanmo.models.settings import HeadSettings
from hanmo.nn.characters import CharacterFeatures
from hanmo.nn.embedding import Embedding
from hanmo.nn.init import init_normal
from hanmo.nn.linear import Lookup
from hanmo.nn.outputs import EncoderOutput

__all__ = ["WordEncoder", "WordEncoderConfig", "word_encoder"]

FIRST_CHARACTER = 2
"""0 is no character, 1 any that is not in `characters`."""


class WordEncoderConfig(HeadSettings):
    """What these encoders have in common."""

    vocab_size: int = Field(10_000, gt=0)
    """Tokens that the tokenizer knows."""
    d_embedding: int = Field(100, gt=0)
    """Width of token vectors."""
    n_segments: int = Field(0, ge=0)
    """Kinds of segments (`token_type_ids`) whose vectors are added to those of tokens; 0 for none."""
    characters: str = ""
    """Characters that words are also read by; none for word vectors alone."""
    d_character: int = Field(30, gt=0)
    """Width of character vectors."""
    n_character_filters: int = Field(50, gt=0)
    """Width of what the characters of a word add to its vector."""
    word_length: int = Field(20, gt=0)
    """Characters of a word that are looked at: the first ones."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element of token vectors (and between layers, where there are several) in training."""
    dropout_head: float | None = Field(None, ge=0, lt=1)
    """Probability of dropping an element before a head; `dropout` if None."""
    init_std: float = Field(0.1, gt=0)
    """Standard deviation of token vectors and heads at the start."""
    bos_id: int | None = None
    """Token that starts a text, if any."""
    eos_id: int | tuple[int, ...] | None = None
    """Token or tokens that end a text."""
    pad_id: int | None = 0
    """Token that fills up rows."""

    @field_validator("characters")
    @classmethod
    def _characters_differ(cls, characters: str) -> str:
        if len(set(characters)) < len(characters):
            raise ValueError("characters has one twice")
        return characters

    @property
    def d_word(self) -> int:
        """Width of what the layers see."""
        return self.d_embedding + (self.n_character_filters if self.characters else 0)

    def char_ids(self, words: list[str]) -> list[int]:
        """The argument of that name for the words of a row ("" for one without), one word after the other."""
        numbers = _numbers(self.characters)
        found: list[int] = []
        for word in words:
            ids = [numbers.get(character, 1) for character in word[: self.word_length]]
            found += ids + [0] * (self.word_length - len(ids))
        return found


@lru_cache(maxsize=8)
def _numbers(characters: str) -> dict[str, int]:
    return {character: number for number, character in enumerate(characters, FIRST_CHARACTER)}


class WordEncoder(nn.Module):
    """Vectors of tokens that have seen their neighbours. B batch, T positions, E d_embedding, D width out."""

    def __init__(
        self,
        config: WordEncoderConfig,
        *,
        embedding: Embedding,
        segments: Lookup | None,
        characters: CharacterFeatures | None,
        layers: nn.Module | None,
        architecture: str,
    ):
        """Args:
        config: the settings that it was built from.
        embedding: of the tokens.
        segments: what is added to it.
        characters: of their letters.
        layers: called with (vectors, mask, seen), as `hanmo.nn.recurrent.BiLSTM` is; none for a bag of words.
        architecture: the name of this composition.
        """
        super().__init__()
        self.config = config
        self.architecture = architecture
        self.embedding = embedding
        self.segments = segments
        self.characters = characters
        self.layers = layers

    @property
    def token_weight(self) -> Tensor:
        """Input vectors of the tokens, (V, E)."""
        return self.embedding.token.weight

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        char_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **refused: Any,
    ) -> EncoderOutput:
        """Encode a batch.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, T), 1 for real tokens, padding on either side.
            inputs_embeds: token vectors (B, T, E) in place of ids.
            char_ids: characters of the tokens (B, T * word_length) int64, 0 where there is none; asked for by a model
                that has `characters`.
            token_type_ids: (B, T), which segment each token belongs to, for a model that has segments; 0 if None.
            output_hidden_states: also return what each layer saw.

        Raises:
            ConfigError: for input that cannot be used, or an argument that has no meaning here.
        """
        refuse_arguments(refused | ({"token_type_ids": token_type_ids} if self.segments is None else {}))
        one_input(input_ids, inputs_embeds)
        x = self.embedding(input_ids, inputs_embeds)
        if self.segments is not None:
            kinds = torch.zeros(x.shape[:2], dtype=torch.int64, device=x.device)
            x = x + F.embedding(kinds if token_type_ids is None else token_type_ids, self.segments.weight)
        if (char_ids is None) != (self.characters is None):
            raise ConfigError(
                "this model reads words by their characters too, and was given none"
                if char_ids is None
                else "char_ids were given to a model that has no use for them",
                where="char_ids",
            )
        if self.characters is not None and char_ids is not None:
            x = torch.cat([x, self.characters(char_ids)], -1)
        seen: list[Tensor] | None = [] if output_hidden_states else None
        if self.layers is not None:
            x = self.layers(x, attention_mask, seen)
        if seen is not None:
            seen.append(x)
        return EncoderOutput(last_hidden_state=x, hidden_states=tuple(seen) if seen is not None else None)


def word_encoder(config: WordEncoderConfig, layers: nn.Module | None, architecture: str) -> WordEncoder:
    """Assemble an encoder with fresh weights; `layers` as in `WordEncoder`."""
    c = config
    characters = None
    if c.characters:
        n = FIRST_CHARACTER + len(c.characters)
        characters = CharacterFeatures(
            n, c.d_character, c.n_character_filters, length=c.word_length, dropout=c.dropout
        )  # fmt: skip
    encoder = WordEncoder(
        c,
        embedding=Embedding(c.vocab_size, c.d_embedding, dropout=c.dropout),
        segments=Lookup(c.n_segments, c.d_embedding) if c.n_segments else None,
        characters=characters,
        layers=layers,
        architecture=architecture,
    )
    init_normal(encoder.embedding, c.init_std)
    if encoder.segments is not None:
        init_normal(encoder.segments, c.init_std)
    if encoder.characters is not None:
        init_normal(encoder.characters, c.init_std)
    return encoder
