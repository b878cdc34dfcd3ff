"""What of people the page may show: their faces, and their names or pseudonyms in place of them.

A pseudonym is a hash with a key, the same wherever a person occurs in an experiment, another in the next one.
The key is random: were it made from the seed, which stands in every record, whoever knows a name could find
its pseudonym. It lies beside the results and goes nowhere else; without it the page names nobody.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from attribute_recovery.tracking.private import kept_key

Faces = Literal["all", "decoded", "none"]
KEY_NAME = ".pseudonyms.key"
# Hexadecimal digits: of a hundred thousand people two share a pseudonym in one experiment of 200.
PERSON_DIGITS = 10
IMAGE_DIGITS = 6


@dataclass(frozen=True)
class Privacy:
    """What may be shown.

    Attributes:
        faces: all, decoded (images that the generator made, no real ones), or none.
        key: of the pseudonyms; None where people are named.
        identities: whose an image is, by image_id; used for pseudonyms only.
    """

    faces: Faces = "all"
    key: bytes | None = None
    identities: Mapping[str, str] = field(default_factory=dict)

    def image(self, image_id: str) -> str:
        """What an image is called: its image_id, or in pseudonyms PERSON/IMAGE, IMAGE if nobody knows whose.

        >>> Privacy().image("Ann/001.png"), Privacy(key=b"k", identities={"a/1": "a"}).image("a/1")
        ('Ann/001.png', '8135a8d008/112b26')
        """
        if self.key is None:
            return image_id
        own = self._hash("image", image_id)
        if image_id not in self.identities:
            return own[:PERSON_DIGITS]
        return f"{self._hash('identity', self.identities[image_id])[:PERSON_DIGITS]}/{own[:IMAGE_DIGITS]}"

    def figures(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Nested values without their lists of examples, which name images, where people are not named."""
        return dict(values) if self.key is None else _without_examples(values)

    def _hash(self, kind: str, name: str) -> str:
        return hmac.new(self.key or b"", f"{kind}\0{name}".encode(), hashlib.sha256).hexdigest()


def _without_examples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_examples(inner) for key, inner in value.items() if key != "examples"}
    return [_without_examples(inner) for inner in value] if isinstance(value, list) else value


def pseudonym_key(experiment_dir: Path) -> bytes:
    """The experiment's key, made where there is none.

    Raises:
        ValueError: it is damaged, or others can read it.
    """
    return kept_key(experiment_dir / KEY_NAME)
