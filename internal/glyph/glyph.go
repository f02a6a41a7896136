// Package glyph says which characters can be seen. Whoever decides by what they read must not be shown a name that looks like
// another, or text that looks like none. It trusts Unicode's properties, and beyond them a short list of what fonts leave blank.
package glyph

import "unicode"

// blank are characters that are letters, marks or symbols by category, and drawn as a space or as nothing: their names in Unicode say so.
var blank = map[rune]bool{
	0x2800: true, // BRAILLE PATTERN BLANK
	0x2d7f: true, // TIFINAGH CONSONANT JOINER
	0xfffc: true, // OBJECT REPLACEMENT CHARACTER
	// BRAHMI NUMBER JOINER, EGYPTIAN HIEROGLYPH FULL BLANK and HALF BLANK, KHITAN SMALL SCRIPT FILLER, MUSICAL SYMBOL NULL NOTEHEAD
	0x1107f: true, 0x13441: true, 0x13442: true, 0x16fe4: true, 0x1d159: true,
}

// Drawn reports whether a character is seen as itself: unicode.IsPrint without what is drawn as a blank or not at all. IsPrint leaves out all
// control, format (bidirectional, zero-width, tags), private and unassigned characters, and all spaces but the common one.
func Drawn(r rune) bool {
	return unicode.IsPrint(r) && !blank[r] && !unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}
