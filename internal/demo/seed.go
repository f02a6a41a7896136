package demo

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

//go:embed shop.sql
var shopSQL string

// customers is how many people the shop has.
const customers = 500

// goods are the shop's products: category, name, price.
var goods = []struct {
	category, name string
	cents          int
}{
	{"books", "Atlas of Remote Lighthouses", 3490}, {"books", "Bread Before Dawn", 2450}, {"books", "Small Boats, Big Rivers", 1890},
	{"kitchen", "Cast-iron skillet", 5900}, {"kitchen", "Pour-over kettle", 4550}, {"kitchen", "Chef's knife", 8900},
	{"garden", "Raised bed kit", 7900}, {"garden", "Secateurs", 2790}, {"garden", "Watering can", 1950},
	{"outdoor", "Two-person tent", 18900}, {"outdoor", "Down sleeping bag", 14900}, {"outdoor", "Enamel mug", 1250},
	{"games", "Chess set, walnut", 6900}, {"games", "Jigsaw, 1000 pieces", 1790}, {"games", "Backgammon", 4200},
}

// seedSQL is everything that fills the shop, as SQL text.
func seedSQL(folk []person) string {
	var b strings.Builder
	r := rand.New(rand.NewPCG(7, 11))

	t := table(&b, "customers")
	for _, p := range folk {
		t.row(p.id, p.name, p.email, p.phone, p.card, p.born.Format(time.DateOnly), p.street, p.city, p.postcode, p.land, p.points, p.joined.Format(time.RFC3339))
	}
	t.end()

	t = table(&b, "products")
	for i, g := range goods {
		t.row(i+1, fmt.Sprintf("SKU-%03d", i+1), g.name, g.category, money(g.cents))
	}
	t.end()

	// Orders and their items are made together, because a total is the sum of its items.
	var orders, items strings.Builder
	ot, it := table(&orders, "orders"), table(&items, "order_items")
	statuses := []string{"placed", "paid", "shipped", "delivered", "delivered", "delivered", "returned"}
	order := 0
	for _, p := range folk {
		for range r.IntN(6) {
			order++
			total := 0
			for _, product := range r.Perm(len(goods))[:1+r.IntN(3)] {
				quantity := 1 + r.IntN(3)
				total += quantity * goods[product].cents
				it.row(order, product+1, quantity, money(goods[product].cents))
			}
			span := int(today.Sub(p.joined).Hours()) + 1
			placed := p.joined.Add(time.Duration(r.IntN(span)) * time.Hour)
			ot.row(order, p.id, placed.Format(time.RFC3339), pick(r, statuses), money(total))
		}
	}
	ot.end()
	it.end()
	b.WriteString(orders.String() + items.String())

	t = table(&b, "support_tickets")
	for i := range 200 {
		p := folk[r.IntN(len(folk))]
		subject, notes := ticket(r, p)
		t.row(i+1, p.id, today.Add(-time.Duration(r.IntN(90*24))*time.Hour).Format(time.RFC3339), pick(r, []string{"open", "waiting", "closed"}), subject, notes)
	}
	t.end()

	t = table(&b, "newsletter")
	for _, p := range subscribers(folk) {
		t.row(p.email, pick(r, []string{"checkout", "website", "fair"}), p.joined.Format(time.DateOnly))
	}
	t.row("stranger@example.net", "website", "2026-01-15") // reads the newsletter, buys nothing
	t.end()

	b.WriteString("INSERT INTO payroll.salaries VALUES ('ada', 71000), ('audrey', 68000), ('dora', 74000);\n")
	b.WriteString("REFRESH MATERIALIZED VIEW sales_by_country;\nANALYZE;\n")
	return b.String()
}

// subscribers is every third customer; the tour counts them.
func subscribers(folk []person) []person {
	var out []person
	for i, p := range folk {
		if i%3 == 0 {
			out = append(out, p)
		}
	}
	return out
}

// inserter writes one INSERT with many rows.
type inserter struct {
	b     *strings.Builder
	first bool
}

func table(b *strings.Builder, name string) *inserter {
	b.WriteString("INSERT INTO " + name + " VALUES")
	return &inserter{b: b, first: true}
}

func (t *inserter) row(values ...any) {
	if !t.first {
		t.b.WriteByte(',')
	}
	t.first = false
	t.b.WriteString("\n(")
	for i, v := range values {
		if i > 0 {
			t.b.WriteString(", ")
		}
		switch v := v.(type) {
		case int:
			fmt.Fprint(t.b, v)
		default:
			t.b.WriteString(literal(fmt.Sprint(v)))
		}
	}
	t.b.WriteByte(')')
}

func (t *inserter) end() { t.b.WriteString(";\n") }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func money(cents int) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }
