"""Rates beside those of published tools."""
