-- The demo's database. The gateway's own role owns it and is no superuser.
CREATE TYPE order_status AS ENUM ('placed', 'paid', 'shipped', 'delivered', 'returned');

CREATE TABLE customers (
    id        integer PRIMARY KEY,
    name      text NOT NULL,
    email     text NOT NULL UNIQUE,
    phone     text,
    card      text,
    born      date,
    street    text NOT NULL,
    city      text NOT NULL,
    postcode  text NOT NULL,
    country   char(2) NOT NULL,
    points    integer NOT NULL DEFAULT 0 CHECK (points >= 0),
    joined    timestamptz NOT NULL
);
COMMENT ON TABLE customers IS 'One row per customer. Personal data: labelled, masked for most.';

CREATE TABLE products (
    id        integer PRIMARY KEY,
    sku       text NOT NULL UNIQUE,
    name      text NOT NULL,
    category  text NOT NULL,
    price     numeric(10,2) NOT NULL
);

CREATE TABLE orders (
    id           integer PRIMARY KEY,
    customer_id  integer NOT NULL REFERENCES customers,
    placed       timestamptz NOT NULL,
    status       order_status NOT NULL,
    total        numeric(10,2) NOT NULL
);
CREATE INDEX ON orders (customer_id);

CREATE TABLE order_items (
    order_id    integer NOT NULL REFERENCES orders,
    product_id  integer NOT NULL REFERENCES products,
    quantity    integer NOT NULL,
    price       numeric(10,2) NOT NULL,
    PRIMARY KEY (order_id, product_id)
);

CREATE TABLE support_tickets (
    id           integer PRIMARY KEY,
    customer_id  integer NOT NULL REFERENCES customers,
    opened       timestamptz NOT NULL,
    status       text NOT NULL,
    subject      text NOT NULL,
    notes        text NOT NULL
);
COMMENT ON COLUMN support_tickets.notes IS 'Free text by support staff. Holds whatever customers told us.';

CREATE TABLE newsletter (
    email       text PRIMARY KEY,
    source      text NOT NULL,
    subscribed  date NOT NULL
);
-- A label may live in the catalog too: whoever makes the column says what it holds.
COMMENT ON COLUMN newsletter.email IS 'Address that gets the newsletter. @label pii.email';

CREATE VIEW customer_overview AS
    SELECT id, name, email, city, country, points FROM customers;

CREATE MATERIALIZED VIEW sales_by_country AS
    SELECT c.country, count(*) AS orders, sum(o.total) AS revenue
    FROM orders o JOIN customers c ON c.id = o.customer_id
    GROUP BY c.country;

CREATE SCHEMA payroll;
CREATE TABLE payroll.salaries (
    employee  text PRIMARY KEY,
    salary    integer NOT NULL
);
