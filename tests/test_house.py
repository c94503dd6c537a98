"""The rules of the house, checked on the source text: imports go one way, nothing unpickles, names are listed."""

from __future__ import annotations

import ast
import functools
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "hanmo"
FILES = sorted(PACKAGE.rglob("*.py"))

LEVELS = {
    "core": 0,
    "text": 1, "tokenizers": 1, "metrics": 1, "nn": 1,
    "corpora": 2, "ngrams": 2, "vectors": 2, "batches": 2, "models": 2,
    "training": 3, "generation": 3,
    "tasks": 4, "compression": 4, "retrieval": 4,
    "prompting": 5,
    "evaluation": 6, "serving": 6,
    "stories": 7,
    "cli": 8,
}  # fmt: skip
WITHOUT_TORCH = {"text", "tokenizers", "metrics", "corpora", "ngrams", "vectors"}
RIVALS = {"transformers", "peft", "trl", "accelerate", "datasets", "gensim", "nltk", "spacy", "kenlm"}
ONLY_HOME = {"jinja2": "tokenizers/chat_template.py"}
RUNS_CODE = {"evaluation/sandbox/exchange.py"}
"""Where source text is run: only in a process that is shut in."""
UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


@functools.cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _imports(file: Path) -> list[tuple[int, str]]:
    """(line, module) of every import, lazy ones and those under TYPE_CHECKING included."""
    found = []
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            found.append((node.lineno, node.module or ""))
    return found


def _where(file: Path, line: int) -> str:
    return f"{file.relative_to(ROOT)}:{line}"


def import_order_breaches(files: list[Path], package: Path) -> list[str]:
    breaches = []
    for file in files:
        parts = file.relative_to(package).parts
        if len(parts) == 1:
            continue
        folder = parts[0]
        for line, module in _imports(file):
            names = module.split(".")
            if names[0] != "hanmo" or len(names) < 2 or names[1] == folder:
                continue
            if LEVELS[names[1]] >= LEVELS[folder]:
                breaches.append(f"{file.name}:{line}: {folder} (level {LEVELS[folder]}) imports {module}")
    return breaches


def test_every_folder_has_a_level() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(LEVELS)


def test_imports_go_one_way() -> None:
    assert import_order_breaches(FILES, PACKAGE) == []


def test_the_import_check_sees_a_breach(tmp_path: Path) -> None:
    (tmp_path / "nn").mkdir()
    bad = tmp_path / "nn" / "bad.py"
    bad.write_text(
        "def f():\n    from hanmo.models.gpt2 import gpt2\n    from hanmo.text.han import x\n    return gpt2, x\n"
    )
    assert len(import_order_breaches([bad], tmp_path)) == 2


@pytest.mark.parametrize("folder", sorted(WITHOUT_TORCH))
def test_no_torch_in_text_folders(folder: str) -> None:
    found = [
        _where(file, line)
        for file in FILES
        if file.relative_to(PACKAGE).parts[0] == folder
        for line, module in _imports(file)
        if module.split(".")[0] == "torch"
    ]
    assert found == []


def test_rivals_are_never_imported() -> None:
    assert [_where(f, line) for f in FILES for line, module in _imports(f) if module.split(".")[0] in RIVALS] == []


def test_template_engine_has_one_home() -> None:
    for library, home in ONLY_HOME.items():
        users = {
            str(f.relative_to(PACKAGE)) for f in FILES for _, module in _imports(f) if module.split(".")[0] == library
        }
        assert users <= {home}


def test_nothing_unpickles() -> None:
    """CVE-2025-32434 and CVE-2026-24747 broke torch.load(weights_only=True); no pickle is the only safe rule."""
    found = []
    for file in FILES:
        found += [_where(file, line) for line, module in _imports(file) if module.split(".")[0] in UNSAFE]
        for node in ast.walk(_tree(file)):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            allows = any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords)
            if name == "exec" and str(file.relative_to(PACKAGE)) in RUNS_CODE:
                continue
            if name in ("torch.load", "torch.save", "yaml.load", "eval", "exec") or allows:
                found.append(_where(file, node.lineno))
    assert found == []


def _modules() -> list[str]:
    return [
        ".".join(("hanmo", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for file in FILES
    ]


@pytest.mark.parametrize("name", _modules())
def test_public_names_are_listed(name: str) -> None:
    """`__all__` names exactly the public functions and classes that a module defines."""
    module = importlib.import_module(name)
    file = PACKAGE.joinpath(*name.split(".")[1:])
    tree = _tree(file / "__init__.py" if file.is_dir() else file.with_suffix(".py"))
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    listed = getattr(module, "__all__", None)
    if defined:
        assert listed is not None, f"{name} has no __all__"
    if listed is not None:
        assert defined <= set(listed), f"{name}: not in __all__: {sorted(defined - set(listed))}"
        for entry in listed:
            assert hasattr(module, entry), f"{name}.__all__ names {entry!r}, which does not exist"
        assert len(set(listed)) == len(listed)


def test_no_machine_paths_in_the_repository() -> None:
    """What is shipped names no home folder, so that it reads the same everywhere."""
    kinds = {".py", ".md", ".toml", ".sh", ".lock", ""}
    folders = ("src", "tests", "docs", "recipes", "benchmarks", "scripts")
    files = [f for folder in folders for f in (ROOT / folder).rglob("*") if f.is_file() and f.suffix in kinds]
    homes = ("/ro" + "ot/", "/home" + "/")
    assert [
        str(f.relative_to(ROOT))
        for f in files
        if any(home in f.read_text(encoding="utf-8", errors="replace") for home in homes)
    ] == []
