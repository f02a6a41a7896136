package twin

import "testing"

func TestRowsAreAlikeButForWhatDetectorsHide(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want []string
		alike     bool
	}{
		{"order", []string{"D a", "D b"}, []string{"D b", "D a"}, true},
		{"another value", []string{"D a", "D b"}, []string{"D a", "D c"}, false},
		{"number", []string{"D a", "D a"}, []string{"D a"}, false},
		{"twice", []string{"D a", "D b", "D b"}, []string{"D a", "D a", "D b"}, false},
		{"hidden", []string{`D "x2024-05-012024"`, "D b"}, []string{"D b", `D "x2024-[phone]"`}, true},
		{"hidden elsewhere", []string{`D "y2024-05-012024"`, "D b"}, []string{"D b", `D "x2024-[phone]"`}, false},
		{"hidden in one of two", []string{"D 1 x", "D 2 x"}, []string{"D [phone] x", "D [phone] y"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if alike(c.got, c.want) != c.alike {
				t.Errorf("alike is %v", !c.alike)
			}
		})
	}
}
