"""The typed section of a generator that somebody brings."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from attribute_recovery.config_marginals import Section


class FileGenerator(Section):
    """Weights that this package wrote elsewhere, read back with their card."""

    source: Literal["file"] = Field(description="weights and card of another experiment's generator")
    weights: Path = Field(
        description="safetensors file, such as results/OTHER/generator/autoencoder.safetensors"
    )
    card: Path | None = Field(description="its card; null for card.json in the same folder")

    @property
    def card_path(self) -> Path:
        """Where the card is."""
        return self.weights.with_name("card.json") if self.card is None else self.card
