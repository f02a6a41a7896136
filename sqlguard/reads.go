package sqlguard

import (
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/access"
)

var (
	word = regexp.MustCompile(`[\pL_][\pL\pN_$]*|"(?:[^"]|"")+"`)
	// readsSetting is current_setting with a constant, as it is written or as PostgreSQL prints it.
	readsSetting = regexp.MustCompile(`(?i)\bcurrent_setting"?\s*\(\s*'([^'\\]+)'`)
	// anySetting is what reads one, whose name may be put together; SHOW is run from text by PL/pgSQL.
	anySetting = regexp.MustCompile(`(?i)\b(?:(?:current_setting|pg_settings|pg_show_all_settings)\b|show\s+[\pL_"'])`)
)

// SettingsRead gives the settings that a statement reads, lower-case: those that its text names, and those that definitions name that it comes to: views, policies
// of row security, triggers, and functions whose body is known. "" is a name that the text makes when it runs. every says that
// any that PostgreSQL lists may be among them. A definition comes to all that has a name which it holds as a word: rather too many than one too few.
func SettingsRead(f *access.Facts, cat *access.Catalog) (names []string, every bool) {
	names = slices.Clone(f.Shows)
	every = slices.Contains(f.Shows, "all")
	var todo []access.Name
	for _, r := range f.Relations {
		every = every || r.Name == access.Name{Schema: "pg_catalog", Name: "pg_settings"}
		todo = append(todo, r.Name)
	}
	for _, fn := range f.Functions {
		every = every || fn.Builtin && fn.Name.Name == "pg_show_all_settings"
		if !fn.Builtin {
			todo = append(todo, fn.Name)
		}
	}
	if cat == nil {
		return names, every
	}
	var known map[string][]access.Name // those that have definitions, by the last part
	seen := map[access.Name]bool{}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[name] {
			continue
		}
		seen[name] = true
		texts, more := definitions(name, cat)
		todo = append(todo, more...)
		for _, text := range texts {
			if known == nil {
				known = defined(cat)
			}
			constant := readsSetting.FindAllStringSubmatch(text, -1)
			for _, m := range constant {
				names = append(names, strings.ToLower(m[1]))
			}
			every = every || len(anySetting.FindAllString(text, -1)) > len(constant)
			for _, w := range word.FindAllString(text, -1) {
				if bare, quoted := strings.CutPrefix(w, `"`); quoted {
					w = strings.ReplaceAll(strings.TrimSuffix(bare, `"`), `""`, `"`)
				} else {
					w = strings.ToLower(w)
				}
				todo = append(todo, known[w]...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), every
}

// definitions are the texts that say what a name stands for, and what the server calls with it by itself.
func definitions(name access.Name, cat *access.Catalog) (texts []string, calls []access.Name) {
	if r := cat.Relations[name]; r != nil {
		texts = append(texts, r.Policies...)
		if r.Definition != "" {
			texts = append(texts, r.Definition)
		}
		calls = append(calls, r.Triggers...)
		for _, c := range r.Calls {
			calls = append(calls, c.Function)
		}
	}
	for _, fn := range cat.Functions[name] {
		if fn.Source != "" {
			texts = append(texts, fn.Source)
		}
		calls = append(calls, fn.Parts...)
	}
	return texts, calls
}

// defined are the names that have definitions, by their last part.
func defined(cat *access.Catalog) map[string][]access.Name {
	out := map[string][]access.Name{}
	for name, r := range cat.Relations {
		if r.Definition != "" || len(r.Policies)+len(r.Triggers)+len(r.Calls) > 0 {
			out[name.Name] = append(out[name.Name], name)
		}
	}
	for name, list := range cat.Functions {
		for _, fn := range list {
			if fn.Source != "" || len(fn.Parts) > 0 {
				out[name.Name] = append(out[name.Name], name)
				break
			}
		}
	}
	return out
}
