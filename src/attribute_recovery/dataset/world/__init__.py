"""The default world: heads made of signed distance functions, whose true attributes are known."""
