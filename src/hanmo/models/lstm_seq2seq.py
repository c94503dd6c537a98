"""Sequence to sequence with LSTMs and attention: a bidirectional encoder and a decoder in the order of Bahdanau et al.
(2015) or, with input feeding or without, of Luong et al. (2015)."""

from __future__ import annotations

from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.core.settings import Settings
from hanmo.models.inputs import one_input, refuse_arguments
from hanmo.nn.additive_attention import ScoreName, attention_named
from hanmo.nn.embedding import Embedding, check_ids
from hanmo.nn.init import init_normal
from hanmo.nn.linear import Linear
from hanmo.nn.losses import IGNORED, chunked_cross_entropy
from hanmo.nn.outputs import Seq2SeqLMOutput
from hanmo.nn.pooling import pool_first, pool_last
from hanmo.nn.recurrent import BiLSTM
from hanmo.nn.recurrent_decoder import AttentiveDecoder, DecoderState

__all__ = ["SIZES", "LSTMSeq2Seq", "LSTMSeq2SeqConfig", "lstm_seq2seq"]


class LSTMSeq2SeqConfig(Settings):
    """Shape and constants of an encoder and a decoder of LSTMs."""

    vocab_size: int = Field(10_000, gt=0)
    """Tokens that the tokenizer knows, of source and target alike."""
    max_len: int = Field(512, gt=0)
    """Longest text that is written in one piece; the recurrence itself has no limit."""
    d_model: int = Field(256, gt=0)
    """Width of token vectors and states; each direction of the encoder has half of it."""
    n_layers: int = Field(1, gt=0, le=4096)
    """Layers of the encoder, and of the decoder."""
    attention: ScoreName = "additive"
    """How states are compared with the source: additive (Bahdanau), dot, general or concat (Luong)."""
    input_feeding: bool = True
    """Whether a step sees the output of the one before; additive attention always does."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element of token vectors, between layers and before the head in training."""
    tie_embeddings: bool = True
    """Use one matrix for the tokens of source and target and for the output."""
    init_std: float = Field(0.1, gt=0)
    """Standard deviation of token vectors and output matrix at the start."""
    bos_id: int | None = None
    """Token that starts a text, if any."""
    eos_id: int | tuple[int, ...] | None = None
    """Token or tokens that end a text."""
    pad_id: int | None = 0
    """Token that fills up rows."""
    decoder_start_id: int | None = None
    """Token that the decoder starts with; `bos_id`, else `pad_id`, unless given."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.d_model % 2:
            raise ValueError(f"d_model {self.d_model} does not split into the two directions of the encoder")
        if self.attention == "additive" and not self.input_feeding:
            raise ValueError("additive attention feeds its context to the next step; choose another or input_feeding")
        return self

    @property
    def start_id(self) -> int:
        """Token that the decoder starts with.

        Raises:
            ConfigError: if there is none.
        """
        for token in (self.decoder_start_id, self.bos_id, self.pad_id):
            if token is not None:
                return token
        raise ConfigError("no token starts the target", where="decoder_start_id", remedy="Set decoder_start_id.")


SIZES: dict[str, dict[str, Any]] = {
    "bahdanau": {"d_model": 1000, "n_layers": 1, "attention": "additive"},
    "luong": {"d_model": 1000, "n_layers": 4, "attention": "general", "dropout": 0.2},
}


class LSTMSeq2Seq(nn.Module):
    """p(target | source). B batch, S source positions, T target positions, D d_model, V vocabulary."""

    def __init__(
        self,
        config: LSTMSeq2SeqConfig,
        *,
        embedding: Embedding,
        target_embedding: Embedding | None,
        encoder: BiLSTM,
        decoder: AttentiveDecoder,
        head: nn.Linear | None,
    ):
        """Args:
        config: the settings that it was built from.
        target_embedding: of target tokens; that of the source if None.
        head: projection to the vocabulary; None ties it to the embedding of the source.
        """
        super().__init__()
        self.config = config
        self.architecture = "LSTMForConditionalGeneration"
        self.embedding = embedding
        self.target_embedding = target_embedding
        self.encoder = encoder
        self.decoder = decoder
        self.head = head
        self.logits_bias = None

    @property
    def head_weight(self) -> Tensor:
        """The matrix that turns hidden states into logits, (V, D)."""
        return self.embedding.token.weight if self.head is None else self.head.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) → unnormalised scores (..., V)."""
        return F.linear(hidden, self.head_weight)

    def encode(self, state: DecoderState, input_ids: Tensor, attention_mask: Tensor | None = None) -> None:
        """Read the source into an empty state.

        Args:
            state: to be filled.
            input_ids: (B, S) int64.
            attention_mask: (B, S), 1 for real tokens, padding on either side.

        Raises:
            ConfigError: for input that cannot be used.
        """
        one_input(input_ids, None)
        values = self.encoder(self.embedding(input_ids), attention_mask)
        rightward, leftward = values.chunk(2, dim=-1)
        summary = torch.cat((pool_last(rightward, attention_mask), pool_first(leftward, attention_mask)), dim=-1)
        self.decoder.start(state, values, attention_mask, summary)

    def taught(self, input_ids: Tensor, attention_mask: Tensor | None, labels: Tensor) -> Tensor:
        """What the head makes scores of under teacher forcing; as `Seq2SeqLM.taught`: (B, S), (B, S), (B, T) → (B, T, D)."""
        state = DecoderState()
        self.encode(state, input_ids, attention_mask)
        embedding = self.embedding if self.target_embedding is None else self.target_embedding
        return self.decoder(embedding(self.shift(labels)), state)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        past_key_values: DecoderState | None = None,
        use_cache: bool | None = None,
        **refused: Any,
    ) -> Seq2SeqLMOutput:
        """Logits of the next target token, and a loss where labels are given.

        Args:
            input_ids: the source, (B, S) int64; left out once a state has seen it.
            attention_mask: (B, S), 1 for real tokens, padding on either side; not needed once a state has seen it.
            decoder_input_ids: the target, (n B, T), padding on the right; the labels moved by one if None. n rows after
                each other look at the same source.
            labels: (n B, T) int64, what is to be predicted at each position of the target; -100 leaves one out.
            past_key_values: what is remembered of source and target; these positions are added to it.
            use_cache: return a state to go on from. Off unless asked for, or a state is given.

        Raises:
            ConfigError: for input that cannot be used, or an argument that has no meaning here.
        """
        refuse_arguments(refused)
        if past_key_values is not None and use_cache is False:
            raise ConfigError(
                "use_cache=False contradicts past_key_values", where="use_cache", remedy="Leave one of them out."
            )
        if decoder_input_ids is None and labels is None:
            raise ConfigError("give decoder_input_ids or labels", where="decoder_input_ids")
        if decoder_input_ids is None:
            assert labels is not None
            decoder_input_ids = self.shift(labels)
        one_input(decoder_input_ids, None, where="decoder_input_ids")
        state = self._read_source(input_ids, attention_mask, past_key_values)
        assert state.source is not None
        values, batch = state.source.values, decoder_input_ids.shape[0]
        if batch % len(values) or (batch != len(values) and state.length):
            raise ConfigError(f"{batch} rows of target for {len(values)} of source", where="decoder_input_ids")
        if batch != len(values):
            state.select(torch.arange(len(values), device=values.device).repeat_interleave(batch // len(values)))
        embedding = self.embedding if self.target_embedding is None else self.target_embedding
        n_tokens = embedding.token.num_embeddings
        check_ids(decoder_input_ids, n_tokens, training=self.training, where="decoder_input_ids")
        hidden = self.decoder(embedding(decoder_input_ids), state)
        return Seq2SeqLMOutput(
            loss=self._loss(hidden, labels) if labels is not None else None,
            logits=self.logits(hidden),
            past_key_values=state if use_cache or past_key_values is not None else None,
            encoder_last_hidden_state=values if input_ids is not None else None,
        )

    def new_cache(self, batch: int, max_len: int | None = None) -> DecoderState:
        """An empty state. It takes any rows and is never full: the arguments are those of models with a cache."""
        return DecoderState()

    def shift(self, labels: Tensor) -> Tensor:
        """Targets (B, T) → what the decoder reads to predict them: the start token, then all but the last."""
        start = labels.new_full((labels.shape[0], 1), self.config.start_id)
        filler = self.config.pad_id if self.config.pad_id is not None else self.config.start_id
        return torch.cat((start, labels[:, :-1].masked_fill(labels[:, :-1] == IGNORED, filler)), 1)

    def _read_source(
        self, input_ids: Tensor | None, attention_mask: Tensor | None, state: DecoderState | None
    ) -> DecoderState:
        state = DecoderState() if state is None else state
        if not isinstance(state, DecoderState):
            raise ConfigError(
                f"past_key_values is a {type(state).__name__}",
                where="past_key_values",
                remedy="Give a hanmo.nn.recurrent_decoder.DecoderState, or what an earlier call returned.",
            )
        if (state.source is None) == (input_ids is None):
            what = "there is no source" if input_ids is None else "past_key_values has seen its source already"
            raise ConfigError(
                what, where="input_ids", remedy="Give input_ids for a new source, and leave them out to go on."
            )
        if input_ids is not None:
            self.encode(state, input_ids, attention_mask)
        return state

    def _loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        if labels.shape != hidden.shape[:2]:
            raise ConfigError(
                f"labels have shape {tuple(labels.shape)}, the target {tuple(hidden.shape[:2])}", where="labels"
            )
        return chunked_cross_entropy(hidden.flatten(0, 1), self.head_weight, labels.flatten(), reduction="mean")


def lstm_seq2seq(config: LSTMSeq2SeqConfig) -> LSTMSeq2Seq:
    """Assemble encoder and decoder with fresh weights."""
    c = config

    def embedding() -> Embedding:
        return Embedding(c.vocab_size, c.d_model, dropout=c.dropout)

    model = LSTMSeq2Seq(
        c,
        embedding=embedding(),
        target_embedding=None if c.tie_embeddings else embedding(),
        encoder=BiLSTM(c.d_model, c.d_model // 2, c.n_layers, dropout=c.dropout),
        decoder=AttentiveDecoder(
            c.d_model, c.n_layers, attention_named(c.attention, c.d_model, c.d_model),
            ask_first=c.attention == "additive", input_feeding=c.input_feeding, dropout=c.dropout,
        ),
        head=None if c.tie_embeddings else Linear(c.d_model, c.vocab_size, bias=False),
    )  # fmt: skip
    for part in (model.embedding, model.target_embedding, model.head):
        if part is not None:
            init_normal(part, c.init_std)
    return model
