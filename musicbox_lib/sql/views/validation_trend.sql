-- The rules that did not simply hold each night, how many rows broke each or what the day measured, and what followed.
SELECT dt, input, rule, severity, evaluated, unexpected, unexpected_share, value, expected_lo, expected_hi, success, decision
FROM silver.validation_results WHERE unexpected > 0 OR NOT success
ORDER BY dt, input, severity, unexpected DESC, rule
