"""What the territory decides: values in, values or a Problem out."""
