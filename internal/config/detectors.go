package config

import (
	"fmt"
	"regexp"
)

var regionForm = regexp.MustCompile(`^[A-Z]{2}$`)

func (c *Config) detectors(d *document) {
	for i, code := range c.File.Detectors.PhoneRegions {
		if !regionForm.MatchString(code) {
			d.add(d.line("detectors", "phone_regions", fmt.Sprint(i)), fmt.Sprintf("`%s` is not the code of a country", code), "two capitals of ISO 3166: DE, GB, US")
		}
	}
}
