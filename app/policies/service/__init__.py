"""What is done with policies, a file for each: learn, evaluate, promote, watch, add up."""
