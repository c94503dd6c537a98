"""Tokenizers built from older vocabulary files, one function for each kind: model, normaliser, pre-tokenizer, decoder.

Each takes the folder and the content of tokenizer_config.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers as hf
from hanmo.core.errors import FormatError
from hanmo.core.files import read_json
from hanmo.tokenizers.sentencepiece_file import Kind, SentencePieceModel, read_sentencepiece
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

__all__ = [
    "albert",
    "byte_level",
    "clip",
    "llama",
    "qwen2",
    "refuse",
    "sentinels",
    "t5",
    "token_text",
    "unigram",
    "wordpiece",
    "xlm_roberta",
    "xlnet",
]

_SPACE = "\u2581"
_Config = Mapping[str, Any]
_Pieces = list[tuple[str, float]]


def token_text(value: Any) -> str | None:
    """A special token is written as a string or as an object with `content`."""
    value = value.get("content") if isinstance(value, Mapping) else value
    return value if isinstance(value, str) else None


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("not UTF-8 text", where=path, remedy="The file may be damaged; copy it again.") from error
    # not splitlines: vocabularies have tokens such as U+0085 and U+2028
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def refuse(config: _Config, folder: Path, **only: Any) -> None:
    """Settings of tokenizer_config.json that change the ids may have these values alone.

    Raises:
        FormatError: names the first that has another.
    """
    for key, value in only.items():
        if config.get(key, value) not in (value, None, [], {}):
            raise FormatError(
                f"{key} = {config[key]!r} is not supported (only {value!r})", where=folder / "tokenizer_config.json"
            )


def wordpiece(folder: Path, config: _Config) -> hf.Tokenizer:
    """BERT: vocab.txt, a token on each line."""
    refuse(config, folder, do_basic_tokenize=True, never_split=None)
    vocabulary = {token: number for number, token in enumerate(_lines(folder / "vocab.txt"))}
    unknown = token_text(config.get("unk_token")) or "[UNK]"
    if unknown not in vocabulary:
        raise FormatError(f"the unknown token {unknown!r} is not in the vocabulary", where=folder / "vocab.txt")
    tokenizer = hf.Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=config.get("tokenize_chinese_chars", True),
        strip_accents=config.get("strip_accents"),
        lowercase=config.get("do_lower_case", True),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def _bpe(folder: Path, **more: Any) -> hf.Tokenizer:
    vocabulary = read_json(folder / "vocab.json")
    if not isinstance(vocabulary, dict) or not all(isinstance(number, int) for number in vocabulary.values()):
        raise FormatError("not a table of tokens and ids", where=folder / "vocab.json")
    merges = []
    for number, line in enumerate(_lines(folder / "merges.txt"), 1):
        if (number == 1 and line.startswith("#version")) or not line:
            continue
        left, space, right = line.partition(" ")
        if not (left and space and right) or " " in right:
            raise FormatError("not a pair of tokens", where=f"{folder / 'merges.txt'}:{number}")
        merges.append((left, right))
    return hf.Tokenizer(models.BPE(vocabulary, merges, **more))


def byte_level(folder: Path, config: _Config) -> hf.Tokenizer:
    """GPT-2 and RoBERTa: bytes, joined by merges.txt."""
    tokenizer = _bpe(folder)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=bool(config.get("add_prefix_space")))
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def qwen2(folder: Path, config: _Config) -> hf.Tokenizer:
    """Qwen: bytes too, after another cutting of the text."""
    tokenizer = _bpe(folder)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=bool(config.get("add_prefix_space")), use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


_QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen cuts text (Qwen team, 2024): part of the model, so it cannot be put in other words."""
_CLIP_PATTERN = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
"""How CLIP cuts text (Radford et al., 2021)."""


def clip(folder: Path, config: _Config) -> hf.Tokenizer:
    """CLIP: lower case, and the end of a word marked."""
    tokenizer = _bpe(
        folder, end_of_word_suffix="</w>", unk_token=token_text(config.get("unk_token")) or "<|endoftext|>"
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CLIP_PATTERN), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def t5(folder: Path, config: _Config) -> hf.Tokenizer:
    """T5: SentencePiece, and sentinels after its pieces."""
    model = read_sentencepiece(folder / "spiece.model")
    return _sentencepiece(model, [*_pairs(model), *((text, 0.0) for text in reversed(sentinels(config)))])


def sentinels(config: _Config) -> list[str]:
    """Names of T5's sentinels, which stand for what is left out of a text."""
    return [f"<extra_id_{number}>" for number in range(int(config.get("extra_ids", 100)))]


def xlm_roberta(folder: Path, config: _Config) -> hf.Tokenizer:
    """XLM-R: SentencePiece under the numbers of fairseq."""
    # the model was trained with fairseq, whose own tokens come first: one more than the file has
    model = read_sentencepiece(folder / "sentencepiece.bpe.model")
    own = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return _sentencepiece(model, [*own, *_pairs(model)[3:], ("<mask>", 0.0)], unk_id=3)


def albert(folder: Path, config: _Config, *, lower: bool = True) -> hf.Tokenizer:
    """ALBERT: SentencePiece of a text in lower case without accents."""
    model = read_sentencepiece(folder / "spiece.model")
    # ALBERT and XLNet never join a comma to the number before it
    pairs = [(text, score - 100 * (text[-1:] == "," and text[-2:-1].isdigit())) for text, score in _pairs(model)]
    steps: list[Any] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not config.get("keep_accents", False):
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if config.get("do_lower_case", lower):
        steps.append(normalizers.Lowercase())
    refuse(config, folder, remove_space=True)
    return _sentencepiece(model, pairs, before=steps)


def xlnet(folder: Path, config: _Config) -> hf.Tokenizer:
    """XLNet: as ALBERT, in the case of the text."""
    return albert(folder, config, lower=False)


def llama(folder: Path, config: _Config) -> hf.Tokenizer:
    """Llama 1 and 2: SentencePiece's BPE, with bytes for what is not in the vocabulary."""
    model = read_sentencepiece(folder / "tokenizer.model")
    tokenizer = _sentencepiece(model, _pairs(model))
    if not model.add_dummy_prefix or config.get("add_prefix_space") is False:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(_SPACE, prepend_scheme="never", split=False)
    elif config.get("legacy") is not False:
        # as SentencePiece does it, also before a text that begins with a space; and after each special token
        own = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
        spaces = [normalizers.Prepend(_SPACE), normalizers.Replace(" ", _SPACE)]
        tokenizer.normalizer = normalizers.Sequence([*own, *spaces])
        tokenizer.pre_tokenizer = None
    return tokenizer


def unigram(file: Path) -> hf.Tokenizer:
    """What a file of SentencePiece's Unigram kind says, under its own numbers.

    Raises:
        FormatError: if it is of another kind.
    """
    model = read_sentencepiece(file)
    if model.algorithm != "unigram":
        raise FormatError(f"a SentencePiece model of the kind {model.algorithm!r} is not supported here", where=file)
    return _sentencepiece(model, _pairs(model))


def _pairs(model: SentencePieceModel) -> _Pieces:
    return [(piece.text, piece.score) for piece in model.pieces]


def _sentencepiece(
    model: SentencePieceModel, pairs: _Pieces, *, unk_id: int | None = None, before: list[Any] | None = None
) -> hf.Tokenizer:
    """Assemble what the file says, with `pairs` as its vocabulary and further normalisers `before` its own."""
    unk_id = model.unk_id if unk_id is None else unk_id
    if model.algorithm == "unigram":
        kind: Any = models.Unigram(pairs, unk_id, model.byte_fallback)
    elif model.algorithm == "bpe":
        vocabulary = {text: number for number, (text, _) in enumerate(pairs)}
        kind = models.BPE(
            vocabulary, _merges(model, vocabulary), unk_token=pairs[unk_id][0], fuse_unk=True,
            byte_fallback=model.byte_fallback,
        )  # fmt: skip
    else:
        raise FormatError(f"SentencePiece models of the kind {model.algorithm!r} are not supported")
    tokenizer = hf.Tokenizer(kind)
    steps = list(before or [])
    if model.charsmap:
        steps.append(normalizers.Precompiled(model.charsmap))
    if model.remove_extra_whitespaces:
        steps += [normalizers.Replace(Regex(r"\A +| +\z"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    if steps:
        tokenizer.normalizer = normalizers.Sequence(steps)
    whole = model.algorithm == "bpe" or not model.split_by_whitespace
    scheme = ("first" if whole else "always") if model.add_dummy_prefix else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(_SPACE, prepend_scheme=scheme, split=not whole)
    if model.byte_fallback or model.algorithm == "bpe":
        parts: list[Any] = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
        if model.add_dummy_prefix:
            parts.append(decoders.Strip(" ", 1, 0))
        tokenizer.decoder = decoders.Sequence(parts)
    else:
        tokenizer.decoder = decoders.Metaspace(_SPACE, prepend_scheme=scheme)
    special = {Kind.CONTROL, Kind.USER_DEFINED}
    for piece in model.pieces:
        if piece.kind in special and tokenizer.token_to_id(piece.text) is not None:
            token = AddedToken(piece.text, normalized=False, special=piece.kind is Kind.CONTROL)
            tokenizer.add_tokens([token])
    return tokenizer


def _merges(model: SentencePieceModel, vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    """Pairs that make each piece, the best piece first: the order in which SentencePiece would join them."""
    joined = {piece.text: piece for piece in model.pieces if piece.kind is Kind.NORMAL}
    ranked = sorted(joined.values(), key=lambda piece: (-piece.score, vocabulary[piece.text]))
    merges = []
    for text in (piece.text for piece in ranked):
        halves = [(text[:cut], text[cut:]) for cut in range(1, len(text))]
        found = [half for half in halves if half[0] in joined and half[1] in joined]
        merges += sorted(found, key=lambda half: (vocabulary[half[0]], vocabulary[half[1]]))
    return merges
