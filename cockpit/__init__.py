"""The pages around the modules: frame, sign-in look, audit, sync, errors."""
