"""Figures of the README, each with its command here."""
