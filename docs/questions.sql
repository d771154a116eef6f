-- Twenty questions to the lake, in SQL that both engines understand:
--   .venv/bin/musicbox sql --file docs/questions.sql                     (DuckDB)
--   beeline -u jdbc:hive2://127.0.0.1:10000/ -f docs/questions.sql       (after `make sql-server`)
-- tests/e2e/test_questions.py runs each in both and compares the answers. Rules for a question that must work in both:
-- quote a name that is also a word of SQL as w."table"; order by every column that could tie, and say where nulls go;
-- explode() a list, or map_keys() of a map, and look into a map with inputs['name'];
-- a share is count(*) FILTER (WHERE ...) / count(*), because a literal 1.0 is a decimal in Spark and avg() rounds it;
-- take the night before from the table, not from the calendar.

-- 1. Which tracks are recommended most tonight, and how often were they skipped so far, shrunk to the mean?
SELECT track_id, title, artist, count(*) AS slates, max(plays) AS plays, max(skip_rate_shrunk) AS skip_rate_shrunk
FROM recommendations_with_tracks
WHERE dt = (SELECT max(dt) FROM scores.top3_recommendations)
GROUP BY track_id, title, artist
ORDER BY slates DESC, track_id
LIMIT 10;

-- 2. Where do tonight's tracks come from, at each rank?
SELECT rank, source, count(*) AS slates, avg(propensity) AS mean_propensity
FROM latest_recommendations
GROUP BY rank, source
ORDER BY rank, slates DESC, source;

-- 3. Which listeners get a track tonight by an artist whom they heard in their last session?
SELECT r.user_id, r.rank, r.title, r.artist, count(*) AS plays_of_the_artist
FROM recommendations_with_tracks AS r
JOIN gold.last_sessions AS l ON l.dt = r.dt AND l.user_id = r.user_id
JOIN silver.listening_events AS e ON e.session_id = l.session_id AND e.dt = l.session_dt
JOIN gold.track_features AS t ON t.dt = r.dt AND t.track_id = e.track_id AND t.artist = r.artist
WHERE r.dt = (SELECT max(dt) FROM scores.top3_recommendations)
GROUP BY r.user_id, r.rank, r.title, r.artist
ORDER BY r.user_id, r.rank
LIMIT 20;

-- 4. Did the skip rate fall, and what would the champion and popularity have made of the same plays?
SELECT dt, policy, n, skip_rate_logged, skip_rate_dr, skip_rate_dr_lo, skip_rate_dr_hi, evidence
FROM skip_rate_trend
WHERE policy IN ('logged', 'ddpg_w', 'popularity')
ORDER BY dt, policy;

-- 5. Which rules reject most, and in which delivered file?
SELECT rule, dt, file, count(*) AS rejected, min(line) AS first_line
FROM (SELECT dt, file, line, explode(rules) AS rule FROM silver.rejected_events) AS broken
GROUP BY rule, dt, file
ORDER BY rejected DESC, rule, dt, file;

-- 6. How much of tonight's slates was already in the slates of the night before?
SELECT count(*) AS places, count(b.track_id) AS repeated, count(b.track_id) / count(*) AS share
FROM latest_recommendations AS a
LEFT JOIN scores.top3_recommendations AS b
  ON b.user_id = a.user_id AND b.track_id = a.track_id
  AND b.dt = (SELECT max(dt) FROM scores.top3_recommendations WHERE dt < (SELECT max(dt) FROM latest_recommendations));

-- 7. From which versions of its inputs were the newest recommendations made, and by which run?
SELECT w.run_id, w.job, w.version, input, w.inputs[input] AS input_version
FROM (
  SELECT l.run_id, l.job, l.version, l.inputs, explode(map_keys(l.inputs)) AS input
  FROM ops.run_ledger AS l
  WHERE l."table" = 'scores.top3_recommendations'
) AS w
WHERE w.version = (SELECT max(l.version) FROM ops.run_ledger AS l WHERE l."table" = 'scores.top3_recommendations')
ORDER BY input;

-- 8. Is a table behind: what was written last, and when was each table's newest day?
SELECT w."table", w.job, w.version, w."rows", max(written.day) AS newest_day
FROM latest_writes AS w
LEFT JOIN (SELECT l."table", explode(l.days) AS day FROM ops.run_ledger AS l) AS written ON written."table" = w."table"
GROUP BY w."table", w.job, w.version, w."rows"
ORDER BY newest_day NULLS FIRST, w."table";

-- 9. How much of the catalogue has been recommended at all, night by night?
SELECT t.dt, count(*) AS tracks, count(s.track_id) AS recommended, count(s.track_id) / count(*) AS coverage
FROM gold.track_features AS t
LEFT JOIN (SELECT DISTINCT dt, track_id FROM scores.top3_recommendations) AS s ON s.dt = t.dt AND s.track_id = t.track_id
GROUP BY t.dt
HAVING count(s.track_id) > 0
ORDER BY t.dt;

-- 10. Do the listeners that nothing was fitted on fare worse than all?
SELECT dt, policy,
       max(skip_rate_dr) FILTER (WHERE segment = 'all') AS all_listeners,
       max(skip_rate_dr) FILTER (WHERE segment = 'held_out') AS held_out,
       max(evidence) FILTER (WHERE segment = 'held_out') AS evidence_held_out
FROM reports.skip_rate
WHERE policy <> 'logged'
GROUP BY dt, policy
ORDER BY dt, policy;

-- 11. Against which policies does the champion win, lose, or remain undecided, by the interval of the paired difference?
SELECT dt, versus, measure, difference, lo, hi,
       CASE WHEN evidence <> 'ok' THEN evidence
            WHEN hi < 0 THEN 'fewer skips'
            WHEN lo > 0 THEN 'more skips'
            ELSE 'undecided' END AS verdict
FROM reports.policy_comparison
WHERE segment = 'all' AND measure = 'skip_rate_dr'
ORDER BY dt, versus;

-- 12. Which model serves, and what was it trained on?
SELECT m.model_id, m.dt, m.status, m.reason, input, m.inputs[input] AS version
FROM (SELECT model_id, dt, status, reason, inputs, explode(map_keys(inputs)) AS input FROM models.registry) AS m
WHERE m.status = 'champion'
ORDER BY m.model_id, input;

-- 13. Has every active listener a slate tonight, and is any slate short?
SELECT count(*) AS active, count(s.places) AS with_slate, count(*) FILTER (WHERE s.places < 3) AS short
FROM gold.last_sessions AS l
LEFT JOIN (SELECT user_id, count(*) AS places FROM latest_recommendations GROUP BY user_id) AS s ON s.user_id = l.user_id
WHERE l.dt = (SELECT max(dt) FROM latest_recommendations);

-- 14. Was anything lost on the way: delivered rows against valid, superseded and rejected ones?
SELECT b.dt, b.delivered, coalesce(v.valid, 0) AS valid, coalesce(s.superseded, 0) AS superseded,
       coalesce(r.rejected, 0) AS rejected,
       b.delivered - coalesce(v.valid, 0) - coalesce(s.superseded, 0) - coalesce(r.rejected, 0) AS lost
FROM (SELECT dt, count(*) AS delivered FROM bronze.session_events GROUP BY dt) AS b
LEFT JOIN (SELECT dt, count(*) AS valid FROM silver.listening_events WHERE coalesce(delivered_on, dt) = dt GROUP BY dt) AS v
  ON v.dt = b.dt
LEFT JOIN (SELECT dt, count(*) AS superseded FROM silver.superseded_events WHERE delivered_on = dt GROUP BY dt) AS s
  ON s.dt = b.dt
LEFT JOIN (SELECT dt, count(*) AS rejected FROM silver.rejected_events GROUP BY dt) AS r ON r.dt = b.dt
ORDER BY b.dt;

-- 15. Which rules did not simply hold lately, and did a night stop over one?
SELECT input, rule, severity, count(*) AS nights, sum(unexpected) AS unexpected_rows, max(unexpected_share) AS worst_share,
       count(*) FILTER (WHERE decision = 'stop') AS stopped
FROM validation_trend
GROUP BY input, rule, severity
ORDER BY unexpected_rows DESC, input, rule, severity;

-- 16. Who skips: paying or free listeners, and where was the track started?
SELECT premium, context_type, count(*) AS plays, count(*) FILTER (WHERE skip_2) / count(*) AS skip_rate
FROM silver.listening_events
WHERE skip_2 IS NOT NULL
GROUP BY premium, context_type
ORDER BY plays DESC, premium, context_type;

-- 17. How does skipping change in the course of a session?
SELECT session_position, count(*) AS plays, count(*) FILTER (WHERE skip_2) / count(*) AS skip_rate
FROM silver.listening_events
WHERE skip_2 IS NOT NULL
GROUP BY session_position
ORDER BY session_position;

-- 18. Which artists get more of tonight's places than of the plays so far?
SELECT artist, sum(places) AS places, sum(places) / max(all_places) AS share_of_places, sum(play_share) AS share_of_plays
FROM (
  SELECT t.artist, t.play_share, coalesce(s.places, 0) AS places, a.all_places
  FROM gold.track_features AS t
  LEFT JOIN (SELECT track_id, count(*) AS places FROM latest_recommendations GROUP BY track_id) AS s ON s.track_id = t.track_id
  CROSS JOIN (SELECT count(*) AS all_places FROM latest_recommendations) AS a
  WHERE t.dt = (SELECT max(dt) FROM latest_recommendations)
) AS exposed
GROUP BY artist
HAVING sum(places) / max(all_places) > sum(play_share)
ORDER BY places DESC, artist NULLS LAST
LIMIT 10;

-- 19. Are the served slates as varied as what people listen to by themselves?
SELECT s.dt, s.diversity_ild AS served, l.diversity_ild AS logged, s.ild_space, s.catalogue_coverage, s.gini, s.repetition
FROM diversity_trend AS s
JOIN diversity_trend AS l ON l.dt = s.dt AND l.policy = 'logged'
WHERE s.policy = 'ddpg_w'
ORDER BY s.dt;

-- 20. Which often skipped tracks are recommended all the same, and for the sake of which track?
SELECT r.title, r.artist, r.skip_rate_shrunk, r.plays, r.because_title, r.reason_code, count(*) AS slates
FROM recommendations_with_tracks AS r
JOIN (SELECT dt, avg(skip_rate_shrunk) AS skip_rate FROM gold.track_features GROUP BY dt) AS usual ON usual.dt = r.dt
WHERE r.dt = (SELECT max(dt) FROM scores.top3_recommendations) AND r.skip_rate_shrunk > usual.skip_rate
GROUP BY r.title, r.artist, r.skip_rate_shrunk, r.plays, r.because_title, r.reason_code
ORDER BY r.skip_rate_shrunk DESC, r.title, r.artist, r.because_title NULLS LAST, r.reason_code
LIMIT 10;
