"""A simulated USP agent: what a router's firmware does, written from the specification, not from our controller."""
