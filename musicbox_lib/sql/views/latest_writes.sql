-- The newest write of every table: when, by which job of which run, how many rows.
SELECT w."table", w.version, w.rows, w.job, w.run_id, w.code_version, w.written_at
FROM ops.run_ledger AS w
JOIN (SELECT l."table", max(l.version) AS version FROM ops.run_ledger AS l GROUP BY l."table") AS newest
  ON newest."table" = w."table" AND newest.version = w.version
ORDER BY w."table"
