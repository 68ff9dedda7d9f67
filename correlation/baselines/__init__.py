"""What is normal for a line, and when that changed."""
