"""What a user can ask of generation, checked field by field."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from hanmo.core.errors import ConfigError
from hanmo.core.settings import Settings
from hanmo.generation.forms import parse_form

__all__ = ["GenerationSettings", "TextRules"]

_TokenId = Annotated[int, Field(ge=0, le=2**31 - 1)]


class TextRules(Settings):
    """What a text may be, whichever way it is found."""

    max_new_tokens: int = Field(default=256, ge=1, le=1_000_000)
    """Most tokens to add. The model's context may end the text earlier."""
    max_length: int | None = Field(default=None, ge=1, le=1_000_000)
    """Most tokens of the prompt (of an encoder-decoder: the start token) and the text together; None: no such limit."""
    min_new_tokens: int = Field(default=0, ge=0, le=1_000_000)
    """No text ends before it has this many tokens, the end token not counted."""
    repetition_penalty: float = Field(default=1.0, gt=0.0, le=100.0)
    """Above 1 makes tokens of the prompt and of the text so far less likely (Keskar et al., 2019, §4.1); 1 = off."""
    no_repeat_ngram_size: int = Field(default=0, ge=0, le=1000)
    """No n tokens in a row occur twice (Paulus et al., 2018, §2.5); 0 = off."""
    bad_words_ids: tuple[Annotated[tuple[_TokenId, ...], Field(min_length=1)], ...] = Field(
        default=(), max_length=10_000
    )
    """Rows of tokens that are never written."""
    forced_bos_token_id: _TokenId | None = None
    """The first token of each text."""
    forced_eos_token_id: _TokenId | None = None
    """The last token of a text that has as many as it may; it counts among them. One that ends texts is not shown."""

    @model_validator(mode="after")
    def _least_and_most(self) -> Self:
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(f"min_new_tokens {self.min_new_tokens} is above max_new_tokens {self.max_new_tokens}")
        return self

    @property
    def forbids(self) -> bool:
        """Whether some tokens cannot come at some places (`hanmo.generation.rules.keep_rules`)."""
        forced = self.forced_bos_token_id is not None or self.forced_eos_token_id is not None
        return forced or bool(self.min_new_tokens or self.no_repeat_ngram_size or self.bad_words_ids)

    def limit(self, n_prompt: int, max_len: int) -> int:
        """Most new tokens after a prompt of `n_prompt` tokens, where the model's context is `max_len`.

        Raises:
            ConfigError: if the prompt is as long as the text may be with it.
        """
        room = max_len if self.max_length is None else min(max_len, self.max_length)
        if self.max_length is not None and n_prompt >= self.max_length:
            raise ConfigError(
                f"a prompt of {n_prompt} tokens leaves no room within {self.max_length}", where="max_length",
                remedy="Give max_new_tokens, which counts new tokens alone.",
            )  # fmt: skip
        return min(self.max_new_tokens, room - n_prompt)

    @field_validator("max_new_tokens", "max_length", "min_new_tokens", "repetition_penalty", mode="before")
    @classmethod
    def _numbers(cls, value: object) -> object:
        return _no_truth_value(value)


def _no_truth_value(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a number, not true or false")
    return value


class GenerationSettings(TextRules):
    """How to continue a text. The defaults give the most probable token each time, the same text every time."""

    temperature: float = Field(default=0.0, ge=0.0, le=100.0)
    """Logits are divided by it: below 1 safer, above 1 wilder; 0 takes the most probable token (greedy)."""
    top_k: int = Field(default=0, ge=0, le=2**31 - 1)
    """Sample among the k most probable tokens only (Fan et al., 2018); 0 = all."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Sample among the fewest tokens that hold this probability together (Holtzman et al., 2020, §3.1); 1 = all."""
    min_p: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Drop tokens less probable than this share of the most probable one (Nguyen et al., 2024); 0 = none."""
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1)
    """The same seed draws the same text; None draws a new one each time."""
    stop: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] = Field(default=(), max_length=16)
    """The text ends before the first of these strings."""
    form: str | None = Field(default=None, min_length=1, max_length=10_000)
    """What the text has to look like (`hanmo.generation.forms.parse_form`): 5x4 for a poem of four lines of five characters,
    or a regular expression of all that follows the prompt. None: anything."""
    n: int = Field(default=1, ge=1, le=128)
    """Texts for each prompt."""

    @field_validator("stop", mode="before")
    @classmethod
    def _one_string_is_a_list_of_one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("form")
    @classmethod
    def _form_is_one(cls, form: str | None) -> str | None:
        if form is not None:
            parse_form(form)
        return form

    @field_validator("temperature")
    @classmethod
    def _not_vanishing(cls, value: float) -> float:
        if 0 < value < 1e-4:
            raise ValueError("a temperature this low cannot be told from greedy decoding: use 0, or 0.0001 and more")
        return value

    @field_validator("top_k", "n", "seed", "temperature", "top_p", "min_p", mode="before")
    @classmethod
    def _no_truth_values(cls, value: object) -> object:
        return _no_truth_value(value)
