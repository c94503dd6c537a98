"""`hanmo text segment | stopwords | stem | lemma | tag | pinyin`: the words of a text and what is known of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hanmo.cli.inputs import Flag, read_text_argument
from hanmo.cli.outputs import print_json

if TYPE_CHECKING:
    from hanmo.text.user_dictionary import UserDictionary

__all__ = ["lemma", "pinyin", "segment", "stem", "stopwords", "tag"]


def segment(
    text: str | None = None,
    *,
    file: Path | None = None,
    words: Path | None = None,
    train: Path | None = None,
    json: Flag = False,
) -> int:
    """Cut a text into words, with a space between them; lines stay lines.

    Parameters
    ----------
    text:
        The text; without it, --file or standard input.
    file:
        Read it from a file.
    words:
        A user dictionary: a word on each line, with its frequency if you like.
    train:
        Segmented text, with spaces between words. Chinese is then cut by the project's own segmenter, trained on it,
        instead of jieba.
    json:
        Print JSON: the words of each line.
    """
    from hanmo.core.errors import ConfigError
    from hanmo.text.segment import segment as segment_text

    if words is not None and train is not None:
        raise ConfigError("--words and --train were both given", remedy="A dictionary is for jieba; give one of them.")
    if train is not None:
        from hanmo.text.dag_segmenter import DagSegmenter

        lines = (line.split() for line in read_text_argument(None, train).splitlines())
        cut = DagSegmenter.train(line for line in lines if line).segment
    else:
        cut = partial(segment_text, dictionary=_dictionary(words))
    segmented = [cut(line) for line in read_text_argument(text, file).splitlines()]
    if json:
        return print_json({"lines": segmented})
    for line in segmented:
        print(" ".join(line))
    return 0


def stopwords(text: str | None = None, *, file: Path | None = None, json: Flag = False) -> int:
    """The words of a text without stop words and marks, Chinese and English.

    Parameters
    ----------
    text:
        The text; without it, --file or standard input.
    file:
        Read it from a file.
    json:
        Print JSON: the words kept and those removed.
    """
    from hanmo.text.segment import segment as cut
    from hanmo.text.stop_words import remove_stop_words

    found = cut(read_text_argument(text, file))
    kept = remove_stop_words(found)
    if json:
        left = set(kept)
        return print_json({"kept": kept, "removed": [word for word in found if word not in left]})
    print(" ".join(kept))
    return 0


def stem(text: str | None = None, *, file: Path | None = None, json: Flag = False) -> int:
    """The stems of English words (Snowball); Chinese words stay.

    Parameters
    ----------
    text:
        The text; without it, --file or standard input.
    file:
        Read it from a file.
    json:
        Print JSON.
    """
    from hanmo.text.stems import stem as stem_of

    return _each("stem", stem_of, read_text_argument(text, file), json)


def lemma(text: str | None = None, *, file: Path | None = None, json: Flag = False) -> int:
    """The dictionary forms of English words; Chinese words stay.

    Parameters
    ----------
    text:
        The text; without it, --file or standard input.
    file:
        Read it from a file.
    json:
        Print JSON.
    """
    from hanmo.text.lemmas import lemma as lemma_of

    return _each("lemma", lemma_of, read_text_argument(text, file), json)


def tag(
    text: str | None = None,
    *,
    file: Path | None = None,
    model: str | None = None,
    words: Path | None = None,
    json: Flag = False,
) -> int:
    """Part-of-speech tags: Chinese by jieba's dictionary, English and all else by a model of yours.

    Parameters
    ----------
    text:
        The text; without it, --file or standard input.
    file:
        Read it from a file.
    model:
        The directory of a tagger (runs/NAME/model), as `task = "token-classification"` trains it.
    words:
        A user dictionary for Chinese, without a model.
    json:
        Print JSON.
    """
    from hanmo.core.errors import ConfigError

    content = read_text_argument(text, file)
    if model is not None:
        if words is not None:
            raise ConfigError(
                "--model and --words were both given", remedy="A dictionary is for Chinese without a model."
            )
        from hanmo.tasks.pipelines import pipeline

        answers = pipeline("pos", model)(content, ignore_labels=[])
        tagged = [(answer["word"], answer["entity"]) for answer in answers]
    else:
        from hanmo.text.language import guess_language
        from hanmo.text.part_of_speech import tag_chinese

        if (language := guess_language(content)) != "zh":
            raise ConfigError(
                f"this text is not Chinese ({language}), and other languages are tagged by a model",
                remedy="Give --model; the guide on tagging shows how one is trained.",
            )
        tagged = tag_chinese(content, _dictionary(words))
    if json:
        return print_json({"words": [{"word": word, "tag": label} for word, label in tagged]})
    print(" ".join(f"{word}/{label}" for word, label in tagged))
    return 0


def pinyin(
    text: str | None = None,
    *,
    file: Path | None = None,
    style: Literal["marks", "numbers", "plain"] = "marks",
    words: Path | None = None,
    json: Flag = False,
) -> int:
    """How a Chinese text is read, word by word.

    Parameters
    ----------
    text:
        The text; without it, --file or standard input.
    file:
        Read it from a file.
    style:
        marks (zhōng), numbers (zhong1) or plain (zhong).
    words:
        A user dictionary.
    json:
        Print JSON: each word with its syllables.
    """
    from hanmo.text.pinyin import pinyin as readings_of

    dictionary = _dictionary(words)
    lines = [readings_of(line, style, dictionary) for line in read_text_argument(text, file).splitlines()]
    if json:
        rows = [{"word": item.word, "syllables": list(item.syllables)} for line in lines for item in line]
        return print_json({"words": rows})
    for line in lines:
        print(" ".join(reading.text for reading in line))
    return 0


def _dictionary(words: Path | None) -> UserDictionary | None:
    if words is None:
        return None
    from hanmo.text.user_dictionary import UserDictionary, read_user_words

    return UserDictionary(read_user_words(words))


def _each(name: str, change: Callable[[str], str], text: str, json: bool) -> int:
    from hanmo.text.segment import segment as cut

    words = cut(text)
    if json:
        return print_json({"words": [{"word": word, name: change(word)} for word in words]})
    print(" ".join(map(change, words)))
    return 0
