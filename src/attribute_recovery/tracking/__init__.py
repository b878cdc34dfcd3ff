"""Provenance: what every job read, ran and wrote, kept as files and brought into MLflow."""
