"""Sealing and key derivation, as restic's repository format defines them."""
