"""How often intervals hold the truth, in worlds of closed form."""
