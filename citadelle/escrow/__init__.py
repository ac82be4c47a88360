"""Recovery keys of volumes, kept on the controller as ciphertext that only the operator's private key opens."""
