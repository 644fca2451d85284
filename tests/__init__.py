"""What crosses apps, and the machinery all tests share."""
