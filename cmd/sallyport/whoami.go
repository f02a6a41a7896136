package main

import "github.com/spf13/cobra"

func newWhoami(a *app) *cobra.Command {
	o := &loginOptions{app: a}
	var token string
	cmd := &cobra.Command{
		Use:   "whoami",
		Short: "Say who you are at a gateway, and until when; or whom a token speaks for",
		Long: `Whoami says as whom you are logged in at a gateway, in which groups, and until when. Status 1 means that nobody is, or that
it holds no longer.

With --token it says what the configuration makes of a bearer token, without opening a door: who it is of, in which groups before and
after they were mapped, what its scopes let be done, where it may connect. Of a token that is refused it says which check failed. The keys are
fetched from the provider. A gateway that runs on the data directory is asked whether the token was withdrawn, over a socket that only the owner of that
directory can open; status 1 means that it was.`,
		Example: "  sallyport whoami\n  sallyport whoami --token - -c /etc/sallyport.yaml < token",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if token != "" {
				return o.whoIsToken(cmd.Context(), token)
			}
			return o.whoAmI(cmd.Context())
		},
	}
	o.bindGateway(cmd)
	cmd.Flags().StringVar(&token, "token", "", "`FILE` that holds a token, or - for standard input")
	cmd.MarkFlagsMutuallyExclusive("token", "gateway")
	return cmd
}
