"""Chat templates: Jinja in a sandbox, from messages to text. The one place that renders them.

A template is untrusted code. It runs in Jinja's immutable sandbox, which stops attribute tricks and changes to what it is
given. What makes texts longer (`+`, `~`, `*`, `%`, methods and filters) is refused beyond 16 million characters, and a
watch ends a template that takes longer than two seconds. A server takes templates from the model folder only, never from
a request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, wraps
from typing import Any

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.time_limit import TimeLimitError, time_limit

__all__ = ["render_chat", "render_marked"]

_MAX_CHARACTERS = 16_000_000
_MAX_SECONDS = 2.0
_RESERVED = {"add_generation_prompt", "chat_template", "continue_final_message", "messages", "tokenize"}
_BEGIN, _END = "\U0010fffe", "\U0010ffff"
"""What stands around the assistant's text where it is marked: characters that Unicode keeps out of texts."""


class _GenerationBlock(jinja2.ext.Extension):
    """`{% generation %}...{% endgeneration %}` marks the assistant's text for training; other rendering ignores it."""

    def __init__(self, environment: jinja2.Environment):
        super().__init__(environment)
        self.tags = {"generation"}

    def parse(self, parser: Any) -> Any:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        if not getattr(self.environment, "marks", False):
            return body
        begin, end = (nodes.Output([nodes.TemplateData(mark)], lineno=line) for mark in (_BEGIN, _END))
        return [begin, *body, end]


class _Namespace(jinja2.utils.Namespace):
    """A namespace whose attributes cannot be underscore names, the sandbox's blind spot."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # self by place: a template may set an attribute of that name
        attributes = dict(*args[1:], **kwargs)
        for name in attributes:
            _check_attribute(name)
        jinja2.utils.Namespace.__init__(args[0], attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_attribute(name)
        super().__setitem__(name, value)


def _check_attribute(name: str) -> None:
    if name.startswith("_"):
        raise SecurityError(f"a template may not set the attribute {name!r}")


_GROWING = frozenset(
    {"batch", "center", "expandtabs", "format", "indent", "join", "ljust", "replace", "rjust", "slice", "wordwrap", "zfill"}
)  # fmt: skip
"""Methods and filters whose result may be much longer than what they are given."""
_WIDTH = re.compile(r"%[^A-Za-z%]*?(?:\*|\d{6,})")
_FIELD_WIDTH = re.compile(r"\{[^{}]*(?:\d{6,}|\{)")


def _check_growth(name: str, values: Sequence[Any]) -> None:
    """Refuse a call that could make a text too long, before it is made."""
    numbers = [abs(value) for value in values if isinstance(value, int)]
    texts = [value for value in values if isinstance(value, str)]
    longest = sum(map(len, texts)) * max(1, *numbers, 0) if name in ("expandtabs", "indent") else max((0, *numbers))
    match name:
        case "replace" if len(texts) >= 3:
            longest = len(texts[0]) + len(texts[2]) * (texts[0].count(texts[1]) if texts[1] else len(texts[0]) + 1)
        case "join":
            parts = [part for value in values if isinstance(value, list | tuple) for part in value]
            separator = max((len(text) for text in texts), default=0)
            longest = sum(len(part) if isinstance(part, str) else 20 for part in parts) + separator * len(parts)
        case "format" if isinstance(values[0], str) and _WIDTH.search(values[0]):
            raise SecurityError("a template may not format to such a width")
    if longest > _MAX_CHARACTERS:
        raise SecurityError("a template may not make a text this long")


def _guarded(name: str, filter_: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(filter_)  # with the marks by which Jinja sees that it wants the context
    def guarded(*args: Any, **kwargs: Any) -> Any:
        _check_growth(name, [*args, *kwargs.values()])
        return filter_(*args, **kwargs)

    return guarded


class _Code(CodeGenerator):
    """Compiles `a ~ b` to a method of the environment, which looks at the length."""

    def visit_Concat(self, node: Any, frame: Frame) -> None:
        self.write("environment.concatenate((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, with what would fill the memory refused."""

    marks = False
    """Whether the assistant's text is marked."""
    intercepted_binops = frozenset(("+", "*", "**", "%"))
    code_generator_class = _Code

    def wrap_str_format(self, value: Any) -> Any:
        wrapped = super().wrap_str_format(value)
        if wrapped is not None and _FIELD_WIDTH.search(value.__self__.replace("{{", "").replace("}}", "")):
            raise SecurityError("a template may not format to such a width")
        return wrapped

    def concatenate(self, parts: Sequence[Any]) -> str:
        texts = [str(part) for part in parts]
        if sum(map(len, texts)) > _MAX_CHARACTERS:
            raise SecurityError("a template may not make a text this long")
        return "".join(texts)

    def call(self, context: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        name = getattr(function, "__name__", "")
        if name in _GROWING:
            _check_growth(name, [getattr(function, "__self__", None), *args, *kwargs.values()])
        return super().call(context, function, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        sized = [len(side) for side in (left, right) if isinstance(side, str | list | tuple)]
        if operator == "+" and sum(sized) > _MAX_CHARACTERS:
            raise SecurityError("a template may not make a text or list this long")
        for sequence, number in ((left, right), (right, left)):
            is_repeat = isinstance(sequence, str | list | tuple) and isinstance(number, int)
            if operator == "*" and is_repeat and len(sequence) * number > _MAX_CHARACTERS:
                raise SecurityError("a template may not make a text or list this long")
        if operator == "**" and (not isinstance(right, int) or abs(right) > 64):
            raise SecurityError("a template may not compute a power this high")
        if operator == "%" and isinstance(left, str) and _WIDTH.search(left):
            raise SecurityError("a template may not format to such a width")
        return super().call_binop(context, operator, left, right)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False
) -> str:
    # Jinja's own escapes HTML characters, which models have not been trained on.
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _make_dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    return dict(*args, **kwargs)


@lru_cache(maxsize=32)
def _compile(template: str, marks: bool) -> jinja2.Template:
    environment = _Environment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationBlock, jinja2.ext.loopcontrols]
    )
    environment.marks = marks
    environment.filters["tojson"] = _tojson
    environment.filters |= {
        name: _guarded(name, environment.filters[name]) for name in _GROWING & set(environment.filters)
    }
    del environment.globals["lipsum"]  # makes long random texts
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    environment.globals["dict"] = _make_dict
    environment.globals["namespace"] = _Namespace
    return environment.from_string(template)


def render_chat(
    messages: Sequence[Mapping[str, Any]],
    *,
    template: str,
    add_generation_prompt: bool = False,
    special_tokens: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> str:
    """Render messages with a chat template.

    Args:
        messages: each with `role` and `content`, both strings; further keys are passed on.
        template: Jinja source, as in chat_template.jinja.
        add_generation_prompt: end with the opening of the assistant's turn.
        special_tokens: what the template may use by name: `bos_token`, `eos_token`, ...
        variables: further names for the template, such as `enable_thinking`.

    Raises:
        DataError: if the messages are malformed or the template refuses them.
        ConfigError: if the template is not valid, does what the sandbox forbids, or a variable has a reserved name.
    """
    return _render(messages, template, add_generation_prompt, special_tokens, variables, marks=False)


def render_marked(
    messages: Sequence[Mapping[str, Any]],
    *,
    template: str,
    special_tokens: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> tuple[str, list[tuple[int, int]]]:
    """`render_chat` without a generation prompt, and what of the text the assistant wrote.

    Returns:
        The text; and from and up to which of its characters the template marks, by `{% generation %}`, what is learned.

    Raises:
        ConfigError: as there, and for a template that marks nothing.
        DataError: as there, and for a message with a character that Unicode keeps out of texts (U+10FFFE, U+10FFFF).
    """
    _check_messages(messages)
    for number, message in enumerate(messages):
        if _BEGIN in message["content"] or _END in message["content"]:
            raise DataError("a message has U+10FFFE or U+10FFFF, which are no characters", where=f"messages[{number}]")
    marked = _render(messages, template, False, special_tokens, variables, marks=True)
    parts: list[str] = []
    spans: list[tuple[int, int]] = []
    position, depth, start = 0, 0, 0
    for piece in re.split(f"([{_BEGIN}{_END}])", marked):
        if piece == _BEGIN:
            start, depth = (position if depth == 0 else start), depth + 1
        elif piece == _END:
            depth -= 1
            if depth == 0:
                spans.append((start, position))
        else:
            parts.append(piece)
            position += len(piece)
    if depth or (not spans and "generation" not in _tags(template)):
        raise ConfigError(
            "the chat template does not mark what the assistant writes, so that nothing could be learned"
            if not depth
            else "the chat template leaves a {% generation %} block before its end",
            where="chat_template.jinja",
            remedy="Put {% generation %} … {% endgeneration %} around the assistant's text and the token that ends it, "
            "or give a template that has them.",
        )
    return "".join(parts), spans


def _tags(template: str) -> list[str]:
    """Names of the statements of a template."""
    return re.findall(r"\{%[-+]?\s*(\w+)", template)


def _render(
    messages: Sequence[Mapping[str, Any]],
    template: str,
    add_generation_prompt: bool,
    special_tokens: Mapping[str, str] | None,
    variables: Mapping[str, Any] | None,
    *,
    marks: bool,
) -> str:
    _check_messages(messages)
    special_tokens, variables = dict(special_tokens or {}), dict(variables or {})
    taken = sorted(variables.keys() & (_RESERVED | special_tokens.keys()))
    if taken:
        raise ConfigError(f"the names {taken} are reserved", where="template variables", remedy="Choose other names.")
    try:
        parts: list[str] = []
        length = 0
        with time_limit(_MAX_SECONDS):
            for part in _compile(template, marks).generate(
                **special_tokens,
                **variables,
                messages=[dict(message) for message in messages],
                add_generation_prompt=add_generation_prompt,
            ):
                parts.append(part)
                length += len(part)
                if length > _MAX_CHARACTERS:
                    raise SecurityError(f"the rendered text is longer than {_MAX_CHARACTERS} characters")
        return "".join(parts)
    except TimeLimitError as error:
        raise ConfigError(
            f"the chat template does not come to an end within {_MAX_SECONDS:g} seconds",
            remedy="Do not use this model's template; it may have been tampered with.",
        ) from error
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(f"the chat template is not valid ({error.message})", where=f"line {error.lineno}") from error
    except SecurityError as error:
        raise ConfigError(
            f"the chat template does what a template may not ({error})",
            remedy="Do not use this model's template; it may have been tampered with.",
        ) from error
    except jinja2.TemplateError as error:
        raise DataError(f"the chat template refuses these messages ({error})", where="messages") from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise DataError(f"the chat template fails on these messages ({error})", where="messages") from error


def _check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence) or not messages:
        raise DataError("messages must be a list of at least one message", where="messages")
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        if not isinstance(message, Mapping):
            raise DataError("a message must be an object with role and content", where=where)
        for key in ("role", "content"):
            if key not in message:
                raise DataError(f"{key!r} is missing; found {sorted(map(str, message))}", where=where)
            if not isinstance(message[key], str):
                raise DataError(f"{key!r} must be a string, not {type(message[key]).__name__}", where=where)
        if not message["role"]:
            raise DataError("'role' is empty", where=where)
