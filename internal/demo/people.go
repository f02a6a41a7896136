package demo

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// person is one synthetic customer.
type person struct {
	id             int
	name, email    string
	phone, card    string
	born           time.Time
	street, city   string
	postcode, land string
	points         int
	joined         time.Time
}

// today is the demo's calendar: fixed, so that every run has the same data.
var today = time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC)

var (
	given = strings.Fields(`Anna Ben Carla David Elif Farid Greta Hugo Ines Jonas Keiko Liam Maya Nils Olga Paul
		Quinn Rosa Samir Tara Umut Vera Wanda Xenia Yusuf Zoe Amara Bruno Chiara Dmitri Esther Felix Gina Henrik
		Ingrid Jamal Karin Luca Mona Noah Oscar Priya Rafael Sofia Tom Ursula Viktor Wren Yara Ada`)
	family = strings.Fields(`Abel Berg Costa Duarte Eriksen Fischer Garcia Huber Ivanova Jensen Kaya Lindqvist Moreau
		Novak Okafor Petrov Quist Rossi Schmidt Tanaka Ueda Vogel Weber Xu Yilmaz Zimmer Almeida Brandt Carter
		Dubois Engel Ferrari Greco Hoffmann Iqbal Jansen Keller Larsen Meier Nowak Ortiz Popescu Reyes Sato
		Turner Ulrich Vidal Wagner Young Zhang`)
	streets = strings.Fields(`Mill Station Garden Church Park Bridge Harbour Orchard School Market River Castle`)
	places  = []struct{ city, postcode, land, phone string }{
		// Telephone numbers come from ranges that the regulators keep for fiction.
		{"Leeds", "LS%d 4%d", "GB", "+44 113 496 0%03d"},
		{"London", "SE%d 7%d", "GB", "+44 20 7946 0%03d"},
		{"Bristol", "BS%d 1%d", "GB", "+44 117 496 0%03d"},
		{"Portland", "972%02d-%d", "US", "+1 503 555 01%02d"},
		{"Chicago", "606%02d-%d", "US", "+1 312 555 01%02d"},
		{"Austin", "787%02d-%d", "US", "+1 512 555 01%02d"},
		{"Hamburg", "20%02d%d", "DE", "+49 40 66969 %03d"},
		{"Berlin", "10%02d%d", "DE", "+49 30 23125 %03d"},
		{"Marseille", "130%02d", "FR", "+33 1 99 00 %02d 17"},
		{"Dublin", "D%02d K%d", "IE", "+353 20 910 %04d"},
	}
	domains = strings.Fields(`example.com example.org example.net mail.example.com post.example.org`)
)

// people makes n customers, the same each time.
func people(n int) []person {
	r := rand.New(rand.NewPCG(2026, 630))
	out := make([]person, n)
	for i := range out {
		first, last := pick(r, given), pick(r, family)
		place := places[r.IntN(len(places))]
		p := person{
			id:     i + 1,
			name:   first + " " + last,
			card:   card(r),
			born:   today.AddDate(-18-r.IntN(60), -r.IntN(12), -r.IntN(28)).Truncate(24 * time.Hour),
			street: fmt.Sprintf("%d %s %s", 1+r.IntN(180), pick(r, streets), []string{"Street", "Road", "Lane"}[r.IntN(3)]),
			city:   place.city,
			land:   place.land,
			points: r.IntN(4000),
			joined: today.Add(-time.Duration(r.IntN(5*365*24)) * time.Hour),
		}
		// The number keeps addresses unique.
		p.email = fmt.Sprintf("%s.%s%d@%s", strings.ToLower(first), strings.ToLower(last), i+1, pick(r, domains))
		p.postcode = format(place.postcode, 10+r.IntN(80), r.IntN(10))
		p.phone = format(place.phone, r.IntN(100))
		out[i] = p
	}
	return out
}

// format uses as many of the numbers as the form has verbs.
func format(form string, numbers ...int) string {
	args := make([]any, strings.Count(form, "%"))
	for i := range args {
		args[i] = numbers[i]
	}
	return fmt.Sprintf(form, args...)
}

func pick(r *rand.Rand, words []string) string { return words[r.IntN(len(words))] }

// card makes a number in a test range with a right check digit (ISO/IEC 7812-1, Luhn), so that
// detectors take it for real.
func card(r *rand.Rand) string {
	prefix := []string{"424242", "555555", "400005"}[r.IntN(3)]
	digits := prefix + fmt.Sprintf("%09d", r.IntN(1_000_000_000))
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	digits += string(rune('0' + (10-sum%10)%10))
	return digits[0:4] + " " + digits[4:8] + " " + digits[8:12] + " " + digits[12:16]
}

// ticketTexts are what support staff write. Their verbs take, in order of use: email, phone, card, name.
var ticketTexts = []struct{ subject, notes string }{
	{"Refund not received", "Customer wrote from %[1]s, wants the refund on card %[3]s. Told them 5 working days."},
	{"Parcel lost", "Called back on %[2]s, no answer. Left a message for %[4]s, courier traces the parcel."},
	{"Wrong size", "Exchange agreed. Please confirm to %[1]s when the new one ships."},
	{"Change of address", "%[4]s moves at the end of the month, will send the new address from %[1]s."},
	{"Charged twice", "Two charges on %[3]s for the same order. Asked billing. Reach them on %[2]s in the evening."},
	{"Gift card", "Gift card did not work at checkout. Cleared the cache, works now."},
	{"Account locked", "Could not log in. Verified date of birth on the phone (%[2]s) and reset the password."},
}

func ticket(r *rand.Rand, p person) (subject, notes string) {
	t := ticketTexts[r.IntN(len(ticketTexts))]
	// An explicit index for each argument; unused ones are cut off what Sprintf would complain about.
	notes = fmt.Sprintf(t.notes+"%[5]s", p.email, p.phone, p.card, p.name, "")
	return t.subject, notes
}
