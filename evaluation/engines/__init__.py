"""Acceptance and verification of engines against the reference engine."""
