"""The speed that locations promise each other: applying, sending, writing, catching up."""
