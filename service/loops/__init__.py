"""What repeats: a loop is data, and one runner repeats them all."""
