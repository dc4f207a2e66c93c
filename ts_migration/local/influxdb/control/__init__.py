"""Organisations, users, buckets and tokens: what the control API manages. No points and no HTTP."""
