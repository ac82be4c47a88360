"""Speed and memory, measured: never asserted in tests. Each benchmark is a folder with its README and last figures."""
