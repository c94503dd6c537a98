"""HTML and SVG elements as small values: text is escaped unless it is already markup.

Model output, document names and recipes are untrusted. They reach a page only through `element`, which escapes
every child and attribute that is not an `Html` built here, so forgetting to escape is not possible.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

__all__ = ["Html", "element", "join", "printable", "raw"]


class Html(str):
    """Markup that needs no escaping."""

    __slots__ = ()


_UNPRINTABLE = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"}  # shown as ␀ ␁ ...
_UNPRINTABLE |= {0x7F: "\u2421"} | dict.fromkeys(range(0x80, 0xA0), "\ufffd")
_UNPRINTABLE |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")  # lone surrogates cannot be written as UTF-8
_UNPRINTABLE |= dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")  # they would reorder the page
_UNPRINTABLE |= dict.fromkeys([0xFFFE, 0xFFFF], "\ufffd")


def printable(text: str) -> str:
    """Make control characters, lone surrogates and bidirectional overrides visible instead of active."""
    return text.translate(_UNPRINTABLE)


def raw(markup: str) -> Html:
    """Mark a constant of this package as markup. Never for text from a file."""
    return Html(markup)


def _escape(value: object) -> str:
    return value if isinstance(value, Html) else html.escape(printable(str(value)), quote=True)


def join(parts: Iterable[object], separator: str = "") -> Html:
    """Concatenate parts, escaping those that are not markup; None is left out."""
    return Html(_escape(separator).join(_escape(part) for part in parts if part is not None))


_VOID = {"meta", "link", "br", "hr", "line", "path", "circle", "rect"}


def element(name: str, /, *children: object, **attributes: object) -> Html:
    """Build one element.

    Args:
        name: tag name.
        *children: text (escaped), markup (kept), or None (left out).
        **attributes: `cls` becomes `class`, a trailing underscore is dropped, other underscores become hyphens;
            None and False leave the attribute out, True writes its name alone.
    """
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        spelled = "class" if key == "cls" else key.rstrip("_").replace("_", "-")
        spelled = {"viewbox": "viewBox", "preserveaspectratio": "preserveAspectRatio"}.get(spelled, spelled)
        written.append(f" {spelled}" if value is True else f' {spelled}="{_escape(value)}"')
    head = f"<{name}{''.join(written)}"
    if name in _VOID and not any(child is not None for child in children):
        return Html(head + ("/>" if name in {"line", "path", "circle", "rect"} else ">"))
    return Html(f"{head}>{join(children)}</{name}>")
