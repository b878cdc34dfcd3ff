"""What of a record stays out of MLflow where people are pseudonymous: whatever may name somebody.

Errors name images. Where brought faces lie is often called after the people or the case that they belong to;
a file that they are read from is then known by its hash, which the record has beside its path.
"""

import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

WITHHELD = "withheld, since people are pseudonymous; it stands in the record"
# The rules that read faces from outside of the results, and their settings that say where these lie.
PLACES = {"dataset": ("path", "root", "pairs", "labels"), "decoder_folder": ("images",)}
# A part of settings that holds those of another rule.
INNER = {"folder": "decoder_folder"}
# Snakemake's options after which settings stand in the command itself.
GIVEN = ("--config", "-C")
HASH_DIGITS = 12


def without_names(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of a job or of an execution without what may name people.

    Args:
        record: As `records` or `executions` wrote it.

    Returns:
        A copy in which the words of an error, and settings given in the command, are withheld;
        also where faces and their tables lie, and inputs of the rule `dataset` from outside of the results
        are called by their hash.
    """
    kept = dict(record)
    if error := record.get("error"):
        is_job = isinstance(error, Mapping)
        kept["error"] = {**error, "message": WITHHELD} if is_job else WITHHELD
    if any(word.split("=")[0] in GIVEN for word in _words(record.get("command", ""))):
        kept["command"] = WITHHELD
    rule, params = record.get("rule", ""), record.get("params", {})
    if isinstance(params.get("settings"), Mapping):
        kept["params"] = {**params, "settings": _without_places(params["settings"], rule)}
    if rule == "dataset":
        kept["inputs"] = [_by_hash(entry) for entry in record.get("inputs", [])]
    return kept


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _without_places(settings: Mapping[str, Any], rule: str) -> dict[str, Any]:
    kept = {}
    for name, value in settings.items():
        inner = name in INNER and isinstance(value, Mapping)
        hidden = WITHHELD if name in PLACES.get(rule, ()) and value else value
        kept[name] = _without_places(value, INNER[name]) if inner else hidden
    return kept


def _by_hash(entry: Mapping[str, Any]) -> dict[str, Any]:
    path = PurePath(entry["path"])
    if not path.is_absolute():
        return dict(entry)
    return {**entry, "path": f"{entry['name']}-{entry['sha256'][:HASH_DIGITS]}{path.suffix}"}
