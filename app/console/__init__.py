"""The console: small pages for supervisors that ask the same API as everybody else."""
