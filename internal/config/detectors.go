package config

import (
	"fmt"
	"net/url"
	"regexp"
	"time"
)

var (
	regionForm   = regexp.MustCompile(`^[A-Z]{2}$`)
	languageForm = regexp.MustCompile(`^[a-z]{2,3}$`)
	entityForm   = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
)

// mostModelTimeout is the longest that rows may wait for a model.
const mostModelTimeout = 30 * time.Second

func (c *Config) detectors(d *document) {
	for i, code := range c.File.Detectors.PhoneRegions {
		if !regionForm.MatchString(code) {
			d.add(d.line("detectors", "phone_regions", fmt.Sprint(i)), fmt.Sprintf("`%s` is not the code of a country", code), "two capitals of ISO 3166: DE, GB, US")
		}
	}
	if m := c.File.Detectors.Model; m != nil {
		m.check(d)
	}
}

func (m *DetectorModel) check(d *document) {
	line := func(path ...string) int { return d.line(append([]string{"detectors", "model"}, path...)...) }
	u, err := url.Parse(m.URL)
	switch {
	case m.URL == "":
		d.add(line(), "`detectors.model` has no `url`", "it is where the model is asked: http://127.0.0.1:5002/analyze. Leave `model` out to ask none")
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		d.add(line("url"), "the `url` of the model is not one", "https://presidio.internal/analyze, or http://127.0.0.1:5002/analyze")
	case u.User != nil:
		d.add(line("url"), "the `url` of the model holds a user name or a password", "let the network say who may ask it")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		d.add(line("url"), fmt.Sprintf("texts would go to `%s` in the clear", u.Host), "use https, or a model on this machine")
	case u.Path == "" || u.Path == "/":
		d.add(line("url"), "the `url` of the model has no path", "that of Presidio's analyzer is /analyze")
	}
	if t := time.Duration(m.Timeout); t < 0 || t > mostModelTimeout {
		d.add(line("timeout"), fmt.Sprintf("`%s` is no time to wait for a model", t), "at most "+mostModelTimeout.String())
	}
	if m.Language != "" && !languageForm.MatchString(m.Language) {
		d.add(line("language"), fmt.Sprintf("`%s` is not the code of a language", m.Language), "two letters of ISO 639: en, de")
	}
	if s := m.Least(); !(s >= 0 && s <= 1) {
		d.add(line("min_score"), fmt.Sprintf("`%g` is not a score", s), "from 0 to 1")
	}
	for i, e := range m.Entities {
		if !entityForm.MatchString(e) {
			d.add(line("entities", fmt.Sprint(i)), fmt.Sprintf("`%s` is not the name of an entity", e), "in capitals: PERSON, LOCATION")
		}
	}
}
