-- How varied each policy's slates were night by night, all listeners.
SELECT dt, policy, n_slates, diversity_ild, ild_space, catalogue_coverage, aggregate_diversity, gini, repetition
FROM reports.diversity WHERE segment = 'all' ORDER BY dt, policy
