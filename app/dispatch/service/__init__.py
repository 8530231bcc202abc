"""What dispatch does: takes orders in, places them, and does as a supervisor says."""
