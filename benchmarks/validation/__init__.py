"""Whether the figures of the product are true, held against worlds whose truth is known."""
