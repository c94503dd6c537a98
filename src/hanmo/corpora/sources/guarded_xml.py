"""Streaming XML without document types: no entity can be defined, so none can explode or reach for a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO
from xml.parsers import expat

from hanmo.core.errors import FormatError
from hanmo.corpora.sources.compression import problem_of

__all__ = ["Attributes", "XmlHandler", "parse_xml"]

Attributes = dict[str, str]

_CHUNK_BYTES = 2**16
_MAX_DEPTH = 1_000
_MAX_TOKEN_BYTES = 2**20
"""Longest tag, in bytes; characters between tags come in pieces of any length."""


class XmlHandler:
    """What to do with what is met. Names come without prefix and namespace; `done` collects what is finished."""

    def __init__(self) -> None:
        self.done: list = []

    def start(self, name: str, attributes: Attributes) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def characters(self, text: str) -> None:
        """Some characters of the element that was begun last."""


def parse_xml(stream: IO[bytes], handler: XmlHandler) -> Iterator:
    """Parse a stream, giving what the handler puts in `done` as soon as it is there.

    A stream that ended early (`problem_of`) gives what it had.

    Raises:
        FormatError: for XML that is damaged, has a document type, or is nested too deep; says in which line.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.buffer_size = _CHUNK_BYTES
    depth = 0

    def start(name: str, attributes: Attributes) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise FormatError(f"XML is nested more than {_MAX_DEPTH} deep (line {parser.CurrentLineNumber})")
        handler.start(_local(name), {_local(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        handler.end(_local(name))

    def refuse(*args: object) -> None:
        raise FormatError("XML with a document type (DOCTYPE), which could define entities, is refused")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = handler.characters
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    n_bytes = 0
    while True:
        block = stream.read(_CHUNK_BYTES)
        n_bytes += len(block)
        try:
            parser.Parse(block, not block and problem_of(stream) is None)
        except expat.ExpatError as error:
            yield from _take(handler)
            reason = expat.errors.messages.get(error.code, "not well-formed")
            raise FormatError(f"damaged XML ({reason})" + _line(error)) from error
        except FormatError:  # ours, from a handler
            raise
        except (ValueError, LookupError) as error:  # an encoding that is unknown or cannot be used
            raise FormatError(f"XML in an encoding that is not read ({error})") from error
        yield from _take(handler)
        if not block:
            return
        if n_bytes - parser.CurrentByteIndex > _MAX_TOKEN_BYTES:
            raise FormatError(f"damaged XML (a tag of more than {_MAX_TOKEN_BYTES:,} bytes)")


def _line(error: expat.ExpatError) -> str:
    return f" in line {error.lineno}"


def _take(handler: XmlHandler) -> list:
    done, handler.done = handler.done, []
    return done


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
