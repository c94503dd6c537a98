"""The report: complete, self-contained, safe, and useful for runs that ended badly."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from hanmo.core.errors import ConfigError, DataError, FormatError
from hanmo.evaluation.report import report_page, write_report
from hanmo.evaluation.report_samples import looks_like_code
from hanmo.evaluation.report_text import TEXT
from hanmo.evaluation.run_files import read_run

ALLOWED = {
    "html",
    "head",
    "meta",
    "title",
    "link",
    "style",
    "body",
    "header",
    "main",
    "footer",
    "nav",
    "section",
    "div",
    "span",
    "p",
    "h1",
    "h2",
    "h3",
    "a",
    "b",
    "i",
    "em",
    "br",
    "dl",
    "dt",
    "dd",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "figure",
    "figcaption",
    "svg",
    "line",
    "text",
    "path",
    "circle",
    "rect",
    "pre",
    "code",
    "details",
    "summary",
}


class Outline(HTMLParser):
    """Tags, attributes and visible text; checks that every element is closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.tags: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def outline(page: str) -> Outline:
    reader = Outline()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def unsafe(page: str) -> list[object]:
    """What a self-contained page without scripts must not hold."""
    reader = outline(page)
    found: list[object] = sorted(reader.tags - ALLOWED)
    for tag, name, value in reader.attributes:
        local = (tag == "a" and (value or "").startswith("#")) or (
            tag == "link" and (value or "").startswith("data:image/svg+xml,")
        )
        if (
            name.startswith("on")
            or name in {"src", "srcdoc", "action", "formaction", "background"}
            or (name == "href" and not local)
        ):
            found.append((tag, name, value))
    return found


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_whole_run(make_run, lang):
    run = make_run(lang)
    target = write_report(run, lang=lang)
    assert target == run / "report.html"
    page = target.read_text(encoding="utf-8")
    assert unsafe(page) == []
    text = " ".join(outline(page).text)
    assert TEXT["not_recorded"][lang == "zh"] not in text
    for key in ("corpus", "tokenizer", "training", "evaluation", "samples", "recipe", "machine", "next"):
        assert TEXT[key][lang == "zh"] in text
    for figure in ("1.64", "1.84", "2.11", "2.69", "1,388", "19,640,882", "4,096", "AMD EPYC 9654", "2.13.0", "0.475"):
        assert figure in text
    assert page.startswith("<!DOCTYPE html>\n<html lang=" + ('"zh-Hans"' if lang == "zh" else '"en"'))
    assert "default-src &#x27;none&#x27;" in page
    assert "hanmo generate " in text
    assert len(page) < 200_000


def test_the_languages_do_not_mix(make_run):
    page = report_page(read_run(make_run("en", samples=None)), lang="zh")
    assert "没见过的文本" in page
    assert "What went in" not in page
    assert "语料" not in report_page(read_run(make_run("en")), lang="en")


def test_headline_says_worse_when_it_is_worse(make_run):
    run = make_run()
    assert "11% less than xz" in report_page(read_run(run))
    evaluation = {"heldout": {"bits_per_byte": 2.0, "bytes": 10}, "baselines": {"xz": 1.0}}
    (run / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    page = report_page(read_run(run))
    assert "100% more than xz" in page
    assert "比 xz\u00a0-9 多 100%" in report_page(read_run(run), lang="zh")


def test_methods_are_ranked_and_compared(make_run):
    text = " ".join(outline(report_page(read_run(make_run()))).text)
    order = [text.index(name) for name in ("This model", "Kneser–Ney 5-gram", "gzip -9", "Order-0 token model")]
    assert order == sorted(order)
    assert "−11%" in text
    assert "+46%" in text


def test_the_ngram_model_says_what_it_counted(make_run):
    run = make_run()
    text = " ".join(outline(report_page(read_run(run))).text)
    assert "only counts the same tokens, 5.00 million of them, 45% of the training text." in text
    info = json.loads((run / "run.json").read_text(encoding="utf-8"))
    info["stages"].append({"name": "ngram", "seconds": 4.2})
    (run / "run.json").write_text(json.dumps(info), encoding="utf-8")
    text = " ".join(outline(report_page(read_run(run))).text)
    assert "45% of the training text, and took 4.2\u00a0s." in text
    assert "count n-grams" in text
    text = " ".join(outline(report_page(read_run(run), lang="zh")).text)
    assert "Kneser–Ney 5 元模型" in text
    assert "共 500 万个，占训练文本的 45%，用时 4.2\u00a0秒。" in text
    evaluation = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    evaluation["ngram"]["share"] = 1.0
    (run / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    assert "of them, all of the training text, and" in " ".join(outline(report_page(read_run(run))).text)
    del evaluation["ngram"]  # as runs of earlier versions
    (run / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    assert "Kneser" not in report_page(read_run(run))


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("status", ["failed", "interrupted", "stopped", "running", "paused"])
def test_runs_that_did_not_finish_say_so(make_run, status, lang):
    run = make_run(lang, status=status, error="loss is NaN at step 7", leave_out=("evaluation.json", "samples.json"))
    page = report_page(read_run(run), lang=lang)
    assert 'class="banner' in page
    assert "loss is NaN at step 7" in page
    assert (f"--out {run} --resume" in page) == (status != "running")
    assert TEXT["not_recorded"][lang == "zh"] in page


@pytest.mark.parametrize("status", ["finished", "early_stopped"])
def test_runs_that_finished_have_no_banner(make_run, status):
    assert 'class="banner' not in report_page(read_run(make_run(status=status)))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_an_almost_empty_run(tmp_path, lang):
    (tmp_path / "run.json").write_text('{"status": "failed", "error": "没有文档"}', encoding="utf-8")
    page = write_report(tmp_path, lang=lang).read_text(encoding="utf-8")
    assert unsafe(page) == []
    assert "没有文档" in page
    assert page.count(TEXT["not_recorded"][lang == "zh"]) == 7
    assert tmp_path.name in page


def nested_keys(value: object, prefix: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in [(*prefix, key), *nested_keys(item, (*prefix, key))]]


@pytest.mark.parametrize("name", ["run.json", "corpus/corpus.json", "evaluation.json", "samples.json"])
def test_any_missing_key_leaves_a_page(make_run, name):
    run = make_run(leave_out=("metrics.jsonl",))
    whole = json.loads((run / name).read_text(encoding="utf-8"))
    required = {("stages", "name"), ("stages", "seconds")}
    for path in nested_keys(whole):
        if tuple(key for key in path if isinstance(key, str)) in required and isinstance(path[-1], str):
            continue
        value = json.loads(json.dumps(whole))
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        del parent[path[-1]]
        (run / name).write_text(json.dumps(value), encoding="utf-8")
        page = report_page(read_run(run))
        assert unsafe(page) == [], path
        assert ">None<" not in page, path


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_hostile_texts_stay_texts(make_hostile_run, lang):
    page = write_report(make_hostile_run(lang), lang=lang).read_text(encoding="utf-8")
    assert unsafe(page) == []
    text = "".join(outline(page).text)
    assert text.count("<script>document.title='pwned'</script>") > 50


def test_the_check_would_find_a_script():
    assert unsafe("<p><script>1</script></p>") == ["script"]
    assert unsafe('<p onclick="x">y</p>') == [("p", "onclick", "x")]
    assert unsafe('<a href="javascript:x">y</a>') == [("a", "href", "javascript:x")]


def test_folders_with_spaces_and_quotes_are_quoted(make_run, tmp_path):
    run = make_run()
    moved = run.rename(tmp_path / "my run; it's")
    text = "".join(outline(report_page(read_run(moved))).text)
    assert re.search(r"hanmo chat '[^\n]*my run; it'\"'\"'s/model'", text)


def test_very_long_runs_stay_small(make_run):
    page = report_page(read_run(make_run(steps=20_000)))
    assert len(page) < 250_000


def test_errors_have_a_place(make_run, tmp_path):
    with pytest.raises(ConfigError, match="--lang"):
        report_page(read_run(make_run()), lang="fr")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match=r"run\.json"):
        write_report(tmp_path / "nowhere")
    run = make_run("zh")
    (run / "samples.json").write_text("[", encoding="utf-8")
    with pytest.raises(FormatError, match=r"samples\.json"):
        write_report(run)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(x):\n    return x\n", True),
        ("import os\nfor x in y:\n    print(x)", True),
        ("The file is read.\nThen it is closed.", False),
        ("话说宝玉听了，\n便往里头来了。", False),
        ("one line", False),
    ],
)
def test_code_is_told_from_prose(text, expected):
    assert looks_like_code(text) is expected
