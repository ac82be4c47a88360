"""Brings logs and the audit trail of a host to who keeps them: what rsyslog is told, and the programs that it hands lines to."""
