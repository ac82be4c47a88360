"""Recovery keys in escrow: sealed, stored twice, planned."""
