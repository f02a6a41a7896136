package planning

// demo are statements as people and agents put them to the demo's shop.
var demo = []string{
	"SELECT * FROM customers LIMIT 10",
	"SELECT id, email FROM customers WHERE country = 'DE' ORDER BY id",
	"SELECT count(*) FROM orders",
	"SELECT c.country, count(*), sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.country ORDER BY 3 DESC",
	"SELECT p.category, sum(i.quantity * i.price) AS revenue FROM order_items i JOIN products p ON p.id = i.product_id JOIN orders o ON o.id = i.order_id WHERE o.status = 'shipped' AND o.placed > now() - interval '90 days' GROUP BY 1 ORDER BY 2 DESC LIMIT 5",
	"SELECT t.id, t.subject, t.notes, c.email FROM support_tickets t JOIN customers c ON c.id = t.customer_id WHERE t.status = 'open' ORDER BY t.opened DESC LIMIT 20",
	"WITH big AS (SELECT customer_id, sum(total) AS spent FROM orders GROUP BY customer_id HAVING sum(total) > 1000) SELECT c.name, c.phone, b.spent FROM big b JOIN customers c ON c.id = b.customer_id ORDER BY b.spent DESC",
	"SELECT o.id, o.total, rank() OVER (PARTITION BY c.country ORDER BY o.total DESC) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.placed >= '2026-01-01'",
	"SELECT n.email, n.source FROM newsletter n WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.email = n.email)",
	"SELECT * FROM customer_overview WHERE points > 100",
	"SELECT date_trunc('month', placed) AS month, count(*) FILTER (WHERE status = 'returned') AS returned, count(*) FROM orders GROUP BY 1 ORDER BY 1",
	"SELECT id, name, born FROM customers WHERE email = $1",
}
