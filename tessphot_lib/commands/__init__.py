"""The commands of ``tessphot`` on finished runs."""
