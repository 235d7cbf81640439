-- Who may do what with chatwoot_conversations: the grants, then the rows that each policy lets through.
grant select, insert, update, delete on landing.chatwoot_conversations to ocd_worker;
-- down
revoke all on table landing.chatwoot_conversations from ocd_worker;
