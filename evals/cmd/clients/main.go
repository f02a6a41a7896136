// Command clients tries everyday programs through the PostgreSQL door.
package main

import (
	"context"
	"fmt"
	"os"

	"sallyport/evals/clients"
)

func main() {
	if err := clients.Main(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}
