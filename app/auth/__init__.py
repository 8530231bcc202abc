"""Who is calling: accounts, tokens, roles, scopes, the org tree, and the trail of what was done."""
