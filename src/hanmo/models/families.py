"""Every family by the name that its `config.json` has under "model_type"."""

from __future__ import annotations

from hanmo.core.errors import ConfigError
from hanmo.models.family import Family
from hanmo.models.weights import (
    albert,
    bert,
    bilstm,
    clip,
    cnn,
    gpt2,
    gpt3,
    llama,
    lstm,
    lstm_seq2seq,
    marian,
    mistral,
    qwen2,
    qwen3,
    roberta,
    t5,
    xlnet,
)

__all__ = ["FAMILIES", "family_of"]

FAMILIES: dict[str, Family] = {
    "albert": albert.FAMILY,
    "bert": bert.FAMILY,
    "clip": clip.FAMILY,
    "clip_text_model": clip.TEXT_FAMILY,
    "clip_vision_model": clip.VISION_FAMILY,
    "gpt2": gpt2.FAMILY,
    "hanmo-bilstm": bilstm.FAMILY,
    "hanmo-cnn": cnn.FAMILY,
    "hanmo-gpt3": gpt3.FAMILY,
    "hanmo-lstm": lstm.FAMILY,
    "hanmo-lstm-seq2seq": lstm_seq2seq.FAMILY,
    "llama": llama.FAMILY,
    "marian": marian.FAMILY,
    "mistral": mistral.FAMILY,
    "mt5": t5.MT5_FAMILY,
    "qwen2": qwen2.FAMILY,
    "qwen3": qwen3.FAMILY,
    "roberta": roberta.ROBERTA,
    "t5": t5.FAMILY,
    "xlm-roberta": roberta.XLM_ROBERTA,
    "xlnet": xlnet.FAMILY,
}


def family_of(config: object) -> Family:
    """The family that these settings belong to.

    Raises:
        ConfigError: if there is none.
    """
    for family in FAMILIES.values():
        if type(config) is family.config:
            return family
    raise ConfigError(
        f"{type(config).__name__} are the settings of no known family", remedy=f"Known: {', '.join(FAMILIES)}."
    )
