-- How many rows of each input every rule sent to quarantine each night; a row that broke two rules counts for both.
SELECT dt, input, rule, count(*) AS rejected_rows
FROM (
  SELECT dt, 'session_logs' AS input, explode(rules) AS rule FROM silver.rejected_events
  UNION ALL
  SELECT dt, 'tracks' AS input, explode(rules) AS rule FROM silver.rejected_tracks
) AS broken
GROUP BY dt, input, rule ORDER BY dt, rejected_rows DESC, input, rule
