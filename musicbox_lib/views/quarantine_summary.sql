-- How many rows each rule keeps in quarantine, by night; a row that broke two rules counts for both, one whose session a later day completed for none.
SELECT broken.dt, broken.rule, count(*) AS rejected_rows
FROM (
  SELECT r.dt, explode(r.rules) AS rule
  FROM silver.rejected_events AS r
  LEFT JOIN silver.listening_events AS e
    ON e.session_id = r.session_id AND e.session_position = r.session_position AND e.dt > r.dt
  WHERE e.session_id IS NULL OR NOT array_contains(r.rules, 'session_complete')
) AS broken
GROUP BY broken.dt, broken.rule ORDER BY broken.dt, rejected_rows DESC, broken.rule
