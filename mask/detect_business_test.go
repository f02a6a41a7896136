package mask

import "testing"

// What databases of goods and orders are full of, and what reads as a card, a telephone number, an account or a name.
func TestDetectorLeavesBusinessAlone(t *testing.T) {
	d := NewDetector()
	for _, text := range []string{
		"4670834248433",                    // a bar code with a right check digit and the first digit of a Visa card
		"584713055815809",                  // an order number that passes Luhn's check
		"0010921724",                       // filled up with zeros
		"062-8213-73",                      // a part
		"bc5a9db9f1d4a90b89cc461a157dd785", // a digest that is 1 modulo 97
		"978-3-16-148410-0", "1Z999AA10123456784", "2026-05-06 10:11:12.123456+00", "52.5200066", "SKU-77123", "Calvin Klein Jeans",
		"your parcel leaves Lourdes tomorrow morning",
	} {
		if got := d.String(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	for _, text := range []string{"card 4047737215142", "0049 30 9018 2010", "tel. 0049309018", "004930901820102", "bc 020 7946 0958"} {
		if got := d.String(text); got == text {
			t.Errorf("%q is left as it is", text)
		}
	}
}
