"""BitLocker's steps, run by the genuine engine against the Windows double; judged by the double's own state file."""
