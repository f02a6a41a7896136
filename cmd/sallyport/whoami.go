package main

import "github.com/spf13/cobra"

func newWhoami(a *app) *cobra.Command {
	o := &loginOptions{app: a}
	cmd := &cobra.Command{
		Use:   "whoami",
		Short: "Say who you are at a gateway, and until when",
		Long: `Whoami says as whom you are logged in at a gateway, in which groups, and until when. Status 1 means that nobody is, or that
it holds no longer.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.whoAmI(cmd.Context()) },
	}
	o.bindGateway(cmd)
	return cmd
}
