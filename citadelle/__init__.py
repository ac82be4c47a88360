"""HOW: what Citadelle adds to pyinfra. Knows no role and no inventory key."""
