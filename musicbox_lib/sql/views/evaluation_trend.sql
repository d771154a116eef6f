-- What each policy's evaluation said night by night, all listeners: estimated skip rates and the ranks of plays not skipped.
SELECT dt, policy,
       max(value) FILTER (WHERE measure = 'skip_rate_dr') AS skip_rate_dr,
       max(lo) FILTER (WHERE measure = 'skip_rate_dr') AS skip_rate_dr_lo,
       max(hi) FILTER (WHERE measure = 'skip_rate_dr') AS skip_rate_dr_hi,
       max(value) FILTER (WHERE measure = 'skip_rate_snips') AS skip_rate_snips,
       max(value) FILTER (WHERE measure = 'skip_rate_dm') AS skip_rate_dm,
       max(ess) AS ess,
       max(evidence) FILTER (WHERE measure = 'skip_rate_dr') AS evidence,
       max(value) FILTER (WHERE measure = 'hit_rate_20') AS hit_rate_20,
       max(value) FILTER (WHERE measure = 'ndcg_20') AS ndcg_20
FROM reports.policy_evaluation WHERE segment = 'all' GROUP BY dt, policy ORDER BY dt, policy
