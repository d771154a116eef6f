-- The newest night's three tracks for every user.
SELECT * FROM scores.top3_recommendations
WHERE dt = (SELECT max(dt) FROM scores.top3_recommendations)
ORDER BY user_id, rank
