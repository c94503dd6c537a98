from __future__ import annotations

from hanmo.corpora.documents import Document
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import read_file
from hanmo.corpora.sources.stdlib import list_stdlib, read_topics


def test_the_standard_library_is_there_and_only_it() -> None:
    files, _ = list_stdlib()
    names = [file.name for file in files]
    assert len(names) > 500
    assert names == sorted(names)
    assert "stdlib:json/decoder.py" in names
    assert not any("site-packages" in name or "__pycache__" in name or "topics.py" in name for name in names)
    decoder = next(file for file in files if file.name == "stdlib:json/decoder.py")
    (document,) = (item for item in read_file(decoder, CorpusSettings()) if isinstance(item, Document))
    assert document.text == decoder.path.read_text(encoding="utf-8")


def test_topics_are_plain_text() -> None:
    topics = {document.id: document.text for document in read_topics()}
    assert "stdlib:help/assert" in topics
    assert "Assert statements" in topics["stdlib:help/assert"]
    assert "\\n" not in topics["stdlib:help/assert"][:200]
