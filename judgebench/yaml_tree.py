"""Strict YAML: a tree that knows the line of every value, plain Python of it, complaints of one line with a place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from judgebench.errors import FileError, did_you_mean

Keys = tuple[str | int, ...]

DEEPEST = 50
"""Most levels of nesting of one YAML file."""

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)")
_BOOL = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?")
_ODD = re.compile(r"[-+]?(?:0[0-9_]+|0[xob][0-9a-fA-F_]+|[0-9][0-9_]*_[0-9_]*|[0-9]+(?::[0-5]?[0-9])+)(?:\.[0-9]*)?")


class Node:
    """One value of a YAML file with the line it starts on."""

    __slots__ = ("block", "line", "plain", "value")

    def __init__(self, value: Any, line: int, *, plain: bool = False, block: bool = False) -> None:
        self.value, self.line, self.plain, self.block = value, line, plain, block


def parse(path: str | Path, data: bytes) -> Node:
    """The tree of a YAML file, built without recursion so that no nesting can overflow the stack.

    Args:
        path: for messages.
        data: what is in it.

    Raises:
        FileError: it is not UTF-8, not YAML, empty, nested too deep, or holds what is not read: duplicate keys,
            anchors, tags, a second document.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FileError(path, f"is not UTF-8 (byte {error.start})", line=line) from None
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    root: Node | None = None
    open_nodes: list[Node] = []
    keys: list[Node | None] = []
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.ScalarEvent):
                node = _scalar(path, event)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                _refuse(path, event)
                node = Node({} if isinstance(event, yaml.MappingStartEvent) else [], _line(event))
            elif isinstance(event, yaml.CollectionEndEvent):
                open_nodes.pop()
                keys.pop()
                continue
            elif isinstance(event, yaml.AliasEvent):
                raise FileError(path, f"*{event.anchor} is an alias; write the value out", line=_line(event))
            elif isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise FileError(path, "holds a second document; one is allowed", line=_line(event))
            else:
                continue
            if not open_nodes:
                root = node
            else:
                _attach(path, open_nodes[-1], keys, node)
            if isinstance(node.value, dict | list):
                open_nodes.append(node)
                keys.append(None)
                if len(open_nodes) > DEEPEST:
                    raise FileError(path, f"is nested deeper than {DEEPEST} levels", line=node.line)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise FileError(path, f"is not YAML: {problem}", line=mark.line + 1 if mark else 0) from None
    except yaml.YAMLError as error:
        raise FileError(path, f"is not YAML: {' '.join(str(error).split())}") from None
    if root is None:
        raise FileError(path, "is empty")
    return root


def _attach(path: str | Path, parent: Node, keys: list[Node | None], node: Node) -> None:
    """Nothing; ``node`` becomes an entry of a list, the next key of a mapping, or the value of the key before it."""
    if isinstance(parent.value, list):
        parent.value.append(node)
        return
    key = keys[-1]
    if key is None:
        if not isinstance(node.value, str):
            raise FileError(path, "a mapping or list cannot be a key", line=node.line)
        if node.value in parent.value:
            raise FileError(path, "is there twice", line=node.line, key=node.value)
        keys[-1] = node
        return
    parent.value[key.value] = (key, node)
    keys[-1] = None


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _refuse(path: str | Path, event: Any) -> None:
    if event.anchor:
        raise FileError(path, f"&{event.anchor} is an anchor; anchors are not read", line=_line(event))
    if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
        raise FileError(path, f"{event.tag} is a tag; tags are not read", line=_line(event))


def _scalar(path: str | Path, event: Any) -> Node:
    _refuse(path, event)
    plain = event.style in (None, "") and event.tag is None
    return Node(event.value, _line(event), plain=plain, block=event.style in ("|", ">"))


def content_of(path: str | Path, node: Node, keys: Keys = ()) -> Any:
    """Plain Python values of a tree: dict, list, str, int, float, bool and None.

    Raises:
        FileError: a date, or a number of another base, that is not quoted.
    """
    if isinstance(node.value, dict):
        content: dict[Any, Any] = {}
        for name, (key, value) in node.value.items():
            content[_resolve(path, key, (*keys, name))] = content_of(path, value, (*keys, name))
        return content
    if isinstance(node.value, list):
        return [content_of(path, value, (*keys, index)) for index, value in enumerate(node.value)]
    return _resolve(path, node, keys)


def _resolve(path: str | Path, node: Node, keys: Keys) -> str | int | float | bool | None:
    text: str = node.value
    if not node.plain:
        return text
    if text in ("", "~") or text.lower() == "null":
        return None
    if text.lower() in _BOOL:
        return _BOOL[text.lower()]
    if _INT.fullmatch(text) and len(text) < 4000:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf"))
    if _DATE.fullmatch(text):
        raise FileError(path, f"found the date {text}: quote it", line=node.line, key=_dotted(keys))
    if _ODD.fullmatch(text):
        message = f"found {text}, which YAML reads as a number of another base: quote it, or write a decimal number"
        raise FileError(path, message, line=node.line, key=_dotted(keys))
    return text


def _dotted(keys: Keys) -> str:
    return ".".join(str(key) for key in keys)


def find(root: Node, keys: Keys) -> tuple[Node | None, int]:
    """The node under a key path with the line of its key; None and the last line known where the path ends early."""
    node, line = root, root.line
    for key in keys:
        if isinstance(node.value, dict) and str(key) in node.value:
            name, node = node.value[str(key)]
            line = name.line
        elif isinstance(node.value, list) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.line
        else:
            return None, line
    return node, line


_PLACE = re.compile(r" - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`$")


def explain(path: str | Path, root: Node, content: Any, type: Any, error: Exception) -> FileError:
    """The complaint of msgspec as one line in our words, with the place in the file."""
    message = str(error)
    place = _PLACE.search(message)
    problem = message[: place.start()] if place else message
    keys = _keys(content, place["path"] if place else "", type, message)
    if place and place["key"]:
        return _bad_key(path, root, keys, content)
    node, line = find(root, keys)
    unknown = re.match(r"Object contains unknown field `(.*)`", problem)
    if unknown:
        name = unknown[1]
        _, line = find(root, (*keys, name))
        hint = did_you_mean(name, _fields(type, keys, content))
        return FileError(path, f"unknown key {name!r}: {hint}", line=line, key=_dotted((*keys, name)))
    missing = re.match(r"Object missing required field `(.*)`", problem)
    if missing:
        return FileError(path, f"the key {missing[1]!r} is missing", line=line, key=_dotted(keys))
    found = _shown(node)
    wanted = re.match(r"Expected `(.*?)`(?: of length (\d+))?(?:, got|$)", problem)
    if wanted and node is not None and node.plain and "str" in wanted[1].split(" | "):
        return FileError(path, f"found {found} where text is due: quote it", line=line, key=_dotted(keys))
    if wanted:
        allowed = " or ".join(_WORDS.get(part, part) for part in wanted[1].split(" | "))
        allowed += f" of {wanted[2]}" if wanted[2] else ""
        return FileError(path, f"found {found}; allowed: {allowed}", line=line, key=_dotted(keys))
    choice = re.match(r"Invalid enum value (.*)", problem)
    if choice and node is not None:
        options = _literals(_type_at(type, keys, content))
        return FileError(path, f"found {found}: {did_you_mean(str(node.value), options)}", line=line, key=_dotted(keys))
    return FileError(path, problem, line=line, key=_dotted(keys))


_WORDS = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list",
          "object": "a mapping", "null": "nothing"}  # fmt: skip


def _shown(node: Node | None) -> str:
    if node is None:
        return "something else"
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return f"a list of {len(node.value)}"
    if node.plain and node.value in ("", "~", "null"):
        return "nothing"
    text = node.value if len(node.value) <= 60 else node.value[:57] + "..."
    return text if node.plain and _resolve("", node, ()) != node.value else repr(text)


def _bad_key(path: str | Path, root: Node, keys: Keys, content: Any) -> FileError:
    node, line = find(root, keys)
    if node is not None and isinstance(node.value, dict):
        for name, (key, _) in node.value.items():
            if not isinstance(_resolve(path, key, keys), str):
                return FileError(
                    path, f"the key {name} is not text: quote it", line=key.line, key=_dotted((*keys, name))
                )
            line = key.line
    return FileError(path, "a key here is not of the kind allowed (a whole number, say)", line=line, key=_dotted(keys))


def _keys(content: Any, path: str, type: Any, message: str) -> Keys:
    """Key path of msgspec's ``.name[0][...]``; where it hides a mapping's key, the first key that fails alone."""
    keys: list[str | int] = []
    place = content
    for name, index in re.findall(r"\.([^.\[\]]+)|\[(\.\.\.|\d+)\]", path):
        if index != "...":
            key: Any = name or int(index)
        else:
            key = next((each for each in place if _fails(content, [*keys], each, type, message)), None)
            if key is None:
                break
        keys.append(key)
        try:
            place = place[key]
        except (KeyError, IndexError, TypeError):
            break
    return tuple(keys)


def _fails(content: Any, keys: list[Any], only: Any, type: Any, message: str) -> bool:
    """True where the same complaint comes with one entry alone in the mapping under ``keys``."""

    def reduced(value: Any, rest: list[Any]) -> Any:
        if not rest:
            return {only: value[only]}
        inner = reduced(value[rest[0]], rest[1:])
        if isinstance(value, list):
            return [inner if index == rest[0] else each for index, each in enumerate(value)]
        return {**value, rest[0]: inner}

    try:
        msgspec.convert(reduced(content, keys), type)
    except msgspec.ValidationError as error:
        return str(error) == message
    return False


def _type_at(type: Any, keys: Keys, content: Any) -> list[Any]:
    """The msgspec types that a key path may lead to."""
    from msgspec import inspect

    def flat(one: Any) -> list[Any]:
        return [part for each in one.types for part in flat(each)] if isinstance(one, inspect.UnionType) else [one]

    level = flat(inspect.type_info(type))
    for key in keys:
        below: list[Any] = []
        for each in level:
            if isinstance(each, inspect.StructType):
                below += [field.type for field in each.fields if field.encode_name == key]
            elif isinstance(each, inspect.DictType):
                below.append(each.value_type)
            elif isinstance(each, inspect.TupleType) and isinstance(key, int):
                below += each.item_types[key : key + 1]
            elif isinstance(each, inspect.ListType | inspect.VarTupleType | inspect.SetType):
                below.append(each.item_type)
        level = [part for each in below for part in flat(each)]
    return level


def _fields(type: Any, keys: Keys, content: Any) -> list[str]:
    fields = [getattr(each, "fields", ()) for each in _type_at(type, keys, content)]
    return [field.encode_name for group in fields for field in group]


def _literals(types: list[Any]) -> list[str]:
    return [str(value) for each in types for value in getattr(each, "values", ())]
