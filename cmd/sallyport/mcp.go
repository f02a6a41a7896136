package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/access"
	"sallyport/internal/config"
)

type mcpOptions struct {
	*app
	tokenFile string
}

func newMCP(a *app) *cobra.Command {
	o := &mcpOptions{app: a}
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Serve one agent on standard input and output (MCP over stdio)",
		Long: `Mcp serves the agents' door to the program that starts it, for MCP clients that speak stdio only. Whoever
starts it still has to be a principal: the token comes from SALLYPORT_TOKEN or --token-file. The process is
a gateway of its own and holds the data directory; beside a running "sallyport serve" point the client at
its URL instead.`,
		Example: `  SALLYPORT_TOKEN=sp_... sallyport mcp -c /etc/sallyport.yaml`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().StringVar(&o.tokenFile, "token-file", "", "file that holds the token")
	return cmd
}

func (o *mcpOptions) run(ctx context.Context) error {
	token := os.Getenv("SALLYPORT_TOKEN")
	if o.tokenFile != "" {
		b, err := os.ReadFile(o.tokenFile)
		if err != nil {
			return err
		}
		token = strings.TrimSpace(string(b))
	}
	if token == "" {
		return usagef("no token: set SALLYPORT_TOKEN or give --token-file; `sallyport token new` makes one")
	}
	log, err := newLogger(o.app, "text", "warn")
	if err != nil {
		return err
	}
	cfg, err := o.load()
	if err != nil {
		return err
	}
	// Only the stdio door opens here: the addresses belong to `serve`. Tokens are for the same door all the same.
	for i, p := range cfg.Providers {
		if at := cfg.Audience(); at != "" && len(p.Audiences) == 0 {
			cfg.Providers[i].Audiences = []string{at}
		}
	}
	cfg.File.Listen = config.Listen{}
	g, err := openGate(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer g.close()
	door, err := g.newMCP(nil, nil)
	if err != nil {
		return err
	}
	defer door.Close()
	err = door.ServeStdio(ctx, access.Bearer(token), o.in, o.out)
	if ctx.Err() != nil {
		return nil // asked to stop
	}
	return err
}
