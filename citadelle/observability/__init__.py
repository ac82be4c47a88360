"""Seeing and alerting: what Prometheus and Alertmanager are told (`config.py`), and what runs on a host for them, each file alone."""
