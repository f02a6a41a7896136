-- Queries in the manner of TPC-DS, written for this project: a retailer's sales in shops and on the web.
-- schema
create table date_dim (d_date_sk int primary key, d_date date, d_year int, d_moy int, d_qoy int, d_dow int, d_week_seq int, d_month_seq int);
create table item (i_item_sk int primary key, i_item_id text, i_item_desc text, i_brand text, i_class text, i_category text, i_manufact_id int, i_current_price numeric(7,2));
create table store (s_store_sk int primary key, s_store_id text, s_store_name text, s_city text, s_county text, s_state char(2), s_zip text, s_street_name text);
create table customer_address (ca_address_sk int primary key, ca_street_name text, ca_city text, ca_county text, ca_state char(2), ca_zip text, ca_country text, ca_gmt_offset numeric(5,2));
create table customer_demographics (cd_demo_sk int primary key, cd_gender char(1), cd_marital_status char(1), cd_education_status text);
create table customer (c_customer_sk int primary key, c_customer_id text, c_first_name text, c_last_name text, c_email_address text, c_birth_year int, c_current_addr_sk int references customer_address, c_current_cdemo_sk int references customer_demographics);
create table promotion (p_promo_sk int primary key, p_channel_email char(1), p_channel_event char(1));
create table store_sales (ss_sold_date_sk int references date_dim, ss_item_sk int references item, ss_customer_sk int references customer, ss_store_sk int references store, ss_promo_sk int, ss_ticket_number int, ss_quantity int, ss_list_price numeric(7,2), ss_sales_price numeric(7,2), ss_ext_sales_price numeric(7,2), ss_net_profit numeric(7,2), ss_coupon_amt numeric(7,2));
create table store_returns (sr_returned_date_sk int references date_dim, sr_item_sk int, sr_customer_sk int, sr_store_sk int, sr_ticket_number int, sr_return_amt numeric(7,2));
create table web_sales (ws_sold_date_sk int references date_dim, ws_item_sk int references item, ws_bill_customer_sk int references customer, ws_order_number int, ws_warehouse_sk int, ws_quantity int, ws_ext_sales_price numeric(7,2), ws_net_paid numeric(7,2), ws_ext_ship_cost numeric(7,2));
create table inventory (inv_date_sk int references date_dim, inv_item_sk int references item, inv_quantity_on_hand int);
insert into date_dim select i, date '2000-01-01' + i, extract(year from date '2000-01-01' + i), extract(month from date '2000-01-01' + i), extract(quarter from date '2000-01-01' + i), extract(dow from date '2000-01-01' + i), i / 7, i / 30 from generate_series(0, 730) i;
insert into item select i, 'ITEM' || i % 20, 'item number ' || i, 'brand' || i % 5, 'class' || i % 3, (array['Books','Music','Sports'])[1 + i % 3], i % 9, i from generate_series(1, 40) i;
insert into store select i, 'S' || i, 'shop ' || i, 'city' || i, 'county' || i % 2, 'TN', '3' || i, 'Main' from generate_series(1, 6) i;
insert into customer_address select i, 'Elm Street', 'city' || i % 8, 'county' || i % 3, (array['TN','GA','CA'])[1 + i % 3], '37' || lpad(i::text, 3, '0'), 'US', -5 from generate_series(1, 40) i;
insert into customer_demographics select i, (array['M','F'])[1 + i % 2], (array['S','M','D'])[1 + i % 3], (array['College','Primary'])[1 + i % 2] from generate_series(1, 12) i;
insert into customer select i, 'C' || i, 'First' || i, 'Last' || i, 'mail' || i || '@example.org', 1950 + i, i, 1 + i % 12 from generate_series(1, 40) i;
insert into promotion select i, 'N', 'Y' from generate_series(1, 4) i;
insert into store_sales select i % 700, 1 + i % 40, 1 + i % 40, 1 + i % 6, 1 + i % 4, i / 3, i % 9 + 1, i % 50, i % 45, i % 90, i % 30 - 5, i % 3 from generate_series(1, 900) i;
insert into store_returns select (i + 9) % 700, 1 + i % 40, 1 + i % 40, 1 + i % 6, i / 3, i % 50 from generate_series(1, 900, 7) i;
insert into web_sales select i % 700, 1 + i % 40, 1 + i % 40, i / 2, i % 4, i % 5 + 1, i % 80, i % 70, i % 9 from generate_series(1, 500) i;
insert into inventory select i % 700, 1 + i % 40, i % 100 from generate_series(1, 500) i;
analyze;
-- customers who return much
with ctr as (select sr_customer_sk as customer, sr_store_sk as store, sum(sr_return_amt) as total from store_returns join date_dim on sr_returned_date_sk = d_date_sk where d_year = 2000 group by 1, 2) select c_customer_id from ctr c1 join store on s_store_sk = c1.store join customer on c_customer_sk = c1.customer where c1.total > (select avg(total) * 1.2 from ctr c2 where c1.store = c2.store) and s_state = 'TN' order by c_customer_id limit 100;
-- weekly sales beside those of last year
with wss as (select d_week_seq, ss_store_sk, sum(case when d_dow = 0 then ss_sales_price end) as sun, sum(case when d_dow = 6 then ss_sales_price end) as sat from store_sales join date_dim on d_date_sk = ss_sold_date_sk group by 1, 2) select y.ss_store_sk, y.d_week_seq, y.sun / nullif(x.sun, 0) as r1, y.sat / nullif(x.sat, 0) as r2 from wss y join wss x on x.ss_store_sk = y.ss_store_sk and x.d_week_seq = y.d_week_seq - 52 order by 1, 2 limit 100;
-- brand revenue
select d_year, i_brand, sum(ss_ext_sales_price) as s from date_dim join store_sales on d_date_sk = ss_sold_date_sk join item on i_item_sk = ss_item_sk where i_manufact_id = 5 and d_moy = 11 group by d_year, i_brand order by d_year, s desc limit 100;
-- both channels compared
with year_total as (select c_customer_id as id, c_first_name as first, c_last_name as last, d_year as y, sum(ss_ext_sales_price) as total, 's' as kind from customer join store_sales on ss_customer_sk = c_customer_sk join date_dim on d_date_sk = ss_sold_date_sk group by 1, 2, 3, 4 union all select c_customer_id, c_first_name, c_last_name, d_year, sum(ws_ext_sales_price), 'w' from customer join web_sales on ws_bill_customer_sk = c_customer_sk join date_dim on d_date_sk = ws_sold_date_sk group by 1, 2, 3, 4) select a.id, a.first, a.last from year_total a join year_total b on a.id = b.id and b.kind = 's' and b.y = 2001 join year_total w on w.id = a.id and w.kind = 'w' and w.y = 2000 where a.kind = 's' and a.y = 2000 and a.total > 0 and b.total / a.total > w.total / 100 order by 1, 2, 3 limit 100;
-- rollup over channels
select channel, id, sum(sales) as sales from (select 'store' as channel, s_store_id as id, ss_ext_sales_price as sales from store_sales join store on s_store_sk = ss_store_sk union all select 'web', 'web' || ws_warehouse_sk, ws_ext_sales_price from web_sales) x group by rollup (channel, id) order by channel nulls last, id nulls last limit 100;
-- states with dear items
select a.ca_state as state, count(*) as cnt from customer_address a join customer c on a.ca_address_sk = c.c_current_addr_sk join store_sales s on c.c_customer_sk = s.ss_customer_sk join item i on s.ss_item_sk = i.i_item_sk where i.i_current_price > 1.2 * (select avg(j.i_current_price) from item j where j.i_category = i.i_category) group by a.ca_state having count(*) >= 5 order by cnt, state;
-- averages by demographics
select i_item_id, avg(ss_quantity) as q, avg(ss_list_price) as l, avg(ss_coupon_amt) as c, avg(ss_sales_price) as p from store_sales, customer, customer_demographics, date_dim, item, promotion where ss_sold_date_sk = d_date_sk and ss_item_sk = i_item_sk and ss_customer_sk = c_customer_sk and c_current_cdemo_sk = cd_demo_sk and ss_promo_sk = p_promo_sk and cd_gender = 'M' and (p_channel_email = 'N' or p_channel_event = 'N') and d_year = 2000 group by i_item_id order by i_item_id limit 100;
-- share of class revenue
select i_item_id, i_item_desc, i_category, i_class, sum(ws_ext_sales_price) as revenue, sum(ws_ext_sales_price) * 100 / nullif(sum(sum(ws_ext_sales_price)) over (partition by i_class), 0) as ratio from web_sales, item, date_dim where ws_item_sk = i_item_sk and i_category in ('Sports', 'Books') and ws_sold_date_sk = d_date_sk and d_date between date '2000-02-22' and date '2000-02-22' + interval '30 days' group by 1, 2, 3, 4 order by i_category, i_class, i_item_id, ratio limit 100;
-- orders from several warehouses
select count(distinct ws_order_number) as orders, sum(ws_ext_ship_cost) from web_sales ws1 where exists (select * from web_sales ws2 where ws1.ws_order_number = ws2.ws_order_number and ws1.ws_warehouse_sk <> ws2.ws_warehouse_sk);
-- inventory that moves
select i_item_id, stddev_samp(inv_quantity_on_hand) / nullif(avg(inv_quantity_on_hand), 0) as cov from inventory join item on i_item_sk = inv_item_sk join date_dim on d_date_sk = inv_date_sk where d_year = 2000 group by i_item_id having count(*) > 1 order by cov desc nulls last limit 100;
-- best and worst items
select asceding.rnk, i1.i_item_desc as best, i2.i_item_desc as worst from (select item_sk, rnk from (select item_sk, rank() over (order by rank_col asc) as rnk from (select ss_item_sk as item_sk, avg(ss_net_profit) as rank_col from store_sales group by ss_item_sk) v1) v11 where rnk < 11) asceding join (select item_sk, rnk from (select item_sk, rank() over (order by rank_col desc) as rnk from (select ss_item_sk as item_sk, avg(ss_net_profit) as rank_col from store_sales group by ss_item_sk) v2) v21 where rnk < 11) descending on asceding.rnk = descending.rnk join item i1 on i1.i_item_sk = asceding.item_sk join item i2 on i2.i_item_sk = descending.item_sk order by asceding.rnk limit 100;
-- who bought in both
select count(*) from ((select distinct c_last_name, c_first_name, d_date from store_sales, date_dim, customer where ss_sold_date_sk = d_date_sk and ss_customer_sk = c_customer_sk) intersect (select distinct c_last_name, c_first_name, d_date from web_sales, date_dim, customer where ws_sold_date_sk = d_date_sk and ws_bill_customer_sk = c_customer_sk)) hot;
-- customers of one channel alone
select c_last_name, c_first_name, ca_city, c_email_address from customer join customer_address on ca_address_sk = c_current_addr_sk where exists (select 1 from store_sales where ss_customer_sk = c_customer_sk) and not exists (select 1 from web_sales join date_dim on d_date_sk = ws_sold_date_sk where ws_bill_customer_sk = c_customer_sk and d_year = 1999) order by c_last_name, c_first_name limit 100;
-- zip codes
select ca_zip, sum(ss_sales_price) from store_sales, customer, customer_address, date_dim where ss_customer_sk = c_customer_sk and c_current_addr_sk = ca_address_sk and (substring(ca_zip, 1, 5) in ('37001', '37002', '37010') or ca_state in ('CA', 'GA') or ss_sales_price > 40) and ss_sold_date_sk = d_date_sk and d_qoy = 2 group by ca_zip order by ca_zip limit 100;
-- moving average by month
with v as (select i_category, i_brand, s_store_name, d_year, d_moy, sum(ss_sales_price) as s, avg(sum(ss_sales_price)) over (partition by i_category, i_brand, s_store_name, d_year) as a, rank() over (partition by i_category, i_brand, s_store_name order by d_year, d_moy) as rn from item, store_sales, date_dim, store where ss_item_sk = i_item_sk and ss_sold_date_sk = d_date_sk and ss_store_sk = s_store_sk group by 1, 2, 3, 4, 5) select v.i_category, v.d_year, v.d_moy, v.a, v.s, lag.s as psum, lead.s as nsum from v join v lag on v.i_category = lag.i_category and v.i_brand = lag.i_brand and v.s_store_name = lag.s_store_name and v.rn = lag.rn + 1 join v lead on v.i_category = lead.i_category and v.i_brand = lead.i_brand and v.s_store_name = lead.s_store_name and v.rn = lead.rn - 1 where v.a > 0 and abs(v.s - v.a) / v.a > 0.1 order by v.s - v.a, v.s_store_name limit 100;
-- cumulative sales
select item_sk, d_date, web, store, max(web) over (partition by item_sk order by d_date rows between unbounded preceding and current row) as cumulative from (select ws_item_sk as item_sk, d_date, sum(ws_ext_sales_price) as web, 0 as store from web_sales join date_dim on ws_sold_date_sk = d_date_sk group by 1, 2) x order by item_sk, d_date limit 100;
-- ticket sizes
select c_last_name, c_first_name, ss_ticket_number, cnt from (select ss_ticket_number, ss_customer_sk, count(*) as cnt from store_sales join store on s_store_sk = ss_store_sk where s_county = 'county1' group by 1, 2) dn join customer on ss_customer_sk = c_customer_sk where cnt between 1 and 5 order by cnt desc, c_last_name limit 100;
-- grouping sets with grouping()
select i_category, i_class, grouping(i_category) + grouping(i_class) as lochierarchy, sum(ss_net_profit) / nullif(sum(ss_ext_sales_price), 0) as margin, rank() over (partition by grouping(i_category) + grouping(i_class) order by sum(ss_net_profit) desc) from store_sales join item on i_item_sk = ss_item_sk group by grouping sets ((i_category, i_class), (i_category), ()) order by lochierarchy desc, 1, 2 limit 100;
-- items in price bands
select avg(ss_list_price) filter (where ss_quantity between 0 and 5) as b1, count(distinct ss_list_price) filter (where ss_quantity between 6 and 10) as b2, percentile_cont(0.5) within group (order by ss_sales_price) as median from store_sales;
-- counts by hour-like buckets
select width_bucket(ss_sales_price, 0, 50, 5) as b, count(*), min(ss_sales_price), max(ss_sales_price) from store_sales group by b order by b;
-- customers who left
select c_customer_id, max(d_date) as last_seen from customer left join store_sales on ss_customer_sk = c_customer_sk left join date_dim on d_date_sk = ss_sold_date_sk group by c_customer_id having max(d_date) < date '2001-12-01' or max(d_date) is null order by 2, 1 limit 50;
