package gateway

import (
	"fmt"

	"sallyport/mask"
	"sallyport/mask/numbering"
)

// newDetector makes the detectors for a configuration.
func newDetector(phoneRegions []string) (*mask.Detector, error) {
	var regions []numbering.Region
	for _, code := range phoneRegions {
		r, ok := numbering.Find(code)
		if !ok {
			return nil, fmt.Errorf("detectors.phone_regions: %q is no country or territory with telephone numbers: use its code of ISO 3166", code)
		}
		regions = append(regions, r)
	}
	return mask.NewDetector(regions...), nil
}
