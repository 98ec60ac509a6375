"""Files of the mission other than images."""
