package detect

import (
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/evals/results"
	"sallyport/mask"
)

const perColumn = 2000

// business are the columns of a database about goods and not people. Whatever a detector finds in them is hidden
// wrongly.
func business() ([]results.Figure, error) {
	d := mask.NewDetector()
	r := rand.New(rand.NewPCG(3, 10))
	var list strings.Builder
	list.WriteString("### Hidden wrongly\n\nColumns of the business database (seed 3, 10) in which a detector found something; all others have none.\n\n| column | values hidden | example | taken for |\n|---|---|---|---|\n")
	hidden, n := 0, 0
	for _, c := range businessColumns {
		in, example, kind := 0, "", ""
		for range perColumn {
			v := c.value(r)
			n++
			if f := d.Find(nil, []byte(v)); len(f) > 0 {
				in++
				example, kind = v, f[0].Kind
			}
		}
		if hidden += in; in > 0 {
			fmt.Fprintf(&list, "| %s | %d of %d | `%s` | %s |\n", c.name, in, perColumn, example, kind)
		}
	}
	dir, err := results.Dir()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "listings", "detect.md"), []byte(list.String()), 0o644); err != nil {
		return nil, err
	}
	share := results.Share("detect.business.hidden_share", hidden, n)
	share.Note = fmt.Sprintf("values of %d columns of ids, amounts, times, codes, goods, places and log lines that are nobody's and are hidden; the listing has each", len(businessColumns))
	return []results.Figure{share}, nil
}

func pick(list string) func(*rand.Rand) string {
	words := strings.Split(list, "|")
	return func(r *rand.Rand) string { return words[r.IntN(len(words))] }
}

func number(format string, most int) func(*rand.Rand) string {
	return func(r *rand.Rand) string { return fmt.Sprintf(format, r.IntN(most)) }
}

func at(layout string) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		return time.Unix(1600000000+r.Int64N(160000000), r.Int64N(1e9)).UTC().Format(layout)
	}
}

// filled puts values into the words of a text that begin with a percent sign.
func filled(text string, with ...func(*rand.Rand) string) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		var args []any
		for _, f := range with {
			args = append(args, f(r))
		}
		return fmt.Sprintf(text, args...)
	}
}

func digest(r *rand.Rand) string {
	return fmt.Sprintf("%x", md5.Sum([]byte{byte(r.Int()), byte(r.Int())}))
}

func uuid(r *rand.Rand) string {
	h := digest(r)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

// barcode is an EAN-13 with its check digit.
func barcode(r *rand.Rand) string {
	s := fmt.Sprintf("%012d", 400000000000+r.Int64N(99999999999))
	sum := 0
	for i, c := range s {
		sum += int(c-'0') * (1 + i%2*2)
	}
	return s + fmt.Sprint((10-sum%10)%10)
}

var (
	things  = pick("Cast-iron skillet|Pour-over kettle|Chef's knife|Raised bed kit|Secateurs|Watering can|Two-person tent|Down sleeping bag|Enamel mug|Chess set, walnut|Jigsaw, 1000 pieces|Oliver Twist|Atlas of Remote Lighthouses|Emma Original Mattress|Martin D-28 Guitar|Calvin Klein Jeans|Paul Smith Wallet|Victoria Sponge Tin|Jack Daniel's No. 7|Santa Maria Anchovies|Rose Garden Candle|USB-C cable 2 m|M8 x 40 hex bolt|Paper A4 80 g/m2 500 sheets|LED lamp E27 9 W 2700 K")
	towns   = pick("San Francisco|Santa Barbara|Saint Louis|Charlotte|Victoria|Adelaide|Frankfurt am Main|Den Haag|New York|Paris|Madison|Jackson|Austin|Florence|Carolina|Lourdes|Salvador|Alexandria")
	firms   = pick("Hartmann GmbH|Ford Motor Company|Johnson & Johnson|Martin Marietta Inc.|Harley-Davidson|Wells Fargo Bank|Goldman Sachs Group|Rothschild Partners|Marks and Spencer|Mercedes-Benz|Dr. Oetker|Ben & Jerry's|Acme Holdings Ltd")
	days    = at(time.DateOnly)
	moments = at("2006-01-02 15:04:05.999999-07")
)

var businessColumns = []struct {
	name  string
	value func(*rand.Rand) string
}{
	{"orders.id", number("%d", 1e9)}, {"orders.number", number("ORD-%07d", 1e7)}, {"orders.padded", number("%010d", 1e9)}, {"orders.big", number("%d", 1e15)},
	{"orders.status", pick("placed|paid|shipped|delivered|returned")}, {"orders.placed", moments}, {"orders.day", days}, {"orders.iso", at(time.RFC3339)},
	{"orders.us_day", at("01/02/2006")}, {"orders.eu_day", at("02.01.2006")}, {"orders.epoch", number("17%08d", 1e8)}, {"orders.epoch_ms", number("17%011d", 1e11)},
	{"invoices.number", number("INV-2025-%05d", 1e5)}, {"invoices.slashed", number("2025/%06d", 1e6)}, {"invoices.total", number("%d.99", 1e5)},
	{"invoices.grouped", filled("%s,%s.%s", number("%d", 900), number("%03d", 1000), number("%02d", 100))}, {"invoices.text", filled("EUR %s", number("%d.50", 1e4))},
	{"goods.name", things}, {"goods.sku", number("SKU-%05d", 1e5)}, {"goods.part", filled("%s-%s-%s", number("%03d", 1000), number("%04d", 10000), number("%02d", 100))},
	{"goods.ean", barcode}, {"goods.isbn", number("978-3-16-1484%02d-0", 100)}, {"goods.colour", number("#%06x", 1<<24)}, {"goods.size", filled("%s x %s x %s mm", number("%d", 999), number("%d", 999), number("%d", 999))},
	{"goods.version", filled("v%s.%s.%s", number("%d", 20), number("%d", 40), number("%d", 100))}, {"goods.serial", number("SN%09d", 1e9)}, {"goods.batch", number("LOT %06d", 1e6)},
	{"parcels.tracking", filled("1Z999AA1%s", number("%010d", 1e9))}, {"parcels.number", number("3S%013d", 1e13)}, {"parcels.weight", number("%d kg", 900)},
	{"parcels.route", filled("%s - %s", towns, towns)}, {"places.city", towns}, {"places.latitude", number("52.%07d", 1e7)}, {"places.point", filled("(%s,%s)", number("13.%06d", 1e6), number("52.%06d", 1e6))},
	{"firms.name", firms}, {"firms.note", filled("%s delivers to %s on weekdays", firms, towns)}, {"keys.uuid", uuid}, {"keys.md5", digest}, {"keys.short", func(r *rand.Rand) string { return digest(r)[:7] }},
	{"pages.url", filled("https://shop.example/%s?id=%s", pick("items|orders|a/b"), number("%d", 1e9))}, {"pages.path", filled("/var/log/app/%s.log", days)},
	{"events.line", filled("%s INFO worker %s took %s ms for job %s", moments, number("%d", 16), number("%d", 9000), number("%d", 1e9))},
	{"events.status", filled("GET /items/%s 200 %s", number("%d", 1e8), number("%d", 1e6))}, {"events.period", filled("%s/%s", days, days)}, {"events.range", filled("%s-%s", number("%d", 1000), number("%d", 10000))},
	{"notes.text", filled("The %s was left at the gate; order %s closed.", things, number("%d", 1e8))}, {"notes.reply", filled("Dear Customer, your parcel %s leaves %s tomorrow.", number("%d", 1e9), towns)},
	{"ratios.percent", number("%d %%", 100)}, {"ratios.score", number("0.%08d", 1e8)}, {"json.item", filled(`{"sku":"A%s","qty":%s,"at":"%s","name":"%s"}`, number("%06d", 1e6), number("%d", 90), moments, things)},
}
