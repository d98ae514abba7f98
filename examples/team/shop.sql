-- The shop's own database, as the pipelines find it on the first day. All times are fixed, so every run gives the same rows.
CREATE SCHEMA shop;

CREATE TABLE shop.customers (customer_no bigint PRIMARY KEY, name text NOT NULL, mail text, segment text, changed_at timestamptz NOT NULL);
INSERT INTO shop.customers
SELECT n, 'Customer ' || n, 'c' || n || '@example.org', CASE n % 3 WHEN 0 THEN 'business' ELSE 'private' END, '2025-01-01 08:00Z'::timestamptz + n * interval '1 hour'
FROM generate_series(1, 24) AS n;

-- What changed about customers, one row for each event, some of them late.
CREATE TABLE shop.customer_events (customer_no bigint, segment text, city text, happened_at timestamptz, PRIMARY KEY (customer_no, happened_at));
INSERT INTO shop.customer_events VALUES
  (1, 'private', 'Turin', '2025-01-02 09:00Z'), (1, 'business', 'Turin', '2025-01-05 09:00Z'), (1, 'business', 'Milan', '2025-01-20 09:00Z'),
  (2, 'private', 'Lyon', '2025-01-03 10:00Z'), (2, 'private', 'Lyon', '2025-01-04 10:00Z'), (3, 'business', NULL, '2025-01-06 11:00Z');

CREATE TABLE shop.products (sku text PRIMARY KEY, title text NOT NULL, price numeric(10, 2) NOT NULL, weight_g int, stock int NOT NULL, "Country of Origin" text);
INSERT INTO shop.products
SELECT 'SKU-' || n, 'Product ' || n, 5 + n * 1.25, 100 * n, 10 * n, CASE n % 2 WHEN 0 THEN 'IT' ELSE 'FR' END FROM generate_series(1, 12) AS n;

CREATE TABLE shop.orders (order_id bigint PRIMARY KEY, customer_no bigint, status text, total numeric(12, 2), created_at timestamptz, updated_at timestamptz);
INSERT INTO shop.orders
SELECT n, 1 + n % 24, CASE WHEN n <= 30 THEN 'shipped' ELSE 'open' END, round(n * 3.5, 2),
  '2025-02-01 06:00Z'::timestamptz + n * interval '30 minutes', '2025-02-01 07:00Z'::timestamptz + n * interval '30 minutes'
FROM generate_series(1, 40) AS n;

CREATE TABLE shop.offers (sku text, price numeric(10, 2), offered_at timestamptz, PRIMARY KEY (sku, offered_at));
INSERT INTO shop.offers VALUES ('SKU-1', 4.99, '2025-02-01Z'), ('SKU-2', 5.99, '2025-02-02Z'), ('SKU-3', 6.49, '2099-12-01Z');

CREATE TABLE shop.returns (return_id bigint PRIMARY KEY, order_id bigint, reason text);
INSERT INTO shop.returns SELECT n, n * 4, CASE n % 2 WHEN 0 THEN 'too small' ELSE 'damaged' END FROM generate_series(1, 6) AS n;

CREATE TABLE shop.countries (code text PRIMARY KEY, country text NOT NULL);
INSERT INTO shop.countries VALUES ('FR', 'France'), ('IT', 'Italy');

CREATE SCHEMA logistics;
CREATE TABLE logistics.carriers (carrier text PRIMARY KEY, phone text);
INSERT INTO logistics.carriers VALUES ('Blue Van', '100'), ('Night Train', '200'), ('Paper Boat', '300'), ('Slow Donkey', NULL);

CREATE TABLE logistics."Shipments" ("Shipment No" bigint PRIMARY KEY, order_id bigint, carrier text, "Weight (kg)" numeric(8, 3), internal_note text);
INSERT INTO logistics."Shipments" SELECT n, n, (ARRAY['Blue Van', 'Night Train', 'Paper Boat'])[1 + n % 3], n * 0.125, 'for us only' FROM generate_series(1, 10) AS n;

CREATE TABLE logistics.scans (scan_id bigint PRIMARY KEY, shipment_no bigint, place text, scanned_at timestamptz);
INSERT INTO logistics.scans
SELECT n, 1 + n % 10, (ARRAY['depot', 'hub', 'door'])[1 + n % 3], '2025-02-03 05:00Z'::timestamptz + n * interval '20 minutes' FROM generate_series(1, 30) AS n;
