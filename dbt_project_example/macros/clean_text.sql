{#- Text without surrounding blanks; NULL where nothing is left. -#}
{% macro clean_text(column) -%}
    nullif(trim({{ column }}), '')
{%- endmacro %}
