"""T and the decoder: p(w given z) and p(x given z)."""
