"""What it MEANS."""
