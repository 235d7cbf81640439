"""Makers of valid rows."""
