"""The renderer in the generator's place."""
