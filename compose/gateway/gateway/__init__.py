"""The only door of the stack: keys, allow-list of routes, forced system prompt, streams. Content is never logged."""
