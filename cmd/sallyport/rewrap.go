package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"sallyport/audit"
	"sallyport/internal/config"
)

// wrapKeys says where the key comes from that wraps the keys of the record in dir.
func wrapKeys(dir string, cfg *config.Config) error {
	k := cfg.File.Audit.KeyEncryption
	if k == nil {
		return nil
	}
	return audit.Wrap(dir, func() (*audit.WrappingKey, error) {
		key, err := k.Key()
		return (*audit.WrappingKey)(&key), err
	})
}

// unwrap is wrapKeys by the configuration, where there is one. A record whose keys are not wrapped needs none, and one
// that does says so when it is read.
func (a *app) unwrap(dir string) error {
	cfg, err := config.LoadOffline(a.config)
	if err != nil {
		return nil
	}
	return wrapKeys(dir, cfg)
}

func (o *auditOptions) rewrap() *cobra.Command {
	var old string
	cmd := &cobra.Command{
		Use:   "rewrap",
		Short: "Wrap the keys of records by another key, or by none",
		Long: `Rewrap wraps the files in log/keys by the key that audit.key_encryption names, or unwraps them where it is left out.
To replace the key: stop the gateway, put the new one into the configuration, rewrap with --old, start it. What is
interrupted can be done again.`,
		Example: `  sallyport audit rewrap --old /etc/sallyport/wrap-2026.key
  sallyport audit rewrap   # they were not wrapped before`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := o.recordDir(o.data)
			if err != nil {
				return err
			}
			var before *audit.WrappingKey
			if old != "" {
				key, err := config.WrappingKeyFile(old)
				if err != nil {
					return fmt.Errorf("the key that wraps them until now: %w", err)
				}
				before = (*audit.WrappingKey)(&key)
			}
			n, err := audit.Rewrap(dir, before)
			if err == nil {
				fmt.Fprintf(o.out, "%d files of keys were wrapped anew\n", n)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&old, "old", "", "file with the key that wraps them until now")
	return cmd
}
