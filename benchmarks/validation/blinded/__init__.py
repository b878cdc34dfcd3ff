"""Recognizers that provably do not see something."""
