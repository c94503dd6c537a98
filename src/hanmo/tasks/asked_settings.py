"""How to write a text: what the caller says, then what generation_config.json says, then our defaults.

Keys of the file and their meaning are those of `transformers`. One that would change the text and is not supported is an error
where a text is asked for, never passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from hanmo.core.errors import ConfigError
from hanmo.core.settings import check_settings
from hanmo.generation.beam import BeamSettings
from hanmo.generation.settings import GenerationSettings, TextRules
from hanmo.tasks.model_files import seed_of

__all__ = ["asked_settings", "unless_said"]

_FILE = "generation_config.json"
_DRAWS = ("temperature", "top_k", "top_p", "min_p")
"""Count only where tokens are drawn."""
_RENAMED = {"num_return_sequences": "n", "stop_strings": "stop"}
_SEARCHES = frozenset(BeamSettings.model_fields) - frozenset(TextRules.model_fields) - {"n", "num_beams"}
"""Count only in a beam search."""
_KNOWN = {
    *TextRules.model_fields, *_DRAWS, *_RENAMED, *_SEARCHES, "num_beams", "do_sample", "suppress_tokens", "min_length",
}  # fmt: skip
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "encoder_repetition_penalty": (1.0,), "encoder_no_repeat_ngram_size": (0,), "guidance_scale": (1.0,),
    "penalty_alpha": (0.0,), "num_beam_groups": (1,), "diversity_penalty": (0.0,), "typical_p": (1.0,),
    "epsilon_cutoff": (0.0,), "eta_cutoff": (0.0,), "top_h": (), "sequence_bias": (), "begin_suppress_tokens": (),
    "exponential_decay_length_penalty": (), "constraints": (), "force_words_ids": (), "token_healing": (),
    "watermarking_config": (), "dola_layers": (), "max_time": (),
}  # fmt: skip
"""Change the text, but for these values and null, false and empty ones."""
_ONLY_DRAWS = {"typical_p", "epsilon_cutoff", "eta_cutoff", "top_h"}
_ONLY_SEARCHES = {"num_beam_groups", "diversity_penalty", "constraints", "force_words_ids"}
_HARMLESS = frozenset(
    [
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
        "decoder_start_token_id",
        "transformers_version",
        "_from_model_config",
        "use_cache",
        "cache_implementation",
        "cache_config",
        "max_cache_len",
        "return_legacy_cache",
        "output_attentions",
        "output_hidden_states",
        "output_scores",
        "output_logits",
        "return_dict_in_generate",
        "low_memory",
        "compile_config",
        "disable_compile",
        "prefill_chunk_size",
        "continuous_batching_config",
        "remove_invalid_values",
        "trust_remote_code",
        "max_window_size",
        "chat_format",
        "is_assistant",
        "num_assistant_tokens",
        "num_assistant_tokens_schedule",
        "assistant_confidence_threshold",
        "assistant_early_exit",
        "assistant_lookbehind",
        "target_lookbehind",
        "assistant_ensemble_weight",
        "speculation_type",
        "prompt_lookup_num_tokens",
        "max_matching_ngram_size",
        "use_mtp",
    ]
)
"""Tokens that are read elsewhere, notes, and ways to compute the same text."""


def asked_settings(
    file: Mapping[str, Any] | None,
    given: Mapping[str, Any],
    *,
    continues: bool,
    start_id: int | None = None,
    eos_ids: Collection[int] = (),
    banned_ids: Collection[int] = (),
) -> GenerationSettings | BeamSettings:
    """Settings to write with, those that draw with a seed.

    The caller's `temperature` or `do_sample=True` asks for a draw, `num_beams` above 1 for a search; the file's `do_sample`
    and `num_beams` count where the caller says neither, its `temperature`, `top_k` and `top_p` where tokens are drawn.

    Args:
        file: content of generation_config.json.
        given: fields of `GenerationSettings` or `BeamSettings`, or `do_sample`; None means what the file says.
        continues: whether the text goes on from a prompt, not from a start token of its own.
        start_id: that token, where there is one.
        eos_ids: tokens that end a text; `bad_words_ids` of the file do not hold them back, as in `transformers`.
        banned_ids: tokens that are never written, whatever the settings.

    Raises:
        ConfigError: for a setting that cannot be, or one of the file that is not supported.
    """
    file = {name: value for name, value in (file or {}).items() if value is not None}
    given = {name: value for name, value in given.items() if value is not None}
    own = {_RENAMED.get(name, name): value for name, value in file.items()}
    sample, beams = _way(own, given)
    _check(file, given, sample=sample, beams=beams, continues=continues, start_id=start_id)
    if given.pop("do_sample", None) is False:  # no temperature counts then
        given.pop("temperature", None)
    if beams == 1:
        given.pop("num_beams", None)
    fields = frozenset(BeamSettings.model_fields if beams != 1 else GenerationSettings.model_fields)
    wanted = {name: own[name] for name in fields & own.keys() if sample or name not in _DRAWS}
    if "stop_strings" in file and "stop" not in fields | given.keys():
        raise ConfigError("stop strings do not go with beams", where=f"{_FILE}: stop_strings", remedy=_ONE_BEAM)
    _join_lengths(own, wanted, given)
    words = [list(row) for row in own.get("bad_words_ids", ()) if len(row) != 1 or row[0] not in eos_ids]
    words += [[token] for token in own.get("suppress_tokens", ())]
    wanted["bad_words_ids"] = [row for row in words if len(row) != 1 or row[0] not in banned_ids]
    if not continues and own.get("min_length"):  # counts the start token
        wanted.setdefault("min_new_tokens", max(0, int(own["min_length"]) - 1))
    _shorten(wanted, given)
    if beams != 1:
        from_file = "num_beams" not in given
        if from_file:
            given.pop("seed", None)  # there is nothing to draw
        if clash := sorted(given.keys() & GenerationSettings.model_fields.keys() - fields):
            source = f" of {_FILE}" if from_file else ""
            raise ConfigError(
                f"{clash[0]} does not go with the {beams} beams{source}", where=clash[0],
                remedy=_ONE_BEAM if from_file else "Leave it out, or the beams.",
            )  # fmt: skip
        return check_settings(BeamSettings, wanted | given | {"num_beams": beams})
    if sample and not given.get("temperature"):
        given["temperature"] = wanted.get("temperature") or 1.0
    checked = check_settings(GenerationSettings, wanted | given)
    return checked.model_copy(update={"seed": seed_of(checked)})


_ONE_BEAM = "Give num_beams=1 as well."


_INSTEAD = {
    "temperature": {"do_sample", "num_beams"},
    "top_p": {"do_sample", "num_beams"},
    "max_new_tokens": {"max_length"},
}
"""What also says something of a matter."""


def unless_said(file: Mapping[str, Any] | None, given: Mapping[str, Any], **otherwise: Any) -> dict[str, Any]:
    """`given`, with values of a verb of its own where neither it nor generation_config.json says anything of the matter.

    Args:
        file: content of generation_config.json.
        given: what the caller says; None where nothing.
        otherwise: the verb's values.
    """
    said = {name for source in (file or {}, given) for name, value in source.items() if value is not None}
    more = {name: value for name, value in otherwise.items() if not said & {name, *_INSTEAD.get(name, ())}}
    return {name: value for name, value in given.items() if value is not None} | more


def _way(own: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[bool, Any]:
    """Whether tokens are drawn, and how many beams there are (1: no search)."""
    drawn = given.get("do_sample", True if given.get("temperature") else None)
    if given.get("num_beams", 1) != 1:
        if given["num_beams"] == 0:
            raise ConfigError("there cannot be 0 beams", where="num_beams", remedy="Give 1 for no search, or more.")
        if given.get("do_sample"):
            raise ConfigError("beams are searched, not drawn", where="do_sample", remedy="Leave out one of the two.")
        return False, given["num_beams"]
    if drawn:
        return True, 1
    beams = 1 if "num_beams" in given or "temperature" in given else own.get("num_beams", 1)
    sample = drawn is None and "temperature" not in given and bool(own.get("do_sample"))
    if sample and beams != 1:
        raise ConfigError(
            f"do_sample with num_beams = {beams} is not supported: beams are searched, not drawn", where=_FILE,
            remedy="Give do_sample=False or num_beams=1.",
        )  # fmt: skip
    return sample, beams


def _join_lengths(own: Mapping[str, Any], wanted: dict[str, Any], given: dict[str, Any]) -> None:
    """max_new_tokens goes before max_length; where only max_length is given it alone counts."""
    if "max_new_tokens" in given or ("max_new_tokens" in own and "max_length" not in given):
        wanted.pop("max_length", None)
    elif isinstance(longest := given.get("max_length", own.get("max_length")), int):
        wanted["max_new_tokens"] = longest


def _shorten(wanted: dict[str, Any], given: Mapping[str, Any]) -> None:
    """The file's least number of tokens gives way to the caller's greatest."""
    least, most = wanted.get("min_new_tokens"), given.get("max_new_tokens", given.get("max_length"))
    if isinstance(least, int) and isinstance(most, int) and least > most:
        wanted["min_new_tokens"] = most


def _check(
    file: Mapping[str, Any],
    given: Mapping[str, Any],
    *,
    sample: bool,
    beams: Any,
    continues: bool,
    start_id: int | None,
) -> None:
    """Name what the file asks for and cannot have."""
    problems = []
    for name, value in file.items():
        empty = value is False or value == [] or value == {}
        if name in _NEUTRAL:
            idle = (name in _ONLY_DRAWS and not sample) or (name in _ONLY_SEARCHES and beams == 1)
            if not (idle or empty or value in _NEUTRAL[name]):
                problems.append(f"{name} = {value!r}")
        elif name not in _KNOWN | _HARMLESS and not empty:
            problems.append(f"{name} = {value!r} (unknown)")
    if continues and file.get("min_length") and "min_new_tokens" not in {**file, **given}:
        problems.append(f"min_length = {file['min_length']!r} (give min_new_tokens)")
    if continues and "forced_bos_token_id" in file and "forced_bos_token_id" not in given:
        problems.append(f"forced_bos_token_id = {file['forced_bos_token_id']!r}")
    forced = file.get("forced_eos_token_id")
    if forced is not None and not isinstance(forced, int) and "forced_eos_token_id" not in given:
        problems.append(f"forced_eos_token_id = {forced!r} (only one token is supported)")
    started = file.get("decoder_start_token_id")
    if start_id is not None and started not in (None, start_id):
        problems.append(f"decoder_start_token_id = {started!r} (config.json says {start_id})")
    if problems:
        raise ConfigError(
            f"settings that are not supported here: {'; '.join(problems[:10])}", where=_FILE,
            remedy="Remove them from the file, or from lm.generation_config, to write without them.",
        )  # fmt: skip
