"""Downloads from archives."""
