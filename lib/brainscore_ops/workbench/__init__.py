"""What a maintainer does with runs that failed: look around them, open them, resume them."""
