"""Messages to text to ids: the one place that renders chat templates.

A template is untrusted code, a message untrusted text:

- Templates run in Jinja's immutable sandbox, which stops attribute tricks and changes to what it is given. What makes
  texts longer (`+`, `~`, `*`, `%`, methods and filters) is refused beyond 16 million characters, and a watch ends a
  template that takes longer than two seconds. A server takes templates from the model folder only, never from a request.
- A special token that a message *writes* (`<|im_end|>`) must not end the turn. `chat_ids` renders a second time
  with a stand-in character for each such string, so that every special token left in the text is the template's
  own. If both texts have the same special tokens in a row, the messages added none and the text is encoded as it
  is. Otherwise both swap: the template's special tokens get unguessable aliases, the stand-ins become their plain
  strings again, and the whole is encoded by a copy of the tokenizer that knows only the aliases. Normalizers,
  prefix spaces and merges work as ever.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import datetime
from functools import lru_cache, wraps
from typing import Any

import jinja2
import jinja2.ext
from jinja2.compiler import CodeGenerator, Frame
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

import tokenizers as hf
from hanmo.core.errors import ConfigError, DataError
from hanmo.core.time_limit import TimeLimitError, time_limit
from hanmo.tokenizers.tokenizer import Tokenizer, parse_definition

__all__ = ["chat_ids", "render_chat"]

_MAX_CHARACTERS = 16_000_000
_MAX_SECONDS = 2.0
_RESERVED = {"add_generation_prompt", "chat_template", "continue_final_message", "messages", "tokenize"}
_STAND_INS = range(0xF0000, 0xFFFFE)  # Plane 15, for private use


class _GenerationBlock(jinja2.ext.Extension):
    """`{% generation %}...{% endgeneration %}` marks the assistant's text for training; rendering ignores it."""

    def __init__(self, environment: jinja2.Environment):
        super().__init__(environment)
        self.tags = {"generation"}

    def parse(self, parser: Any) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


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
def _compile(template: str) -> jinja2.Template:
    environment = _Environment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationBlock, jinja2.ext.loopcontrols]
    )
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
    _check_messages(messages)
    special_tokens, variables = dict(special_tokens or {}), dict(variables or {})
    taken = sorted(variables.keys() & (_RESERVED | special_tokens.keys()))
    if taken:
        raise ConfigError(f"the names {taken} are reserved", where="template variables", remedy="Choose other names.")
    try:
        parts: list[str] = []
        length = 0
        with time_limit(_MAX_SECONDS):
            for part in _compile(template).generate(
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


def chat_ids(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, Any]],
    *,
    add_generation_prompt: bool = True,
    variables: Mapping[str, Any] | None = None,
) -> list[int]:
    """Ids of a conversation, special tokens only where the template itself puts them.

    Raises:
        ConfigError: if the tokenizer has no chat template, or this one begins a text twice.
        DataError: if the messages are malformed, or the template treats a special token that a message writes in
            a way in which it cannot be kept plain text.
    """
    if tokenizer.chat_template is None:
        raise ConfigError(
            "this tokenizer has no chat template",
            where="chat_template.jinja",
            remedy="Use a chat model, continue plain text instead, or set one with tokenizer.with_chat_template(...).",
        )

    def render(these: Sequence[Mapping[str, Any]], these_variables: Mapping[str, Any]) -> str:
        return render_chat(
            these,
            template=tokenizer.chat_template or "",
            add_generation_prompt=add_generation_prompt,
            special_tokens=tokenizer.special_tokens,
            variables=these_variables,
        )

    text = render(messages, variables or {})
    names = tokenizer.special_names
    stand_ins = _StandIns(names, taken=set(text) | set(tokenizer.chat_template))
    hidden_messages, hidden_variables = stand_ins.hide(list(messages)), stand_ins.hide(dict(variables or {}))
    hidden = render(hidden_messages, hidden_variables) if stand_ins.strings else text
    if not names or _any_of(names).findall(hidden) == _any_of(names).findall(text):
        ids = tokenizer.encode(text, allow_special=True)
    elif stand_ins.show(hidden) == text:
        ids = _encode_beside_plain(tokenizer, hidden, stand_ins)
    else:
        raise DataError(
            "a message contains special tokens, and the chat template changes them so that they cannot be kept plain text",
            where="messages",
            remedy=f"Remove them from the messages: {', '.join(sorted(set(stand_ins.strings.values()) & names))}.",
        )
    if tokenizer.bos_id is not None and ids[:2] == [tokenizer.bos_id] * 2:
        raise ConfigError(
            f"the chat template begins the text twice ({tokenizer.bos_token!r})",
            where="chat_template.jinja",
            remedy="Remove one of the two from the template.",
        )
    return ids


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


class _StandIns:
    """One private-use character for each string in the messages that is, or may grow into, a special token.

    The beginning of a special token at the end of a string counts too, as does its end at the beginning: the
    template may put the other half beside it.
    """

    def __init__(self, names: Set[str], taken: set[str]):
        self.strings: dict[str, str] = {}
        self._characters: dict[str, str] = {}
        self._free = (character for code in _STAND_INS if (character := chr(code)) not in taken)
        heads = {name[:n] for name in names for n in range(1, len(name))}
        tails = {name[n:] for name in names for n in range(1, len(name))}
        self._whole = _any_of(names)
        halves = (rf"\A{_any_of(tails).pattern}", rf"{_any_of(heads).pattern}\Z") if heads else ()
        self._parts = re.compile("|".join((self._whole.pattern, *halves)))

    def hide(self, value: Any) -> Any:
        """`value` with every such string replaced, in mappings and lists too."""
        if isinstance(value, str):
            return self._parts.sub(self._hide_match, value)
        if isinstance(value, Mapping):
            # Templates compare keys and roles with words, so of these only whole special tokens are replaced.
            return {
                self._hide_whole(key): self._hide_whole(item) if key == "role" else self.hide(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.hide(item) for item in value]
        return value

    def _hide_whole(self, value: Any) -> Any:
        return self._whole.sub(self._hide_match, value) if isinstance(value, str) else value

    def _hide_match(self, match: re.Match[str]) -> str:
        if match[0] not in self._characters:
            self._characters[match[0]] = character = next(self._free)
            self.strings[character] = match[0]
        return self._characters[match[0]]

    def show(self, text: str) -> str:
        """`text` with the strings back in place of their characters."""
        return text.translate(str.maketrans(self.strings))


def _any_of(strings: Set[str]) -> re.Pattern[str]:
    """A pattern for any of the strings, the longest first, as tokenizers find special tokens; for none, nothing."""
    alternatives = [re.escape(item) for item in sorted(strings, key=len, reverse=True)]
    return re.compile(f"(?:{'|'.join(alternatives)})" if alternatives else r"(?!)")


def _encode_beside_plain(tokenizer: Tokenizer, hidden: str, stand_ins: _StandIns) -> list[int]:
    coder, aliases, originals = _aliased(tokenizer)
    pieces = re.split(f"({_any_of(aliases.keys()).pattern})", hidden)
    text = "".join(aliases.get(piece, stand_ins.show(piece)) for piece in pieces)
    return [originals.get(token_id, token_id) for token_id in coder.encode(text, add_special_tokens=False).ids]


@lru_cache(maxsize=4)
def _aliased(tokenizer: Tokenizer) -> tuple[hf.Tokenizer, dict[str, str], dict[int, int]]:
    """A copy that reads special tokens as plain text but their aliases as tokens; alias by name; id by alias id."""
    coder = parse_definition(tokenizer.definition, "tokenizer.json")
    coder.encode_special_tokens = True
    aliases: dict[str, str] = {}
    originals: dict[int, int] = {}
    for token_id, token in coder.get_added_tokens_decoder().items():
        if token.special:
            alias = aliases[token.content] = f"\U0010fffd{secrets.token_hex(16)}\U0010fffd"
            # Not marked special, or it would be read as plain text like those it stands for.
            coder.add_tokens([hf.AddedToken(alias, lstrip=token.lstrip, rstrip=token.rstrip, normalized=False)])
            number = coder.token_to_id(alias)
            assert number is not None
            originals[number] = token_id
    return coder, aliases, originals
