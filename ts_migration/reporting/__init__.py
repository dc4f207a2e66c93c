"""Verdicts and manifests as people and programs read them: console, JSON, HTML."""
