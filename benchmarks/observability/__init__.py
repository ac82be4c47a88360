"""Shipping of logs, measured."""
