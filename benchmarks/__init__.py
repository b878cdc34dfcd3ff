"""What is measured beside the pipeline; nothing here is part of the package."""
