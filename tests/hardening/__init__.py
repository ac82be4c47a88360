"""What a Windows PC must be: expressions, table, states, verdicts."""
