-- The rules that did not simply hold each night, how many rows broke each, and what followed.
SELECT dt, rule, severity, evaluated, unexpected, unexpected_share, success, decision
FROM silver.validation_results WHERE unexpected > 0 OR NOT success ORDER BY dt, severity, unexpected DESC, rule
