-- What happened in the shop before the second run.
INSERT INTO shop.orders VALUES
  (41, 5, 'open', 99.90, '2025-02-02 09:00Z', '2025-02-02 09:00Z'), (42, 6, 'open', 12.00, '2025-02-02 09:30Z', '2025-02-02 09:30Z');
UPDATE shop.orders SET status = 'shipped', updated_at = '2025-02-02 10:00Z' WHERE order_id IN (31, 32);
-- Two writers whose transactions became visible after younger rows had been read: one within the lag of the pipeline, one not.
UPDATE shop.orders SET status = 'cancelled', updated_at = '2025-02-02 02:56Z' WHERE order_id = 33;
UPDATE shop.orders SET status = 'cancelled', updated_at = '2025-02-01 00:00Z' WHERE order_id = 34;

DELETE FROM shop.customers WHERE customer_no IN (7, 8);
UPDATE shop.customers SET mail = NULL, changed_at = '2025-02-02 12:00Z' WHERE customer_no = 9;
INSERT INTO shop.customers VALUES (25, 'Customer 25', 'c25@example.org', 'private', '2025-02-02 13:00Z');

-- Customer 1 was in Genoa for a week, as we learn only now.
INSERT INTO shop.customer_events VALUES (1, 'business', 'Genoa', '2025-01-08 09:00Z'), (2, 'business', 'Lyon', '2025-02-02 10:00Z');

UPDATE shop.products SET price = price + 1 WHERE sku IN ('SKU-1', 'SKU-2');
UPDATE shop.products SET stock = stock - 5 WHERE sku = 'SKU-3';
DELETE FROM shop.products WHERE sku = 'SKU-12';
INSERT INTO shop.products VALUES ('SKU-13', 'Product 13', 21.25, NULL, 0, 'PT');

INSERT INTO shop.offers VALUES ('SKU-4', 9.99, '2099-12-24Z');
INSERT INTO shop.returns VALUES (7, 41, 'changed my mind');
INSERT INTO shop.countries VALUES ('PT', 'Portugal');
DELETE FROM logistics.carriers WHERE carrier = 'Slow Donkey';
UPDATE logistics.carriers SET phone = '101' WHERE carrier = 'Blue Van';
INSERT INTO logistics."Shipments" VALUES (11, 41, 'Blue Van', 1.5, NULL);
INSERT INTO logistics.scans VALUES (31, 11, 'depot', '2025-02-03 16:00Z'), (32, 11, NULL, '2025-02-03 17:00Z');
