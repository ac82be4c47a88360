"""The Windows double: a stand-in for what a Windows 11 PC shows to an administrator over SSH."""
