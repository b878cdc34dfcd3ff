"""Configuration files: read, laid over the file they extend, and, where one is wrong, what to say about it.

Knows next to nothing of sections: what is allowed comes as a JSON schema made by pydantic.
"""

import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

# A mapping with one of these keys is one value, replaced whole: half of one marginal, or of one threshold, on
# another means nothing.
WHOLE = ("normal", "uniform", "classes", "fmr", "value", "from")
# Sections whose entries have other keys for another value of their key `source`: a new value starts anew.
TOLD_BY_SOURCE = ("recognizers",)
# Sections that do so themselves.
THEMSELVES_TOLD_BY_SOURCE = ("dataset", "decoder", "attributes.heads")
# Values of `source` that have keys of their own, in sections whose other sources share theirs.
APART = {"generator": ("authors", "eigenfaces", "file", "tuned")}
# Where one of these has another value, any mapping starts anew.
KINDS = ("by", "kind")


class ConfigError(ValueError):
    """What is wrong with a configuration: one sentence with file, key, found and allowed."""


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key may stand once only; YAML itself says so, PyYAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key!r} is there twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep)


def read_overlaid(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, laid over the file it `extends`.

    Mappings merge, all else replaces; null in place of a mapping takes it away.

    Raises:
        ConfigError: a file is missing, not YAML, not a mapping, has a key that is not a string, or extends
            itself.
    """
    return _read_overlaid(path, ())


def _read_overlaid(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    found = _read(path)
    base = found.pop("extends", None)
    if base is None:
        return found
    if not isinstance(base, str):
        raise ConfigError(f"{path}: key extends: found {base!r}, allowed is the path of a configuration file")
    if path.resolve() in above:
        raise ConfigError(
            f"{path}: key extends: found {base}, allowed is a file that does not lead back to this one"
        )
    return _overlay(_read_overlaid(path.parent / base, (*above, path.resolve())), found)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}), allowed is a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: found {type(found).__name__}, allowed is a mapping of keys to values")
    _check_keys(found, (), path)
    return found


def _check_keys(value: object, above: tuple[str, ...], path: Path) -> None:
    """YAML reads the keys off, on, yes, no as booleans unless they stand in quotes."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                where = ".".join(above)
                raise ConfigError(
                    f"{path}: key {where}: found the key {key!r}, allowed are strings; "
                    'write it in quotes, such as "off"'
                )
            _check_keys(inner, (*above, key), path)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _check_keys(inner, (*above, str(i)), path)


def _overlay(base: dict[str, Any], over: dict[str, Any], section: str = "") -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if value is None and isinstance(old, dict):
            del merged[key]
        elif isinstance(value, dict) and isinstance(old, dict) and not _replaces(old, value, section, key):
            merged[key] = _overlay(old, value, key)
        else:
            merged[key] = value
    return merged


def _replaces(old: dict[str, Any], new: dict[str, Any], section: str, key: str) -> bool:
    itself = f"{section}.{key}" if section else key
    by_source = section in TOLD_BY_SOURCE or itself in THEMSELVES_TOLD_BY_SOURCE
    before, after = old.get("source"), new.get("source", old.get("source"))
    if not section and key in APART:
        by_source = before in APART[key] or after in APART[key]
    other_source = by_source and after != before
    other_kind = any(name in old and new.get(name, old[name]) != old[name] for name in KINDS)
    return other_source or other_kind or any(name in new for name in WHOLE)


# What pydantic's types of error ask for, in the file's terms.
ALLOWED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "path_type": "a path",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of keys to values",
    "too_short": "a list or mapping of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
    "string_pattern_mismatch": "a name of {pattern}",
    "union_tag_not_found": "a mapping with the key {discriminator}",
}


def sentence(errors: Sequence[dict[str, Any]], schema: dict[str, Any], path: Path) -> str:
    """The first of pydantic's errors in one sentence: file, key, found, allowed.

    An unknown key comes first, since it explains why the right one is missing; then the deepest.
    """
    detail = min(errors, key=lambda error: (error["type"] != "extra_forbidden", -len(error["loc"])))
    kind, facts = detail["type"], detail.get("ctx", {})
    keys, _ = _walk(detail["loc"], schema)
    key = f"{path}: key {'.'.join(keys)}"
    if kind == "extra_forbidden":
        _, parent = _walk(detail["loc"][:-1], schema)
        return f"{key}: is not known; allowed are {', '.join(sorted(parent.get('properties', {})))}"
    if kind == "missing":
        return f"{key}: found nothing, allowed is a value ({_meaning(detail['loc'], schema)})"
    if kind == "value_error":
        message = detail["msg"].removeprefix("Value error, ")
        return f"{key}: {message}" if keys else f"{path}: key {message}"
    if kind == "union_tag_invalid":
        inner = f"{key}.{facts['discriminator'].strip(chr(39))}"
        return f"{inner}: found {facts['tag']!r}, allowed is {facts['expected_tags'].replace(', ', ' or ')}"
    message = (
        ALLOWED[kind].format(**facts) if kind in ALLOWED else detail["msg"].removeprefix("Input should be ")
    )
    return f"{key}: found {_shown(detail['input'])}, allowed is {message}"


def _shown(found: object) -> str:
    if isinstance(found, dict):
        return f"a mapping of {', '.join(map(str, found))}" if found else "an empty mapping"
    number_as_text = isinstance(found, str) and re.fullmatch(r"[+-]?\d+[eE][+-]?\d+", found)
    return (
        f"{found!r} (in YAML a number like this needs a point, as in 1.0e-3)"
        if number_as_text
        else repr(found)
    )


def _meaning(location: Sequence[int | str], schema: dict[str, Any]) -> str:
    _, parent = _walk(location[:-1], schema)
    node = parent.get("properties", {}).get(str(location[-1]), {})
    return str(node.get("description") or "one of the list's")


def _walk(location: Sequence[int | str], schema: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The keys of an error's location as they stand in the file, and the schema's node there.

    Pydantic names the chosen alternative of a union in between, which no file does.
    """
    keys: list[str] = []
    node = _resolve(schema, schema)
    for part in map(str, location):
        if "oneOf" in node:
            node = _alternative(node, part, schema)
            continue
        if part != "[key]":
            keys.append(part)
        node = _resolve(_below(node, part), schema)
    return keys, node


def _below(node: dict[str, Any], part: str) -> dict[str, Any]:
    if part in node.get("properties", {}):
        found = node["properties"][part]
    elif "prefixItems" in node and part.isdigit():
        found = node["prefixItems"][min(int(part), len(node["prefixItems"]) - 1)]
    else:
        patterns = list(node.get("patternProperties", {}).values())
        found = patterns[0] if patterns else node.get("items") or node.get("additionalProperties")
    return found if isinstance(found, dict) else {}


def _alternative(node: dict[str, Any], tag: str, schema: dict[str, Any]) -> dict[str, Any]:
    named = {"$ref": f"#/$defs/{tag}"}
    by_tag = node.get("discriminator", {}).get("mapping", {})
    return _resolve({"$ref": by_tag[tag]} if tag in by_tag else named, schema)


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = schema.get("$defs", {}).get(node["$ref"].rsplit("/", 1)[1], {})
    return node
