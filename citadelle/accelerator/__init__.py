"""Which processor computes the answers, and how much of its memory: pure, from what a host told."""
