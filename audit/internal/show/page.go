package show

import _ "embed"

// PageStyle is the style sheet of the pages that are made of the record: in light and dark, on paper, and without anything from elsewhere.
//
//go:embed page.css
var PageStyle string
