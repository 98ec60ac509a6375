"""What people look at after a run: pictures, summary, record."""
