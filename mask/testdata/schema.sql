-- The database of the golden files in testdata/compile.
CREATE SCHEMA archive;
CREATE DOMAIN short_text AS text;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE customers (
	id int PRIMARY KEY,
	name text,
	email varchar(60) UNIQUE,
	phone text,
	ssn char(9),
	region short_text,
	born date,
	salary numeric(10,2),
	code uuid,
	tags text[],
	lower_email text GENERATED ALWAYS AS (lower(email)) STORED
);
INSERT INTO customers SELECT g, 'name' || g, 'user' || g || '@example.org', '+49 170 ' || 1000000 + g, lpad(g::text, 9, '7'), 'r' || g % 3,
	date '1980-01-01' + g * 100, g * 10, md5(g::text)::uuid, array['t' || g % 2] FROM generate_series(1, 12) g;
CREATE TABLE archive.customers (id int PRIMARY KEY, email varchar(60), note text);
INSERT INTO archive.customers SELECT g, 'user' || g || '@example.org', 'n' || g FROM generate_series(6, 20) g;
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, amount numeric, email text, note text);
INSERT INTO orders SELECT g, g % 12 + 1, g * 2, 'user' || g % 12 + 1 || '@example.org', 'o' || g FROM generate_series(1, 20) g;
CREATE TABLE plain (id int PRIMARY KEY, region text, n int);
INSERT INTO plain SELECT g, 'r' || g % 3, g FROM generate_series(1, 5) g;
CREATE TABLE "Odd Name" ("Id" int PRIMARY KEY, "E""mail" text, "select" int);
INSERT INTO "Odd Name" VALUES (1, 'a@x.io', 1), (2, 'b@x.io', 2);
CREATE TABLE parent (id int, ssn text);
CREATE TABLE child (extra int) INHERITS (parent);
INSERT INTO parent VALUES (1, '111');
INSERT INTO child VALUES (2, '222', 3);
CREATE VIEW contacts AS SELECT id, email AS address, upper(name) AS name, region FROM customers;
CREATE VIEW contacts_of_r1 AS SELECT id, address FROM contacts WHERE region = 'r1';
CREATE VIEW rich AS SELECT id, name FROM customers WHERE salary > 50;
CREATE VIEW rich_names AS SELECT id FROM rich;
CREATE MATERIALIZED VIEW stored AS SELECT id, email FROM customers;
CREATE SEQUENCE counter;
CREATE TABLE badges (id int PRIMARY KEY, number int8, small int4, letter "char", note varchar(20), line int4[], nick varchar(12), form varchar(2));
INSERT INTO badges SELECT g, g * 1000, g, 'abc', 'note' || g, array[g], 'nick' || g, 'f' FROM generate_series(1, 3) g;
