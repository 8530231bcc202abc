"""What can be done with sync: pull what has changed, push what was done, keep the clock of it."""
