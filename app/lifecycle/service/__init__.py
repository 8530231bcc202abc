"""What happens in the lifecycle: runs over all customers, looks at some, and new churn cards."""
