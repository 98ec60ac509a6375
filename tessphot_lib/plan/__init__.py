"""What a run consists of, decided before any job."""
