-- A shop: customers, what they ordered, how they paid. Labelled columns are listed in columns.go.
create schema shop;
create table shop.customers (
  id int primary key, city text not null, segment text not null, note text,
  name text, email text, phone varchar(24), birth date,
  name_up text generated always as (upper(name)) stored,
  check (length(name) < 100));
create table shop.orders (id int primary key, customer_id int not null references shop.customers, total numeric(10,2) not null,
  status text not null, at date not null, ship_to text);
create table shop.payments (id int primary key, order_id int references shop.orders, amount numeric(10,2) not null, card text, iban text);
-- What an attacker guesses: no labelled column, the same in both twins, some of it right in the first.
create table shop.guesses (id int, email text, n numeric);
create table shop.sink (id int, t text, n numeric);
