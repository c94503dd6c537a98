"""`hanmo text VERB TEXT`: what the functions of `hanmo.text` make of a string. A verb for words: `hanmo.cli.text_words`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from hanmo.cli.inputs import Flag, read_text_argument
from hanmo.cli.outputs import print_json

__all__ = ["language", "numbers", "repair", "script", "sentences", "width"]

_Kinds = Annotated[
    tuple[Literal["letters", "digits", "punctuation", "space"], ...],
    Parameter(consume_multiple=True, negative=()),
]


def sentences(text: str | None = None, *, file: Path | None = None, wrapped: Flag = False, json: Flag = False) -> int:
    """Cut a text into sentences, one on each line.

    Parameters
    ----------
    text:
        The text; without it, --file or standard input.
    file:
        Read it from a file.
    wrapped:
        Lines were broken to fill a width: only an empty line ends a sentence.
    json:
        Print JSON: each sentence with its place in the text.
    """
    from hanmo.text.sentences import sentence_spans

    content = read_text_argument(text, file)
    spans = sentence_spans(content, wrapped=wrapped)
    if json:
        found = [{"text": content[start:end], "start": start, "end": end} for start, end in spans]
        return print_json({"sentences": found})
    for start, end in spans:
        print(" ".join(content[start:end].split("\n")))
    return 0


def width(
    text: str | None = None,
    *,
    file: Path | None = None,
    to: Literal["half", "full"] = "half",
    kinds: _Kinds = ("letters", "digits"),
    json: Flag = False,
) -> int:
    """Make full-width characters half-width, or the other way.

    Parameters
    ----------
    text:
        The text; without it, --file or standard input.
    file:
        Read it from a file.
    to:
        half (ABC123) or full (ＡＢＣ１２３).
    kinds:
        Which characters: letters, digits, punctuation, space.
    json:
        Print JSON.
    """
    from hanmo.text.width import to_full_width, to_half_width

    convert = to_half_width if to == "half" else to_full_width
    result = convert(read_text_argument(text, file), kinds)
    return print_json({"text": result}) if json else _print_text(result)


def numbers(text: str | None = None, *, file: Path | None = None, json: Flag = False) -> int:
    """Find the numbers of a text, or write a number in Chinese and English.

    A text that is a number in Arabic digits is written in words; in any other, numbers in digits and words are found.

    Parameters
    ----------
    text:
        The text; without it, --file or standard input.
    file:
        Read it from a file.
    json:
        Print JSON.
    """
    from decimal import Decimal, InvalidOperation

    from hanmo.text.find_numbers import find_numbers

    content = read_text_argument(text, file)
    try:
        number = Decimal(content.strip().replace(",", ""))
    except InvalidOperation:
        number = None
    if number is not None and number.is_finite():
        return _print_numerals(number, json)
    found = find_numbers(content)
    if json:
        rows = [{"text": item.text, "start": item.start, "end": item.end, "value": str(item.value)} for item in found]
        return print_json({"numbers": rows})
    for item in found:
        print(f"{item.value}  {item.text}")
    return 0


def _print_numerals(number: Any, json: bool) -> int:
    from hanmo.text.chinese_numbers import to_chinese_number
    from hanmo.text.english_numbers import to_english_number

    written = {
        "plain": to_chinese_number(number),
        "formal": to_chinese_number(number, "formal"),
        "digits": to_chinese_number(number, "digits"),
        "english": to_english_number(number),
    }
    if json:
        return print_json(written)
    for name, words in written.items():
        print(f"{name:8} {words}")
    return 0


def repair(text: str | None = None, *, file: Path | None = None, json: Flag = False) -> int:
    """Repair mojibake, control characters, line ends and composed characters.

    Parameters
    ----------
    text:
        The text; without it, --file or standard input.
    file:
        Read it from a file; its encoding is found.
    json:
        Print JSON, with counts.
    """
    from hanmo.text.repair import repair as repair_text

    result = repair_text(read_text_argument(text, file))
    if json:
        counts = {"mojibake_lines": result.n_mojibake, "control_characters": result.n_control}
        return print_json({"text": result.text, **counts})
    return _print_text(result.text)


def language(text: str | None = None, *, file: Path | None = None, json: Flag = False) -> int:
    """Name the language of a text, and how sure that is: en, fr, zh-Hans …; und where there is too little to tell.

    Parameters
    ----------
    text:
        The text; without it, --file or standard input.
    file:
        Read it from a file.
    json:
        Print JSON.
    """
    from hanmo.text.language import identify_language

    name, probability = identify_language(read_text_argument(text, file))
    value = {"language": name, "probability": round(probability, 4)}
    return print_json(value) if json else _print_text(f"{name} {probability:.2f}")


def script(
    text: str | None = None,
    *,
    to: Literal["simplified", "traditional", "taiwan", "hongkong"] = "simplified",
    from_: Annotated[Literal["taiwan", "hongkong"] | None, Parameter(name="--from")] = None,
    words: Flag = False,
    file: Path | None = None,
    json: Flag = False,
) -> int:
    """Turn Chinese text into simplified or traditional characters.

    Parameters
    ----------
    text:
        The text; without it, --file or standard input.
    to:
        The script, or the usage of a region.
    from_:
        The region whose usage the text follows.
    words:
        Also the words of the region: 软件 becomes 軟體 in Taiwan.
    file:
        Read it from a file.
    json:
        Print JSON: the text, and the script that it was in.
    """
    from hanmo.text.chinese_script import convert_script, guess_script

    content = read_text_argument(text, file)
    converted = convert_script(content, to, origin=from_, words=words)
    return print_json({"text": converted, "was": guess_script(content)}) if json else _print_text(converted)


def _print_text(text: str) -> int:
    print(text, end="" if text.endswith("\n") else "\n")
    return 0
