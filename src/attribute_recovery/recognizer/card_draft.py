"""A draft of a card: what can be read off a file, and null for what only its owner knows.

A draft is refused as a card until the nulls are filled in: guessed preprocessing costs most of a recognizer
without any error.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attribute_recovery.recognizer.card_fields import EXAMPLE, FORMATS
from attribute_recovery.recognizer.exported import program_shapes, read_program
from attribute_recovery.recognizer.onnx_runtime import open_session, ports
from attribute_recovery.recognizer.python_function import source_digest
from attribute_recovery.tracking.digest import sha256_file, write_json

Shape = Sequence[int | None]


def write_draft(source: str, target: Path | None = None) -> tuple[Path, list[str]]:
    """Write a draft beside a file; the command `attribute-recovery card`.

    Args:
        source: path of an ONNX file, an exported program (.pt2), a checkpoint, safetensors or TorchScript; or
            `package.module:function`, whose module is imported.
        target: JSON file, written; the file's path with the ending .json if None.

    Returns:
        Where it was written, and the fields that are still to be filled in.

    Raises:
        ValueError: the file cannot be read, or there is a card already.
    """
    values = draft_card(source)
    is_function = values["architecture"] == "python"
    path = target or (Path("card.json") if is_function else Path(source).with_suffix(".json"))
    if path.exists():
        raise ValueError(f"{path}: is there already, allowed is a file that is not")
    write_json(path, values)
    return path, [name for name, value in values.items() if value is None and name != "channels"] + (
        ["channels"] if values["architecture"] is None else []
    )


def draft_card(source: str) -> dict[str, Any]:
    """The fields of a card; None for what the file does not say.

    Args:
        source: as for `write_draft`.

    Returns:
        Every field of `RecognizerCard` but `fitted`.

    Raises:
        ValueError: the file cannot be read.
    """
    values: dict[str, Any] = dict.fromkeys(EXAMPLE) | {"precision": "float32", "data_sha256": ""}
    path = Path(source)
    if not path.is_file() and ":" in source:
        return values | {"name": source, "architecture": "python", "weights_sha256": source_digest(source)}
    if not path.is_file():
        raise ValueError(f"{path}: is missing, allowed is a file or package.module:function")
    values |= {"name": path.stem, "weights_sha256": sha256_file(path)}
    if path.suffix == ".onnx":
        session = open_session(path, str(path))
        inputs, outputs = ports(session.get_inputs()), ports(session.get_outputs())
        return values | _sizes("onnx", [each.shape for each in inputs], [each.shape for each in outputs])
    if path.suffix == ".pt2":
        return values | _sizes("exported", *program_shapes(read_program(path)))
    return values


def _sizes(architecture: str, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> dict[str, Any]:
    """What shapes say, where they are those of one image input and one embedding output."""
    assert architecture in FORMATS
    found: dict[str, Any] = {"architecture": architecture}
    if len(inputs) == 1 and len(inputs[0]) == 4 and inputs[0][1] in (1, 3):
        found["crop_size"] = inputs[0][2] if inputs[0][2] == inputs[0][3] else None
        found["channel_order"] = "gray" if inputs[0][1] == 1 else None
    if len(outputs) == 1 and len(outputs[0]) >= 2 and all(each in (None, 1) for each in outputs[0][2:]):
        found["embedding_size"] = outputs[0][1]
    return found
