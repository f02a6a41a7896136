-- A bank: numbers, bytes, addresses, and names that need quotes.
create schema bank;
create table bank.accounts (id int primary key, kind text not null, iban text, owner text, balance numeric(16,2));
create table bank.transfers (id int primary key, from_id int references bank.accounts, to_id int, amount numeric(10,2) not null, memo text);
create table bank.logins (id int primary key, account_id int references bank.accounts, at timestamptz not null, ip inet, device bytea);
create table bank."Odd ""Table" (id int, "select" int, "E-Mail" text);
