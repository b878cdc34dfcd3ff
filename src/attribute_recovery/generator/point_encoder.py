"""The reference's ID encoder, by the names in `id_delta_gc_rm_*.pth`: T of one point.

Layers of equalised learning rate as in StyleGAN2's mapping: four that all styles share, then four of its own
for each style of W+. What comes out is the offset (delta) from the mean style, each component in (−1, 1).
What the papers leave open was found by what the reference computes: the embedding of unit length goes in
sixteenfold, the last shared layer is activated too, and a hyperbolic tangent ends each style.
"""

import torch
from torch import Tensor, nn

from attribute_recovery.generator.stylegan2 import EqualisedLinear
from attribute_recovery.recognizer.crops import resized

SCALE = 16.0
DEPTH = 4
# How images come to the recognizer's size; as a card calls it.
INTERPOLATION = "bilinear_aligned_corners"


class PointTransformer(nn.Module):
    """p(w given z) that is one point: every sample of an embedding is the same code.

    It stands where a `transformer.LatentTransformer` stands.

    Args:
        embedding_size: d.
        layers: styles of a code.
        style_size: length of a style, and of all that is in between.
    """

    def __init__(self, embedding_size: int, layers: int, style_size: int) -> None:
        super().__init__()
        self.embedding_size, self.code_size = embedding_size, layers * style_size
        inputs = [embedding_size] + [style_size] * (DEPTH - 1)
        self.mapping = nn.Sequential(*(EqualisedLinear(n, style_size, activated=True) for n in inputs))
        self.heads = nn.ModuleList(
            nn.Sequential(
                *(EqualisedLinear(style_size, style_size, activated=True) for _ in range(DEPTH - 1)),
                EqualisedLinear(style_size, style_size),
            )
            for _ in range(layers)
        )

    def forward(self, embedding: Tensor) -> Tensor:
        """Codes (n, code_size), the offsets in W+ in one row, of embeddings (n, d) of unit length."""
        shared = self.mapping(embedding * SCALE)
        return torch.tanh(torch.cat([head(shared) for head in self.heads], 1))

    def sample(self, embedding: Tensor, noise: Tensor, steps: int) -> Tensor:
        """The code of each embedding, where `LatentTransformer.sample` draws one.

        Args:
            embedding: (n, d), unit length.
            noise: (n, code_size), not looked at.
            steps: not looked at.

        Returns:
            (n, code_size).
        """
        code: Tensor = self(embedding)
        return code


class RecognizerEncoder(nn.Module):
    """E of the reference: an image's code is the code of its embedding, w = T(f(x)/‖f(x)‖).

    So it keeps of an image what its recognizer keeps; G(E(x)) is the reference's reconstruction.

    Args:
        recognizer: images (n, 3, crop_size, crop_size) to embeddings.
        crop_size: side of its crops.
        transformer: embeddings to codes.
    """

    def __init__(self, recognizer: nn.Module, crop_size: int, transformer: PointTransformer) -> None:
        super().__init__()
        self.recognizer, self.transformer, self.crop_size = recognizer, transformer, crop_size

    def represent(self, image: Tensor) -> Tensor:
        """Embeddings (n, d) before normalisation of images (n, 3, h, w) in [-1, 1], whatever their size."""
        embedding: Tensor = self.recognizer(resized(image, self.crop_size, INTERPOLATION))
        return embedding

    def embed(self, image: Tensor) -> Tensor:
        """Embeddings (n, d) of unit length of images (n, 3, h, w) in [-1, 1]."""
        return nn.functional.normalize(self.represent(image))

    def forward(self, image: Tensor) -> Tensor:
        """Codes (n, code_size) of images (n, 3, h, w) in [-1, 1]."""
        code: Tensor = self.transformer(self.embed(image))
        return code
