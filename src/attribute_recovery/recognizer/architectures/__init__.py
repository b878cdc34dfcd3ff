"""Architectures of recognizers that others publish, with the names that their checkpoints have."""
