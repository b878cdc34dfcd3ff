"""What would have to change for a decision to change: on the sphere of embeddings, and in attributes."""
