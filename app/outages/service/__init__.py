"""What is done with outages: looked for, decided on, their orders held and given free."""
