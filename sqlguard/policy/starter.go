package policy

import _ "embed"

// Starter is the commented policy that `sallyport init` writes and the demo uses. It speaks of a
// connection "shop" with a schema "public".
//
//go:embed starter.cedar
var Starter string
