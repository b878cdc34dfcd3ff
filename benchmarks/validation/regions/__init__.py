"""Attributes beside maps of regions."""
