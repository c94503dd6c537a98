"""Conversations in all forms that are read, and what is wrong with them."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from hanmo.core.errors import DataError, FormatError
from hanmo.tasks.dialogue_examples import DialogueData, read_dialogues

TURNS = ["Hello 你好", "Hi!", "How are you?", "很好，谢谢。"]
ROLES = ["user", "assistant"] * 2


def write(folder: Path, name: str, content: Any) -> str:
    path = folder / name
    if name.endswith(".jsonl"):
        content = "\n".join(json.dumps(value, ensure_ascii=False) for value in content)
    elif name.endswith(".json"):
        content = json.dumps(content, ensure_ascii=False, indent=1)
    path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    return str(path)


def read(path: str, **more: Any) -> Any:
    return read_dialogues(DialogueData(train=path, dev_fraction=0.3, **more), seed=0)


def everything(path: str, **more: Any) -> list[tuple[tuple[str, str], ...]]:
    splits = read(path, **more)
    by_place = sorted([*splits.train, *splits.dev], key=lambda one: [int(n) for n in re.findall(r"\d+", one.where)])
    return [tuple((message.role, message.content) for message in one.messages) for one in by_place]


def numbered(n: int) -> list[list[str]]:
    return [[f"{turn} {number}" for turn in TURNS] for number in range(n)]


FORMS = {
    "messages.jsonl": [{"messages": [{"role": r, "content": t} for r, t in zip(ROLES, turns, strict=True)]} for turns in numbered(4)],
    "sharegpt.json": [
        {"conversations": [{"from": {"user": "human", "assistant": "gpt"}[r], "value": t} for r, t in zip(ROLES, turns, strict=True)]}
        for turns in numbered(4)
    ],
    "alpaca.json": [
        {"instruction": turns[2], "input": "", "output": turns[3], "history": [turns[:2]]} for turns in numbered(4)
    ],
    "eou.txt": "\n".join(" __eou__ ".join(turns) + " __eou__" for turns in numbered(4)) + "\n",
    "tabs.txt.gz": "\n".join("\t".join(turns) for turns in numbered(4)),
    "corpus.yml": "categories:\n- talk\nconversations:\n"
    + "\n".join("- - " + "\n  - ".join(turns) for turns in numbered(4)),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_all_forms_say_the_same(name: str, tmp_path: Path) -> None:
    expected = [tuple(zip(ROLES, turns, strict=True)) for turns in numbered(4)]
    assert everything(write(tmp_path, name, FORMS[name])) == expected
    if name == "corpus.yml":
        assert everything(str(tmp_path)) == expected  # a folder of them


def test_instructions_with_input_and_system(tmp_path: Path) -> None:
    values = [{"instruction": "译成中文", "input": f"ink {n}", "output": "墨", "system": "Be brief."} for n in range(2)]
    first = everything(write(tmp_path, "a.jsonl", values))[0]
    assert first == (("system", "Be brief."), ("user", "译成中文\n\nink 0"), ("assistant", "墨"))
    values = [{"prompt": f"写{n}", "completion": "诗"} for n in range(2)]
    assert everything(write(tmp_path, "b.jsonl", values), system="你是诗人。")[1] == (
        ("system", "你是诗人。"), ("user", "写1"), ("assistant", "诗"),
    )  # fmt: skip


def test_prompts_and_completions_may_be_messages(tmp_path: Path) -> None:
    values = [
        {
            "prompt": [{"role": "system", "content": "简短。"}, {"role": "user", "content": f"写{n}"}],
            "completion": [{"role": "assistant", "content": "诗"}],
        }
        for n in range(2)
    ]
    expected = [(("system", "简短。"), ("user", f"写{n}"), ("assistant", "诗")) for n in range(2)]
    assert everything(write(tmp_path, "a.jsonl", values)) == expected
    values[1]["completion"] = []
    with pytest.raises(DataError, match=r'b\.jsonl:2: "completion" is no list of messages'):
        read(write(tmp_path, "b.jsonl", values))


def test_a_turn_that_looks_like_a_number_is_text(tmp_path: Path) -> None:
    text = "conversations:\n- - 1 + 1?\n  - 2\n- - 真的?\n  - yes\n"
    assert everything(write(tmp_path, "c.yaml", text)) == [
        (("user", "1 + 1?"), ("assistant", "2")), (("user", "真的?"), ("assistant", "yes")),
    ]  # fmt: skip


def messages(*turns: tuple[str, str]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


GOOD = messages(("user", "a"), ("assistant", "b"))
BAD = {
    "an answer first": (messages(("assistant", "x"), ("user", "a")), "message 1 is of 'assistant' where 'user'"),
    "two in a row": (messages(("user", "a"), ("user", "b"), ("assistant", "c")), "message 2 is of 'user' where 'assistant'"),
    "a question at the end": (messages(("user", "a"), ("assistant", "b"), ("user", "c")), "no answer to the last"),
    "a system message later": (messages(("user", "a"), ("system", "b"), ("assistant", "c")), "message 2 is of 'system'"),
    "nobody": (messages(("system", "a")), "nobody says anything"),
    "an unknown role": (messages(("user", "a"), ("tool", "b")), "nobody knows the role 'tool'"),
    "an empty turn": (messages(("user", "a"), ("assistant", " ")), "message 2 is empty"),
    "no list": ({"messages": "hello"}, "\"messages\" is no list"),
    "no content": ({"messages": [{"role": "user"}]}, "message 1 has no text under \"content\""),
    "no role": ({"messages": [{"content": "你好"}]}, "message 1 has no \"role\""),
    "other keys": ({"question": "a", "answer": "b"}, "found 'question', 'answer'"),
    "a list": ([1], "a list, not an object"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    value, message = BAD[name]
    path = write(tmp_path, "d.jsonl", [GOOD, value, messages(("user", "c"), ("assistant", "d"))])
    with pytest.raises(DataError, match=r"d\.jsonl:2: ") as error:
        read(path)
    assert message in str(error.value)
    assert "1 examples cannot be used" in str(error.value)


def test_order_is_repaired_only_when_asked(tmp_path: Path) -> None:
    values = [
        messages(("assistant", "欢迎"), ("user", "a"), ("user", "b"), ("system", "s"), ("assistant", "c"), ("user", "d")),
        messages(("assistant", "only this")), GOOD, messages(("user", "e"), ("assistant", "f")),
    ]  # fmt: skip
    path = write(tmp_path, "e.jsonl", values)
    repaired = everything(path, order="repair")
    assert repaired[0] == (("system", "s"), ("user", "a\nb"), ("assistant", "c"))
    assert len(repaired) == 3
    assert read(path, order="repair").notes == {
        "conversations put into order": 1, "conversations in the wrong order, left out": 1,
    }  # fmt: skip
    assert read(path, order="drop").notes == {"conversations in the wrong order, left out": 2}


def test_empty_turns_are_left_out_when_asked(tmp_path: Path) -> None:
    text = "a __eou__ b __eou__\na __eou__  __eou__ c __eou__ d __eou__\ne __eou__ f __eou__"
    path = write(tmp_path, "f.txt", text)
    with pytest.raises(DataError, match=r"f\.txt:2: message 2 is empty"):
        read(path)
    assert read(path, empty="drop").notes == {"conversations with an empty turn, left out": 1}


@pytest.mark.parametrize("history", [5, True, "a", [["a"]], [5], {"a": "b"}])
def test_a_history_that_is_no_list_of_rounds_is_named(tmp_path: Path, history: Any) -> None:
    path = write(tmp_path, "a.jsonl", [{"instruction": "a", "input": "", "output": "c", "history": history}])
    with pytest.raises(DataError, match=r"a\.jsonl:1: .*\"history\""):
        read(path)


def test_a_single_turn_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "g.txt", "你好\t你好\n只有一句\n再见\t再见")
    with pytest.raises(DataError, match=r"g\.txt:2: there is no answer"):
        read(path)
    yaml = write(tmp_path, "h.yml", "conversations:\n- - a\n  - b\n- - alone\n- - c\n  - d\n- {e: f}\n")
    with pytest.raises(DataError, match=r"h\.yml:4: there is no answer") as error:
        read(yaml, order="error")
    assert "h.yml:7: no list of texts" in str(error.value)


def test_files_that_have_no_form(tmp_path: Path) -> None:
    for name, content, message in (
        ("a.jsonl", ["x"], r"a\.jsonl:1"), ("b.txt", "a\tb", "lines of text, and not 'alpaca'"),
        ("c.yml", "conversations: [", r"c\.yml:1: not YAML"), ("d.yml", "talks: []", "no list under \"conversations\""),
        ("e.csv", "a,b", r"no conversations that can be read \(\.csv\)"),
    ):  # fmt: skip
        path = write(tmp_path, name, content)
        with pytest.raises((DataError, FormatError), match=message):
            read(path, form="alpaca" if name == "b.txt" else "auto")
    (tmp_path / "f.jsonl").write_text('{"messages": [}\n')
    with pytest.raises(DataError, match=r"f\.jsonl:1: not JSON"):
        read(str(tmp_path / "f.jsonl"))


def test_both_speakers_are_learned(tmp_path: Path) -> None:
    path = write(tmp_path, "h.txt", "\n".join("\t".join(f"{turn}{n}" for turn in "甲乙丙") for n in range(6)))
    splits = read(path, speakers="both")
    plain = [[(m.role, m.content) for m in one.messages] for one in splits.train[:2]]
    n = plain[0][0][1][1:]
    # the last turn has no answer from the second speaker, so neither view has it
    assert plain[0] == [("user", f"甲{n}"), ("assistant", f"乙{n}")]
    long = write(tmp_path, "i.txt", "\n".join("\t".join(f"{turn}{n}" for turn in "甲乙丙丁") for n in range(6)))
    first = [[(m.role, m.content[0]) for m in one.messages] for one in read(long, speakers="both").train[:2]]
    assert first == [
        [("user", "甲"), ("assistant", "乙"), ("user", "丙"), ("assistant", "丁")], [("user", "乙"), ("assistant", "丙")],
    ]  # fmt: skip
    told = write(tmp_path, "j.jsonl", [messages(*zip(ROLES, turns, strict=True)) for turns in numbered(4)])
    assert len(read(told, speakers="both").train) == len(read(told).train)


def test_conversations_of_training_that_are_in_test_are_refused(tmp_path: Path) -> None:
    train = write(tmp_path, "train.txt", "a\tb\nc\td\ne\tf")
    test = write(tmp_path, "test.txt", "x\ty\nC\t d ")
    with pytest.raises(DataError, match=r"train\.txt:2 is in test \(.*test\.txt:2\)"):
        read(train, test=test)
