"""Every mistake in a recipe is named at once, with its place and a way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError, model_validator

from hanmo.core.errors import ConfigError
from hanmo.core.settings import Settings, apply_overrides, check_settings, load_settings, read_toml
from hanmo.core.toml import to_toml


class Schedule(Settings):
    peak_lr: float = Field(default=1e-3, gt=0)
    kind: Literal["cosine", "wsd"] = "cosine"


class Training(Settings):
    n_steps: int = Field(default=100, ge=1)
    schedule: Schedule = Schedule()
    minutes: float | None = None


class Source(Settings):
    path: str
    weight: float = 1.0
    schedule: Schedule = Schedule()


class Recipe(Settings):
    name: str = "demo"
    bf16: bool = False
    size: int | Literal["small", "large"] = "small"
    temperatures: tuple[float, ...] = (0.0,)
    sources: tuple[Source, ...] = ()
    extras: dict[str, Source] = Field(default_factory=dict)
    training: Training = Training()
    second: Training | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.name == "bad":
            raise ValueError("GPT needs another name")
        return self


def _recipe(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _problems(folder: Path, text: str, *overrides: str) -> list[str]:
    path = _recipe(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(Recipe, path, overrides)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


def test_a_good_recipe(tmp_path: Path) -> None:
    text = """
name = "红楼梦"   # a comment with = and [brackets]
training.n_steps = 7
[training.schedule]
peak_lr = 2e-4
[[sources]]
path = "语料/甲"
[[sources]]
path = "b"
weight = 2
[extras."一.二"]
path = "c"
"""
    recipe = load_settings(Recipe, _recipe(tmp_path, text))
    assert recipe.name == "红楼梦"
    assert recipe.training == Training(n_steps=7, schedule=Schedule(peak_lr=2e-4))
    assert [source.path for source in recipe.sources] == ["语料/甲", "b"]
    assert recipe.extras["一.二"].path == "c"
    assert load_settings(Recipe, None) == Recipe()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().name = "other"


def test_unknown_key_with_a_guess(tmp_path: Path) -> None:
    text = "name = 'x'\n\n[training]\nn_step = 3\n[training.schedule]\npeek_lr = 1\n"
    assert _problems(tmp_path, text) == [
        "recipe.toml:4: unknown key 'training.n_step'; did you mean 'n_steps'?",
        "recipe.toml:6: unknown key 'training.schedule.peek_lr'; did you mean 'peak_lr'?",
    ]


def test_unknown_key_without_a_guess(tmp_path: Path) -> None:
    (message,) = _problems(tmp_path, '[training]\n"学习率" = 3\n')
    assert message == "recipe.toml:2: unknown key 'training.学习率'; known keys here: minutes, n_steps, schedule"


def test_unknown_section(tmp_path: Path) -> None:
    assert _problems(tmp_path, "name = 'a'\n[trainin]\nx = 1\n") == [
        "recipe.toml:2: unknown key 'trainin'; did you mean 'training'?"
    ]


def test_unknown_keys_in_lists_and_optional_sections(tmp_path: Path) -> None:
    text = """
[[sources]]
path = "a"
[sources.schedule]
kinds = "wsd"
[[sources]]
path = "b"
weigth = 1
[second]
n_stepz = 1
[extras.a]
path = "x"
weihgt = 1
"""
    assert _problems(tmp_path, text) == [
        "recipe.toml:5: unknown key 'sources.0.schedule.kinds'; did you mean 'kind'?",
        "recipe.toml:8: unknown key 'sources.1.weigth'; did you mean 'weight'?",
        "recipe.toml:10: unknown key 'second.n_stepz'; did you mean 'n_steps'?",
        "recipe.toml:13: unknown key 'extras.a.weihgt'; did you mean 'weight'?",
    ]


def test_several_problems_at_once(tmp_path: Path) -> None:
    text = """
bf16 = "perhaps"
temperatures = [0.5, "hot"]

[training]
n_steps = 0
schedule = {peak_lr = nan, kind = "cosin"}
"""
    assert _problems(tmp_path, text) == [
        "recipe.toml:2: bf16 = 'perhaps': input should be a valid boolean, unable to interpret input",
        "recipe.toml:3: temperatures.1 = 'hot': input should be a valid number, unable to parse string as a number",
        "recipe.toml:6: training.n_steps = 0: input should be greater than or equal to 1",
        "recipe.toml:7: training.schedule.peak_lr = nan: input should be a finite number",
        "recipe.toml:7: training.schedule.kind = 'cosin': input should be 'cosine' or 'wsd'",
    ]


def test_a_union_is_one_problem(tmp_path: Path) -> None:
    (message,) = _problems(tmp_path, "size = 'huge'\n")
    assert message.startswith("recipe.toml:1: size = 'huge': input should be a valid integer")
    assert message.endswith(", or input should be 'small' or 'large'")


def test_missing_key_and_section_of_the_wrong_kind(tmp_path: Path) -> None:
    assert _problems(tmp_path, "training = 3\n[[sources]]\nweight = 1\n") == [
        "recipe.toml:1: training = 3: input should be a valid dictionary or instance of Training",
        "recipe.toml:2: 'sources.0.path' is missing. Add it to the recipe or pass --set sources.0.path=...",
    ]


def test_own_checks_keep_their_words(tmp_path: Path) -> None:
    assert _problems(tmp_path, "name = 'bad'\n") == ["recipe.toml: GPT needs another name"]
    with pytest.raises(ConfigError, match=r"^Recipe: GPT needs another name$"):
        check_settings(Recipe, {"name": "bad"})


class Made(Settings):
    width: int = Field(default=8, ge=1)
    inner: int = Field(default_factory=lambda values: 4 * values["width"])


def test_a_default_made_of_a_wrong_value_is_no_problem_of_its_own() -> None:
    assert check_settings(Made, {"width": 3}).inner == 12
    with pytest.raises(ConfigError, match=r"^width = 0: input should be greater than or equal to 1$"):
        check_settings(Made, {"width": 0})


def test_long_values_are_shortened(tmp_path: Path) -> None:
    (message,) = _problems(tmp_path, f"bf16 = '{'x' * 10_000}'\n")
    assert len(message) < 300


# -- lines -----------------------------------------------------------------------------------------------------------


def test_lines_behind_text_that_looks_like_toml(tmp_path: Path) -> None:
    text = '''
# [training]
# n_steps = -1
name = """
[training]
n_steps = -1
"""
temperatures = [
  0.1, # [training]
  0.2,
]
sources = [
  {path = "a = b"},
  {path = "[x]", weight = 1},
]
bf16 = false # n_steps = -1
[ training ] # comment ]
"n_steps" = -1\t# here
'''
    (message,) = _problems(tmp_path, text)
    assert message.startswith("recipe.toml:18: training.n_steps = -1")


def test_lines_with_dotted_and_quoted_keys(tmp_path: Path) -> None:
    text = 'training . "n_steps" = -1\ntraining.schedule.peak_lr = 0\n[extras."甲.乙"]\npath = 3\n'
    assert [message.partition(": ")[0] for message in _problems(tmp_path, text)] == [
        "recipe.toml:1", "recipe.toml:2", "recipe.toml:4",
    ]  # fmt: skip


def test_lines_with_other_line_ends(tmp_path: Path) -> None:
    """Only a line feed ends a line of TOML: U+2028 and U+0085 in a string do not."""
    text = "\ufeffname = 'a\u2028b\x85c'\r\n\r\n[training]\r\nn_steps = -1\r\n"
    (message,) = _problems(tmp_path, text)
    assert message.startswith("recipe.toml:4: ")


KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(KEYS, st.text(max_size=10) | st.lists(st.text(max_size=3), max_size=3), max_size=5), KEYS)
def test_the_line_of_any_key(tmp_path_factory: pytest.TempPathFactory, before: dict[str, Any], key: str) -> None:
    path = tmp_path_factory.getbasetemp() / "recipe.toml"
    text = to_toml({"extras": {"a": {**before, "path": "x"}}})
    line = text.count("\n") + 1
    path.write_text(text + to_toml({f"x{key}": "y"}), encoding="utf-8")
    unknown = f"x{key}"
    with pytest.raises(ConfigError) as caught:
        load_settings(Recipe, path)
    assert f"{path}:{line}: unknown key {f'extras.a.{unknown}'!r}" in str(caught.value)


def test_a_long_recipe_is_explained_at_once(tmp_path: Path) -> None:
    prompts = "\n".join(f'  "prompt {number}",' for number in range(3000))
    (message,) = _problems(tmp_path, f"prompts = [\n{prompts}\n]\n")
    assert message.startswith("recipe.toml:1: unknown key 'prompts'")


# -- overrides -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("a.b=3", 3),
        ("a.b=3e-4", 3e-4),
        ("a.b=true", True),
        ("a.b=[0, 0.7]", [0, 0.7]),
        ('a.b="3"', "3"),
        ("a.b=gpt2", "gpt2"),
        ("a.b=红楼梦/第一回", "红楼梦/第一回"),
        ("a.b=x=y", "x=y"),
        ("a.b=", ""),
        ("a.b=#1", "#1"),
        ("a.b=2024-01-01", "2024-01-01"),
        ("a.b=12:00:00", "12:00:00"),
        ("a.b=1\nc = 2", "1\nc = 2"),
        (" a . b =4", 4),
        ("a.b={c = 1}", {"c": 1}),
        ("a.b=" + "[" * 5000, "[" * 5000),
    ],
)
def test_override_values(override: str, value: object) -> None:
    before = {"a": {"b": 1, "x": 2}, "y": 3}
    merged = apply_overrides(before, [override])
    assert merged == {"a": {"b": value, "x": 2}, "y": 3}
    assert type(merged["a"]["b"]) is type(value)
    assert before == {"a": {"b": 1, "x": 2}, "y": 3}


def test_overrides_make_sections_and_the_last_wins() -> None:
    assert apply_overrides({}, ["a.b.c=1", "a.b.c=2", "a.d=3"]) == {"a": {"b": {"c": 2}, "d": 3}}


@pytest.mark.parametrize("override", ["a.b", "=3", "a..b=3", ".a=3", "a.=3", ""])
def test_overrides_that_cannot_be_read(override: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the override .*Write it as --set"):
        apply_overrides({}, [override])


@pytest.mark.parametrize("value", [1, [{"b": 1}], "x"])
def test_override_through_a_value(value: object) -> None:
    with pytest.raises(ConfigError, match=r"--set a\.b=2: 'a' is a value, not a section"):
        apply_overrides({"a": value}, ["a.b=2"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.n_steps=0", "--set training.n_steps: training.n_steps = 0: input should be greater"),
        ("training.n_step=5", "--set training.n_step: unknown key 'training.n_step'; did you mean 'n_steps'?"),
        ("modle.d=5", "--set modle.d: unknown key 'modle'; known keys here: "),
        ("trainin.n_steps=5", "--set trainin.n_steps: unknown key 'trainin'; did you mean 'training'?"),
        (" training . n_steps = x", "--set training.n_steps: training.n_steps = ' x': input should be a valid integer"),
        ("training.schedule={peak_lr = -1}", "--set training.schedule: training.schedule.peak_lr = -1: "),
        ("temperatures=[1, '热']", "--set temperatures: temperatures.1 = '热': "),
    ],
)
def test_problems_of_overrides_are_named_as_such(tmp_path: Path, override: str, message: str) -> None:
    (problem,) = _problems(tmp_path, "[training]\nn_steps = 5\n", override)
    assert problem.startswith(message)
    with pytest.raises(ConfigError) as caught:
        load_settings(Recipe, None, [override])
    assert str(caught.value).startswith(message)


def test_a_problem_of_the_file_is_not_blamed_on_the_override(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, "[training]\nn_steps = 0\n", "training.minutes=3")
    assert problem.startswith("recipe.toml:2: training.n_steps = 0")


def test_good_overrides(tmp_path: Path) -> None:
    path = _recipe(tmp_path, "[training]\nn_steps = 5\n")
    overrides = ["training.schedule.peak_lr=3e-4", "bf16=true", "name=七", "temperatures=[0.5]", "second.n_steps=2"]
    recipe = load_settings(Recipe, path, overrides)
    assert recipe.training == Training(n_steps=5, schedule=Schedule(peak_lr=3e-4))
    assert (recipe.bf16, recipe.name, recipe.temperatures) == (True, "七", (0.5,))
    assert recipe.second == Training(n_steps=2)


# -- plain values ----------------------------------------------------------------------------------------------------


def test_values_without_a_file() -> None:
    with pytest.raises(ConfigError) as caught:
        check_settings(Recipe, {"training": {"n_steps": "many"}, "nam": 1})
    assert str(caught.value).splitlines() == [
        "training.n_steps = 'many': input should be a valid integer, unable to parse string as an integer",
        "unknown key 'nam'; did you mean 'name'?",
    ]


@pytest.mark.parametrize("values", [[], 3, None, "x"])
def test_values_that_are_no_table(values: Any) -> None:
    with pytest.raises(ConfigError, match=r"^Recipe = .*: input should be a valid dictionary|^Recipe: input should be"):
        check_settings(Recipe, values)


# -- files that are no recipe ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a = 1\nb == 2\n", r"recipe\.toml:2: not valid TOML"),
        (b"a = 1\na = 2\n", r"recipe\.toml:2: not valid TOML|recipe\.toml: not valid TOML"),
        (b"name = '\xc0\xcf'\n", r"recipe\.toml: this recipe is not UTF-8 text. Save it as UTF-8"),
        (b"a = " + b"[" * 5000, r"recipe\.toml: not a recipe|recipe\.toml: not valid TOML"),
        (b"a = " + b"1" * 5000, r"recipe\.toml: not a recipe|recipe\.toml: not valid TOML"),
    ],
)
def test_broken_files(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "recipe.toml").write_bytes(data)
    with pytest.raises(ConfigError, match=message):
        load_settings(Recipe, tmp_path / "recipe.toml")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"没有\.toml: this recipe does not exist. Check the path"):
        read_toml(tmp_path / "没有.toml")
    with pytest.raises(ConfigError, match="cannot read this recipe"):
        read_toml(tmp_path)
