-- Every recommendation with its track's title, artist and plays as known that night, and the title of the track it was chosen for.
SELECT s.dt, s.user_id, s.rank, s.track_id, t.title, t.artist, t.genre, t.release_year, t.plays,
       t.skip_rate_shrunk, s.source, s.reason_code, s.because_track_id, b.title AS because_title,
       s.score, s.propensity, s.model_id
FROM scores.top3_recommendations AS s
LEFT JOIN gold.track_features AS t ON t.dt = s.dt AND t.track_id = s.track_id
LEFT JOIN gold.track_features AS b ON b.dt = s.dt AND b.track_id = s.because_track_id
