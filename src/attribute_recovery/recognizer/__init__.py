"""Face recognition models that are explained: networks, training, weights with their card."""
