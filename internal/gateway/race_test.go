//go:build race

package gateway

// raceFactor is how much more time things may take.
const raceFactor = 5
