"""How good G and E are, by pixels: octave band power, sharpness, error.

How good for f is measured in `decoder.attacks`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from attribute_recovery.config import Compute
from attribute_recovery.dataset.store import open_array, read_images, read_table, rows_of, write_array
from attribute_recovery.generator.load import LoadedGenerator, load_generator
from attribute_recovery.generator.train import to_tensor
from attribute_recovery.report.figures import save_image_grid
from attribute_recovery.training.device import chunks, inference_dtype, prepare_torch
from attribute_recovery.training.weights import write_card

BATCH = 64


def band_power(image: Tensor) -> Tensor:
    """Power of grayscale images' Fourier spectra by octave, (bands,), from the coarsest to the finest.

    Band b holds spatial frequencies from 2^b to 2^(b+1) cycles an image, in each direction's Euclidean norm,
    up to half the sampling rate; the mean over images (n, 3, size, size) of the summed squared magnitudes.
    """
    gray = image.mean(1)
    size = gray.shape[-1]
    spectrum = torch.fft.fft2(gray - gray.mean((1, 2), keepdim=True)).abs() ** 2
    cycles = torch.fft.fftfreq(size) * size
    radius = (cycles[:, None] ** 2 + cycles[None] ** 2).sqrt()
    bands = int(np.log2(size)) - 1
    masks = torch.stack([(radius >= 2**b) & (radius < 2 ** (b + 1)) for b in range(bands)])
    power: Tensor = (spectrum.mean(0) * masks).sum((1, 2))
    return power


def laplacian_variance(image: Tensor) -> Tensor:
    """Variance of the Laplacian of each grayscale image, (n,): the usual measure of sharpness."""
    kernel = image.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]).view(1, 1, 3, 3)
    return functional.conv2d(image.mean(1, keepdim=True), kernel).flatten(1).var(1)


def reconstruct(generator: LoadedGenerator, codes: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Images (n, size, size, 3) uint8 of codes (n, code_size)."""
    parts = []
    with torch.no_grad():
        for part in chunks(len(codes), BATCH):
            parts.append(to_pixels(generator.decode(torch.from_numpy(codes[part]))))
    return np.concatenate(parts)


def to_pixels(image: Tensor) -> npt.NDArray[np.uint8]:
    """Images (n, 3, h, w) in [-1, 1] as (n, h, w, 3) uint8."""
    return ((image + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().contiguous().numpy()


def encode_and_measure(
    compute: Compute,
    *,
    images: Path,
    table: Path,
    weights: Path,
    card: Path,
    codes: Path,
    metrics: Path,
    figure: Path,
    figure_decoded: Path,
) -> dict[str, Any]:
    """Write the codes of all images, G's quality on the split `test`, and a picture of reconstructions.

    `figure` has the real images beside them, `figure_decoded` has not.
    """
    device = prepare_torch(compute)
    generator = load_generator(weights, card, device, inference_dtype(compute))
    rows = read_table(table)
    pixels = open_array(images)
    print(f"generator: encoding {len(rows)} images", flush=True)
    parts = [generator.encode_images(np.asarray(pixels[part])) for part in chunks(len(rows), 1024)]
    write_array(codes, iter(parts), (generator.code_size,), np.dtype(np.float32), len(rows))
    test = rows_of(rows, "test")
    real = read_images(images, test)
    decoded = reconstruct(generator, np.concatenate(parts)[test])
    values = measure_quality(real, decoded)
    values.update(n_images=len(test), n_identities=int(rows.loc[test, "identity"].nunique()), split="test")
    write_card(metrics, values)
    people = test[~rows.loc[test, "identity"].duplicated()][:8]
    shown = np.searchsorted(test, people)
    rows_shown, titles = [real[shown], decoded[shown]], ["x", "G(E(x))"]
    for path, first in ((figure, 0), (figure_decoded, 1)):
        save_image_grid(
            rows_shown[first:], path, row_titles=titles[first:], title="Held-out people, reconstructed"
        )
    return values


def measure_quality(real: npt.NDArray[np.uint8], decoded: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """Ratios of decoded to real images (n, size, size, 3), and their mean difference in [-1, 1], unsigned."""
    power = [np.zeros(0), np.zeros(0)]
    sharp = [0.0, 0.0]
    error = 0.0
    for i, stack in enumerate((decoded, real)):
        sums = []
        for part in chunks(len(stack), 256):
            image = to_tensor(stack[part])
            sums.append(band_power(image).numpy() * len(image))
            sharp[i] += float(laplacian_variance(image).sum())
        power[i] = np.sum(sums, axis=0)
    for part in chunks(len(real), 256):
        error += float((to_tensor(real[part]) - to_tensor(decoded[part])).abs().mean((1, 2, 3)).sum())
    return {
        "band_power_ratio": [float(value) for value in power[0] / power[1]],
        "sharpness_ratio": sharp[0] / sharp[1],
        "l1": error / len(real),
    }
