{% snapshot orders_history %}
{{ config(unique_key='id', strategy='check', check_cols='all', target_schema='dbt') }}
SELECT id, name, city, amount, qty, ratio, day, seen FROM {{ env_var('BENCH_SOURCE') }}
{% endsnapshot %}
