"""`hanmo`: the list of verbs. A verb's module is imported only when it is asked for."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

__all__ = ["GROUPS", "VERBS", "main"]

VERBS: dict[str, tuple[str, str]] = {
    "quickstart": (
        "hanmo.cli.quickstart:quickstart",
        "Real text → tokenizer → GPT → report, in minutes, no downloads.",
    ),
    "train": ("hanmo.cli.train:train", "Run a recipe: from raw text to a trained, evaluated model directory."),
    "generate": ("hanmo.cli.generate:generate", "Continue a prompt."),
    "chat": ("hanmo.cli.chat:chat", "Talk to a model in the terminal."),
    "score": ("hanmo.cli.score:score", "Log-probabilities and bits per byte of a text."),
    "predict": ("hanmo.cli.predict:predict", "Ask a trained model: the class of a text, or of each line of a file."),
    "evaluate": (
        "hanmo.cli.evaluate:evaluate",
        "How good a model is on labelled examples, or at writing programs (pass@k); two of them compared.",
    ),
    "labels": ("hanmo.cli.labels:labels", "Name the training examples whose labels are probably wrong."),
    "show": ("hanmo.cli.show:show", "Draw a model: its parts, shapes, parameters, memory and FLOPs."),
    "corpus build": ("hanmo.cli.corpus:build", "Build a corpus from a recipe or a folder, with its data card."),
    "corpus stats": (
        "hanmo.cli.corpus:stats",
        "Documents, characters and languages of a corpus, and what was removed.",
    ),
    "corpus show": ("hanmo.cli.corpus:show", "Print documents of a corpus, or examples of what was removed."),
    "corpus bounds": ("hanmo.cli.corpus:bounds", "How odd an n-gram model finds documents, to choose bounds."),
    "corpus crawl": ("hanmo.cli.crawl:crawl", "Fetch the pages of sites into a web archive, politely."),
    "vectors train": ("hanmo.cli.vectors_train:train", "Train word vectors on text: word2vec or GloVe."),
    "vectors similar": ("hanmo.cli.vectors:similar", "The words nearest to a word."),
    "vectors analogy": ("hanmo.cli.vectors:analogy", "What is to C as B is to A."),
    "vectors odd": ("hanmo.cli.vectors:odd", "Which word does not belong."),
    "vectors evaluate": ("hanmo.cli.vectors:evaluate", "Word similarity and analogy sets, with coverage."),
    "vectors map": ("hanmo.cli.vectors:map_", "Draw words on a plane, as an .svg or .html file."),
    "vectors convert": ("hanmo.cli.vectors:convert", "Rewrite word vectors in another form."),
    "ngram train": ("hanmo.cli.ngram:train", "Train a Kneser–Ney model on text."),
    "ngram score": ("hanmo.cli.ngram:score", "Perplexity and bits per character of a text or file."),
    "ngram sample": ("hanmo.cli.ngram:sample", "Write sentences."),
    "text segment": ("hanmo.cli.text_words:segment", "Cut a text into words, Chinese or English."),
    "text sentences": ("hanmo.cli.text:sentences", "Cut a text into sentences."),
    "text stopwords": ("hanmo.cli.text_words:stopwords", "The words of a text without stop words."),
    "text stem": ("hanmo.cli.text_words:stem", "The stems of English words."),
    "text lemma": ("hanmo.cli.text_words:lemma", "The dictionary forms of English words."),
    "text tag": ("hanmo.cli.text_words:tag", "Part-of-speech tags."),
    "text pinyin": ("hanmo.cli.text_words:pinyin", "How a Chinese text is read, with tones."),
    "text numbers": ("hanmo.cli.text:numbers", "Find numbers in a text, or write one in Chinese and English."),
    "text width": ("hanmo.cli.text:width", "Full-width to half-width characters, or the other way."),
    "text repair": ("hanmo.cli.text:repair", "Repair mojibake, control characters and line ends."),
    "text language": ("hanmo.cli.text:language", "Name the language of a text."),
    "text script": ("hanmo.cli.text:script", "Turn Chinese into simplified or traditional characters."),
    "tokenizer train": ("hanmo.cli.tokenizer:train", "Train a tokenizer on text: BPE, WordPiece, Unigram, word, char."),
    "tokenizer show": ("hanmo.cli.tokenizer:show", "Cut a text into tokens, and show them."),
    "tokenizer compare": ("hanmo.cli.tokenizer:compare", "Tokenizers side by side on the same text."),
    "adapter merge": ("hanmo.cli.adapter:merge", "Write the whole model that an adapter makes of its base."),
    "adapter show": ("hanmo.cli.adapter:show", "An adapter: kind, base, places, sizes."),
    "report": ("hanmo.cli.report:report", "Write the report of a run again, in English or Chinese."),
    "doctor": ("hanmo.cli.doctor:doctor", "Versions, processor, accelerators, extras, and what to do about them."),
}
"""Verb, of one word or of a group and a word → (where its function lives, one line of help)."""

GROUPS: dict[str, str] = {
    "corpus": "Corpora: build, look at, crawl.",
    "vectors": "Word vectors: train, neighbours, analogies, tests, maps, forms.",
    "ngram": "N-gram language models: train, score, sample.",
    "text": "Look at a text: words, sentences, tags, readings, numbers, forms.",
    "adapter": "Adapters of models that stay as they are: merge, look at.",
    "tokenizer": "Tokenizers: train, show, compare.",
}
"""Group of verbs → one line of help."""

_INTERRUPTED = 130
_FAILED, _WRONG_USE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    from cyclopts import App, CycloptsError

    from hanmo import __version__

    app = App(
        name="hanmo",
        help="翰墨: the whole life of a language model, in Chinese and English.",
        version=__version__,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,  # it would leave without a word
    )
    groups = {name: App(name=name, help=summary) for name, summary in GROUPS.items()}
    for group in groups.values():
        app.command(group)
    for name, (home, summary) in VERBS.items():
        group, _, verb = name.rpartition(" ")
        (groups[group] if group else app).command(home, name=verb, help=summary)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a character shows "?" for it
            stream.reconfigure(errors="replace")
    try:
        result = app(
            list(sys.argv[1:] if arguments is None else arguments),
            exit_on_error=False, print_error=True, result_action="return_value",
        )  # fmt: skip
        sys.stdout.flush()  # a reader that went away is met here, not when Python shuts down
    except CycloptsError:
        return _WRONG_USE
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return _INTERRUPTED
    except SystemExit as error:
        if isinstance(
            error.__context__, BrokenPipeError
        ):  # rich leaves like this when the reader of the help went away
            return 0
        raise
    except BrokenPipeError:
        # the reader of our output went away (| head): not a failure of ours, and nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _explain(error)
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _explain(error: Exception) -> int:
    """Print one clear message; a bug of ours keeps its traceback."""
    from hanmo.core.errors import HanmoError

    if isinstance(error, HanmoError):
        print(f"hanmo: {error}", file=sys.stderr)
        return error.exit_code
    import traceback

    traceback.print_exc()
    print("hanmo: this is a bug in hanmo; please report it with the lines above", file=sys.stderr)
    return _FAILED
