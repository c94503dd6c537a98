"""Whole stories: a recipe becomes a finished run folder."""
