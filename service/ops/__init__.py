"""What is watched: the log lines and the health of the process."""
