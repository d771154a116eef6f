-- How many rows of each input every rule keeps in quarantine, by night; a row that broke two rules counts for both, a row whose session a later day completed for none.
SELECT dt, input, rule, count(*) AS rejected_rows
FROM (
  SELECT r.dt, 'session_logs' AS input, explode(r.rules) AS rule
  FROM silver.rejected_events AS r
  LEFT JOIN silver.listening_events AS e
    ON e.session_id = r.session_id AND e.session_position = r.session_position AND e.dt > r.dt
  WHERE e.session_id IS NULL OR NOT array_contains(r.rules, 'session_complete')
  UNION ALL
  SELECT dt, 'tracks' AS input, explode(rules) AS rule FROM silver.rejected_tracks
) AS broken
GROUP BY dt, input, rule ORDER BY dt, rejected_rows DESC, input, rule
