{{ config(materialized='incremental', incremental_strategy='merge', unique_key='id', indexes=[{'columns': ['id'], 'unique': True}]) }}
SELECT id, name, city, amount, qty, ratio, day, seen, now() AS _loaded_at, '{{ invocation_id }}'::uuid AS _batch_id
FROM {{ env_var('BENCH_SOURCE') }}
