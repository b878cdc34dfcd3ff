"""Explains a face recognition model by recovering facial attributes from its representations."""
