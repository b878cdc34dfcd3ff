"""What is wrong with brought faces: counted, named with examples, and left out, kept or fatal as told."""

from collections.abc import Sequence
from typing import Any

from attribute_recovery.config_faces import BroughtFaces, Fault
from attribute_recovery.dataset.describe import EXAMPLES

WORDS: dict[Fault, str] = {
    "unreadable": "images cannot be read",
    "no_face": "images have no face with landmarks",
    "small": "images have fewer pixels than their crop",
    "duplicate": "images have the same pixels as another",
    "one_image": "identities have one image only",
    "constant_label": "attributes have the same value in every image",
    "unknown_label": "labels are not among the values declared",
}
DONE = {"skip": "left out", "keep": "kept"}


class Faults:
    """The faults of a data set, by kind.

    Args:
        settings: What is done with each kind.
    """

    def __init__(self, settings: BroughtFaces) -> None:
        self._settings = settings
        self._found: dict[Fault, list[str]] = {}

    def note(self, fault: Fault, examples: Sequence[str]) -> bool:
        """Take down faults of one kind.

        Args:
            fault: The kind.
            examples: A text for each: image, identity or label, and what is wrong.

        Returns:
            Whether what has the fault is to be left out.

        Raises:
            ValueError: There is one, and the settings say fail; the sentence has count and examples.
        """
        self._found.setdefault(fault, []).extend(examples)
        action = self._settings.action(fault)
        if examples and action == "fail":
            shown = "; ".join(examples[:3])
            more = f"; and {len(examples) - 3} more" if len(examples) > 3 else ""
            raise ValueError(
                f"dataset: {len(examples)} {WORDS[fault]} ({shown}{more}), and dataset.on_fault says fail "
                f"for {fault}"
            )
        return action == "skip"

    def report(self) -> dict[str, Any]:
        """By kind `count`, `action` and up to ten `examples`; kinds that were looked for in vain, too."""
        return {
            fault: {
                "count": len(examples),
                "action": self._settings.action(fault),
                "examples": examples[:EXAMPLES],
            }
            for fault, examples in self._found.items()
        }

    def warnings(self) -> list[str]:
        """A sentence for each kind that was found, without its full stop and without anybody's name."""
        return [
            f"{len(examples)} {WORDS[fault]}: {DONE[self._settings.action(fault)]}"
            for fault, examples in self._found.items()
            if examples
        ]
