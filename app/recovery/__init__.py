"""Recovery: terminals that customers have to give back, the orders and stops that fetch them."""
