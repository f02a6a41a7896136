package postgres

// builtinReturnsSet says whether any built-in function of that name returns a set.
func builtinReturnsSet(name string) bool { return false }

// builtinColumns gives the columns that a built-in function has in FROM.
func builtinColumns(name string) ([]string, shape) { return nil, unknownShape }
