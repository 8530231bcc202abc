"""What is done for commissions: `sweeping` credits and takes back, `flagging` looks for what a
person should see, `reviewing` is what that person says of it."""
