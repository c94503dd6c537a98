"""The pages are true: their code runs, their output is what is printed, their links lead somewhere, twins agree.

What a fence says about its block:

- ```python: run in order, one namespace a page. A ```text block right below is what it prints.
- ```console: `$ hanmo ...` lines are run, with small settings added (`_faster`); other lines are what they print.
  `<!-- exit 2 -->` above the block says with which code its last command ends.
- ```toml below `<!-- file: NAME -->` is a whole recipe: checked, and written under that name for the blocks below.
- ```text that is no output: a diagram. Names of ours in it must exist.
- no language: commands that are not run; `NOT_RUN` lists them all.

Expected output may hold `...` for any text, as in doctest; runs of white space count as one space.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib
import io
import itertools
import json
import re
import shlex
import shutil
import tokenize
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hanmo.cli.app import VERBS, main

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
ENGLISH_ONLY = {"CHANGELOG.md", "CONTRIBUTING.md", "design-notes.md"}
ENGLISH = [page for page in PAGES if not page.name.endswith(".zh-CN.md") and page.name not in ENGLISH_ONLY]
RUNNABLE = [page for page in PAGES if page.name not in ENGLISH_ONLY]

NOT_RUN = {
    "make quickstart": "six minutes; `test_a_tiny_run` and the benchmarks cover it",
    "make test": "these tests",
    "make test-all": "these tests and the slow ones",
    "make check": "ruff and pyright",
    "make format": "changes files",
    "make docs": "this file",
    "make bench": "minutes",
    "make bench-vectors": "minutes",
    "make lock": "needs the network",
    'hanmo predict zero-shot-image-classification path/to/clip cat.png --labels "a cat,a dog"': "needs a CLIP model",
    "ray start --head": "starts a cluster; `tests/corpora/test_executors.py` does",
    "hanmo corpus build notes.toml --executor ray --address 192.168.0.10:6379": "needs a cluster",
    "source .venv/bin/activate": "about the reader's shell",
    ".venv/bin/hanmo quickstart --corpus my_folder --minutes 20 --lang zh": "twenty minutes",
    ".venv/bin/hanmo quickstart --corpus 我的文档 --minutes 20 --lang zh": "twenty minutes",
    ".venv/bin/hanmo quickstart --corpus path/to/data/chinese_novels --minutes 20 --lang zh": "twenty minutes",
    "HANMO_DATA=path/to/data make test": "these tests",
    "hanmo vectors train path/to/data/chinese_novels --out vectors/novels --epochs 20 --set lr=0.025 --seed 1 --deterministic": "minutes",
    "hanmo vectors train path/to/data/chinese_novels --out vectors/novels-glove --method glove --seed 1": "minutes",
    "hanmo vectors train corpora/words-50000000.txt --out vectors/english --epochs 5 --set lr=0.025 --seed 1 --deterministic": "minutes",
    "hanmo vectors train corpora/words-50000000.txt --out vectors/english-glove --method glove --seed 1": "minutes",
    "hanmo train recipes/tatoeba.toml --out runs/tatoeba": "reads a data set",
    "hanmo train recipes/stsb-cross.toml --out runs/stsb-cross --set model.checkpoint=runs/tatoeba/model": "the same",
    "hanmo train recipes/poems.toml": "reads a data set; `tests/stories/test_writing_recipes.py` runs it on another",
    'hanmo generate runs/poems/model "白日依山尽，" --form 5x4': "the same",
    "python benchmarks/poem_form.py runs/poems": "the same",
    "hanmo train recipes/python-completion.toml": "minutes; the same",
    'hanmo generate runs/python-completion/model "def area(r):" --suffix "    return result" --temperature 0': "the same",
    "hanmo evaluate runs/python-completion/model --benchmark completion "
    "--file runs/python-completion/corpus/heldout.jsonl.gz": "the same",
    "hanmo evaluate --benchmark humaneval --canonical": "reads a data set",
    "hanmo evaluate runs/python-completion/model --benchmark humaneval --n 5 --k 1 --k 5 --out humaneval.jsonl": "the same",
    "hanmo corpus crawl https://example.org/ --out example.warc.gz --contact you@example.org": "needs the network",
    'PYTHONPATH=benchmarks python -c "import pathlib, word_corpus; word_corpus.build_corpus('
    "pathlib.Path('corpora'), 50_000_000, [pathlib.Path('path/to/data')])\"": "reads all data sets",
}
"""Every command that a page shows and this file does not run, with the reason."""


@dataclass(frozen=True)
class Block:
    """A fenced block and what stands above it."""

    page: Path
    line: int
    language: str
    text: str
    note: str
    """The HTML comment on the line above, without its marks."""
    output: str | None = None
    """The ```text block right below a ```python block."""

    @property
    def where(self) -> str:
        return f"{self.page.name}:{self.line}"


def read_blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page in order, an output joined to the code that prints it."""
    lines = page.read_text(encoding="utf-8").splitlines()
    found: list[Block] = []
    start: int | None = None
    end_of_last = -2
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            continue
        language, text = lines[start][3:].strip(), "\n".join(lines[start + 1 : number])
        above = [line for line in lines[max(0, start - 2) : start] if line.strip()]
        comment = re.fullmatch(r"<!-- (.*) -->", above[-1].strip()) if above else None
        follows = found and found[-1].language == "python" and not "".join(lines[end_of_last + 1 : start]).strip()
        if language == "text" and follows:
            last = found.pop()
            found.append(Block(page, last.line, "python", last.text, last.note, text))
        else:
            found.append(Block(page, start + 2, language, text, comment[1] if comment else ""))
        start, end_of_last = None, number
    assert start is None, f"{page.name}:{start}: this block has no end"
    return found


def read_commands(block: Block) -> list[tuple[str, str]]:
    """(command, expected output) of a console block; a command may go on after a backslash."""
    found: list[tuple[str, str]] = []
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        else:
            assert found, f"{block.where}: output before the first command"
            found[-1] = (found[-1][0], found[-1][1] + line + "\n")
    return found


@pytest.fixture(scope="session")
def workshop(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the pages assume it: a finished run in runs/quickstart, a folder of documents, the recipes."""
    from hanmo.core.progress import set_quiet

    set_quiet(True)
    folder = tmp_path_factory.mktemp("workshop")
    for name in ("my_folder", "我的文档"):
        tiny.make_tiny_corpus(folder / name)
        (folder / name / "scan.pdf").write_bytes(b"%PDF-1.4")
        (folder / name / "table.csv").write_text("", encoding="utf-8")
    (folder / "empty_folder").mkdir()
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    (folder / "notes.txt").write_text("What is written stays.\n写下来的，才留得住。\n", encoding="utf-8")
    questions = [
        "Which of the three rivers that meet below the old bridge floods first?",
        "三条河流在老桥下交汇，哪一条最先涨水？",
    ]
    exam = "".join(json.dumps({"question": text}, ensure_ascii=False) + "\n" for text in questions)
    (folder / "exam.jsonl").write_text(exam, encoding="utf-8")
    before = Path.cwd()
    with contextlib.chdir(folder):
        tiny.make_tiny_run("runs/quickstart", corpus="my_folder")
    assert Path.cwd() == before
    return folder


# -- code ------------------------------------------------------------------------------------------------------------


def _is_pretraining(recipe: Path) -> bool:
    return tomllib.loads(recipe.read_text("utf-8")).get("task", "pretrain") == "pretrain"


def _faster(command: list[str]) -> list[str]:
    """The same command with a training of a moment instead of minutes; a plan is made of the small corpus too."""
    verb = command[1]
    if verb == "quickstart":
        at = command.index("--minutes") if "--minutes" in command else len(command)
        return [*command[:at], "--minutes", "0.005", *command[at + 2 :]]
    if verb == "train" and Path(command[2]).exists() and _is_pretraining(Path(command[2])):
        sets = ["training.minutes=0.005", "model.d_model=32", "model.n_heads=2", "model.n_layers=1", "model.max_len=64"]
        sets += ["tokenizer.vocab_size=400", "batches.batch_size=4", "samples.max_new_tokens=8"]
        sets += ["corpus.source=my_folder"] if 'source = "stdlib"' in Path(command[2]).read_text("utf-8") else []
        return [*command, *itertools.chain.from_iterable(("--set", item) for item in sets)]
    if verb in ("generate", "chat"):
        return [*command, *([] if "--max-new-tokens" in command else ["--max-new-tokens", "16"])]
    return command


def _run_command(command: str, where: str) -> tuple[int, str]:
    words = shlex.split(command, comments=True)
    assert words[0] == "hanmo", f"{where}: only hanmo is run here, not {words[0]!r}"
    known = {verb.split()[0] for verb in VERBS}
    assert words[1].startswith("-") or words[1] in known, f"{where}: there is no verb {words[1]!r}"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = main(_faster(words)[1:])
    return code, printed.getvalue()


def _check_output(expected: str, got: str, where: str) -> None:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if not doctest.OutputChecker().check_output(expected.rstrip() + "\n", got.rstrip() + "\n", options):
        raise AssertionError(f"{where}: the page shows\n{expected}\nbut this is printed:\n{got}")


def run_block(block: Block, names: dict[str, Any]) -> None:
    """Run a block in the current folder; compare what it prints where the page says what that is."""
    if block.language == "python":
        printed = io.StringIO()
        code = compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        if block.output is not None:
            _check_output(block.output, printed.getvalue(), block.where)
    elif block.language == "console":
        commands = read_commands(block)
        wanted = int(block.note.removeprefix("exit ")) if block.note.startswith("exit ") else 0
        for number, (command, expected) in enumerate(commands):
            code, printed = _run_command(command, block.where)
            assert code == (wanted if number == len(commands) - 1 else 0), f"{block.where}: {command}\n{printed}"
            if expected:
                _check_output(expected, printed, f"{block.where}: {command}")
    elif block.language == "toml":
        from hanmo.stories.corpus import read_recipe as read_corpus_recipe
        from hanmo.stories.train import read_recipe

        assert block.note.startswith("file: "), f"{block.where}: a recipe needs <!-- file: NAME --> above it"
        file = Path(block.note.removeprefix("file: "))
        file.write_text(block.text + "\n", encoding="utf-8")
        (read_corpus_recipe if 'task = "corpus"' in block.text else read_recipe)(file)


LONG_TWINS = {
    f"{name}.zh-CN.md"
    for name in (
        "training-a-task",
        "quickstart",
        "grading",
        "augmentation",
        "adding-a-family",
        "translation",
        "summarization",
    )
}
"""Pages of five seconds and more whose commands are those of the English page, which runs in the fast suite."""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page.name in LONG_TWINS else [], id=page.name)
        for page in RUNNABLE
    ],
)
def test_the_code_of_a_page_runs(page: Path, workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "work"
    shutil.copytree(workshop, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.stdin", io.StringIO("The scribe\n老先生\n/quit\n"))
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in read_blocks(page):
        run_block(block, names)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n", "the page shows"),
        ("```python\n1 / 0\n```\n", "division"),
        ("```console\n$ hanmo score nowhere text\n```\n", "nowhere"),
        ("```console\n$ hanmo --version\n9.9.9\n```\n", "the page shows"),
        ("```console\n$ hanmo dance\n```\n", "no verb"),
        ('<!-- file: r.toml -->\n```toml\nnmae = "x"\n```\n', "nmae"),
        ('```toml\nname = "x"\n```\n', "needs <!-- file"),
    ],
)
def test_a_wrong_page_is_found(text: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=problem):  # noqa: PT012 - the blocks are the statement
        for block in read_blocks(page):
            run_block(block, {})


def test_a_tiny_run(workshop: Path) -> None:
    """The run that the pages use is a whole one, with both languages in it."""
    run = workshop / "runs" / "quickstart"
    there = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    wanted = {"run.json", "metrics.jsonl", "evaluation.json", "samples.json", "report.html", "recipe.toml"}
    wanted |= {f"model/{name}" for name in ("config.json", "model.safetensors", "tokenizer.json", "README.md")}
    assert wanted <= there
    report = (run / "corpus" / "corpus.json").read_text(encoding="utf-8")
    assert '"zh"' in report
    assert '"en"' in report


def test_nothing_is_left_out_in_silence() -> None:
    """What the pages show and this file does not run is exactly the list above."""
    shown: set[str] = set()
    for page in PAGES:
        for block in read_blocks(page):
            if block.language == "":
                shown |= {line.split("  #")[0].strip() for line in block.text.splitlines() if line.strip()}
            else:
                assert block.language in ("python", "console", "toml", "text"), f"{block.where}: {block.language!r}"
    assert shown == set(NOT_RUN)


# -- prose -----------------------------------------------------------------------------------------------------------


def _prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def _headings(page: Path) -> list[tuple[int, str]]:
    return [(len(m[1]), m[2].strip()) for m in re.finditer(r"^(#{1,6}) (.+)$", _prose(page), flags=re.M)]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    seen: Counter[str] = Counter()
    found: set[str] = set()
    for _, heading in _headings(page):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        kept = (c for c in text if c in "-_ " or unicodedata.category(c)[0] in "LNM")
        slug = "".join(kept).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def dead_links(page: Path) -> list[str]:
    """Relative links and anchors of a page that lead nowhere."""
    dead = []
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", _prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and (file.suffix != ".md" or anchor not in anchors(file))):
            dead.append(target)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert dead_links(page) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two`: 三、四\n[a](#one-two-三四) [b](#nowhere) [c](missing.md) [d](https://x.invalid)\n", "utf-8"
    )
    assert dead_links(page) == ["#nowhere", "missing.md"]


FOLDERS = sorted(path.name for path in (ROOT / "src" / "hanmo").iterdir() if any(path.glob("*.py")))
SECTIONS = ["corpus", "tokenizer", "model", "batches", "samples"]  # and training, which is a folder too
_NAME = re.compile(rf"(?<![\w./-])(?:hanmo\.)?((?:{'|'.join(FOLDERS + SECTIONS)})(?:\.\w+)+)")
_FILE = re.compile(r"(?<![\w./-])((?:src/hanmo|tests|benchmarks|recipes|docs|scripts)/[\w./-]+\w)")
_ENDINGS = (".json", ".jsonl", ".toml", ".md", ".safetensors", ".bin")


def unknown_names(page: Path) -> list[str]:
    """Names of ours (`nn.block.Block`), recipe keys and files in the prose and diagrams of a page that do not exist."""
    diagrams = [block.text for block in read_blocks(page) if block.language == "text"]
    text = re.sub(r"\]\([^)]*\)", "]", "\n".join([_prose(page), *diagrams]))
    names = {match[1] for match in _NAME.finditer(text) if not match[1].endswith(_ENDINGS)}
    files = {match[1] for match in _FILE.finditer(text) if "NAME" not in match[1]}
    unknown = {name for name in names if not (_is_code(name) or _is_recipe_key(name))}
    return sorted(unknown | {file for file in files if not (ROOT / file).exists()})


def _is_code(name: str) -> bool:
    parts = name.split(".")
    for n_modules in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(["hanmo", *parts[:n_modules]]))
        except ModuleNotFoundError:
            continue
        for part in parts[n_modules:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def _is_recipe_key(name: str) -> bool:
    from pydantic import BaseModel

    from hanmo.stories.train import _KINDS

    def is_key(section: Any, parts: list[str]) -> bool:
        if not parts:
            return True
        if not (isinstance(section, type) and issubclass(section, BaseModel)) or parts[0] not in section.model_fields:
            return False
        return is_key(section.model_fields[parts[0]].annotation, parts[1:])

    return any(is_key(recipe, name.split(".")) for recipe in _KINDS.values())


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_names_in_a_page_exist(page: Path) -> None:
    assert unknown_names(page) == []


def test_an_unknown_name_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    right = "`nn.block.Block` `core.files` `training.lr` `training.schedule.kind` corpus.json `tests/test_docs.py`"
    page.write_text(f"{right} `nn.block.Brick` `hanmo.models.gpt9` `training.rl` `tests/test_none.py`", "utf-8")
    assert unknown_names(page) == ["models.gpt9", "nn.block.Brick", "tests/test_none.py", "training.rl"]


@pytest.mark.parametrize("name", ["how-it-is-built.md", "how-it-is-built.zh-CN.md"])
def test_the_house_is_shown_as_it_stands(name: str) -> None:
    """Every folder, on the level that the import test gives it, and none besides."""
    levels = ast.parse((ROOT / "tests" / "test_house.py").read_text(encoding="utf-8"))
    known = next(
        ast.literal_eval(node.value)
        for node in levels.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LEVELS"
    )
    diagram = next(block.text for block in read_blocks(ROOT / "docs" / name) if block.language == "text")
    shown = {match[2]: int(match[1]) for match in re.finditer(r"^ +(\d) +([a-z]+) ", diagram, flags=re.M)}
    assert shown == {folder: known[folder] for folder in FOLDERS}


# -- twins -----------------------------------------------------------------------------------------------------------


def twin_of(page: Path) -> Path:
    """The Chinese page beside an English one."""
    return page.with_name(page.name.removesuffix(".md") + ".zh-CN.md")


def skeleton(block: Block) -> list[str]:
    """What twins share of a block: code without comments and text literals, commands without their text."""
    if block.language == "python":
        kept = []
        for token in tokenize.generate_tokens(io.StringIO(block.text + "\n").readline):
            if token.type == tokenize.STRING:
                kept.append("TEXT")
            elif token.type not in (tokenize.COMMENT, tokenize.NL) and token.string.strip():
                kept.append(token.string)
        return kept
    if block.language == "console":
        words = itertools.chain.from_iterable(
            shlex.split(command, comments=True) for command, _ in read_commands(block)
        )
        return list(words)
    if block.language == "toml":
        values = _flat(tomllib.loads(block.text))
        return sorted(f"{key}={value!r}" for key, value in values.items() if key != "lang")
    if block.language == "":
        return [word for line in block.text.splitlines() for word in line.split("  #")[0].split()]
    return ["diagram"]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def twins_differ(english: Path, chinese: Path) -> list[str]:
    """In what the code blocks of twins differ, apart from their text."""
    ours, theirs = read_blocks(english), read_blocks(chinese)
    if [block.language for block in ours] != [block.language for block in theirs]:
        return [f"{[b.language for b in ours]} != {[b.language for b in theirs]}"]
    differences = []
    for one, two in zip(ours, theirs, strict=True):
        first, second = skeleton(one), skeleton(two)
        same = len(first) == len(second) and all(a == b or not b.isascii() for a, b in zip(first, second, strict=True))
        if not same:
            differences.append(f"{one.where} and {two.where}: {first} != {second}")
    return differences


@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: page.name)
def test_every_page_has_its_twin(page: Path) -> None:
    twin = twin_of(page)
    assert twin.exists()
    assert [level for level, _ in _headings(page)] == [level for level, _ in _headings(twin)]
    assert twins_differ(page, twin) == []
    assert twin.name in page.read_text(encoding="utf-8"), "the page does not link to its twin"
    assert page.name in twin.read_text(encoding="utf-8"), "the twin does not link back"


def test_chinese_pages_belong_to_an_english_one() -> None:
    assert {page for page in PAGES if page.name.endswith(".zh-CN.md")} == {twin_of(page) for page in ENGLISH}


def test_different_twins_are_found(tmp_path: Path) -> None:
    english, same, other = (tmp_path / name for name in ("a.md", "b.md", "c.md"))
    english.write_text('```python\nf("text", n=1)  # why\n```\n```console\n$ hanmo score m "a text"\n```\n', "utf-8")
    same.write_text('```python\nf("文本", n=1)\n```\n```console\n$ hanmo score m "一句话"\n```\n', "utf-8")
    other.write_text('```python\nf("文本", n=2)\n```\n```console\n$ hanmo score x "一句话"\n```\n', "utf-8")
    assert twins_differ(english, same) == []
    assert len(twins_differ(english, other)) == 2


@pytest.mark.parametrize("name", ["data.md", "data.zh-CN.md"])
def test_every_test_with_real_data_is_listed(name: str) -> None:
    listed = (ROOT / "docs" / name).read_text(encoding="utf-8")
    tests = [path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    users = [path for path in tests if re.search("HANMO_DATA|data_root", path.read_text(encoding="utf-8"))]
    assert users
    assert [
        path.relative_to(ROOT).as_posix() for path in users if path.relative_to(ROOT).as_posix() not in listed
    ] == []


@pytest.mark.parametrize("name", ["quickstart.md", "quickstart.zh-CN.md"])
def test_the_quickstart_mentions_every_verb(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f"hanmo {verb}" not in text] == []


def _chinese_lines(page: Path) -> Iterator[tuple[int, str]]:
    inside = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        inside ^= line.startswith("```")
        if not inside:
            yield number, re.sub(r"`[^`]*`", "`", re.sub(r"\]\([^)]*\)", "]", line))


@pytest.mark.parametrize("page", [twin_of(page) for page in ENGLISH], ids=lambda page: page.name)
def test_chinese_punctuation_is_full_width(page: Path) -> None:
    """A comma, colon, bracket or stop that touches a Chinese character is the full-width one."""
    half = re.compile(r"[\u4e00-\u9fff][,;:!?()]|[,;:!?()][\u4e00-\u9fff]|[\u4e00-\u9fff]\.(?:\s|$)")
    assert [f"{page.name}:{n}: {line}" for n, line in _chinese_lines(page) if half.search(line)] == []
