-- The warehouse before the first load. Tables are made by the loads; these two were there before.
CREATE EXTENSION btree_gist SCHEMA public; -- for guards="full"
CREATE SCHEMA warehouse;

-- Loaded without a declaration: its columns and key are read from the catalogue.
CREATE TABLE warehouse.countries (code varchar(2) PRIMARY KEY, country text NOT NULL, loaded_by text NOT NULL DEFAULT 'team');

-- From an older version of the module: without the weight, and with shorter titles.
CREATE TABLE warehouse.products (
  sku varchar(16) NOT NULL PRIMARY KEY, title varchar(40) NOT NULL, price numeric(10, 2) NOT NULL,
  _loaded_at timestamptz NOT NULL, _batch_id uuid NOT NULL
);
