-- Skip rates night by night, all listeners: as logged, and as estimated for each policy.
SELECT dt, policy, n, skip_rate_logged, skip_rate_logged_lo, skip_rate_logged_hi,
       skip_rate_dr, skip_rate_dr_lo, skip_rate_dr_hi, ess, evidence
FROM reports.skip_rate WHERE segment = 'all' ORDER BY dt, policy
