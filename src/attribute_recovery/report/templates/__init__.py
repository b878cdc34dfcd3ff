"""The page as a template."""
