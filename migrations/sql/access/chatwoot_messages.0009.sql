-- Who may do what with chatwoot_messages: the grants, then the rows that each policy lets through.
grant select, insert, update, delete on landing.chatwoot_messages to ocd_worker;
-- down
revoke all on table landing.chatwoot_messages from ocd_worker;
