-- What stands on the rows: views, functions, triggers, rules, statistics.
create extension if not exists dblink;
create extension if not exists tablefunc;
create extension if not exists hstore;
create extension if not exists pg_trgm;
create unique index customers_email on shop.customers (email);
create index customers_lower on shop.customers (lower(email));
create statistics hr.pay_stats (mcv) on salary, dept from hr.employees;
create sequence shop.numbers;

create view shop.contacts as select id, email, city from shop.customers;
create view shop.contact_list (id, address) as select id, email from shop.contacts;
create view shop.shouting as select id, upper(email) as loud from shop.customers;
create view shop.people as select * from shop.customers;
create view shop.boxed as select id, c as box from shop.customers c;
create view shop.united as select id, email as x from shop.customers union all select id, card from shop.payments;
create view shop.fenced with (security_barrier) as select id, email from shop.customers;
create view shop.joined as select o.id, c.email from shop.orders o join shop.customers c on c.id = o.customer_id;
create view shop.chosen as select id, city from shop.customers where email like 'a%';
create materialized view shop.customers_mv as select id, email, segment from shop.customers;
create materialized view shop.lengths_mv as select id, length(email) as n from shop.customers;
create view hr.directory as select id, full_name, dept from hr.employees;
create view hr.payroll as select dept, sum(salary) as total from hr.employees group by dept;
create view hr.ranks as select id, rank() over (order by salary) as place from hr.employees;
create view clinic.charts as select p.id, p.name, v.diagnosis from clinic.patients p join clinic.visits v on v.patient_id = p.id;
create view bank.rich as select id from bank.accounts order by balance desc limit 3;

create function shop.fx_email(i int) returns text language sql stable as 'select email from shop.customers where id = i';
create function shop.fx_all() returns setof shop.customers language sql stable as 'select * from shop.customers';
create function shop.fx_table() returns table (a int, b text) language plpgsql stable as 'begin return query select id, email from shop.customers; end';
create function shop.fx_definer(i int) returns text language sql stable security definer as 'select email from shop.customers where id = i';
create function shop.fx_lying(i int) returns text language plpgsql immutable as 'begin return (select email from shop.customers where id = i); end';
create function shop.fx_field(c shop.customers) returns text language sql immutable as 'select c.email';
create function shop.fx_tell(t text) returns text language plpgsql immutable as 'begin raise notice ''saw %'', t; return t; end';
create function shop.fx_fail(t text) returns int language plpgsql immutable as 'begin raise exception ''boom %'', t using detail = t, hint = t; end';
create function shop.fx_same(a text, b text) returns boolean language plpgsql immutable as 'begin raise notice ''% and %'', a, b; return a = b; end';
create operator shop.### (leftarg = text, rightarg = text, function = shop.fx_same);
create function shop.fx_more(s text, t text) returns text language sql immutable as 'select coalesce(s, '''') || coalesce(t, '''')';
create aggregate shop.fx_every(text) (sfunc = shop.fx_more, stype = text);
-- Not to text: while such a cast is there, the guard asks for its function wherever anything is cast to text.
create function shop.fx_order(o shop.orders) returns xml language sql immutable as 'select xmlelement(name o, o.ship_to)';
create cast (shop.orders as xml) with function shop.fx_order(shop.orders) as assignment;
create function shop.fx_valid(t text) returns boolean language plpgsql immutable as 'begin if t like ''x%'' then raise notice ''checked %'', t; end if; return true; end';
create domain shop.checked as text check (shop.fx_valid(value));
create procedure shop.dump() language plpgsql as $$
declare r record; begin for r in select email from shop.customers order by id loop raise notice '%', r.email; end loop; end $$;

-- Operators let these two run; what they raise and send must not get out.
create function shop.note_order() returns trigger language plpgsql as $$
declare c shop.customers;
begin
  select * into c from shop.customers where id = new.customer_id;
  raise notice 'order of % at %', c.email, new.ship_to using detail = c::text, hint = c.phone;
  perform pg_notify('orders', c::text);
  return new;
end $$;
create trigger orders_note before insert or update on shop.orders for each row execute function shop.note_order();
create function bank.guard_transfer() returns trigger language plpgsql as $$
declare a bank.accounts;
begin
  select * into a from bank.accounts where id = new.from_id;
  if new.amount > 100000 then
    raise exception 'account % of % has % only', a.iban, a.owner, a.balance using detail = a::text, hint = a.owner, column = a.owner, table = a.iban;
  end if;
  return new;
end $$;
create trigger transfers_guard before insert or update on bank.transfers for each row execute function bank.guard_transfer();

create rule payments_copy as on update to shop.payments do also insert into shop.sink select new.id, new.card, 0;
create view bank.open_accounts as select id, kind, owner from bank.accounts;
create rule open_insert as on insert to bank.open_accounts do instead insert into shop.sink select id, owner, balance from bank.accounts;
analyze;
