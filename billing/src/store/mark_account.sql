-- From now on a close looks for the account's tax, coupons and credits. $1 tenant, $2 account
update account set has_terms = true where tenant_id = $1 and account_id = $2 and not has_terms
