"""Recognizers trained with a fault that must be found."""
