"""From image sources to one aligned, labelled, split set of images."""
