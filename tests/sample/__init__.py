"""A module of one versioned model: it proves that the core knows no customer."""
