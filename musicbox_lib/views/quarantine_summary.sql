-- How many rows each rule sent to quarantine each night; a row that broke two rules counts for both.
SELECT dt, rule, count(*) AS rejected_rows
FROM (SELECT dt, explode(rules) AS rule FROM silver.rejected_events) AS broken
GROUP BY dt, rule ORDER BY dt, rejected_rows DESC, rule
