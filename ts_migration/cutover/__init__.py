"""Switching applications over: typed actions that record what was there before, each with its reverse."""
