"""Pictures of every page, in ``docs/pages``."""
