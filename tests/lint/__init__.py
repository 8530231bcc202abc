"""What others say that a description of an API should be: Spectral's rules, run on ours."""
