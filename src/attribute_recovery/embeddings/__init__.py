"""Embeddings of images: in shards on disk, compared as pairs, weighed as rates."""
