-- Queries in the manner of TPC-H, written for this project: a shop's orders, suppliers and parts.
-- schema
create table region (r_regionkey int primary key, r_name text not null, r_comment text);
create table nation (n_nationkey int primary key, n_name text not null, n_regionkey int references region, n_comment text);
create table supplier (s_suppkey int primary key, s_name text, s_address text, s_nationkey int references nation, s_phone text, s_acctbal numeric(15,2), s_comment text);
create table customer (c_custkey int primary key, c_name text, c_address text, c_nationkey int references nation, c_phone text, c_acctbal numeric(15,2), c_mktsegment text, c_comment text);
create table part (p_partkey int primary key, p_name text, p_mfgr text, p_brand text, p_type text, p_size int, p_container text, p_retailprice numeric(15,2), p_comment text);
create table partsupp (ps_partkey int references part, ps_suppkey int references supplier, ps_availqty int, ps_supplycost numeric(15,2), ps_comment text, primary key (ps_partkey, ps_suppkey));
create table orders (o_orderkey int primary key, o_custkey int references customer, o_orderstatus char(1), o_totalprice numeric(15,2), o_orderdate date, o_orderpriority text, o_clerk text, o_shippriority int, o_comment text);
create table lineitem (l_orderkey int references orders, l_partkey int, l_suppkey int, l_linenumber int, l_quantity numeric(15,2), l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2), l_returnflag char(1), l_linestatus char(1), l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct text, l_shipmode text, l_comment text, primary key (l_orderkey, l_linenumber));
insert into region select i, (array['AFRICA','AMERICA','ASIA','EUROPE','MIDDLE EAST'])[i+1], 'c' from generate_series(0, 4) i;
insert into nation select i, 'NATION' || i, i % 5, 'c' from generate_series(0, 24) i;
insert into supplier select i, 'Supplier ' || i, 'Street ' || i, i % 25, '+1 555 01' || lpad(i::text, 2, '0'), i * 10, 'c' from generate_series(1, 20) i;
insert into customer select i, 'Customer ' || i, 'Road ' || i, i % 25, (10 + i % 25) || '-555-' || lpad(i::text, 4, '0'), i * 5 - 50, (array['BUILDING','MACHINERY','FURNITURE'])[1 + i % 3], 'c' from generate_series(1, 60) i;
insert into part select i, 'green part ' || i, 'M' || i % 5, 'Brand#' || i % 7, (array['ECONOMY STEEL','PROMO BRASS','SMALL TIN'])[1 + i % 3], i % 50, 'BOX', i, 'c' from generate_series(1, 60) i;
insert into partsupp select p, 1 + (p + s * 5) % 20, p * 3, s * 10, 'c' from generate_series(1, 60) p, generate_series(0, 3) s;
insert into orders select i, 1 + i % 60, (array['O','F','P'])[1 + i % 3], i * 20, date '1994-01-01' + i * 7, (array['1-URGENT','2-HIGH','5-LOW'])[1 + i % 3], 'Clerk ' || i, 0, 'c' from generate_series(1, 200) i;
insert into lineitem select o, 1 + (o * l) % 60, 1 + (o + l) % 20, l, l * 5, o * l, 0.05 * (l % 3), 0.02, (array['R','A','N'])[1 + o % 3], (array['O','F'])[1 + o % 2], date '1994-01-10' + o * 7, date '1994-01-20' + o * 7, date '1994-01-15' + o * 7 + l, 'NONE', (array['AIR','MAIL','SHIP'])[1 + l % 3], 'c' from generate_series(1, 200) o, generate_series(1, 4) l;
analyze;
-- pricing summary
select l_returnflag, l_linestatus, sum(l_quantity) as sum_qty, sum(l_extendedprice) as sum_base, sum(l_extendedprice * (1 - l_discount)) as sum_disc, sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) as sum_charge, avg(l_quantity), avg(l_extendedprice), avg(l_discount), count(*) from lineitem where l_shipdate <= date '1998-12-01' - interval '90' day group by l_returnflag, l_linestatus order by l_returnflag, l_linestatus;
-- cheapest supplier
select s.s_acctbal, s.s_name, n.n_name, p.p_partkey, p.p_mfgr, s.s_address, s.s_phone from part p join partsupp ps on ps.ps_partkey = p.p_partkey join supplier s on s.s_suppkey = ps.ps_suppkey join nation n on n.n_nationkey = s.s_nationkey join region r on r.r_regionkey = n.n_regionkey where p.p_type like '%STEEL' and r.r_name = 'EUROPE' and ps.ps_supplycost = (select min(x.ps_supplycost) from partsupp x join supplier y on y.s_suppkey = x.ps_suppkey join nation z on z.n_nationkey = y.s_nationkey where x.ps_partkey = p.p_partkey and z.n_regionkey = r.r_regionkey) order by s.s_acctbal desc, n.n_name, p.p_partkey limit 100;
-- unshipped orders of most value
select l_orderkey, sum(l_extendedprice * (1 - l_discount)) as revenue, o_orderdate, o_shippriority from customer, orders, lineitem where c_mktsegment = 'BUILDING' and c_custkey = o_custkey and l_orderkey = o_orderkey and o_orderdate < date '1996-03-15' and l_shipdate > date '1996-03-15' group by l_orderkey, o_orderdate, o_shippriority order by revenue desc, o_orderdate limit 10;
-- orders that came late
select o_orderpriority, count(*) from orders where o_orderdate >= date '1995-01-01' and o_orderdate < date '1995-01-01' + interval '3' month and exists (select * from lineitem where l_orderkey = o_orderkey and l_commitdate < l_receiptdate) group by o_orderpriority order by 1;
-- revenue by nation
select n_name, sum(l_extendedprice * (1 - l_discount)) as revenue from customer, orders, lineitem, supplier, nation, region where c_custkey = o_custkey and l_orderkey = o_orderkey and l_suppkey = s_suppkey and s_nationkey = n_nationkey and n_regionkey = r_regionkey and r_name = 'ASIA' group by n_name order by revenue desc;
-- forecast of revenue
select sum(l_extendedprice * l_discount) from lineitem where l_shipdate >= date '1994-01-01' and l_shipdate < date '1994-01-01' + interval '1' year and l_discount between 0.05 - 0.01 and 0.05 + 0.01 and l_quantity < 24;
-- volume between two nations
select supp_nation, cust_nation, l_year, sum(volume) from (select n1.n_name as supp_nation, n2.n_name as cust_nation, extract(year from l_shipdate) as l_year, l_extendedprice * (1 - l_discount) as volume from supplier, lineitem, orders, customer, nation n1, nation n2 where s_suppkey = l_suppkey and o_orderkey = l_orderkey and c_custkey = o_custkey and s_nationkey = n1.n_nationkey and c_nationkey = n2.n_nationkey and n1.n_name <> n2.n_name) shipping group by 1, 2, 3 order by 1, 2, 3;
-- share of the market
select o_year, sum(case when nation = 'NATION3' then volume else 0 end) / nullif(sum(volume), 0) as share from (select extract(year from o_orderdate) as o_year, l_extendedprice * (1 - l_discount) as volume, n2.n_name as nation from part, supplier, lineitem, orders, customer, nation n1, nation n2, region where p_partkey = l_partkey and s_suppkey = l_suppkey and l_orderkey = o_orderkey and o_custkey = c_custkey and c_nationkey = n1.n_nationkey and n1.n_regionkey = r_regionkey and r_name = 'AMERICA' and s_nationkey = n2.n_nationkey) x group by o_year order by o_year;
-- profit by product
select nation, o_year, sum(amount) as profit from (select n_name as nation, extract(year from o_orderdate) as o_year, l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity as amount from part, supplier, lineitem, partsupp, orders, nation where s_suppkey = l_suppkey and ps_suppkey = l_suppkey and ps_partkey = l_partkey and p_partkey = l_partkey and o_orderkey = l_orderkey and s_nationkey = n_nationkey and p_name like '%green%') profit group by nation, o_year order by nation, o_year desc;
-- returned items by customer
select c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) as lost, c_acctbal, n_name, c_address, c_phone, c_comment from customer, orders, lineitem, nation where c_custkey = o_custkey and l_orderkey = o_orderkey and l_returnflag = 'R' and c_nationkey = n_nationkey group by c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment order by lost desc limit 20;
-- stock that matters
select ps_partkey, sum(ps_supplycost * ps_availqty) as value from partsupp, supplier, nation where ps_suppkey = s_suppkey and s_nationkey = n_nationkey group by ps_partkey having sum(ps_supplycost * ps_availqty) > (select sum(ps_supplycost * ps_availqty) * 0.0001 from partsupp, supplier, nation where ps_suppkey = s_suppkey and s_nationkey = n_nationkey) order by value desc;
-- modes of shipping
select l_shipmode, sum(case when o_orderpriority in ('1-URGENT', '2-HIGH') then 1 else 0 end) as high, sum(case when o_orderpriority not in ('1-URGENT', '2-HIGH') then 1 else 0 end) as low from orders join lineitem on o_orderkey = l_orderkey where l_shipmode in ('MAIL', 'SHIP') and l_commitdate > l_receiptdate - 10 group by l_shipmode order by 1;
-- customers by number of orders
select c_count, count(*) as custdist from (select c_custkey, count(o_orderkey) from customer left outer join orders on c_custkey = o_custkey and o_comment not like '%special%requests%' group by c_custkey) as c_orders (c_custkey, c_count) group by c_count order by custdist desc, c_count desc;
-- effect of promotions
select 100.00 * sum(case when p_type like 'PROMO%' then l_extendedprice * (1 - l_discount) else 0 end) / nullif(sum(l_extendedprice * (1 - l_discount)), 0) from lineitem join part on l_partkey = p_partkey where l_shipdate >= date '1995-09-01' and l_shipdate < date '1995-10-01';
-- best supplier
with revenue (supplier_no, total) as (select l_suppkey, sum(l_extendedprice * (1 - l_discount)) from lineitem group by l_suppkey) select s_suppkey, s_name, s_address, s_phone, total from supplier join revenue on s_suppkey = supplier_no where total = (select max(total) from revenue) order by s_suppkey;
-- suppliers for parts
select p_brand, p_type, p_size, count(distinct ps_suppkey) as n from partsupp join part on p_partkey = ps_partkey where p_brand <> 'Brand#4' and p_type not like 'SMALL%' and p_size in (49, 14, 23, 45, 19, 3, 36, 9) and ps_suppkey not in (select s_suppkey from supplier where s_comment like '%Customer%Complaints%') group by 1, 2, 3 order by n desc, 1, 2, 3;
-- revenue of small orders
select sum(l_extendedprice) / 7.0 from lineitem, part where p_partkey = l_partkey and p_brand = 'Brand#3' and l_quantity < (select 0.9 * avg(l_quantity) from lineitem where l_partkey = p_partkey);
-- large orders
select c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) from customer, orders, lineitem where o_orderkey in (select l_orderkey from lineitem group by l_orderkey having sum(l_quantity) > 30) and c_custkey = o_custkey and o_orderkey = l_orderkey group by 1, 2, 3, 4, 5 order by o_totalprice desc, o_orderdate limit 100;
-- discounted revenue
select sum(l_extendedprice * (1 - l_discount)) from lineitem, part where (p_partkey = l_partkey and p_brand = 'Brand#1' and p_container in ('BOX', 'BAG') and l_quantity between 1 and 11 and p_size between 1 and 5) or (p_partkey = l_partkey and p_brand = 'Brand#2' and l_quantity between 10 and 20 and l_shipmode in ('AIR', 'REG AIR'));
-- parts that could be promoted
select s_name, s_address from supplier, nation where s_suppkey in (select ps_suppkey from partsupp where ps_partkey in (select p_partkey from part where p_name like 'green%') and ps_availqty > (select 0.5 * sum(l_quantity) from lineitem where l_partkey = ps_partkey and l_suppkey = ps_suppkey)) and s_nationkey = n_nationkey order by s_name;
-- suppliers who kept orders waiting
select s_name, count(*) as numwait from supplier, lineitem l1, orders, nation where s_suppkey = l1.l_suppkey and o_orderkey = l1.l_orderkey and o_orderstatus = 'F' and exists (select * from lineitem l2 where l2.l_orderkey = l1.l_orderkey and l2.l_suppkey <> l1.l_suppkey) and not exists (select * from lineitem l3 where l3.l_orderkey = l1.l_orderkey and l3.l_suppkey <> l1.l_suppkey and l3.l_receiptdate > l3.l_commitdate) and s_nationkey = n_nationkey group by s_name order by numwait desc, s_name limit 100;
-- customers without orders
select cntrycode, count(*) as numcust, sum(c_acctbal) from (select substring(c_phone from 1 for 2) as cntrycode, c_acctbal from customer where c_acctbal > (select avg(c_acctbal) from customer where c_acctbal > 0.00) and not exists (select * from orders where o_custkey = c_custkey and o_totalprice > 3000)) as custsale group by cntrycode order by cntrycode;
