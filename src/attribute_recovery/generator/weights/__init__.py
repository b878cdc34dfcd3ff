"""The shipped generator of the default world: weights (safetensors, bf16) and card."""
