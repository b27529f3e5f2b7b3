"""`doctor`: look at an installation (probe) and judge what was found (checks)."""
