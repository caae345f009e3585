"""What a device offers, and which one a method stands for."""
