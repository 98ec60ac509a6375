"""Star tables and catalogs."""
