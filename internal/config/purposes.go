package config

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/access"
)

// Purpose is an entry of the catalogue of what personal data is used for. Policies refer to it with @purpose.
type Purpose struct {
	// ID is what policies refer to: lower-case words joined by dots.
	ID string `yaml:"id"`
	// Text says it for people.
	Text string `yaml:"text"`
	// LawfulBasis is consent, contract, legal_obligation, vital_interests, public_task or legitimate_interests (GDPR,
	// article 6(1)).
	LawfulBasis string `yaml:"lawful_basis"`
	// Relations are patterns schema.table of what serves the purpose, with * and ? within a part. Reports tell what
	// was used beyond them; nothing is refused.
	Relations []string `yaml:"relations"`
}

func (c *Config) purposes(d *document) {
	first := map[string]int{}
	for i, p := range c.File.Purposes {
		path := []string{"purposes", fmt.Sprint(i)}
		line := d.line(path...)
		if !labelForm.MatchString(p.ID) {
			d.add(line, fmt.Sprintf("`%s` cannot be the id of a purpose", p.ID), "ids are lower-case words joined by dots, e.g. support.orders")
		}
		if at, dup := first[p.ID]; dup {
			d.add(line, fmt.Sprintf("the purpose `%s` is given twice", p.ID), fmt.Sprintf("it is first given in line %d", at))
		}
		first[p.ID] = line
		if strings.TrimSpace(p.Text) == "" {
			d.add(line, fmt.Sprintf("the purpose `%s` has no text", p.ID), "say in a sentence what the data is used for")
		}
		if !slices.Contains(access.LawfulBases, p.LawfulBasis) {
			d.add(d.line(append(path, "lawful_basis")...), fmt.Sprintf("`%s` is not a lawful basis", p.LawfulBasis), "one of "+quoteList(access.LawfulBases))
		}
		for j, r := range p.Relations {
			if parts := strings.Split(r, "."); len(parts) != 2 || slices.Contains(parts, "") || strings.ContainsAny(r, "[]{}()^$|\\+ \t") {
				d.add(d.line(append(path, "relations", fmt.Sprint(j))...), fmt.Sprintf("`%s` is not a pattern of relations", r), "write schema.table, with * and ? as wildcards within a part")
			}
		}
		c.Purposes = append(c.Purposes, access.Purpose{ID: p.ID, Text: p.Text, LawfulBasis: p.LawfulBasis, Relations: p.Relations})
	}
}
