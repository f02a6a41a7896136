package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/sqlguard/policy"
)

//go:embed starter/sallyport.yaml
var starterConfig string

func newInit(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a commented starter configuration and policy",
		Long: `Init writes sallyport.yaml and policy.cedar into a folder (default: this one), both with comments that say
what to change. Files that are there already stay as they are, and init then writes nothing at all.`,
		Example: "  sallyport init\n  sallyport init /etc/sallyport",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return a.init(dir)
		},
	}
}

func (a *app) init(dir string) error {
	files := []struct{ name, text string }{{config.DefaultName, starterConfig}, {"policy.cedar", policy.Starter}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", dir, plain(err))
	}
	for _, f := range files { // look before writing anything
		path := filepath.Join(dir, f.name)
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is there already: nothing was written\n  hint: name another folder, or move it away", path)
		} else if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("look for %s: %w", path, plain(err))
		}
	}
	for _, f := range files {
		if err := create(filepath.Join(dir, f.name), f.text); err != nil {
			return err
		}
	}
	at := filepath.Join(dir, config.DefaultName)
	flag := ""
	if at != config.DefaultName {
		flag = " -c " + at
	}
	fmt.Fprintf(a.out, "wrote %s and %s. Next:\n\n%s", at, filepath.Join(dir, "policy.cedar"), strings.ReplaceAll(`  export SHOP_DSN='postgres://sallyport:...@localhost:5432/shop'
  sallyport principal add ada --group engineers --write{flag}
  sallyport check{flag}
  sallyport serve{flag}
`, "{flag}", flag))
	return nil
}

// create writes a file that must not be there yet.
func create(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, plain(err))
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
