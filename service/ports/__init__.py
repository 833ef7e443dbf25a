"""What the flows, the loops and the web need from outside, in our own words."""
