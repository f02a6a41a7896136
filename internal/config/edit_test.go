package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const layout = `# top comment
data_dir: data

principals:
    # our engineer
    ada:   # since 2019
        kind: human
        groups:
            - engineers
        secret: OLD   # rotate me

    bot:
        kind: agent
        tokens:
            - sha256: aa
              note: laptop

# what columns hold
labels: []
`

func edit(t *testing.T, text string, change func(*Editor) error) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sallyport.yaml")
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	e, err := Edit(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := change(e); err != nil {
		return "", err
	}
	if err := e.Save(); err != nil {
		t.Fatal(err)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o640 {
		t.Errorf("mode became %v", st.Mode())
	}
	out, _ := os.ReadFile(path)
	return string(out), nil
}

func TestAddKeepsTheLayout(t *testing.T) {
	out, err := edit(t, layout, func(e *Editor) error {
		return e.Add("grace", Principal{Kind: "human", Groups: []string{"dba", "yes"}, Secret: verifier})
	})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(layout, "              note: laptop\n", "              note: laptop\n    grace:\n      kind: human\n      groups: [dba, \"yes\"]\n      secret: "+verifier+"\n", 1)
	if out != want {
		t.Errorf("got:\n%s", out)
	}
}

func TestAddMakesTheSection(t *testing.T) {
	out, err := edit(t, "data_dir: data\n", func(e *Editor) error {
		return e.Add("grace", Principal{Kind: "agent", Tokens: []Token{{SHA256: "ab", Expires: "2027-01-31T00:00:00Z", Note: "ci: nightly #1", Scopes: []string{"read", "call"}}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "data_dir: data\n\nprincipals:\n  grace:\n    kind: agent\n    tokens:\n      - sha256: ab\n        expires: \"2027-01-31T00:00:00Z\"\n        note: 'ci: nightly #1'\n        scopes: [read, call]\n"
	if out != want {
		t.Errorf("got:\n%s", out)
	}
}

func TestSetSecretReplacesOneLine(t *testing.T) {
	out, err := edit(t, layout, func(e *Editor) error { return e.SetSecret("ada", verifier) })
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(layout, "secret: OLD   # rotate me", "secret: "+verifier, 1); out != want {
		t.Errorf("got:\n%s", out)
	}
	out, err = edit(t, layout, func(e *Editor) error { return e.SetSecret("bot", verifier) })
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(layout, "              note: laptop\n", "              note: laptop\n        secret: "+verifier+"\n", 1); out != want {
		t.Errorf("got:\n%s", out)
	}
}

func TestAddTokenExtendsTheList(t *testing.T) {
	out, err := edit(t, layout, func(e *Editor) error { return e.AddToken("bot", Token{SHA256: "bb"}) })
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(layout, "              note: laptop\n", "              note: laptop\n            - sha256: bb\n", 1); out != want {
		t.Errorf("got:\n%s", out)
	}
	out, err = edit(t, layout, func(e *Editor) error { return e.AddToken("ada", Token{SHA256: "bb"}) })
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(layout, "# rotate me\n", "# rotate me\n        tokens:\n          - sha256: bb\n", 1); out != want {
		t.Errorf("got:\n%s", out)
	}
}

func TestEditRefusesWhatItCannotDoSafely(t *testing.T) {
	for name, text := range map[string]string{
		"flow_style": "principals: {ada: {kind: human}}\n",
		"empty":      "principals:\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := edit(t, text, func(e *Editor) error { return e.Add("grace", Principal{Kind: "human"}) })
			if err == nil || !strings.Contains(err.Error(), "paste this yourself") {
				t.Errorf("got %v", err)
			}
		})
	}
	_, err := edit(t, layout, func(e *Editor) error { return e.Add("ada", Principal{Kind: "human"}) })
	if err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("adding twice: %v", err)
	}
	_, err = edit(t, layout, func(e *Editor) error { return e.SetSecret("aad", verifier) })
	if err == nil || !strings.Contains(err.Error(), "did you mean `ada`?") {
		t.Errorf("unknown name: %v", err)
	}
	_, err = edit(t, layout, func(e *Editor) error { return e.Add("two words", Principal{Kind: "human"}) })
	if err == nil {
		t.Errorf("bad name accepted")
	}
}

func TestRemoveTakesOnlyThePrincipal(t *testing.T) {
	var gone []string
	out, err := edit(t, layout, func(e *Editor) (err error) { gone, err = e.Remove("bot"); return err })
	if err != nil {
		t.Fatal(err)
	}
	bot := "    bot:\n        kind: agent\n        tokens:\n            - sha256: aa\n              note: laptop\n"
	if want := strings.Replace(layout, bot, "", 1); out != want {
		t.Errorf("got:\n%s", out)
	}
	if got := strings.Join(gone, "\n") + "\n"; got != bot {
		t.Errorf("taken out:\n%s", got)
	}
	if _, err := edit(t, layout, func(e *Editor) error { _, err := e.Remove("bto"); return err }); err == nil || !strings.Contains(err.Error(), "did you mean `bot`?") {
		t.Errorf("unknown name: %v", err)
	}
	t.Run("the_last_one_goes_with_the_section", func(t *testing.T) {
		out, err := edit(t, "data_dir: data\nprincipals:\n  ada:\n    kind: human\nlabels: []\n", func(e *Editor) error {
			if _, err := e.Remove("ada"); err != nil {
				return err
			}
			return e.Add("eve", Principal{Kind: "human"})
		})
		if want := "data_dir: data\nlabels: []\n\nprincipals:\n  eve:\n    kind: human\n"; err != nil || out != want {
			t.Errorf("%v, got:\n%s", err, out)
		}
	})
	t.Run("flow_style_is_left_alone", func(t *testing.T) {
		_, err := edit(t, "principals: {ada: {kind: human}, bob: {kind: human}}\n", func(e *Editor) error { _, err := e.Remove("ada"); return err })
		if err == nil || !strings.Contains(err.Error(), "yourself") {
			t.Errorf("got %v", err)
		}
	})
}

func TestRemoveTokenTakesOnlyTheToken(t *testing.T) {
	two := strings.Replace(layout, "              note: laptop\n", "              note: laptop\n            - sha256: ab\n", 1)
	out, err := edit(t, two, func(e *Editor) error { _, err := e.RemoveToken("bot", "aa"); return err })
	if want := strings.Replace(two, "            - sha256: aa\n              note: laptop\n", "", 1); err != nil || out != want {
		t.Errorf("%v, got:\n%s", err, out)
	}
	out, err = edit(t, layout, func(e *Editor) error { _, err := e.RemoveToken("bot", "aa"); return err })
	if want := strings.Replace(layout, "        tokens:\n            - sha256: aa\n              note: laptop\n", "", 1); err != nil || out != want {
		t.Errorf("%v, got:\n%s", err, out)
	}
	for prefix, want := range map[string]string{"a": "several tokens", "c": "no token of bot", "": "which token"} {
		_, err := edit(t, two, func(e *Editor) error { _, err := e.RemoveToken("bot", prefix); return err })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}
