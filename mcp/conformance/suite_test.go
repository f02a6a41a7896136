package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"
)

func TestResultsAreReadAsTheyAre(t *testing.T) {
	out := t.TempDir()
	for name, checks := range map[string]string{
		"ping":                  `[{"id":"ping","status":"SUCCESS"},{"id":"wire","status":"SUCCESS"},{"id":"x","status":"INFO"}]`,
		"tools-list":            `[{"id":"a","status":"SUCCESS"},{"id":"b","status":"FAILURE","errorMessage":"missing"}]`,
		"tools-list-pagination": `[{"id":"c","status":"INFO"}]`,
	} {
		dir := filepath.Join(out, "server-"+name+"-2026-01-01T00-00-00-000Z")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "checks.json"), []byte(checks), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := &suite{}
	for name, want := range map[string]entry{
		"ping":                  {Value: 1, N: 2, Unit: "passed"},
		"tools-list":            {Value: 0, N: 2, Unit: "passed", Note: "b: missing"},
		"tools-list-pagination": {Value: 0, N: 0, Unit: "not applicable"},
	} {
		got, err := s.read(out, "2025-11-25", name)
		if err != nil || got.Value != want.Value || got.N != want.N || got.Unit != want.Unit || got.Note != want.Note {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	if _, err := s.read(out, "2025-11-25", "no-such"); err == nil {
		t.Error("a scenario without a result is one that passed")
	}
	got := scenarios("noise\n=== Running scenario: ping ===\n...\n=== Running scenario: tools-list ===\n")
	if !slices.Equal(got, []string{"ping", "tools-list"}) {
		t.Errorf("%v", got)
	}
}

// The fixture is of use only behind the front; without the token that start adds, it answers nothing.
func TestFixtureServes(t *testing.T) {
	url, down, err := start("127.0.0.1:0", true)
	if err != nil {
		t.Fatal(err)
	}
	defer down()
	c, err := client.NewStreamableHttpClient(url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Initialize(t.Context(), mcp.InitializeRequest{}); err != nil {
		t.Fatal(err)
	}
	list, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		if !strings.HasPrefix(tool.Name, "test_") && tool.Name != "json_schema_2020_12_tool" {
			t.Errorf("the fixture has a tool %s", tool.Name)
		}
	}
}
