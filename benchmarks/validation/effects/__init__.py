"""Decision effects against heads rendered again."""
